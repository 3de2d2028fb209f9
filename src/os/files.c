/* SPDX-License-Identifier: PostgreSQL
 *
 * See files.h. Each wrapper loops over EINTR and short transfers itself, so that callers see either
 * the whole effect or an error that names the file.
 */
#include "walrx/os/files.h"

#include "interrupted.h"
#include "storage_class.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STAT_BLOCK 512 /* unit of st_blocks */
#define NS_PER_SECOND 1000000000

static int kernel_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
    return openat(dir_fd, name, flags, mode);
}

static int kernel_renameat2(int from_fd, const char *from, int to_fd, const char *to,
                            unsigned flags)
{
    return renameat2(from_fd, from, to_fd, to, flags);
}

/* A filesystem that has shut down after an error of its log no longer knows of changes that it
 * never wrote: fsync of a directory finds nothing to do and returns 0 (seen on XFS, Linux 6.18).
 * Asking for the status fails there, and the shutdown is marked before its changes are forgotten.
 */
static int not_shut_down(int fd)
{
    struct stat status;
    return fstat(fd, &status);
}

static int kernel_fdatasync(int fd)
{
    return fdatasync(fd) != 0 ? -1 : not_shut_down(fd);
}

static int kernel_fsync(int fd)
{
    return fsync(fd) != 0 ? -1 : not_shut_down(fd);
}

const FileTable *file_table_kernel(void)
{
    static const FileTable table = {
        .openat = kernel_openat,
        .close = close,
        .pread = pread,
        .pwritev = pwritev,
        .fdatasync = kernel_fdatasync,
        .fsync = kernel_fsync,
        .fallocate = fallocate,
        .ftruncate = ftruncate,
        .renameat2 = kernel_renameat2,
        .unlinkat = unlinkat,
        .mkdirat = mkdirat,
        .fstatvfs = fstatvfs,
        .fstatat = fstatat,
        .fchmod = fchmod,
        .futimens = futimens,
        .readdir = readdir,
    };
    return &table;
}

static bool file_error(Error *err, int os_errno, const char *doing, const Dir *dir,
                       const char *name)
{
    ErrorClass class = storage_class(os_errno);
    error_set_errno(err, class, os_errno, "could not %s file \"%s/%s\"", doing, dir->path, name);
    if (class == ERROR_NO_ROOM)
        error_hint(err, "Make room on the filesystem of the archive: nothing that was acknowledged "
                        "is lost.");
    return false;
}

static bool cannot_open(Error *err, int os_errno, const char *path)
{
    bool disk_failed = os_errno == EIO || os_errno == EUCLEAN || os_errno == ENXIO;
    error_set_errno(err, disk_failed ? ERROR_STORAGE : ERROR_USAGE, os_errno,
                    "could not open directory \"%s\"", path);
    return error_hint(err, disk_failed
                               ? "Check the kernel log and the disk."
                               : "The directory must exist and belong to the user who receives; "
                                 "walrx does not create it.");
}

