/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: a codec does one step at a time between an input view and an output buffer of fixed size;
 * here are the loops around the steps. Encoders hand their buffer on when it is full (few, large
 * writes), decoders after each step (the sink may stop as soon as it has seen enough).
 */
#include "codec_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DECODE_CAPACITY ((size_t)128 * 1024)

struct Encoder {
    const CodecMethod *codec;
    void *state;
    CodecOutput output;
    uint64_t content_size;
    uint64_t written;
    bool over; /* finished or failed */
};

struct Decoder {
    const CodecMethod *codec; /* NULL: bytes pass through */
    void *state;
    CodecOutput output;
    uint64_t consumed; /* input bytes taken so far */
    bool ended;        /* the frame is complete */
    bool failed;
};

const CodecMethod *codec_method(WalCompression compression)
{
    switch (compression) {
    case WAL_RAW:
        break;
    case WAL_GZIP:
        return &codec_gzip;
    case WAL_LZ4:
        return &codec_lz4;
    case WAL_ZSTD:
        return &codec_zstd;
    }
    return NULL;
}

void *codec_out_of_memory(Error *err)
{
    (void)error_set(err, ERROR_MEMORY, "out of memory for compression");
    return NULL;
}

static bool output_new(CodecOutput *output, size_t capacity, Error *err)
{
    *output = (CodecOutput){.data = malloc(capacity), .capacity = capacity};
    return output->data || codec_out_of_memory(err);
}

/* Hands the output on and empties it. */
static bool output_flush(CodecOutput *output, CodecSink sink, void *context, Error *err)
{
    size_t length = output->position;

    output->position = 0;
    return length == 0 || sink(context, output->data, length, err);
}

/* codec.c's own share of codec_memory. */
static size_t buffers_of(const CodecMethod *codec)
{
    return codec->encode_capacity + DECODE_CAPACITY;
}

size_t codec_memory(CompressSpec spec, uint64_t content_size, size_t limit)
{
    const CodecMethod *codec = codec_method(spec.method);
    if (!codec)
        return 0;
    size_t buffers = buffers_of(codec);
    return buffers + codec->memory(spec.level, content_size, limit > buffers ? limit - buffers : 0);
}

bool codec_is_limited(CompressSpec spec, uint64_t content_size, size_t limit)
{
    return codec_memory(spec, content_size, limit) <
           codec_memory(spec, content_size, CODEC_MEMORY_ANY);
}

Encoder *encoder_new(CompressSpec spec, uint64_t content_size, size_t limit, Error *err)
{
    const CodecMethod *codec = codec_method(spec.method);
    if (!codec) {
        (void)error_set(err, ERROR_USAGE, "no compression was asked for");
        return NULL;
    }
    if (spec.level < codec->level_min || spec.level > codec->level_max) {
        (void)error_set(err, ERROR_USAGE, "%s has no compression level %d", codec->name,
                        spec.level);
        return NULL;
    }
    Encoder *encoder = calloc(1, sizeof(*encoder));
    if (!encoder)
        return codec_out_of_memory(err);
    encoder->codec = codec;
    encoder->content_size = content_size;
    size_t buffers = buffers_of(codec);
    encoder->state =
        codec->encode_new(spec.level, content_size, limit > buffers ? limit - buffers : 0, err);
    if (!encoder->state || !output_new(&encoder->output, codec->encode_capacity, err)) {
        encoder_free(encoder);
        return NULL;
    }
    return encoder;
}

/* Steps until the input is taken, or with `end` until the frame is complete and handed on. */
static bool encode_all(Encoder *encoder, CodecInput *input, bool end, CodecSink sink, void *context,
                       Error *err)
{
    CodecOutput *output = &encoder->output;
    bool done = false;

    while (end ? !done : input->position < input->length) {
        if (output->capacity - output->position < encoder->codec->encode_room &&
            !output_flush(output, sink, context, err))
            return false;
        if (!encoder->codec->encode(encoder->state, input, output, end, &done, err))
            return false;
    }
    return !end || output_flush(output, sink, context, err);
}

static bool encoder_usable(const Encoder *encoder, Error *err)
{
    if (encoder->over)
        return error_set(err, ERROR_USAGE, "this %s encoder has already ended",
                         encoder->codec->name);
    return true;
}

bool encoder_write(Encoder *encoder, const void *data, size_t length, CodecSink sink, void *context,
                   Error *err)
{
    CodecInput input = {.data = data, .length = length};

    if (!encoder_usable(encoder, err))
        return false;
    if (length > encoder->content_size - encoder->written) {
        encoder->over = true;
        return error_set(err, ERROR_ARCHIVE,
                         "more than the announced %" PRIu64 " bytes to compress",
                         encoder->content_size);
    }
    encoder->written += length;
    if (!encode_all(encoder, &input, false, sink, context, err)) {
        encoder->over = true;
        return false;
    }
    return true;
}

