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
