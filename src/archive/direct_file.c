/* SPDX-License-Identifier: PostgreSQL
 *
 * See direct_file.h.
 */
#include "walrx/archive/direct_file.h"

#include <errno.h>

static bool open_as(DirectMode *mode, const Dir *dir, const char *name, FileOpen direct,
                    FileOpen buffered, int *ret_fd, Error *err)
{
    if (!mode->off) {
        if (file_open(dir, name, direct, ret_fd, err))
            return true;
        if (err->os_errno != EINVAL)
            return false;
        mode->off = true;
    }
    return file_open(dir, name, buffered, ret_fd, err);
}

bool direct_file_open(DirectMode *mode, const Dir *dir, const char *name, int *ret_fd, Error *err)
{
    return open_as(mode, dir, name, FILE_WRITE_DIRECT, FILE_WRITE, ret_fd, err);
}

bool direct_file_create(DirectMode *mode, const Dir *dir, const char *name, int *ret_fd, Error *err)
{
    return open_as(mode, dir, name, FILE_CREATE_DIRECT, FILE_CREATE, ret_fd, err);
}

bool direct_file_write(DirectMode *mode, const Dir *dir, const char *name, int *fd,
                       const struct iovec *parts, int count, uint64_t offset, Error *err)
{
    if (!file_write_at(dir, name, *fd, parts, count, offset, err)) {
        /* Also when the mode is off: this file may have been opened before. */
        if (err->os_errno != EINVAL)
            return false;
        mode->off = true;
        file_close(dir, *fd);
        *fd = -1;
        if (!direct_file_open(mode, dir, name, fd, err)) {
            err->class = ERROR_STORAGE; /* without the file nobody can try again */
            return false;
        }
        if (!file_write_at(dir, name, *fd, parts, count, offset, err))
            return false;
    }
    if (mode->off)
        file_write_back_early(*fd, offset, parts[0].iov_len);
    return true;
}

bool direct_file_write_zeros(DirectMode *mode, const Dir *dir, const char *name, int *fd,
                             uint64_t offset, Error *err)
{
    static _Alignas(4096) uint8_t zeros[DIRECT_ZEROS]; /* never written to */
    const struct iovec part = {.iov_base = zeros, .iov_len = sizeof(zeros)};
    return direct_file_write(mode, dir, name, fd, &part, 1, offset, err);
}