bool dir_open(const char *path, bool sync, const FileTable *files, Dir *ret, Error *err)
{
    Dir dir = {.fd = -1, .sync = sync, .file_mode = 0600, .files = files};
    if (strlen(path) >= sizeof(dir.path) - 64)
        return error_set(err, ERROR_USAGE, "directory name is too long: \"%.100s...\"", path);
    (void)snprintf(dir.path, sizeof(dir.path), "%s", path); /* length checked above */
    RETRY_EINTR(dir.fd, files->openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    if (dir.fd < 0)
        return cannot_open(err, errno, path);
    *ret = dir;
    return true;
}

static bool cannot_create(Error *err, int os_errno, const Dir *dir)
{
    bool denied = os_errno == EACCES || os_errno == EPERM || os_errno == EROFS;
    error_set_errno(err, denied ? ERROR_USAGE : storage_class(os_errno), os_errno,
                    "could not create directory \"%s\"", dir->path);
    if (denied)
        error_hint(err, "The archive directory must belong to the user who receives.");
    return false;
}

bool dir_open_inside(const Dir *parent, const char *name, bool create, Dir *ret, bool *ret_created,
                     Error *err)
{
    Dir dir = *parent;
    bool created = false;
    int written = snprintf(dir.path, sizeof(dir.path), "%s/%s", parent->path, name);
    if (written < 0 || (size_t)written >= sizeof(dir.path))
        return error_set(err, ERROR_USAGE, "directory name is too long: \"%.100s...\"",
                         parent->path);
    if (create) {
        mode_t mode = (parent->file_mode & 0040) ? 0750 : 0700;
        int made;
        RETRY_EINTR(made, parent->files->mkdirat(parent->fd, name, mode));
        created = made == 0;
        if (!created && errno != EEXIST)
            return cannot_create(err, errno, &dir);
    }
    RETRY_EINTR(dir.fd, parent->files->openat(parent->fd, name,
                                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0));
    bool ok = dir.fd >= 0 || (!create && errno == ENOENT);
    if (!ok)
        error_set_errno(err, ERROR_STORAGE, errno, "could not open directory \"%s\"", dir.path);
    if (ok && create && parent->sync) {
        /* Also where it exists: a process that was killed may have made it and not synced it. */
        int rc;
        RETRY_EINTR(rc, parent->files->fsync(parent->fd));
        if (rc != 0)
            ok = error_set_errno(err, ERROR_STORAGE, errno, "could not fsync directory \"%s\"",
                                 parent->path);
    }
    if (!ok) {
        dir_close(&dir);
        if (created)
            dir_remove_empty(parent, name);
        return false;
    }
    *ret = dir;
    if (ret_created != NULL)
        *ret_created = created;
    return true;
}

void dir_close(Dir *dir)
{
    if (dir->fd >= 0)
        (void)dir->files->close(dir->fd); /* a directory opened for reading has nothing to lose */
    dir->fd = -1;
}

bool dir_let_group_read(Dir *dir, Dir *inside, Error *err)
{
    int rc;
    RETRY_EINTR(rc, inside->files->fchmod(inside->fd, 0750));
    if (rc != 0)
        return error_set_errno(err, ERROR_STORAGE, errno,
                               "could not change the mode of directory \"%s\"", inside->path);
    dir->file_mode = 0640;
    inside->file_mode = 0640;
    return true;
}

bool dir_is_own(Dir *dir)
{
    struct stat status;
    if (fstat(dir->fd, &status) != 0 || status.st_uid != geteuid())
        return false;
    dir->file_mode = (status.st_mode & 0040) != 0 ? 0640 : 0600;
    return true;
}

bool dir_may_change(const Dir *dir, Error *err)
{
    return faccessat(dir->fd, ".", W_OK | X_OK, AT_EACCESS) == 0 ||
           error_set_errno(err, ERROR_ARCHIVE, errno, "could not change directory \"%s\"",
                           dir->path);
}

bool file_may_remove(const Dir *dir, const char *name, Error *err)
{
    struct stat status;
    struct stat above;
    int rc;
    RETRY_EINTR(rc, dir->files->fstatat(dir->fd, name, &status, AT_SYMLINK_NOFOLLOW));
    if (rc != 0 && errno == ENOENT)
        return true;
    if (rc != 0 || fstat(dir->fd, &above) != 0)
        return file_error(err, errno, "stat", dir, name);
    uid_t user = geteuid();
    bool others = (above.st_mode & S_ISVTX) != 0 && user != 0 && status.st_uid != user &&
                  above.st_uid != user;
    if (!S_ISDIR(status.st_mode) && !others)
        return true;
    return error_set_errno(err, ERROR_ARCHIVE, others ? EPERM : EISDIR,
                           "could not remove file \"%s/%s\"", dir->path, name);
}

void dir_remove_empty(const Dir *dir, const char *name)
{
    (void)dir->files->unlinkat(dir->fd, name, AT_REMOVEDIR);
}

bool dir_visit(const Dir *dir, DirVisit visit, void *context, Error *err)
{
    /* A descriptor of its own: reading moves the position, and closedir closes it. */
    int fd;
    RETRY_EINTR(fd, dir->files->openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        int saved = errno;
        if (fd >= 0)
            (void)dir->files->close(fd);
        return error_set_errno(err, ERROR_STORAGE, saved, "could not read directory \"%s\"",
                               dir->path);
    }
    bool ok = true;
    for (;;) {
        errno = 0;
        const struct dirent *entry = dir->files->readdir(stream);
        if (entry == NULL && errno == EINTR)
            continue;
        if (entry == NULL) {
            if (errno != 0)
                ok = error_set_errno(err, ERROR_STORAGE, errno, "could not read directory \"%s\"",
                                     dir->path);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!visit(context, entry->d_name))
            break;
    }
    (void)closedir(stream);
    return ok;
}

bool file_status(const Dir *dir, const char *name, bool *ret_exists, uint64_t *ret_size, Error *err)
{
    struct stat status;
    int rc;
    RETRY_EINTR(rc, dir->files->fstatat(dir->fd, name, &status, AT_SYMLINK_NOFOLLOW));
    if (rc != 0) {
        if (errno != ENOENT)
            return file_error(err, errno, "stat", dir, name);
        *ret_exists = false;
        *ret_size = 0;
        return true;
    }
    *ret_exists = true;
    *ret_size = (uint64_t)status.st_size;
    return true;
}

bool file_modified(const Dir *dir, const char *name, bool *ret_exists, int64_t *ret_ns, Error *err)
{
    struct stat status;
    int rc;
    RETRY_EINTR(rc, dir->files->fstatat(dir->fd, name, &status, AT_SYMLINK_NOFOLLOW));
    if (rc != 0 && errno != ENOENT)
        return file_error(err, errno, "stat", dir, name);
    *ret_exists = rc == 0;
    *ret_ns = 0;
    if (rc == 0)
        *ret_ns = (int64_t)((uint64_t)status.st_mtim.tv_sec * NS_PER_SECOND +
                            (uint64_t)status.st_mtim.tv_nsec);
    return true;
}

void file_set_modified(const Dir *dir, int fd, int64_t ns)
{
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = (time_t)(ns / NS_PER_SECOND), .tv_nsec = (long)(ns % NS_PER_SECOND)},
    };
    (void)dir->files->futimens(fd, times);
}

