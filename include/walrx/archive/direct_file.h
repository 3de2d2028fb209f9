/* SPDX-License-Identifier: PostgreSQL
 *
 * Files that are written in whole blocks past the page cache, where the filesystem takes O_DIRECT;
 * buffered, with write-back started early, where it does not. The first refusal settles it for all
 * files of one mode. Belongs to one thread.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct DirectMode {
    bool off; /* this filesystem does not take O_DIRECT */
} DirectMode;

/* An existing file, for reading and for direct_file_write. */
bool direct_file_open(DirectMode *mode, const Dir *dir, const char *name, int *ret_fd,
                      Error *err) MUST_CHECK;

/* A new or emptied file, for direct_file_write. */
bool direct_file_create(DirectMode *mode, const Dir *dir, const char *name, int *ret_fd,
                        Error *err) MUST_CHECK;

/* A piece that a disk takes some 100 us for: whoever waits for the thread waits no longer. */
#define DIRECT_ZEROS ((size_t)256 << 10)

/* Memory, lengths and offset aligned to 4096. *fd may be another one on return: some filesystems
 * take O_DIRECT at open, but not for the write. -1 when opening it again failed. */
bool direct_file_write(DirectMode *mode, const Dir *dir, const char *name, int *fd,
                       const struct iovec *parts, int count, uint64_t offset,
                       Error *err) MUST_CHECK;

/* The same with DIRECT_ZEROS zero bytes. */
bool direct_file_write_zeros(DirectMode *mode, const Dir *dir, const char *name, int *fd,
                             uint64_t offset, Error *err) MUST_CHECK;
