/* SPDX-License-Identifier: PostgreSQL
 *
 * See copy_file.h. The last piece is written up to a whole block, then the file is cut: O_DIRECT
 * takes whole blocks only.
 */
#include "copy_file.h"

#include "walrx/os/durable.h"

#include <stdlib.h>
#include <string.h>

#define COPY_BLOCK ((size_t)4096)

bool copy_open(CopyFile *copy, const Dir *dir, const char *name, Error *err)
{
    *copy = (CopyFile){.dir = dir, .name = name, .fd = -1};
    /* Aligned by hand: glibc 2.36 does not find the place of the last aligned piece again, and the
     * heap grows by a piece with each of the first dozen files. */
    copy->memory = malloc(COPY_PIECE + COPY_BLOCK);
    if (copy->memory == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while compressing to \"%s\"", name);
    copy->piece = copy->memory + (COPY_BLOCK - (uintptr_t)copy->memory % COPY_BLOCK);
    return direct_file_create(&copy->mode, dir, name, &copy->fd, err);
}

static bool write_piece(CopyFile *copy, size_t length, Error *err)
{
    struct iovec part = {.iov_base = copy->piece, .iov_len = length};
    return direct_file_write(&copy->mode, copy->dir, copy->name, &copy->fd, &part, 1, copy->offset,
                             err);
}

bool copy_write(CopyFile *copy, const void *data, size_t length, Error *err)
{
    const uint8_t *from = data;
    while (length > 0) {
        size_t count = COPY_PIECE - copy->used < length ? COPY_PIECE - copy->used : length;
        memcpy(copy->piece + copy->used, from, count);
        copy->used += count;
        from += count;
        length -= count;
        if (copy->used < COPY_PIECE)
            continue;
        if (!write_piece(copy, COPY_PIECE, err))
            return false;
        copy->offset += COPY_PIECE;
        copy->used = 0;
    }
    return true;
}

bool copy_finish(CopyFile *copy, Error *err)
{
    size_t padding = (COPY_BLOCK - copy->used % COPY_BLOCK) % COPY_BLOCK;
    uint64_t size = copy->offset + copy->used;
    memset(copy->piece + copy->used, 0, padding);
    if (copy->used > 0 && !write_piece(copy, copy->used + padding, err))
        return false;
    if (padding > 0 && !file_truncate(copy->dir, copy->name, copy->fd, size, err))
        return false;
    return durable_file(copy->dir, copy->name, copy->fd, err);
}

void copy_close(CopyFile *copy)
{
    file_close(copy->dir, copy->fd);
    copy->fd = -1;
    free(copy->memory);
    copy->memory = NULL;
    copy->piece = NULL;
}
