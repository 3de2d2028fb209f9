/* SPDX-License-Identifier: PostgreSQL
 *
 * Compression of whole segments: gzip, lz4 and zstd behind one table. One standard frame per file,
 * so that gzip -d, lz4 -d and zstd -d read it. Streams: memory use does not grow with the segment.
 *
 * An encoder or decoder belongs to one thread at a time; many may exist. What they produce goes to
 * a sink, whose failure ends the call with the sink's error. No I/O here.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What --compress asks for. WAL_RAW: level is 0. */
typedef struct CompressSpec {
    WalCompression method;
    int level;
} CompressSpec;

/* METHOD[:DETAIL] as pg_receivewal 15 takes it, plus zstd: none, gzip, lz4, zstd; DETAIL is a level
 * or level=N; a bare integer N means none (0) or gzip:N. Levels: gzip 1-9 (default 6), lz4 1-12
 * (default 1), zstd 1-19 (default 3). ERROR_USAGE with the messages of pg_receivewal 15, for
 * example `invalid compression specification: compression algorithm "none" does not accept a
 * compression level`. */
bool compress_spec_parse(const char *text, CompressSpec *ret, Error *err) MUST_CHECK;

/* "zstd:3"; returns the buffer. */
#define COMPRESS_SPEC_TEXT_SIZE 16
const char *compress_spec_format(CompressSpec spec, char buffer[COMPRESS_SPEC_TEXT_SIZE]);

/* Called with output as it becomes ready. False with *err filled stops the work. */
typedef bool (*CodecSink)(void *context, const void *data, size_t length, Error *err);

typedef struct Encoder Encoder;
typedef struct Decoder Decoder;

/* No limit for encoder_new and codec_memory. */
#define CODEC_MEMORY_ANY SIZE_MAX

/* What an encoder and a decoder of what it makes use together, in bytes, when the encoder gets
 * `limit`. More than `limit` where it cannot do with so little; codec_memory(spec, size,
 * CODEC_MEMORY_ANY) is what the level would use. 0 for WAL_RAW. */
size_t codec_memory(CompressSpec spec, uint64_t content_size, size_t limit);
/* Does the limit cost something: a window, and so output (zstd), or speed (gzip)? */
bool codec_is_limited(CompressSpec spec, uint64_t content_size, size_t limit);

/* spec.method must not be WAL_RAW. content_size: the exact number of bytes that will be written,
 * put into the frame header where the format has a place for it. limit: see codec_memory; a window
 * that does not fit is made smaller, at the cost of a little more output. NULL with ERROR_MEMORY or
 * ERROR_USAGE. */
Encoder *encoder_new(CompressSpec spec, uint64_t content_size, size_t limit, Error *err) MUST_CHECK;
bool encoder_write(Encoder *encoder, const void *data, size_t length, CodecSink sink, void *context,
                   Error *err) MUST_CHECK;
/* Ends the frame. Afterwards, and after any failure, only encoder_free. ERROR_ARCHIVE when more or
 * fewer bytes came than announced. */
bool encoder_finish(Encoder *encoder, CodecSink sink, void *context, Error *err) MUST_CHECK;
/* The whole content at once, and the end of the frame: in place of the two above, and faster. */
bool encoder_write_whole(Encoder *encoder, const void *data, CodecSink sink, void *context,
                         Error *err) MUST_CHECK;
void encoder_free(Encoder *encoder); /* NULL is fine */

/* method WAL_RAW passes bytes through. Damaged input: ERROR_ARCHIVE, with the input byte near which
 * it was found. A zstd frame may need a window of 128 MB at most, as for zstd -d. */
Decoder *decoder_new(WalCompression method, Error *err) MUST_CHECK;
bool decoder_write(Decoder *decoder, const void *data, size_t length, CodecSink sink, void *context,
                   Error *err) MUST_CHECK;
/* True only when exactly one whole frame was read and nothing follows it. */
bool decoder_finish(Decoder *decoder, Error *err) MUST_CHECK;
void decoder_free(Decoder *decoder);
