/* SPDX-License-Identifier: PostgreSQL
 *
 * The libraries behind gzip. All make and read plain gzip: one member, no name, no time, so that
 * equal input gives equal output.
 */
#pragma once

#include "codec_internal.h"

/* As the members of CodecMethod. */
typedef struct GzipEngine {
    void *(*encode_new)(int level, Error *err);
    bool (*encode)(void *state, CodecInput *input, CodecOutput *output, bool end, bool *ret_done,
                   Error *err);
    void (*encode_free)(void *state);
    void *(*decode_new)(Error *err);
    bool (*decode)(void *state, CodecInput *input, CodecOutput *output, bool *ret_done, Error *err);
    void (*decode_free)(void *state);
} GzipEngine;

extern const GzipEngine gzip_zlib;
extern const GzipEngine gzip_isal; /* where gzip_isal.c is built: levels up to GZIP_ISAL_LEVELS */

#define GZIP_ISAL_LEVELS 3

/* Where gzip_whole.c is built: content that is there as a whole. Only hands out what gzip_whole_new
 * has made. */
extern const GzipEngine gzip_whole;

#define GZIP_WHOLE_MEMORY ((size_t)1024 * 1024) /* libdeflate 1.14: 672 kB up to level 9 */

/* Bytes for the output of so much content, at most `limit` with GZIP_WHOLE_MEMORY; 0: not this way.
 */
size_t gzip_whole_room(uint64_t content_size, size_t limit);

/* Compresses all of the input. *ret_fits false: the output is larger than `room`, there is no
 * state. */
bool gzip_whole_new(int level, const CodecInput *input, size_t room, void **ret, bool *ret_fits,
                    Error *err) MUST_CHECK;