bool encoder_finish(Encoder *encoder, CodecSink sink, void *context, Error *err)
{
    CodecInput input = {0};

    if (!encoder_usable(encoder, err))
        return false;
    encoder->over = true;
    if (encoder->written != encoder->content_size)
        return error_set(err, ERROR_ARCHIVE,
                         "only %" PRIu64 " of the announced %" PRIu64 " bytes to compress",
                         encoder->written, encoder->content_size);
    return encode_all(encoder, &input, true, sink, context, err);
}

bool encoder_write_whole(Encoder *encoder, const void *data, CodecSink sink, void *context,
                         Error *err)
{
    if (!encoder_usable(encoder, err))
        return false;
    CodecInput input = {.data = data, .length = (size_t)encoder->content_size};
    encoder->over = true;
    if (encoder->written > 0)
        return error_set(err, ERROR_USAGE, "this %s encoder has already begun",
                         encoder->codec->name);
    if (encoder->codec->encode_stable)
        encoder->codec->encode_stable(encoder->state);
    return encode_all(encoder, &input, true, sink, context, err);
}

void encoder_free(Encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->state)
        encoder->codec->encode_free(encoder->state);
    free(encoder->output.data);
    free(encoder);
}

Decoder *decoder_new(WalCompression method, Error *err)
{
    Decoder *decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return codec_out_of_memory(err);
    decoder->codec = codec_method(method);
    if (!decoder->codec)
        return decoder;
    decoder->state = decoder->codec->decode_new(err);
    if (!decoder->state || !output_new(&decoder->output, DECODE_CAPACITY, err)) {
        decoder_free(decoder);
        return NULL;
    }
    return decoder;
}

/* Notes the first bytes of the input, and refuses what is no file of this codec. */
static bool check_magic(Decoder *decoder, const uint8_t *data, size_t length, Error *err)
{
    const CodecMethod *codec = decoder->codec;

    for (size_t i = 0; i < length && decoder->consumed + i < codec->magic_size; i++) {
        if (data[i] != codec->magic[decoder->consumed + i])
            return error_set(err, ERROR_ARCHIVE, "not in %s format: wrong input byte %" PRIu64,
                             codec->name, decoder->consumed + i);
    }
    return true;
}

/* One step and its output. *ret_more: the output buffer was full, so there may be more. */
static bool decode_step(Decoder *decoder, CodecInput *input, bool *ret_more, CodecSink sink,
                        void *context, Error *err)
{
    CodecOutput *output = &decoder->output;
    size_t before = input->position;

    if (!decoder->codec->decode(decoder->state, input, output, &decoder->ended, err)) {
        if (err->class == ERROR_ARCHIVE) {
            Error reason = *err;
            (void)error_set(err, ERROR_ARCHIVE,
                            "%s data is damaged near input byte %" PRIu64 ": %s",
                            decoder->codec->name, decoder->consumed + (input->position - before),
                            reason.message);
        }
        return false;
    }
    decoder->consumed += input->position - before;
    if (input->position == before && output->position == 0 && !decoder->ended &&
        input->position < input->length)
        return error_set(err, ERROR_ARCHIVE,
                         "%s data is damaged near input byte %" PRIu64 ": no progress",
                         decoder->codec->name, decoder->consumed);
    *ret_more = output->position == output->capacity;
    return output_flush(output, sink, context, err);
}

static bool decode_all(Decoder *decoder, CodecInput *input, CodecSink sink, void *context,
                       Error *err)
{
    bool more = false;

    if (!check_magic(decoder, input->data, input->length, err))
        return false;
    while (!decoder->ended && (more || input->position < input->length)) {
        if (!decode_step(decoder, input, &more, sink, context, err))
            return false;
    }
    if (input->position < input->length)
        return error_set(err, ERROR_ARCHIVE,
                         "the %s frame ends at input byte %" PRIu64 ", but more bytes follow",
                         decoder->codec->name, decoder->consumed);
    return true;
}

bool decoder_write(Decoder *decoder, const void *data, size_t length, CodecSink sink, void *context,
                   Error *err)
{
    CodecInput input = {.data = data, .length = length};

    if (decoder->failed)
        return error_set(err, ERROR_USAGE, "decoding has already failed");
    decoder->failed = decoder->codec ? !decode_all(decoder, &input, sink, context, err)
                                     : length > 0 && !sink(context, data, length, err);
    return !decoder->failed;
}

bool decoder_finish(Decoder *decoder, Error *err)
{
    if (decoder->failed)
        return error_set(err, ERROR_USAGE, "decoding has already failed");
    if (decoder->codec && !decoder->ended)
        return error_set(err, ERROR_ARCHIVE,
                         "%s data ends at input byte %" PRIu64 ", before the end of its frame",
                         decoder->codec->name, decoder->consumed);
    return true;
}

void decoder_free(Decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->state)
        decoder->codec->decode_free(decoder->state);
    free(decoder->output.data);
    free(decoder);
}