bool file_open(const Dir *dir, const char *name, FileOpen how, int *ret_fd, Error *err)
{
    static const int flags_of[] = {
        [FILE_READ] = O_RDONLY | O_NONBLOCK, /* a FIFO of that name holds nobody up */
        [FILE_WRITE] = O_RDWR,
        [FILE_WRITE_DIRECT] = O_RDWR | O_DIRECT,
        [FILE_CREATE] = O_RDWR | O_CREAT | O_TRUNC,
        [FILE_CREATE_DIRECT] = O_RDWR | O_CREAT | O_TRUNC | O_DIRECT,
        [FILE_APPEND] = O_WRONLY | O_CREAT | O_APPEND,
    };
    int fd;
    RETRY_EINTR(fd, dir->files->openat(dir->fd, name, flags_of[how] | O_CLOEXEC | O_NOFOLLOW,
                                       dir->file_mode));
    if (fd < 0)
        return file_error(err, errno, (flags_of[how] & O_CREAT) != 0 ? "create" : "open", dir,
                          name);
    *ret_fd = fd;
    return true;
}

void file_close(const Dir *dir, int fd)
{
    if (fd >= 0)
        (void)dir->files->close(fd);
}

bool file_read_at(const Dir *dir, const char *name, int fd, void *buffer, size_t count,
                  uint64_t offset, size_t *ret_count, Error *err)
{
    size_t done = 0;
    while (done < count) {
        ssize_t n;
        RETRY_EINTR(
            n, dir->files->pread(fd, (char *)buffer + done, count - done, (off_t)(offset + done)));
        if (n < 0)
            return file_error(err, errno, "read", dir, name);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_count = done;
    return true;
}

bool file_write_at(const Dir *dir, const char *name, int fd, const struct iovec *parts,
                   int part_count, uint64_t offset, Error *err)
{
    struct iovec left[2];
    if (part_count < 1 || part_count > 2)
        return error_set(err, ERROR_STORAGE, "could not write file \"%s/%s\": %d parts", dir->path,
                         name, part_count);
    memcpy(left, parts, (size_t)part_count * sizeof(left[0]));
    int first = 0;
    while (first < part_count) {
        ssize_t n;
        RETRY_EINTR(n, dir->files->pwritev(fd, left + first, part_count - first, (off_t)offset));
        if (n < 0)
            return file_error(err, errno, "write", dir, name);
        if (n == 0)
            return file_error(err, ENOSPC, "write", dir, name);
        offset += (uint64_t)n;
        size_t taken = (size_t)n;
        while (first < part_count && taken >= left[first].iov_len) {
            taken -= left[first].iov_len;
            first++;
        }
        if (first < part_count) {
            left[first].iov_base = (char *)left[first].iov_base + taken;
            left[first].iov_len -= taken;
        }
    }
    return true;
}

bool file_append(const Dir *dir, const char *name, int fd, const void *data, size_t length,
                 Error *err)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    struct stat status;
    ssize_t n;
    if (fstat(fd, &status) != 0)
        return file_error(err, errno, "stat", dir, name);
    /* With O_APPEND Linux writes at the end, whatever the offset says (pwrite(2)). */
    RETRY_EINTR(n, dir->files->pwritev(fd, &part, 1, status.st_size));
    if (n < 0)
        return file_error(err, errno, "write", dir, name);
    return (size_t)n == length || file_error(err, ENOSPC, "write", dir, name);
}

