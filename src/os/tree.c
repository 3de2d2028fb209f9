/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: one walk serves measuring and copying. copy_file_range lets the kernel share blocks
 * (XFS, btrfs), copy on the server's side (NFS) or at least without a detour; where it cannot, the
 * bytes go through a buffer.
 */
#include "walrx/os/tree.h"

#include "interrupted.h"
#include "storage_class.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PIECE ((size_t)16 << 20) /* between two looks for a stop */
#define BUFFER ((size_t)1 << 20)
#define DEPTH_MAX 32 /* also where links lead in a circle */
#define NEW_MODE 0600
#define PROBE ".walrx-probe"

typedef struct Walk {
    const TreeCopy *how;
    const Dir *to; /* NULL: only measuring */
    TreeSize size;
    void *buffer;
    bool ok;
    Error *err;
} Walk;

typedef struct Level {
    Walk *walk;
    const Dir *from;
    const Dir *to;
    const char *path; /* of this directory within the tree; "" at the top */
    unsigned depth;
} Level;

static bool fail(Error *err, int os_errno, const char *doing, const char *path, const char *name)
{
    ErrorClass class = storage_class(os_errno);
    error_set_errno(err, class, os_errno, "could not %s \"%s%s%s\"", doing, path,
                    name[0] != '\0' ? "/" : "", name);
    if (class == ERROR_NO_ROOM)
        error_hint(err, "Make room there, or choose another place.");
    return false;
}

static bool own(int fd, const TreeOwner *owner, const char *path, const char *name, Error *err)
{
    if (!owner->change || fchown(fd, owner->uid, owner->gid) == 0)
        return true;
    return fail(err, errno, "change the owner of", path, name);
}

/* ---- places ---- */

typedef struct Contents {
    char first[NAME_MAX + 1];
    const char *claim;
    bool any;
    bool claimed;
} Contents;

static bool note_content(void *context, const char *name)
{
    Contents *contents = context;
    if (strcmp(name, contents->claim) == 0)
        contents->claimed = true;
    if (!contents->any)
        (void)snprintf(contents->first, sizeof(contents->first), "%s", name);
    contents->any = true;
    return !contents->claimed;
}

static bool is_empty(const Dir *dir, const char *claim, Error *err)
{
    Contents contents = {.claim = claim};
    if (!dir_visit(dir, note_content, &contents, err))
        return false;
    if (contents.claimed) {
        error_set(err, ERROR_USAGE, "directory \"%s\" holds an unfinished copy", dir->path);
        error_detail(err, "It contains \"%s\": an earlier run was killed, or still goes on.",
                     claim);
        return error_hint(err, "If none goes on, remove the directory, or choose another one.");
    }
    if (contents.any) {
        error_set(err, ERROR_USAGE, "directory \"%s\" is not empty", dir->path);
        error_detail(err, "It contains \"%s\".", contents.first);
        return error_hint(err, "Choose a directory that is empty or does not exist: nothing is "
                               "ever written over.");
    }
    return true;
}

