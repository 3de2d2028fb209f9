/* SPDX-License-Identifier: PostgreSQL
 *
 * The disk's ceiling: files of one segment's size, each written in extents of 1 MiB past the page
 * cache, then made durable with one fdatasync.
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
#include <unistd.h>

#define EXTENT ((size_t)1 << 20)

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

static bool write_file(int fd, const uint8_t *extent, uint64_t size)
{
    for (uint64_t at = 0; at < size;) {
        size_t count = size - at < EXTENT ? (size_t)(size - at) : EXTENT;
        ssize_t n = write(fd, extent, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (uint64_t)n;
    }
    return fdatasync(fd) == 0;
}

static bool write_all_files(int folder, uint64_t bytes, uint64_t size, const uint8_t *extent,
                            bool *direct)
{
    unsigned number = 0;
    for (uint64_t at = 0; at < bytes; at += size) {
        int fd = open_file(folder, number++, direct);
        if (fd < 0)
            return false;
        bool ok = write_file(fd, extent, size);
        (void)close(fd);
        if (!ok)
            return false;
    }
    return fsync(folder) == 0;
}

/* Bytes that no layer below can compress or leave out. */
static void fill(uint8_t *extent)
{
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    for (size_t at = 0; at < EXTENT; at += sizeof(state)) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(extent + at, &state, sizeof(state));
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
    uint8_t *extent = aligned_alloc(4096, EXTENT);
    if (extent == NULL) {
        fprintf(stderr, "disk: out of memory\n");
        return 1;
    }
    int folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fill(extent);
    bool ok = folder >= 0 && write_all_files(folder, bytes, size, extent, &direct);
    if (!ok)
        fprintf(stderr, "disk: could not write in \"%s\": %s\n", argv[1], strerror(errno));
    else
        puts(direct ? "direct" : "buffered");
    if (folder >= 0)
        (void)close(folder);
    free(extent);
    return ok ? 0 : 1;
}
