/* SPDX-License-Identifier: PostgreSQL
 *
 * What each codec gives to codec.c: facts and one step of work. A step takes some input and makes
 * some output; the loops, buffers, sinks, positions and the messages all codecs share are
 * codec.c's.
 */
#pragma once

#include "walrx/codec/codec.h"

/* Bytes to take; a step moves `position`, which is <= length. */
typedef struct CodecInput {
    const uint8_t *data;
    size_t length;
    size_t position;
} CodecInput;

/* Room to fill; a step moves `position`, which is <= capacity. */
typedef struct CodecOutput {
    uint8_t *data;
    size_t capacity;
    size_t position;
} CodecOutput;

#define CODEC_MAGIC_SIZE 4

typedef struct CodecMethod {
    const char *name; /* as after --compress= */
    int level_min;
    int level_max;
    int level_default;  /* what walrx uses when none is given */
    int level_accepted; /* stands for the default where pg_receivewal 15 takes it, and in its
                           message */

    /* The first bytes of each file. Checked by codec.c, because lz4 and zstd also have frames that
     * hold no data (skippable ones), which would pass as an empty file. */
    uint8_t magic[CODEC_MAGIC_SIZE];
    size_t magic_size;

    size_t encode_capacity; /* size of the output buffer */
    size_t encode_room;     /* a step needs at least this much of it free */

    /* As codec_memory, without the buffers that are codec.c's. */
    size_t (*memory)(int level, uint64_t content_size, size_t limit);
    /* NULL and *err on failure. */
    void *(*encode_new)(int level, uint64_t content_size, size_t limit, Error *err);
    /* Before the first step: all content will be there in the first one, which has `end`, and stay
     * in place until the last. NULL: makes no difference. */
    void (*encode_stable)(void *state);
    /* With `end`, all input is there: *ret_done tells that the frame is complete in the output;
     * called again until then. Without, takes at least one byte of non-empty input or makes output.
     */
    bool (*encode)(void *state, CodecInput *input, CodecOutput *output, bool end, bool *ret_done,
                   Error *err);
    void (*encode_free)(void *state); /* not NULL */

    void *(*decode_new)(Error *err);
    /* Takes input until the output is full, the input is empty or the frame ends (*ret_done).
     * Damage is an ERROR_ARCHIVE whose message is only the library's reason. */
    bool (*decode)(void *state, CodecInput *input, CodecOutput *output, bool *ret_done, Error *err);
    void (*decode_free)(void *state);
} CodecMethod;

extern const CodecMethod codec_gzip;
extern const CodecMethod codec_lz4;
extern const CodecMethod codec_zstd;

/* NULL for WAL_RAW. */
const CodecMethod *codec_method(WalCompression compression);

/* ERROR_MEMORY "out of memory for compression"; returns NULL for functions that give an object. */
void *codec_out_of_memory(Error *err);