bool file_allocate(const Dir *dir, const char *name, int fd, uint64_t size, Error *err)
{
    int rc;
    RETRY_EINTR(rc, dir->files->fallocate(fd, 0, 0, (off_t)size));
    if (rc == 0)
        return true;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
        return file_error(err, errno, "allocate", dir, name);
    return file_truncate(dir, name, fd, size, err);
}

bool file_truncate(const Dir *dir, const char *name, int fd, uint64_t size, Error *err)
{
    int rc;
    RETRY_EINTR(rc, dir->files->ftruncate(fd, (off_t)size));
    if (rc != 0)
        return file_error(err, errno, "set the size of", dir, name);
    return true;
}

bool file_remove(const Dir *dir, const char *name, bool *ret_existed, Error *err)
{
    int rc;
    RETRY_EINTR(rc, dir->files->unlinkat(dir->fd, name, 0));
    *ret_existed = rc == 0;
    return rc == 0 || errno == ENOENT || file_error(err, errno, "remove", dir, name);
}

bool file_space_left(const Dir *dir, uint64_t *ret, Error *err)
{
    struct statvfs status;
    if (dir->files->fstatvfs(dir->fd, &status) != 0)
        return error_set_errno(err, ERROR_STORAGE, errno,
                               "could not ask for the free space of \"%s\"", dir->path);
    *ret = (uint64_t)status.f_bavail * status.f_frsize;
    return true;
}

bool file_unbacked(const Dir *dir, const char *name, int fd, uint64_t *ret, Error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return file_error(err, errno, "stat", dir, name);
    uint64_t size = (uint64_t)status.st_size;
    uint64_t backed = (uint64_t)status.st_blocks * STAT_BLOCK;
    *ret = backed < size ? size - backed : 0;
    return true;
}

void file_stamp(int fd, uint32_t nanoseconds)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
    (void)clock_gettime(CLOCK_REALTIME, &times[1]);
    times[1].tv_nsec = (long)nanoseconds;
    (void)futimens(fd, times);
}

void file_write_back_early(int fd, uint64_t offset, uint64_t count)
{
    (void)sync_file_range(fd, (off64_t)offset, (off64_t)count, SYNC_FILE_RANGE_WRITE);
}