static bool place_open(const char *path, mode_t mode, TreePlace *place, Error *err)
{
    int rc;
    if (path[0] != '/' || strlen(path) >= sizeof(place->dir.path) - NAME_MAX)
        return error_set(err, ERROR_USAGE, "\"%.200s\" is no absolute path that can be used", path);
    RETRY_EINTR(rc, place->dir.files->mkdirat(AT_FDCWD, path, mode));
    place->made = rc == 0;
    if (rc != 0 && errno != EEXIST) {
        int saved = errno;
        error_set_errno(err, saved == ENOSPC ? ERROR_NO_ROOM : ERROR_USAGE, saved,
                        "could not create directory \"%s\"", path);
        if (saved == ENOENT)
            error_hint(err, "The directory above it must exist.");
        return false;
    }
    RETRY_EINTR(place->dir.fd,
                place->dir.files->openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    if (place->dir.fd < 0)
        return error_set_errno(err, ERROR_USAGE, errno, "could not open directory \"%s\"", path);
    return true;
}

bool tree_place_check(const char *path, const char *claim, const FileTable *files, bool *ret_exists,
                      Error *err)
{
    struct stat status;
    Dir dir;
    int rc;
    RETRY_EINTR(rc, files->fstatat(AT_FDCWD, path, &status, 0));
    *ret_exists = rc == 0;
    if (rc != 0 && errno != ENOENT)
        return error_set_errno(err, ERROR_USAGE, errno, "could not look at \"%s\"", path);
    if (rc != 0)
        return true;
    if (!dir_open(path, false, files, &dir, err))
        return false;
    bool ok = is_empty(&dir, claim, err);
    dir_close(&dir);
    return ok;
}

bool tree_place_begin(const char *path, const char *claim, mode_t mode, const TreeOwner *owner,
                      const FileTable *files, TreePlace *ret, Error *err)
{
    TreePlace place = {
        .dir = {.fd = -1, .file_mode = NEW_MODE, .files = files}, .claim = claim, .begun = true};
    int fd = -1;
    (void)snprintf(place.dir.path, sizeof(place.dir.path), "%s", path);
    bool ok = place_open(path, mode, &place, err) && is_empty(&place.dir, claim, err);
    if (ok) {
        RETRY_EINTR(fd, files->openat(place.dir.fd, claim, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                                      NEW_MODE));
        ok = fd >= 0 || fail(err, errno, "create", path, claim);
    }
    if (!ok) {
        dir_close(&place.dir);
        if (place.made)
            (void)files->unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
        return false;
    }
    (void)files->close(fd);
    int rc;
    RETRY_EINTR(rc, files->fchmod(place.dir.fd, mode));
    ok = rc == 0 || fail(err, errno, "change the mode of", path, "");
    if (!ok || !own(place.dir.fd, owner, path, "", err)) {
        tree_place_undo(&place);
        return false;
    }
    *ret = place;
    return true;
}

bool tree_place_finish(TreePlace *place, Error *err)
{
    bool existed;
    if (!file_remove(&place->dir, place->claim, &existed, err))
        return false;
    dir_close(&place->dir);
    place->begun = false;
    return true;
}

static bool remove_name(void *context, const char *name)
{
    const Dir *dir = context;
    Dir inside = *dir;
    Error ignored; /* what cannot be removed stays, and its directory with it */
    if (dir->files->unlinkat(dir->fd, name, 0) == 0)
        return true;
    RETRY_EINTR(inside.fd, dir->files->openat(dir->fd, name,
                                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0));
    if (inside.fd < 0)
        return true;
    (void)!dir_visit(&inside, remove_name, &inside, &ignored);
    dir_close(&inside);
    (void)dir->files->unlinkat(dir->fd, name, AT_REMOVEDIR);
    return true;
}

void tree_place_undo(TreePlace *place)
{
    Error ignored;
    if (!place->begun)
        return;
    place->begun = false;
    (void)!dir_visit(&place->dir, remove_name, &place->dir, &ignored);
    dir_close(&place->dir);
    if (place->made)
        (void)place->dir.files->unlinkat(AT_FDCWD, place->dir.path, AT_REMOVEDIR);
}

/* ---- files ---- */

typedef struct Pair {
    const Dir *from;
    const char *name;
    const Dir *to;
    const char *to_name;
    int in;
    int out;
} Pair;

static bool told(Walk *walk, uint64_t bytes)
{
    if (walk->how->progress == NULL || walk->how->progress(walk->how->context, bytes))
        return true;
    return error_set(walk->err, ERROR_STOPPED, "stopped while copying");
}

/* By way of memory, from `offset` on. */
static bool copy_through(Walk *walk, const Pair *pair, uint64_t offset)
{
    if (walk->buffer == NULL)
        walk->buffer = malloc(BUFFER);
    if (walk->buffer == NULL)
        return error_set(walk->err, ERROR_MEMORY, "out of memory while copying");
    for (;;) {
        size_t count;
        if (!file_read_at(pair->from, pair->name, pair->in, walk->buffer, BUFFER, offset, &count,
                          walk->err))
            return false;
        if (count == 0)
            return true;
        struct iovec part = {.iov_base = walk->buffer, .iov_len = count};
        if (!file_write_at(pair->to, pair->to_name, pair->out, &part, 1, offset, walk->err) ||
            !told(walk, count))
            return false;
        offset += count;
    }
}

static bool copy_content(Walk *walk, const Pair *pair)
{
    uint64_t done = 0;
    for (;;) {
        ssize_t n;
        RETRY_EINTR(n, copy_file_range(pair->in, NULL, pair->out, NULL, PIECE, 0));
        if (n > 0 && !told(walk, (uint64_t)n))
            return false;
        if (n > 0) {
            done += (uint64_t)n;
            continue;
        }
        if (n < 0 && (storage_class(errno) == ERROR_NO_ROOM || errno == EIO))
            return fail(walk->err, errno, "copy to", pair->to->path, pair->to_name);
        /* The end; or a filesystem that cannot, and some say 0 then. */
        return n == 0 && done > 0 ? true : copy_through(walk, pair, done);
    }
}

static bool copy_file(Walk *walk, const Dir *from, const char *name, mode_t mode, const Dir *to,
                      const char *to_name)
{
    const FileTable *files = walk->how->files;
    Pair pair = {.from = from, .name = name, .to = to, .to_name = to_name, .in = -1, .out = -1};
    RETRY_EINTR(pair.in, files->openat(from->fd, name, O_RDONLY | O_CLOEXEC, 0));
    if (pair.in < 0)
        return fail(walk->err, errno, "open", from->path, name);
    RETRY_EINTR(pair.out,
                files->openat(to->fd, to_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                              NEW_MODE));
    bool ok = pair.out >= 0 || fail(walk->err, errno, "create", to->path, to_name);
    ok = ok && copy_content(walk, &pair);
    if (ok) {
        int rc;
        RETRY_EINTR(rc, files->fchmod(pair.out, mode & 0777));
        ok = rc == 0 || fail(walk->err, errno, "change the mode of", to->path, to_name);
    }
    ok = ok && own(pair.out, &walk->how->owner, to->path, to_name, walk->err);
    file_close(from, pair.in);
    /* NFS tells a full disk only now. */
    if (pair.out >= 0 && files->close(pair.out) != 0 && ok)
        ok = fail(walk->err, errno, "close", to->path, to_name);
    return ok;
}

/* ---- the walk ---- */

static bool take_entry(void *context, const char *name);

/* Follows links, unlike dir_open_inside. */
static bool open_directory(const Dir *parent, const char *name, Dir *ret, Error *err)
{
    Dir dir = *parent;
    int written = snprintf(dir.path, sizeof(dir.path), "%s/%s", parent->path, name);
    if (written < 0 || (size_t)written >= sizeof(dir.path))
        return error_set(err, ERROR_USAGE, "path is too long: \"%.200s...\"", parent->path);
    RETRY_EINTR(dir.fd,
                parent->files->openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    if (dir.fd < 0)
        return fail(err, errno, "open directory", parent->path, name);
    *ret = dir;
    return true;
}

static bool make_directory(const Level *level, const char *name, mode_t mode, Dir *ret)
{
    Walk *walk = level->walk;
    int rc;
    RETRY_EINTR(rc, walk->how->files->mkdirat(level->to->fd, name, 0700));
    if (rc != 0)
        return fail(walk->err, errno, "create directory", level->to->path, name);
    if (!open_directory(level->to, name, ret, walk->err))
        return false;
    RETRY_EINTR(rc, walk->how->files->fchmod(ret->fd, mode & 0777));
    bool ok = rc == 0 || fail(walk->err, errno, "change the mode of", ret->path, "");
    ok = ok && own(ret->fd, &walk->how->owner, ret->path, "", walk->err);
    if (!ok)
        dir_close(ret);
    return ok;
}

static bool walk_level(Level *level)
{
    if (level->depth > DEPTH_MAX)
        return error_set(level->walk->err, ERROR_USAGE, "\"%s\" lies too deep to be copied",
                         level->from->path);
    return dir_visit(level->from, take_entry, level, level->walk->err) && level->walk->ok;
}

static bool take_directory(const Level *level, const char *name, const char *path, mode_t mode,
                           bool empty)
{
    Walk *walk = level->walk;
    Dir from = {.fd = -1};
    Dir to = {.fd = -1};
    if (walk->to != NULL && !make_directory(level, name, mode, &to))
        return false;
    bool ok = empty || open_directory(level->from, name, &from, walk->err);
    if (ok && !empty) {
        Level inside = {walk, &from, &to, path, level->depth + 1};
        ok = walk_level(&inside);
        dir_close(&from);
    }
    if (to.fd >= 0)
        dir_close(&to);
    return ok;
}

static bool take_file(const Level *level, const char *name, const struct stat *status)
{
    Walk *walk = level->walk;
    walk->size.files++;
    walk->size.bytes += (uint64_t)status->st_size;
    return walk->to == NULL || copy_file(walk, level->from, name, status->st_mode, level->to, name);
}

/* *ret_there false: a link at the top leads nowhere. */
static bool look(const Level *level, const char *name, struct stat *ret, bool *ret_link,
                 bool *ret_there)
{
    const Dir *from = level->from;
    int rc;
    *ret_there = true;
    RETRY_EINTR(rc, from->files->fstatat(from->fd, name, ret, AT_SYMLINK_NOFOLLOW));
    *ret_link = rc == 0 && S_ISLNK(ret->st_mode);
    if (*ret_link) {
        RETRY_EINTR(rc, from->files->fstatat(from->fd, name, ret, 0));
        if (rc != 0 && errno == ENOENT && level->depth == 0) {
            *ret_there = false;
            return true;
        }
    }
    return rc == 0 || fail(level->walk->err, errno, "look at", from->path, name);
}

static bool take_entry(void *context, const char *name)
{
    Level *level = context;
    Walk *walk = level->walk;
    char path[DIR_PATH_SIZE];
    struct stat status;
    bool is_link;
    bool there;
    int written =
        snprintf(path, sizeof(path), "%s%s%s", level->path, level->depth > 0 ? "/" : "", name);
    walk->ok = (written >= 0 && (size_t)written < sizeof(path)) ||
               error_set(walk->err, ERROR_USAGE, "path is too long: \"%.200s...\"", path);
    walk->ok = walk->ok && look(level, name, &status, &is_link, &there);
    if (!walk->ok || !there)
        return walk->ok;
    TreeChoice choice = walk->how->choose(walk->how->context, path, status.st_mode, is_link);
    if (choice == TREE_LEAVE_OUT)
        return true;
    if (S_ISDIR(status.st_mode))
        walk->ok = take_directory(level, name, path, status.st_mode, choice == TREE_EMPTY);
    else if (S_ISREG(status.st_mode))
        walk->ok = take_file(level, name, &status);
    return walk->ok;
}

static bool walk_tree(const char *from, Walk *walk)
{
    Dir dir;
    if (!dir_open(from, false, walk->how->files, &dir, walk->err))
        return false;
    Level top = {walk, &dir, walk->to, "", 0};
    bool ok = walk_level(&top);
    dir_close(&dir);
    free(walk->buffer);
    return ok;
}

bool tree_measure(const char *from, const TreeCopy *how, TreeSize *ret, Error *err)
{
    Walk walk = {.how = how, .ok = true, .err = err};
    if (!walk_tree(from, &walk))
        return false;
    *ret = walk.size;
    return true;
}

bool tree_copy(const char *from, const Dir *to, const TreeCopy *how, Error *err)
{
    Walk walk = {.how = how, .to = to, .ok = true, .err = err};
    return walk_tree(from, &walk);
}

bool tree_copy_file(const char *from, const char *path, const Dir *to, const char *to_path,
                    const TreeCopy *how, Error *err)
{
    Walk walk = {.how = how, .to = to, .ok = true, .err = err};
    struct stat status;
    Dir dir;
    if (!dir_open(from, false, how->files, &dir, err))
        return false;
    bool ok = how->files->fstatat(dir.fd, path, &status, 0) == 0 ||
              fail(err, errno, "look at", from, path);
    ok = ok && copy_file(&walk, &dir, path, status.st_mode, to, to_path);
    dir_close(&dir);
    free(walk.buffer);
    return ok;
}

bool tree_make_directory(const Dir *to, const char *path, mode_t mode, const TreeOwner *owner,
                         Error *err)
{
    TreeCopy how = {.files = to->files, .owner = *owner};
    Walk walk = {.how = &how, .to = to, .ok = true, .err = err};
    Level top = {.walk = &walk, .to = to};
    Dir made;
    if (!make_directory(&top, path, mode, &made))
        return false;
    dir_close(&made);
    return true;
}

bool tree_write(const Dir *to, const char *path, const void *data, size_t length,
                const TreeOwner *owner, Error *err)
{
    union {
        const void *given;
        void *wanted;
    } bytes = {.given = data};
    struct iovec part = {.iov_base = bytes.wanted, .iov_len = length};
    int fd;
    RETRY_EINTR(fd,
                to->files->openat(to->fd, path,
                                  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, NEW_MODE));
    if (fd < 0)
        return fail(err, errno, "create", to->path, path);
    bool ok = length == 0 || file_write_at(to, path, fd, &part, 1, 0, err);
    ok = ok && own(fd, owner, to->path, path, err);
    file_close(to, fd);
    return ok;
}

bool tree_link(const Dir *to, const char *path, const char *target, const TreeOwner *owner,
               Error *err)
{
    if (symlinkat(target, to->fd, path) != 0)
        return fail(err, errno, "create link", to->path, path);
    if (owner->change && fchownat(to->fd, path, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(err, errno, "change the owner of", to->path, path);
    return true;
}

bool tree_can_share(const char *from, const char *file, const Dir *to)
{
    Error ignored;
    Dir dir;
    bool shares = false;
    if (!dir_open(from, false, to->files, &dir, &ignored))
        return false;
    int in = openat(dir.fd, file, O_RDONLY | O_CLOEXEC);
    int out = openat(to->fd, PROBE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, NEW_MODE);
    if (in >= 0 && out >= 0)
        shares = ioctl(out, FICLONE, in) == 0;
    if (out >= 0)
        (void)unlinkat(to->fd, PROBE, 0);
    file_close(&dir, in);
    file_close(&dir, out);
    dir_close(&dir);
    return shares;
}
