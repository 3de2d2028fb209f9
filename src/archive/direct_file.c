/* SPDX-License-Identifier: PostgreSQL
 *
 * See direct_file.h.
 */
#include "walrx/archive/direct_file.h"

#include "walrx/os/log.h"

#include <errno.h>

static void turn_off(DirectMode *mode, const Dir *dir)
{
    mode->off = true;
    log_line(
        LOG_INFO, NULL,
        "the filesystem of \"%s\" does not take O_DIRECT; WAL is written through the page cache",
        dir->path);
}

bool direct_file_open(DirectMode *mode, const Dir *dir, const char *name, int *ret_fd, Error *err)
{
    if (!mode->off) {
        if (file_open(dir, name, FILE_WRITE_DIRECT, ret_fd, err))
            return true;
        if (err->os_errno != EINVAL)
            return false;
        turn_off(mode, dir);
    }
    return file_open(dir, name, FILE_WRITE, ret_fd, err);
}

bool direct_file_write(DirectMode *mode, const Dir *dir, const char *name, int *fd,
                       const struct iovec *parts, int count, uint64_t offset, Error *err)
{
    if (!file_write_at(dir, name, *fd, parts, count, offset, err)) {
        if (mode->off || err->os_errno != EINVAL)
            return false;
        turn_off(mode, dir);
        file_close(dir, *fd);
        *fd = -1;
        if (!direct_file_open(mode, dir, name, fd, err) ||
            !file_write_at(dir, name, *fd, parts, count, offset, err))
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
