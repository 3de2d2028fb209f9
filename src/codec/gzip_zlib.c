/* SPDX-License-Identifier: PostgreSQL
 *
 * gzip through zlib, which is always there: every level, and reading where ISA-L is not built in.
 * The trailer's CRC-32 and size are made and checked by zlib.
 */
#include "gzip_engine.h"

#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST /* const input */
#include <zlib.h>

/* zlib: 15 bits of window (32 kB, the format's largest) plus 16 for a gzip header. */
#define GZIP_WINDOW_BITS (15 + 16)
#define GZIP_MEMORY_LEVEL 8

/* zlib counts in unsigned int. */
static uInt zlib_count(size_t count)
{
    return count > UINT_MAX ? UINT_MAX : (uInt)count;
}

/* Sets the stream's view of input and output... */
static void stream_open(z_stream *stream, const CodecInput *input, const CodecOutput *output)
{
    stream->next_in = input->length > 0 ? input->data + input->position : NULL;
    stream->avail_in = zlib_count(input->length - input->position);
    stream->next_out = output->data + output->position;
    stream->avail_out = zlib_count(output->capacity - output->position);
}

/* ...and takes the positions back. */
static void stream_close(const z_stream *stream, CodecInput *input, CodecOutput *output)
{
    if (input->length > 0)
        input->position = (size_t)(stream->next_in - input->data);
    output->position = (size_t)(stream->next_out - output->data);
}

static void *zlib_encode_new(int level, Error *err)
{
    z_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return codec_out_of_memory(err);
    if (deflateInit2(stream, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        return codec_out_of_memory(err); /* the arguments are right, so only memory can be short */
    }
    return stream;
}

static bool zlib_encode(void *state, CodecInput *input, CodecOutput *output, bool end,
                        bool *ret_done, Error *err)
{
    z_stream *stream = state;

    stream_open(stream, input, output);
    int result = deflate(stream, end ? Z_FINISH : Z_NO_FLUSH);
    stream_close(stream, input, output);
    if (result != Z_OK && result != Z_STREAM_END)
        return error_set(err, ERROR_ARCHIVE, "could not compress with gzip: %s", zError(result));
    *ret_done = result == Z_STREAM_END;
    return true;
}

static void zlib_encode_free(void *state)
{
    (void)deflateEnd(state); /* says only that the frame was not finished */
    free(state);
}

static void *zlib_decode_new(Error *err)
{
    z_stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return codec_out_of_memory(err);
    if (inflateInit2(stream, GZIP_WINDOW_BITS) != Z_OK) {
        free(stream);
        return codec_out_of_memory(err);
    }
    return stream;
}

static bool zlib_decode(void *state, CodecInput *input, CodecOutput *output, bool *ret_done,
                        Error *err)
{
    z_stream *stream = state;

    stream_open(stream, input, output);
    int result = inflate(stream, Z_NO_FLUSH);
    stream_close(stream, input, output);
    if (result == Z_MEM_ERROR) {
        (void)codec_out_of_memory(err); /* the window is allocated late */
        return false;
    }
    /* Z_BUF_ERROR: nothing to do until there is more input. */
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return error_set(err, ERROR_ARCHIVE, "%s", stream->msg ? stream->msg : zError(result));
    *ret_done = result == Z_STREAM_END;
    return true;
}

static void zlib_decode_free(void *state)
{
    (void)inflateEnd(state);
    free(state);
}

const GzipEngine gzip_zlib = {
    .encode_new = zlib_encode_new,
    .encode = zlib_encode,
    .encode_free = zlib_encode_free,
    .decode_new = zlib_decode_new,
    .decode = zlib_decode,
    .decode_free = zlib_decode_free,
};
