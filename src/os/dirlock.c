/* SPDX-License-Identifier: PostgreSQL
 *
 * See dirlock.h. A refused receiver removes the lock file it made itself, so another process may
 * have opened a file that is gone by the time it gets the lock: it compares the inode of what it
 * locked with the one under the name, and opens again when they differ.
 */
#include "walrx/os/dirlock.h"

#include "interrupted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool still_named(const Dir *dir, int fd)
{
    struct stat mine;
    struct stat named;
    return fstat(fd, &mine) == 0 && fstatat(dir->fd, DIRLOCK_NAME, &named, 0) == 0 &&
           mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

static bool refuse(int fd, const char *archive_path, Error *err)
{
    char owner[32] = "";
    ssize_t n = pread(fd, owner, sizeof(owner) - 1, 0);
    size_t length = n > 0 ? strspn(owner, "0123456789") : 0;
    owner[length] = '\0';
    error_set(err, ERROR_ARCHIVE, "archive \"%s\" is in use by another receiver%s%s", archive_path,
              length > 0 ? ", process " : "", owner);
    return error_hint(err, "One directory takes one receiver: stop the other one, or give this one "
                           "a directory of its own.");
}

bool dirlock_acquire(const Dir *private_dir, const char *archive_path, DirLock *ret, Error *err)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        int fd;
        RETRY_EINTR(fd, private_dir->files->openat(private_dir->fd, DIRLOCK_NAME,
                                                   O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                                                   private_dir->file_mode));
        if (fd < 0)
            return error_set_errno(err, ERROR_STORAGE, errno, "could not open lock file \"%s/%s\"",
                                   private_dir->path, DIRLOCK_NAME);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int saved = errno;
            bool refused = saved == EWOULDBLOCK ? refuse(fd, archive_path, err)
                                                : error_set_errno(err, ERROR_STORAGE, saved,
                                                                  "could not lock \"%s/%s\"",
                                                                  private_dir->path, DIRLOCK_NAME);
            file_close(private_dir, fd);
            return refused;
        }
        if (still_named(private_dir, fd)) {
            char text[32];
            int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
            /* The pid only serves the other side's message: the lock holds without it. */
            if (ftruncate(fd, 0) == 0)
                (void)!pwrite(fd, text, (size_t)length, 0);
            ret->fd = fd;
            return true;
        }
        file_close(private_dir, fd);
    }
    return error_set(err, ERROR_STORAGE, "lock file \"%s/%s\" keeps changing", private_dir->path,
                     DIRLOCK_NAME);
}

void dirlock_release(const Dir *private_dir, DirLock *lock, bool remove)
{
    if (lock->fd < 0)
        return;
    if (remove)
        (void)private_dir->files->unlinkat(private_dir->fd, DIRLOCK_NAME, 0);
    file_close(private_dir, lock->fd);
    lock->fd = -1;
}
