/* SPDX-License-Identifier: PostgreSQL
 *
 * One compression: a segment's bytes, from a raw file or from memory, become a durable compressed
 * file that was read back. Private to src/archive.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"
#include "walrx/codec/codec.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct CompressInput {
    const char *raw;       /* the raw file's name in the archive; NULL: there is none */
    const uint8_t *memory; /* the bytes; NULL: they are read from the raw file */
    uint64_t length;
} CompressInput;

#define COMPRESS_TEMP_SIZE (WAL_FILE_NAME_SIZE + 8)

/* The name in .walrx/ under which compress_job_write leaves the copy of `packed`. */
void compress_job_temporary(const char *packed, char buffer[COMPRESS_TEMP_SIZE]);

/* Makes the durable, read-back copy of `packed` in .walrx/. *abort set by another thread ends the
 * work with ERROR_STOPPED. *ret_crc: CRC-32C of the bytes. */
bool compress_job_write(const Archive *archive, CompressSpec spec, const CompressInput *input,
                        const char *packed, const atomic_bool *abort, uint32_t *ret_crc,
                        Error *err) MUST_CHECK;

/* The whole way for a segment that is durable as a raw file: copy, final name, and the raw file
 * goes. When `packed` exists: equal content, only raw goes; other content, ERROR_ARCHIVE and both
 * stay. */
bool compress_job_run(const Archive *archive, CompressSpec spec, const CompressInput *input,
                      const char *packed, const atomic_bool *abort, Error *err) MUST_CHECK;
