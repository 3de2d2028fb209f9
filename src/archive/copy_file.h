/* SPDX-License-Identifier: PostgreSQL
 *
 * The file a compressed copy goes to: collects what the encoder makes and writes it in large
 * aligned pieces, with O_DIRECT where the filesystem takes it, so that archiving does not push
 * other files out of the page cache, and reading back reads the disk. Private to src/archive.
 */
#pragma once

#include "walrx/archive/direct_file.h"
#include "walrx/base/error.h"
#include "walrx/os/files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_PIECE ((size_t)1024 * 1024)

typedef struct CopyFile {
    const Dir *dir;
    const char *name;
    int fd;
    DirectMode mode;
    uint8_t *memory; /* owned */
    uint8_t *piece;  /* in it: COPY_PIECE aligned bytes */
    size_t used;
    uint64_t offset; /* of the piece in the file */
} CopyFile;

/* Creates or empties the file. Call copy_close whatever it returns. */
bool copy_open(CopyFile *copy, const Dir *dir, const char *name, Error *err) MUST_CHECK;
bool copy_write(CopyFile *copy, const void *data, size_t length, Error *err) MUST_CHECK;
/* Everything written is durable, and the file ends with it. */
bool copy_finish(CopyFile *copy, Error *err) MUST_CHECK;
void copy_close(CopyFile *copy);
