/* SPDX-License-Identifier: PostgreSQL
 *
 * See durable.h. The order in every function: data first, then the name, then the directory that
 * gains the name. The directory that loses it is not synced: after a power cut the file may show
 * under both names, never under none, and start-up removes old names in .walrx/.
 */
#include "walrx/os/durable.h"

#include "interrupted.h"
#include "storage_class.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool durable_file(const Dir *dir, const char *name, int fd, Error *err)
{
    if (!dir->sync)
        return true;
    /* fdatasync also writes the size and the block map when they changed: fdatasync(2). */
    int rc;
    RETRY_EINTR(rc, dir->files->fdatasync(fd));
    if (rc != 0) {
        error_set_errno(err, ERROR_STORAGE, errno, "could not fdatasync file \"%s/%s\"", dir->path,
                        name);
        return error_hint(err, "Check the kernel log and the disk. Nothing after the last "
                               "acknowledged position is promised; start again to resume there.");
    }
    return true;
}

bool durable_directory(const Dir *dir, Error *err)
{
    if (!dir->sync)
        return true;
    int rc;
    RETRY_EINTR(rc, dir->files->fsync(dir->fd));
    if (rc != 0) {
        error_set_errno(err, ERROR_STORAGE, errno, "could not fsync directory \"%s\"", dir->path);
        return error_hint(err, "Check the kernel log and the disk.");
    }
    return true;
}

static int rename_file(const Dir *from_dir, const char *from, const Dir *to_dir, const char *to,
                       unsigned flags)
{
    int rc;
    RETRY_EINTR(rc, from_dir->files->renameat2(from_dir->fd, from, to_dir->fd, to, flags));
    return rc;
}

static bool rename_error(Error *err, const Dir *from_dir, const char *from, const Dir *to_dir,
                         const char *to)
{
    return error_set_errno(err, storage_class(errno), errno,
                           "could not rename \"%s/%s\" to \"%s/%s\"", from_dir->path, from,
                           to_dir->path, to);
}

bool durable_publish_unsynced(const Dir *from_dir, const char *from, const Dir *to_dir,
                              const char *to, bool *ret_exists, Error *err)
{
    *ret_exists = false;
    if (rename_file(from_dir, from, to_dir, to, RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST) {
            *ret_exists = true;
            return true;
        }
        if (errno != EINVAL && errno != ENOSYS)
            return rename_error(err, from_dir, from, to_dir, to);
        /* A filesystem without RENAME_NOREPLACE. The lock on the archive makes us the only writer,
         * so looking first is enough. */
        bool exists;
        uint64_t size;
        if (!file_status(to_dir, to, &exists, &size, err))
            return false;
        if (exists) {
            *ret_exists = true;
            return true;
        }
        if (rename_file(from_dir, from, to_dir, to, 0) != 0)
            return rename_error(err, from_dir, from, to_dir, to);
    }
    return true;
}

bool durable_publish(const Dir *from_dir, const char *from, const Dir *to_dir, const char *to,
                     bool *ret_exists, Error *err)
{
    return durable_publish_unsynced(from_dir, from, to_dir, to, ret_exists, err) &&
           (*ret_exists || durable_directory(to_dir, err));
}

bool durable_replace(const Dir *from_dir, const char *from, const Dir *to_dir, const char *to,
                     Error *err)
{
    if (rename_file(from_dir, from, to_dir, to, 0) != 0)
        return rename_error(err, from_dir, from, to_dir, to);
    return durable_directory(to_dir, err);
}

bool durable_remove(const Dir *dir, const char *name, Error *err)
{
    bool existed;
    return file_remove(dir, name, &existed, err) && (!existed || durable_directory(dir, err));
}

static bool write_temporary(const Dir *dir, const char *name, const void *data, size_t length,
                            Error *err)
{
    int fd;
    if (!file_open(dir, name, FILE_CREATE, &fd, err))
        return false;
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    bool ok = (length == 0 || file_write_at(dir, name, fd, &part, 1, 0, err)) &&
              durable_file(dir, name, fd, err);
    file_close(dir, fd);
    if (!ok && err->class == ERROR_NO_ROOM) {
        bool existed;
        Error ignored; /* the next start removes it */
        (void)!file_remove(dir, name, &existed, &ignored);
    }
    return ok;
}

bool durable_write_new(const Dir *temp_dir, const char *temporary, const Dir *to_dir,
                       const char *name, const void *data, size_t length, bool *ret_exists,
                       Error *err)
{
    return write_temporary(temp_dir, temporary, data, length, err) &&
           durable_publish(temp_dir, temporary, to_dir, name, ret_exists, err);
}

bool durable_write_over(const Dir *temp_dir, const char *temporary, const Dir *to_dir,
                        const char *name, const void *data, size_t length, Error *err)
{
    return write_temporary(temp_dir, temporary, data, length, err) &&
           durable_replace(temp_dir, temporary, to_dir, name, err);
}
