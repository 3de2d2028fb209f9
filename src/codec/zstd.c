/* SPDX-License-Identifier: PostgreSQL
 *
 * zstd through libzstd's streams, with content size and checksum in the frame.
 */
#include "codec_internal.h"

#include <stdlib.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY /* parameters and sizes, which the shared library exports too */
#include <zstd.h>
#include <zstd_errors.h>

/* The decoder needs a window as large as the frame says, so that is bounded: 128 MB, as the zstd
 * program does unless told otherwise. What walrx writes needs 8 MB at most. */
#define ZSTD_WINDOW_LOG 27
/* No smaller window for want of memory: a page image would no longer find the one before. */
#define ZSTD_WINDOW_LOG_LEAST 17
#define ZSTD_DECODER_STATE ((size_t)192 * 1024) /* libzstd 1.5.4: 160 kB and tables */

#define ZSTD_HEADER_MAX 18 /* RFC 8878, section 3.1.1: magic and the longest frame header */

/* libzstd does not compare the content size of the header with what came out in every case (not
 * after an empty last block), so the header is kept and that is done here. */
typedef struct ZstdDecoder {
    ZSTD_DCtx *context;
    uint8_t header[ZSTD_HEADER_MAX];
    size_t header_length;
    uint64_t produced;
} ZstdDecoder;

/* The error of a result of libzstd. */
static bool zstd_failure(size_t result, const char *what, Error *err)
{
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) {
        (void)codec_out_of_memory(err);
        return false;
    }
    return error_set(err, ERROR_ARCHIVE, "%s%s", what, ZSTD_getErrorName(result));
}

static void zstd_encode_free(void *state)
{
    (void)ZSTD_freeCCtx(state);
}

/* What the level means here. Levels 1 and 2 are made for text: they look for matches of 7 and 6
 * bytes. WAL is full of shorter ones (locators, transaction ids): from 5 bytes on and in a window
 * of 1 MB the output is 6 % smaller in the same time (docs/decisions/0008). */
static ZSTD_compressionParameters level_parameters(int level, uint64_t content_size)
{
    ZSTD_compressionParameters chosen = ZSTD_getCParams(level, content_size, 0);
    if (level <= 2 && content_size >= (uint64_t)1 << 20) {
        chosen.windowLog = 20;
        chosen.hashLog = 14;
        chosen.minMatch = 5;
    }
    return chosen;
}

/* Tables larger than the window find nothing more. The chain of the tree strategies has two entries
 * for a position. */
static void shrink_window(ZSTD_compressionParameters *chosen)
{
    unsigned tree = chosen->strategy >= ZSTD_btlazy2;
    chosen->windowLog--;
    if (chosen->hashLog > chosen->windowLog)
        chosen->hashLog = chosen->windowLog;
    if (chosen->chainLog > chosen->windowLog + tree)
        chosen->chainLog = chosen->windowLog + tree;
}

static size_t memory_of(ZSTD_compressionParameters chosen)
{
    return ZSTD_estimateCStreamSize_usingCParams(chosen) +
           ZSTD_estimateDStreamSize((size_t)1 << chosen.windowLog) + ZSTD_DECODER_STATE;
}

static ZSTD_compressionParameters fitting_parameters(int level, uint64_t content_size, size_t limit)
{
    ZSTD_compressionParameters chosen = level_parameters(level, content_size);
    while (memory_of(chosen) > limit && chosen.windowLog > ZSTD_WINDOW_LOG_LEAST)
        shrink_window(&chosen);
    return chosen;
}

static size_t zstd_memory(int level, uint64_t content_size, size_t limit)
{
    return memory_of(fitting_parameters(level, content_size, limit));
}

static size_t set_up(ZSTD_CCtx *context, int level, uint64_t content_size, size_t limit)
{
    ZSTD_compressionParameters chosen = fitting_parameters(level, content_size, limit);
    const struct {
        ZSTD_cParameter name;
        int value;
    } settings[] = {
        {ZSTD_c_compressionLevel, level},        {ZSTD_c_windowLog, (int)chosen.windowLog},
        {ZSTD_c_hashLog, (int)chosen.hashLog},   {ZSTD_c_chainLog, (int)chosen.chainLog},
        {ZSTD_c_minMatch, (int)chosen.minMatch}, {ZSTD_c_checksumFlag, 1},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        size_t result = ZSTD_CCtx_setParameter(context, settings[i].name, settings[i].value);
        if (ZSTD_isError(result))
            return result;
    }
    return ZSTD_CCtx_setPledgedSrcSize(context, content_size);
}

