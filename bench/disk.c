/* SPDX-License-Identifier: PostgreSQL
 *
 * The disk's ceiling: files of one segment's size, each written in pieces of 4 MiB from huge pages,
 * past the page cache, then made durable with one fdatasync: the best of what ways_to_write tries.
 *
 *   disk FOLDER BYTES [SEGMENT_SIZE]
 *
 * Prints "direct", or "buffered" where the filesystem does not take O_DIRECT. The files stay: the
 * caller removes the folder.
 */
#include "walrx/base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE ((size_t)4 << 20)
#define HUGE_PAGE ((size_t)2 << 20)

static int open_file(int folder, unsigned number, bool *direct)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "%08u", number);
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    if (*direct) {
        int fd = openat(folder, name, flags | O_DIRECT, 0600);
        if (fd >= 0 || errno != EINVAL)
            return fd;
        *direct = false;
        flags = O_WRONLY | O_CREAT | O_CLOEXEC;
    }
    return openat(folder, name, flags, 0600);
}

static bool write_file(int fd, const uint8_t *piece, uint64_t size)
{
    for (uint64_t at = 0; at < size;) {
        size_t count = size - at < PIECE ? (size_t)(size - at) : PIECE;
        ssize_t n = write(fd, piece, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (uint64_t)n;
    }
    return fdatasync(fd) == 0;
}

static bool write_all_files(int folder, uint64_t bytes, uint64_t size, const uint8_t *piece,
                            bool *direct)
{
    unsigned number = 0;
    for (uint64_t at = 0; at < bytes; at += size) {
        int fd = open_file(folder, number++, direct);
        if (fd < 0)
            return false;
        bool ok = write_file(fd, piece, size);
        (void)close(fd);
        if (!ok)
            return false;
    }
    return fsync(folder) == 0;
}

/* Bytes that no layer below can compress or leave out. */
static void fill(uint8_t *piece)
{
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    for (size_t at = 0; at < PIECE; at += sizeof(state)) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(piece + at, &state, sizeof(state));
    }
}

int main(int argc, char **argv)
{
    uint64_t bytes;
    uint64_t size = 16 << 20;
    bool direct = true;
    if (argc < 3 || argc > 4 || !parse_size(argv[2], 1, &bytes) ||
        (argc == 4 && !parse_size(argv[3], 1, &size)) || size == 0 || size % 4096 != 0) {
        fprintf(stderr, "usage: disk FOLDER BYTES [SEGMENT_SIZE]\n");
        return 1;
    }
    uint8_t *piece = aligned_alloc(HUGE_PAGE, PIECE);
    if (piece == NULL || madvise(piece, PIECE, MADV_HUGEPAGE) != 0) {
        fprintf(stderr, "disk: no memory in huge pages\n");
        return 1;
    }
    int folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fill(piece);
    bool ok = folder >= 0 && write_all_files(folder, bytes, size, piece, &direct);
    if (!ok)
        fprintf(stderr, "disk: could not write in \"%s\": %s\n", argv[1], strerror(errno));
    else
        puts(direct ? "direct" : "buffered");
    if (folder >= 0)
        (void)close(folder);
    free(piece);
    return ok ? 0 : 1;
}
