/* SPDX-License-Identifier: PostgreSQL
 *
 * See dirlock.h. Who holds a lock is read from /proc/locks, so that nothing needs to be written: a
 * receiver that is refused for another reason leaves the archive untouched.
 */
#include "walrx/os/dirlock.h"

#include "interrupted.h"
#include "storage_class.h"

#include "walrx/base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKERS_PATIENCE 10
#define LOOKERS_PAUSE_US 5000

/* "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF": proc_locks(5). The inode decides; two
 * filesystems may share its number, which at worst names a process too many. */
static bool holder_of_line(char *line, uint64_t inode, uint64_t *ret_pid)
{
    char *words[8];
    size_t count = 0;
    for (char *word = strsep(&line, " \n"); word != NULL && count < 8;
         word = strsep(&line, " \n")) {
        if (*word != '\0')
            words[count++] = word;
    }
    /* A shared one belongs to somebody who looks (dirlock_holder). */
    if (count < 6 || strcmp(words[1], "FLOCK") != 0 || strcmp(words[3], "WRITE") != 0)
        return false;
    const char *number = strrchr(words[5], ':');
    uint64_t found;
    return number != NULL && parse_u64(number + 1, 0, UINT64_MAX, &found) && found == inode &&
           parse_u64(words[4], 1, UINT32_MAX, ret_pid);
}

/* 0: not known (the process may live in another pid namespace). */
static uint64_t holder_of(int fd)
{
    struct stat status;
    char line[256];
    uint64_t pid = 0;
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL)
        return 0;
    if (fstat(fd, &status) == 0) {
        while (fgets(line, sizeof(line), locks) != NULL) {
            if (holder_of_line(line, (uint64_t)status.st_ino, &pid))
                break;
        }
    }
    (void)fclose(locks);
    return pid;
}

static bool refuse(int fd, const char *archive_path, Error *err)
{
    uint64_t pid = holder_of(fd);
    if (pid != 0)
        error_set(err, ERROR_ARCHIVE, "archive \"%s\" is in use by another receiver, process %llu",
                  archive_path, (unsigned long long)pid);
    else
        error_set(err, ERROR_ARCHIVE, "archive \"%s\" is in use by another receiver", archive_path);
    return error_hint(err, "One directory takes one receiver: stop the other one, or give this one "
                           "a directory of its own.");
}

/* Locks for us alone. Somebody who only looks is gone in a moment. */
static int lock_alone(int fd)
{
    int rc;
    for (int i = 0;; i++) {
        RETRY_EINTR(rc, flock(fd, LOCK_EX | LOCK_NB));
        if (rc == 0 || errno != EWOULDBLOCK || i == LOOKERS_PATIENCE || holder_of(fd) != 0)
            return rc;
        (void)usleep(LOOKERS_PAUSE_US);
    }
}

bool dirlock_directory(const Dir *dir, Error *err)
{
    int rc = lock_alone(dir->fd);
    return rc == 0 || errno != EWOULDBLOCK || refuse(dir->fd, dir->path, err);
}

static bool open_lock(const Dir *private_dir, const char *name, int *ret_fd, Error *err)
{
    RETRY_EINTR(*ret_fd, private_dir->files->openat(private_dir->fd, name,
                                                    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                                                    private_dir->file_mode));
    return *ret_fd >= 0 ||
           error_set_errno(err, storage_class(errno), errno, "could not open lock file \"%s/%s\"",
                           private_dir->path, name);
}

bool dirlock_try_directory(const Dir *dir)
{
    int rc;
    RETRY_EINTR(rc, flock(dir->fd, LOCK_EX | LOCK_NB));
    return rc == 0;
}

bool dirlock_file(const Dir *private_dir, const char *archive_path, DirLock *ret, Error *err)
{
    int fd;
    if (!open_lock(private_dir, DIRLOCK_NAME, &fd, err))
        return false;
    int rc = lock_alone(fd);
    if (rc != 0) {
        bool busy = errno == EWOULDBLOCK;
        bool refused = busy ? refuse(fd, archive_path, err)
                            : error_set_errno(err, ERROR_STORAGE, errno, "could not lock \"%s/%s\"",
                                              private_dir->path, DIRLOCK_NAME);
        file_close(private_dir, fd);
        return refused;
    }
    ret->fd = fd;
    return true;
}

bool dirlock_try(const Dir *private_dir, const char *name, DirLock *ret, LockHolder *ret_holder,
                 Error *err)
{
    int fd;
    int rc;
    *ret_holder = (LockHolder){.held = false};
    if (!open_lock(private_dir, name, &fd, err))
        return false;
    RETRY_EINTR(rc, flock(fd, LOCK_EX | LOCK_NB));
    ret->fd = rc == 0 ? fd : -1;
    if (rc == 0)
        return true;
    bool busy = errno == EWOULDBLOCK;
    if (busy)
        *ret_holder = (LockHolder){.held = true, .pid = holder_of(fd)};
    else
        error_set_errno(err, ERROR_STORAGE, errno, "could not lock \"%s/%s\"", private_dir->path,
                        name);
    file_close(private_dir, fd);
    return busy;
}

/* Does somebody hold this one alone? Takes a shared lock for a moment. */
static bool is_held(int fd)
{
    int rc;
    RETRY_EINTR(rc, flock(fd, LOCK_SH | LOCK_NB));
    if (rc != 0)
        return errno == EWOULDBLOCK;
    RETRY_EINTR(rc, flock(fd, LOCK_UN));
    return false;
}

LockHolder dirlock_holder(const Dir *dir, const Dir *private_dir, bool probe)
{
    int fds[2] = {dir->fd, -1};
    LockHolder holder = {.held = false};
    if (private_dir->fd >= 0)
        RETRY_EINTR(fds[1], private_dir->files->openat(private_dir->fd, DIRLOCK_NAME,
                                                       O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0));
    for (int i = 0; i < 2 && !holder.held; i++) {
        holder.pid = fds[i] >= 0 ? holder_of(fds[i]) : 0;
        holder.held = holder.pid != 0;
    }
    for (int i = 0; i < 2 && probe && !holder.held; i++)
        holder.held = fds[i] >= 0 && is_held(fds[i]);
    file_close(private_dir, fds[1]);
    return holder;
}

void dirlock_release(const Dir *private_dir, DirLock *lock)
{
    file_close(private_dir, lock->fd);
    lock->fd = -1;
}