static void *zstd_encode_new(int level, uint64_t content_size, size_t limit, Error *err)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context)
        return codec_out_of_memory(err);

    size_t result = set_up(context, level, content_size, limit);
    if (ZSTD_isError(result)) {
        (void)zstd_failure(result, "could not set up zstd: ", err);
        zstd_encode_free(context);
        return NULL;
    }
    return context;
}

/* The input is then read where it is, not copied into a window first. A library that cannot do that
 * copies. */
static void zstd_encode_stable(void *state)
{
    (void)ZSTD_CCtx_setParameter(state, ZSTD_c_stableInBuffer, 1);
}

static bool zstd_encode(void *state, CodecInput *input, CodecOutput *output, bool end,
                        bool *ret_done, Error *err)
{
    ZSTD_inBuffer in = {.src = input->data, .size = input->length, .pos = input->position};
    ZSTD_outBuffer out = {.dst = output->data, .size = output->capacity, .pos = output->position};

    size_t result = ZSTD_compressStream2(state, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
    input->position = in.pos;
    output->position = out.pos;
    if (ZSTD_isError(result))
        return zstd_failure(result, "could not compress with zstd: ", err);
    *ret_done = end && result == 0;
    return true;
}

static void zstd_decode_free(void *state)
{
    ZstdDecoder *decoder = state;

    (void)ZSTD_freeDCtx(decoder->context);
    free(decoder);
}

static void *zstd_decode_new(Error *err)
{
    ZstdDecoder *decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return codec_out_of_memory(err);
    decoder->context = ZSTD_createDCtx();
    if (!decoder->context) {
        free(decoder);
        return codec_out_of_memory(err);
    }
    size_t result = ZSTD_DCtx_setParameter(decoder->context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    if (ZSTD_isError(result)) {
        (void)zstd_failure(result, "could not set up zstd: ", err);
        zstd_decode_free(decoder);
        return NULL;
    }
    return decoder;
}

/* Keeps the first bytes of the input, of which the decoder took `count` now. */
static void keep_header(ZstdDecoder *decoder, const uint8_t *data, size_t count)
{
    if (count > ZSTD_HEADER_MAX - decoder->header_length)
        count = ZSTD_HEADER_MAX - decoder->header_length;
    if (count > 0)
        memcpy(decoder->header + decoder->header_length, data, count);
    decoder->header_length += count;
}

/* At the end of the frame: is the content as long as the header says, if it says so? */
static bool check_content_size(const ZstdDecoder *decoder, Error *err)
{
    unsigned long long size = ZSTD_getFrameContentSize(decoder->header, decoder->header_length);

    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size != decoder->produced)
        return error_set(err, ERROR_ARCHIVE, "content size does not match the frame header");
    return true;
}

static bool zstd_decode(void *state, CodecInput *input, CodecOutput *output, bool *ret_done,
                        Error *err)
{
    ZstdDecoder *decoder = state;
    ZSTD_inBuffer in = {.src = input->data, .size = input->length, .pos = input->position};
    ZSTD_outBuffer out = {.dst = output->data, .size = output->capacity, .pos = output->position};

    size_t result = ZSTD_decompressStream(decoder->context, &out, &in);
    if (in.pos > input->position)
        keep_header(decoder, input->data + input->position, in.pos - input->position);
    decoder->produced += out.pos - output->position;
    input->position = in.pos;
    output->position = out.pos;
    if (ZSTD_isError(result))
        return zstd_failure(result, "", err);
    *ret_done = result == 0;
    return !*ret_done || check_content_size(decoder, err);
}

const CodecMethod codec_zstd = {
    .name = "zstd",
    .level_min = 1,
    .level_max = 19,
    .level_default = 3,
    .level_accepted = 3,
    .magic = {0x28, 0xB5, 0x2F, 0xFD}, /* RFC 8878: 0xFD2FB528, little-endian */
    .magic_size = 4,
    .encode_capacity = (size_t)256 * 1024,
    .encode_room = 1,
    .memory = zstd_memory,
    .encode_new = zstd_encode_new,
    .encode_stable = zstd_encode_stable,
    .encode = zstd_encode,
    .encode_free = zstd_encode_free,
    .decode_new = zstd_decode_new,
    .decode = zstd_decode,
    .decode_free = zstd_decode_free,
};
