/* SPDX-License-Identifier: PostgreSQL
 *
 * gzip through ISA-L's igzip. Its levels 1 to 3 stand for gzip's. The trailer's CRC-32 and size are
 * made and checked by the library. The header is read here: the library (2.30) refuses one with a
 * checksum of its own when it arrives in pieces.
 */
#include "gzip_engine.h"
#include "gzip_header.h"

#include <isa-l/igzip_lib.h>
#include <limits.h>
#include <stdlib.h>

typedef struct IsalEncoder {
    struct isal_zstream stream;
    uint8_t *level_buffer;
} IsalEncoder;

static uint32_t isal_count(size_t count)
{
    return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

static void isal_encode_free(void *state)
{
    IsalEncoder *encoder = state;
    free(encoder->level_buffer);
    free(encoder);
}

static void *isal_encode_new(int level, Error *err)
{
    static const uint32_t sizes[GZIP_ISAL_LEVELS + 1] = {
        0, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT};
    IsalEncoder *encoder = calloc(1, sizeof(*encoder));
    if (!encoder)
        return codec_out_of_memory(err);
    encoder->level_buffer = malloc(sizes[level]);
    if (!encoder->level_buffer) {
        isal_encode_free(encoder);
        return codec_out_of_memory(err);
    }
    isal_deflate_init(&encoder->stream);
    encoder->stream.gzip_flag = IGZIP_GZIP;
    encoder->stream.level = (uint32_t)level;
    encoder->stream.level_buf = encoder->level_buffer;
    encoder->stream.level_buf_size = sizes[level];
    return encoder;
}

static bool isal_encode(void *state, CodecInput *input, CodecOutput *output, bool end,
                        bool *ret_done, Error *err)
{
    static const uint8_t nothing[1] = {0};
    struct isal_zstream *stream = &((IsalEncoder *)state)->stream;
    const uint8_t *from = input->length > 0 ? input->data + input->position : nothing;

    stream->next_in = (uint8_t *)(uintptr_t)from; /* not written through */
    stream->avail_in = isal_count(input->length - input->position);
    stream->next_out = output->data + output->position;
    stream->avail_out = isal_count(output->capacity - output->position);
    stream->end_of_stream = end;
    int result = isal_deflate(stream);
    input->position += (size_t)(stream->next_in - from);
    output->position = (size_t)(stream->next_out - output->data);
    if (result != COMP_OK)
        return error_set(err, ERROR_ARCHIVE, "could not compress with gzip: igzip error %d",
                         result);
    *ret_done = stream->internal_state.state == ZSTATE_END;
    return true;
}

typedef struct IsalDecoder {
    GzipHeader header;
    struct inflate_state stream;
} IsalDecoder;

static void *isal_decode_new(Error *err)
{
    IsalDecoder *decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return codec_out_of_memory(err);
    isal_inflate_init(&decoder->stream);
    decoder->stream.crc_flag = ISAL_GZIP_NO_HDR_VER; /* deflate, then the trailer, checked */
    return decoder;
}

static const char *isal_reason(int result)
{
    switch (result) {
    case ISAL_INVALID_BLOCK:
        return "invalid block";
    case ISAL_INVALID_SYMBOL:
        return "invalid symbol";
    case ISAL_INVALID_LOOKBACK:
        return "invalid distance too far back";
    case ISAL_INCORRECT_CHECKSUM:
        return "incorrect data check";
    default:
        return "damaged";
    }
}

static bool isal_decode(void *state, CodecInput *input, CodecOutput *output, bool *ret_done,
                        Error *err)
{
    static const uint8_t nothing[1] = {0};
    IsalDecoder *decoder = state;
    struct inflate_state *stream = &decoder->stream;

    if (!gzip_header_read(&decoder->header, input, err))
        return false;
    if (decoder->header.part != GZIP_HEADER_OVER)
        return true;
    const uint8_t *from = input->length > 0 ? input->data + input->position : nothing;
    stream->next_in = (uint8_t *)(uintptr_t)from;
    stream->avail_in = isal_count(input->length - input->position);
    stream->next_out = output->data + output->position;
    stream->avail_out = isal_count(output->capacity - output->position);
    int result = isal_inflate(stream);
    input->position += (size_t)(stream->next_in - from);
    output->position = (size_t)(stream->next_out - output->data);
    if (result < 0)
        return error_set(err, ERROR_ARCHIVE, "%s", isal_reason(result));
    *ret_done = stream->block_state == ISAL_BLOCK_FINISH;
    return true;
}

static void isal_decode_free(void *state)
{
    free(state);
}

const GzipEngine gzip_isal = {
    .encode_new = isal_encode_new,
    .encode = isal_encode,
    .encode_free = isal_encode_free,
    .decode_new = isal_decode_new,
    .decode = isal_decode,
    .decode_free = isal_decode_free,
};
