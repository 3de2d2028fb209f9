/* SPDX-License-Identifier: PostgreSQL
 *
 * gzip: which library does it (docs/decisions/0007, 0008). ISA-L at the low levels and for reading;
 * libdeflate above them, which wants the whole content and room for the whole output at once; zlib
 * for content that comes in pieces or does not fit, and where the others are not built in. Which
 * one it is is known at the first step.
 */
#include "gzip_engine.h"

#include <stdlib.h>

/* zlib's state is the largest of those that work in pieces: 268 kB, deflateInit2 in zlib.h 1.2.13;
 * for reading 88 kB at most. */
#define GZIP_STREAM_MEMORY ((size_t)512 * 1024)

typedef struct GzipState {
    int level;
    size_t room; /* for output made at once; 0: it is made in pieces */
    bool stable;
    const GzipEngine *engine; /* NULL before the first step */
    void *inner;
} GzipState;

static const GzipEngine *stream_writer(int level)
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

/* Room for the output of the engine that makes it at once; 0 where there is none. */
static size_t whole_room(int level, uint64_t content_size, size_t limit)
{
#ifdef HAVE_LIBDEFLATE
    if (stream_writer(level) == &gzip_zlib)
        return gzip_whole_room(content_size,
                               limit > GZIP_STREAM_MEMORY ? limit - GZIP_STREAM_MEMORY : 0);
#endif
    (void)level;
    (void)content_size;
    (void)limit;
    return 0;
}

static size_t gzip_memory(int level, uint64_t content_size, size_t limit)
{
    size_t room = whole_room(level, content_size, limit);
    return GZIP_STREAM_MEMORY + (room > 0 ? room + GZIP_WHOLE_MEMORY : 0);
}

static GzipState *state_new(Error *err)
{
    GzipState *state = calloc(1, sizeof(*state));
    if (!state)
        return codec_out_of_memory(err);
    return state;
}

static void *gzip_encode_new(int level, uint64_t content_size, size_t limit, Error *err)
{
    GzipState *state = state_new(err);
    if (!state)
        return NULL;
    state->level = level;
    state->room = whole_room(level, content_size, limit);
    return state;
}

static void gzip_encode_stable(void *context)
{
    ((GzipState *)context)->stable = true;
}

/* At the first step. The engine for whole content is tried where it can be; it may find that the
 * output is larger than the room for it. */
static bool choose_engine(GzipState *state, const CodecInput *input, Error *err)
{
#ifdef HAVE_LIBDEFLATE
    if (state->stable && state->room > 0) {
        bool fits;
        if (!gzip_whole_new(state->level, input, state->room, &state->inner, &fits, err))
            return false;
        if (fits) {
            state->engine = &gzip_whole;
            return true;
        }
    }
#endif
    (void)input;
    state->engine = stream_writer(state->level);
    state->inner = state->engine->encode_new(state->level, err);
    if (!state->inner)
        state->engine = NULL;
    return state->inner != NULL;
}

static bool gzip_encode(void *context, CodecInput *input, CodecOutput *output, bool end,
                        bool *ret_done, Error *err)
{
    GzipState *state = context;
    if (!state->engine && !choose_engine(state, input, err))
        return false;
    return state->engine->encode(state->inner, input, output, end, ret_done, err);
}

static void gzip_encode_free(void *context)
{
    GzipState *state = context;
    if (state->engine)
        state->engine->encode_free(state->inner);
    free(state);
}

static void *gzip_decode_new(Error *err)
{
    GzipState *state = state_new(err);
    if (!state)
        return NULL;
    state->engine = reader();
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
    .memory = gzip_memory,
    .encode_new = gzip_encode_new,
    .encode_stable = gzip_encode_stable,
    .encode = gzip_encode,
    .encode_free = gzip_encode_free,
    .decode_new = gzip_decode_new,
    .decode = gzip_decode,
    .decode_free = gzip_decode_free,
};
