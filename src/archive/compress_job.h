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

typedef struct CompressWay {
    CompressSpec spec;
    size_t memory; /* for codec state, see encoder_new */
    /* Either one, set by another thread, ends the work with ERROR_STOPPED; NULL: never. */
    const atomic_bool *abort;
    const atomic_bool *withdrawn;
} CompressWay;

typedef struct CompressInput {
    const char *raw;       /* the raw file's name in the archive; NULL: there is none */
    const uint8_t *memory; /* the bytes; NULL: they are read from the raw file */
    uint64_t length;
} CompressInput;

#define COMPRESS_TEMP_SIZE (WAL_FILE_NAME_SIZE + 8)

/* What a job uses besides codec_memory. */
#define COMPRESS_JOB_BUFFERS ((size_t)1280 * 1024)

/* The name in .walrx/ under which compress_job_write leaves the copy of `packed`. */
void compress_job_temporary(const char *packed, char buffer[COMPRESS_TEMP_SIZE]);

/* Removes such a copy, for room; what stays is removed by the next start. */
void compress_job_discard(const Archive *archive, const char *packed);

/* Makes the durable, checked copy of `packed` in .walrx/. Where there is a raw file, which the copy
 * is to replace, the copy is read back from its file; without one the encoder's output is decoded
 * as it is written, and compared with the memory. *ret_crc: CRC-32C of bytes that came from a file.
 */
bool compress_job_write(const Archive *archive, const CompressWay *way, const CompressInput *input,
                        const char *packed, uint32_t *ret_crc, Error *err) MUST_CHECK;

/* The whole way for a segment that is durable as a raw file: copy, final name, and the raw file
 * goes. When `packed` exists: equal content, only raw goes; other content, ERROR_ARCHIVE and both
 * stay. */
bool compress_job_run(const Archive *archive, const CompressWay *way, const CompressInput *input,
                      const char *packed, Error *err) MUST_CHECK;
