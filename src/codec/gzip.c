/* SPDX-License-Identifier: PostgreSQL
 *
 * gzip: which library does it. ISA-L at the low levels, where it is several times faster than zlib
 * at no larger output, and for reading; zlib for the rest (docs/decisions/0007).
 */
#include "gzip_engine.h"

#include <stdlib.h>

typedef struct GzipState {
    const GzipEngine *engine;
    void *inner;
} GzipState;

static const GzipEngine *writer_of(int level)
{
#ifdef HAVE_LIBISAL
    if (level <= GZIP_ISAL_LEVELS)
        return &gzip_isal;
#endif
    (void)level;
    return &gzip_zlib;
}

static const GzipEngine *reader(void)
{
#ifdef HAVE_LIBISAL
    return &gzip_isal;
#else
    return &gzip_zlib;
#endif
}

static GzipState *state_new(const GzipEngine *engine, Error *err)
{
    GzipState *state = calloc(1, sizeof(*state));
    if (!state)
        return codec_out_of_memory(err);
    state->engine = engine;
    return state;
}

static void *gzip_encode_new(int level, uint64_t content_size, Error *err)
{
    (void)content_size; /* gzip has the size in its trailer only */
    GzipState *state = state_new(writer_of(level), err);
    if (!state)
        return NULL;
    state->inner = state->engine->encode_new(level, err);
    if (!state->inner) {
        free(state);
        return NULL;
    }
    return state;
}

static bool gzip_encode(void *context, CodecInput *input, CodecOutput *output, bool end,
                        bool *ret_done, Error *err)
{
    GzipState *state = context;
    return state->engine->encode(state->inner, input, output, end, ret_done, err);
}

static void gzip_encode_free(void *context)
{
    GzipState *state = context;
    state->engine->encode_free(state->inner);
    free(state);
}

static void *gzip_decode_new(Error *err)
{
    GzipState *state = state_new(reader(), err);
    if (!state)
        return NULL;
    state->inner = state->engine->decode_new(err);
    if (!state->inner) {
        free(state);
        return NULL;
    }
    return state;
}

static bool gzip_decode(void *context, CodecInput *input, CodecOutput *output, bool *ret_done,
                        Error *err)
{
    GzipState *state = context;
    return state->engine->decode(state->inner, input, output, ret_done, err);
}

static void gzip_decode_free(void *context)
{
    GzipState *state = context;
    state->engine->decode_free(state->inner);
    free(state);
}

const CodecMethod codec_gzip = {
    .name = "gzip",
    .level_min = 1,
    .level_max = 9,
    .level_default = 6,
    .level_accepted = -1,     /* Z_DEFAULT_COMPRESSION */
    .magic = {0x1F, 0x8B, 8}, /* RFC 1952: ID1, ID2, deflate */
    .magic_size = 3,
    .encode_capacity = (size_t)256 * 1024,
    .encode_room = 1,
    .encode_new = gzip_encode_new,
    .encode = gzip_encode,
    .encode_free = gzip_encode_free,
    .decode_new = gzip_decode_new,
    .decode = gzip_decode,
    .decode_free = gzip_decode_free,
};
