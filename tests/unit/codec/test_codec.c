/* SPDX-License-Identifier: PostgreSQL
 *
 * Encoders and decoders: what goes in comes out, in the frames that the usual tools read; and
 * damaged input never passes as whole. The same cases run for each codec.
 */
#include "walrx/codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CONTENT_SIZE ((size_t)300001)
#define PAGE_SIZE 8192
#define LARGEST_OUTPUT ((size_t)3 * 1024 * 1024) /* no codec may hand on more at once */

typedef struct Method {
    WalCompression compression;
    int level_min;
    int level_default;
    int level_max;
    const char *tool;
} Method;

static const Method methods[] = {
    {WAL_GZIP, 1, 6, 9, "gzip"},
    {WAL_GZIP, 1, 1, 9, "gzip"}, /* perhaps another library writes it */
    {WAL_LZ4, 1, 1, 12, "lz4"},
    {WAL_ZSTD, 1, 3, 19, "zstd"},
};
#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

/* A growing collection of bytes, and a sink that fails once `limit` is passed. */
typedef struct Buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
    size_t limit;
    size_t calls;
} Buffer;

static bool collect(void *context, const void *data, size_t length, Error *err)
{
    Buffer *buffer = context;

    assert_in_range(length, 1, LARGEST_OUTPUT);
    buffer->calls++;
    if (buffer->limit > 0 && buffer->length + length > buffer->limit)
        return error_set_errno(err, ERROR_STORAGE, 28, "sink is full");
    if (buffer->length + length > buffer->capacity) {
        buffer->capacity = 2 * (buffer->length + length);
        buffer->data = realloc(buffer->data, buffer->capacity);
        assert_non_null(buffer->data);
    }
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    return true;
}

/* The bytes to compress, of three kinds. */
enum { KIND_ZEROS, KIND_RANDOM, KIND_WAL, KIND_COUNT };

static void put_random(uint8_t *data, size_t length)
{
    uint64_t random = 88172645463325252U; /* xorshift64 */

    for (size_t i = 0; i < length; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        data[i] = (uint8_t)random;
    }
}

/* Pages of records that resemble each other, with half of each eighth page empty. */
static void put_wal(uint8_t *data, size_t length)
{
    for (size_t at = 0; at + 16 <= length; at += 16) {
        size_t page = at / PAGE_SIZE;
        uint32_t words[4] = {0x0001D110, (uint32_t)at, (uint32_t)(at * 2654435761U) >> 20, 0x60};
        if (page % 8 != 7 || at % PAGE_SIZE < PAGE_SIZE / 2)
            memcpy(data + at, words, sizeof(words));
    }
}

static uint8_t *make_content(int kind, size_t length)
{
    uint8_t *data = calloc(1, length + 1);

    assert_non_null(data);
    if (kind == KIND_RANDOM)
        put_random(data, length);
    if (kind == KIND_WAL)
        put_wal(data, length);
    return data;
}

/* Writes everything in pieces of `chunk` bytes, with an empty one between them. */
static Buffer compress(CompressSpec spec, const uint8_t *data, size_t length, size_t chunk)
{
    Buffer result = {0};
    Error err;
    Encoder *encoder = encoder_new(spec, length, CODEC_MEMORY_ANY, &err);

    assert_non_null(encoder);
    for (size_t at = 0; at < length; at += chunk) {
        size_t count = length - at < chunk ? length - at : chunk;
        assert_true(encoder_write(encoder, data + at, count, collect, &result, &err));
        assert_true(encoder_write(encoder, NULL, 0, collect, &result, &err));
    }
    assert_true(encoder_finish(encoder, collect, &result, &err));
    encoder_free(encoder);
    return result;
}

/* True when the whole input was decoded. */
static bool decompress(WalCompression compression, const uint8_t *data, size_t length, size_t chunk,
                       Buffer *result, Error *err)
{
    Decoder *decoder = decoder_new(compression, err);
    bool good = true;

    assert_non_null(decoder);
    error_clear(err);
    for (size_t at = 0; good && at < length; at += chunk) {
        size_t count = length - at < chunk ? length - at : chunk;
        good = decoder_write(decoder, data + at, count, collect, result, err) &&
               decoder_write(decoder, NULL, 0, collect, result, err);
    }
    good = good && decoder_finish(decoder, err);
    assert_true(good == (err->class == ERROR_NONE));
    decoder_free(decoder);
    return good;
}

static void assert_round_trip(CompressSpec spec, int kind, size_t length, size_t chunk)
{
    uint8_t *content = make_content(kind, length);
    Buffer packed = compress(spec, content, length, chunk);
    Buffer back = {0};
    Error err;

    assert_true(decompress(spec.method, packed.data, packed.length, chunk, &back, &err));
    assert_int_equal(back.length, length);
    if (length > 0)
        assert_memory_equal(back.data, content, length);
    if (kind == KIND_ZEROS && length == CONTENT_SIZE)
        assert_in_range(packed.length, 1, length / 50);
    if (kind == KIND_RANDOM)
        assert_in_range(packed.length, length, length + length / 100 + 64);
    free(content);
    free(packed.data);
    free(back.data);
}

static void every_level_gives_back_what_it_took(void **state)
{
    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        for (int level = methods[m].level_min; level <= methods[m].level_max; level++) {
            CompressSpec spec = {methods[m].compression, level};
            for (int kind = 0; kind < KIND_COUNT; kind++)
                assert_round_trip(spec, kind, CONTENT_SIZE, 65521);
        }
    }
}

static void pieces_of_any_size_will_do(void **state)
{
    static const size_t chunks[] = {7, 4093, 8192, 131072, 262144, 262145, CONTENT_SIZE};

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        for (size_t c = 0; c < sizeof(chunks) / sizeof(chunks[0]); c++) {
            assert_round_trip(spec, KIND_WAL, CONTENT_SIZE, chunks[c]);
            assert_round_trip(spec, KIND_RANDOM, CONTENT_SIZE, chunks[c]);
        }
        assert_round_trip(spec, KIND_WAL, 70001, 1);
        assert_round_trip(spec, KIND_RANDOM, 70001, 1);
    }
}

static void contents_of_any_size_will_do(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 255, 65535, 65536, 131072, 262144, 524288, 1048577};

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            assert_round_trip(spec, KIND_WAL, sizes[s], 10007);
            assert_round_trip(spec, KIND_ZEROS, sizes[s], 1048577);
        }
    }
}

static void raw_passes_through(void **state)
{
    uint8_t *content = make_content(KIND_RANDOM, 1000);
    Buffer back = {0};
    Error err;

    (void)state;
    assert_true(decompress(WAL_RAW, content, 1000, 17, &back, &err));
    assert_int_equal(back.length, 1000);
    assert_memory_equal(back.data, content, 1000);
    assert_true(decompress(WAL_RAW, content, 0, 17, &back, &err));
    assert_int_equal(back.length, 1000);
    free(content);
    free(back.data);
}

static uint32_t get_u32(const uint8_t *data)
{
    return (uint32_t)data[3] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[1] << 8 | data[0];
}

/* pg_receivewal and others find the size of a segment there. */
static void frames_carry_size_and_checksum(void **state)
{
    static const uint8_t gzip_start[8] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0}; /* no name, no time */
    uint8_t *content = make_content(KIND_WAL, CONTENT_SIZE);

    (void)state;
    Buffer packed = compress((CompressSpec){WAL_GZIP, 6}, content, CONTENT_SIZE, 8192);
    assert_memory_equal(packed.data, gzip_start, sizeof(gzip_start));
    assert_int_equal(get_u32(packed.data + packed.length - 4), CONTENT_SIZE);
    free(packed.data);

    packed = compress((CompressSpec){WAL_LZ4, 1}, content, CONTENT_SIZE, 8192);
    assert_int_equal(packed.data[4] & 0xCC, 0x48); /* version 1, content size, no checksum of it */
    assert_int_equal(get_u32(packed.data + 6), CONTENT_SIZE);
    free(packed.data);

    packed = compress((CompressSpec){WAL_ZSTD, 3}, content, CONTENT_SIZE, 8192);
    assert_int_equal(packed.data[4], 0xA4); /* size of four bytes, one segment, checksum */
    assert_int_equal(get_u32(packed.data + 5), CONTENT_SIZE);
    free(packed.data);
    free(content);
}

static void write_file(char *path, const Buffer *buffer)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, buffer->data, buffer->length), (ssize_t)buffer->length);
    assert_int_equal(close(fd), 0);
}

static void run_tool(const Method *method)
{
    char packed_path[] = "/tmp/walrx-codec-XXXXXX";
    char content_path[] = "/tmp/walrx-codec-XXXXXX";
    char command[256];
    Buffer content = {.data = make_content(KIND_WAL, CONTENT_SIZE), .length = CONTENT_SIZE};

    (void)snprintf(command, sizeof(command), "command -v %s >/dev/null", method->tool);
    if (system(command) != 0) {
        print_message("%s is not installed, its part is left out\n", method->tool);
        free(content.data);
        return;
    }
    write_file(content_path, &content);
    for (int level = method->level_min; level <= method->level_max; level += 4) {
        Buffer packed =
            compress((CompressSpec){method->compression, level}, content.data, CONTENT_SIZE, 65521);
        (void)snprintf(packed_path, sizeof(packed_path), "/tmp/walrx-codec-XXXXXX");
        write_file(packed_path, &packed);
        (void)snprintf(command, sizeof(command),
                       "%s -t <%s 2>/dev/null && %s -dc <%s | cmp -s - %s", method->tool,
                       packed_path, method->tool, packed_path, content_path);
        assert_int_equal(system(command), 0);
        assert_int_equal(unlink(packed_path), 0);
        free(packed.data);
    }
    assert_int_equal(unlink(content_path), 0);
    free(content.data);
}

static void usual_tools_read_what_we_write(void **state)
{
    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++)
        run_tool(&methods[m]);
}

static void truncation_is_found_at_every_byte(void **state)
{
    const size_t length = 3000;
    uint8_t *content = make_content(KIND_WAL, length);
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        Buffer packed = compress(spec, content, length, length);
        for (size_t cut = 0; cut < packed.length; cut++) {
            char where[64];
            Buffer back = {0};
            assert_false(decompress(spec.method, packed.data, cut, 512, &back, &err));
            assert_int_equal(err.class, ERROR_ARCHIVE);
            (void)snprintf(where, sizeof(where), "%s data ends at input byte %zu, before the end",
                           methods[m].tool, cut);
            assert_non_null(strstr(err.message, where));
            free(back.data);
        }
        free(packed.data);
    }
    free(content);
}

/* Some bits do not matter (gzip's time stamp, the padding at the end of a deflate stream), so the
 * rule is: never other content, and nearly all are refused. An lz4 frame has no checksum of its
 * content: there, never more than was announced, and nothing but an error or some bytes. */
static void flipped_bits_never_give_other_content(void **state)
{
    const size_t length = 1000;
    uint8_t *content = make_content(KIND_WAL, length);
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        Buffer packed = compress(spec, content, length, length);
        bool checked = spec.method != WAL_LZ4;
        size_t unnoticed = 0;
        for (size_t bit = 0; bit < 8 * packed.length; bit++) {
            Buffer back = {.limit = 2 * length};
            packed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            if (decompress(spec.method, packed.data, packed.length, 4096, &back, &err)) {
                unnoticed++;
                assert_int_equal(back.length, length);
                if (checked)
                    assert_memory_equal(back.data, content, length);
            } else {
                assert_true(err.class == ERROR_ARCHIVE || err.class == ERROR_STORAGE);
            }
            packed.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            free(back.data);
        }
        if (checked)
            assert_in_range(unnoticed, 0, 8 * packed.length / 50);
        free(packed.data);
    }
    free(content);
}

static void bytes_after_the_frame_are_refused(void **state)
{
    static const size_t chunks[] = {1, 100, 100000};
    uint8_t *content = make_content(KIND_WAL, 3000);
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        Buffer packed = compress(spec, content, 3000, 3000);
        Buffer twice = {0};
        char where[64];
        (void)snprintf(where, sizeof(where), "frame ends at input byte %zu, but more bytes follow",
                       packed.length);
        assert_true(collect(&twice, packed.data, packed.length, &err));
        assert_true(collect(&twice, packed.data, packed.length, &err));
        for (size_t c = 0; c < 3; c++) {
            Buffer back = {0};
            assert_false(
                decompress(spec.method, twice.data, packed.length + 1, chunks[c], &back, &err));
            assert_int_equal(err.class, ERROR_ARCHIVE);
            assert_non_null(strstr(err.message, where));
            assert_false(decompress(spec.method, twice.data, twice.length, chunks[c], &back, &err));
            assert_non_null(strstr(err.message, where));
            free(back.data);
        }
        free(packed.data);
        free(twice.data);
    }
    free(content);
}

enum { FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16, FLAGS_END = 32 }; /* RFC 1952 */
#define GZIP_HEADER 10

static uint32_t crc32_of(const uint8_t *data, size_t length)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
    }
    return ~crc;
}

/* The same content behind a header as another program may write it. */
static Buffer with_header(const Buffer *packed, unsigned flags)
{
    uint8_t head[GZIP_HEADER] = {0x1F, 0x8B, 8, (uint8_t)flags, 1, 2, 3, 4, 2, 3};
    static const uint8_t extra[] = {5, 0, 'a', 0, 1, 0, 'x'};
    static const char name[] = "000000010000000000000005";
    static const char comment[] = "a \xE9 remark";
    Buffer result = {0};
    Error err;
    assert_true(collect(&result, head, sizeof(head), &err));
    if (flags & FEXTRA)
        assert_true(collect(&result, extra, sizeof(extra), &err));
    if (flags & FNAME)
        assert_true(collect(&result, name, sizeof(name), &err));
    if (flags & FCOMMENT)
        assert_true(collect(&result, comment, sizeof(comment), &err));
    if (flags & FHCRC) {
        uint32_t crc = crc32_of(result.data, result.length);
        uint8_t bytes[2] = {(uint8_t)crc, (uint8_t)(crc >> 8)};
        assert_true(collect(&result, bytes, sizeof(bytes), &err));
    }
    assert_true(collect(&result, packed->data + GZIP_HEADER, packed->length - GZIP_HEADER, &err));
    return result;
}

/* Where a file is cut: anywhere in its header, near its end, and everywhere with the longest
 * header. */
static bool is_cut(unsigned flags, size_t cut, size_t header, size_t length)
{
    return flags == FLAGS_END - 1 || cut < header + 8 || length - cut < 16;
}

static void gzip_headers_of_other_programs_are_read(void **state)
{
    static const size_t chunks[] = {1, 2, 3, 7, 11, 64, 100000};
    const size_t length = 3000;
    uint8_t *content = make_content(KIND_WAL, length);
    Buffer packed = compress((CompressSpec){WAL_GZIP, 9}, content, length, length);
    Error err;

    (void)state;
    for (unsigned flags = 0; flags < FLAGS_END; flags++) {
        Buffer file = with_header(&packed, flags);
        for (size_t c = 0; c < sizeof(chunks) / sizeof(chunks[0]); c++) {
            Buffer back = {0};
            if (!decompress(WAL_GZIP, file.data, file.length, chunks[c], &back, &err))
                fail_msg("flags %u, pieces of %zu: %s", flags, chunks[c], err.message);
            assert_int_equal(back.length, length);
            assert_memory_equal(back.data, content, length);
            free(back.data);
            for (size_t cut = 0; cut < file.length; cut++) {
                if (!is_cut(flags, cut, file.length - packed.length + GZIP_HEADER, file.length))
                    continue;
                back = (Buffer){0};
                assert_false(decompress(WAL_GZIP, file.data, cut, chunks[c], &back, &err));
                assert_int_equal(err.class, ERROR_ARCHIVE);
                assert_non_null(strstr(err.message, "before the end"));
                free(back.data);
            }
        }
        free(file.data);
    }
    free(packed.data);
    free(content);
}

static void a_damaged_gzip_header_is_refused(void **state)
{
    uint8_t *content = make_content(KIND_WAL, 3000);
    Buffer packed = compress((CompressSpec){WAL_GZIP, 1}, content, 3000, 3000);
    Buffer file = with_header(&packed, FHCRC | FEXTRA | FNAME | FCOMMENT);
    size_t header = file.length - packed.length + GZIP_HEADER;
    Error err;

    (void)state;
    for (size_t chunk = 1; chunk < 100000; chunk *= 10) {
        for (size_t bit = 0; bit < 8 * header; bit++) {
            Buffer back = {0};
            file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            if (decompress(WAL_GZIP, file.data, file.length, chunk, &back, &err))
                fail_msg("bit %zu of the header is not checked, pieces of %zu", bit, chunk);
            assert_int_equal(err.class, ERROR_ARCHIVE);
            file.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
            free(back.data);
        }
    }
    free(file.data);
    free(packed.data);
    free(content);
}

static void foreign_bytes_are_named(void **state)
{
    static const uint8_t skippable[] = {0x50, 0x2A, 0x4D, 0x18,
                                        0,    0,    0,    0}; /* empty, lz4 and zstd */
    static const char text[] = "these bytes are no compressed segment at all, just text";
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        for (size_t chunk = 1; chunk < sizeof(text); chunk += 20) {
            Buffer back = {0};
            assert_false(decompress(methods[m].compression, (const uint8_t *)text, sizeof(text),
                                    chunk, &back, &err));
            assert_int_equal(err.class, ERROR_ARCHIVE);
            assert_non_null(strstr(err.message, "format: wrong input byte 0"));
            assert_false(decompress(methods[m].compression, skippable, sizeof(skippable), chunk,
                                    &back, &err));
            assert_int_equal(err.class, ERROR_ARCHIVE);
            assert_int_equal(back.calls, 0);
        }
    }
}

/* A frame header that asks for a window of 256 MB. */
static void zstd_window_is_bounded(void **state)
{
    static const uint8_t header[] = {0x28, 0xB5, 0x2F, 0xFD, 0x00, 18 << 3, 0, 0, 0};
    Buffer back = {0};
    Error err;

    (void)state;
    assert_false(decompress(WAL_ZSTD, header, sizeof(header), sizeof(header), &back, &err));
    assert_int_equal(err.class, ERROR_ARCHIVE);
    assert_non_null(strstr(err.message, "too much memory"));
}

/* A frame without content whose header says 233 bytes; libzstd alone accepts it when fed slowly. */
static void zstd_content_size_is_checked(void **state)
{
    static const uint8_t frame[] = {0x28, 0xB5, 0x2F, 0xFD, 0x24, 0xE9, 0x01,
                                    0,    0,    0x99, 0xE9, 0xD8, 0x51};
    Error err;

    (void)state;
    for (size_t chunk = 1; chunk <= sizeof(frame); chunk++) {
        Buffer back = {0};
        assert_false(decompress(WAL_ZSTD, frame, sizeof(frame), chunk, &back, &err));
        assert_int_equal(err.class, ERROR_ARCHIVE);
    }
}

/* Two blocks of one repeated byte each: more than one buffer of output from the last of the input,
 * and no checksum behind it. */
static void zstd_output_is_drained_at_the_end(void **state)
{
    const uint32_t first = 100000;
    const uint32_t second = 131072; /* the largest block */
    uint32_t first_header = first << 3 | 2;
    uint32_t last_header = second << 3 | 3;
    const uint8_t frame[] = {
        0x28,
        0xB5,
        0x2F,
        0xFD,
        0,
        7 << 3, /* window of 128 kB */
        (uint8_t)first_header,
        (uint8_t)(first_header >> 8),
        (uint8_t)(first_header >> 16),
        'a',
        (uint8_t)last_header,
        (uint8_t)(last_header >> 8),
        (uint8_t)(last_header >> 16),
        'b',
    };
    Error err;

    (void)state;
    for (size_t chunk = 1; chunk <= sizeof(frame); chunk++) {
        Buffer back = {0};
        assert_true(decompress(WAL_ZSTD, frame, sizeof(frame), chunk, &back, &err));
        assert_int_equal(back.length, first + second);
        assert_int_equal(back.data[first - 1], 'a');
        assert_int_equal(back.data[first + second - 1], 'b');
        free(back.data);
    }
}

static void damage_is_named_with_its_place(void **state)
{
    static const char *const reasons[] = {
        "incorrect ", /* zlib: length check, ISA-L: data check */
        "incorrect ",
        "ERROR_maxBlockSize_invalid", /* the end mark became the size of a block */
        "Restored data doesn't match checksum",
    };
    uint8_t *content = make_content(KIND_WAL, 3000);
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        Buffer packed = compress(spec, content, 3000, 3000);
        Buffer back = {0};
        char *end;
        packed.data[packed.length - 1] ^= 1;
        assert_false(decompress(spec.method, packed.data, packed.length, 500, &back, &err));
        assert_non_null(strstr(err.message, reasons[m]));
        assert_non_null(strstr(err.message, " data is damaged near input byte "));
        unsigned long place = strtoul(strstr(err.message, "byte ") + 5, &end, 10);
        assert_in_range(place, packed.length - 500, packed.length);
        assert_memory_equal(end, ": ", 2);
        free(packed.data);
        free(back.data);
    }
    free(content);
}

static void sink_stops_a_decoder(void **state)
{
    const size_t length = 8 * 1024 * 1024;
    uint8_t *content = make_content(KIND_ZEROS, length);
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        Buffer packed = compress(spec, content, length, length);
        Buffer back = {.limit = LARGEST_OUTPUT};
        Decoder *decoder = decoder_new(spec.method, &err);
        assert_non_null(decoder);
        assert_false(decoder_write(decoder, packed.data, packed.length, collect, &back, &err));
        assert_int_equal(err.class, ERROR_STORAGE);
        assert_int_equal(err.os_errno, 28);
        assert_memory_equal(err.message, "sink is full", strlen("sink is full"));
        assert_false(decoder_write(decoder, packed.data, packed.length, collect, &back, &err));
        assert_false(decoder_finish(decoder, &err));
        decoder_free(decoder);
        free(packed.data);
        free(back.data);
    }
    free(content);
}

static void sink_stops_an_encoder(void **state)
{
    const size_t length = 8 * 1024 * 1024;
    uint8_t *content = make_content(KIND_RANDOM, length);
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        Buffer packed = {.limit = LARGEST_OUTPUT};
        Encoder *encoder = encoder_new(spec, length, CODEC_MEMORY_ANY, &err);
        assert_non_null(encoder);
        assert_false(encoder_write(encoder, content, length, collect, &packed, &err));
        assert_int_equal(err.os_errno, 28);
        assert_false(encoder_write(encoder, content, 0, collect, &packed, &err));
        assert_false(encoder_finish(encoder, collect, &packed, &err));
        encoder_free(encoder);
        free(packed.data);
        packed = (Buffer){.limit = 1}; /* the sink may fail at the end, too */
        encoder = encoder_new(spec, 100, CODEC_MEMORY_ANY, &err);
        assert_non_null(encoder);
        assert_true(encoder_write(encoder, content, 100, collect, &packed, &err) ||
                    err.os_errno == 28);
        assert_false(encoder_finish(encoder, collect, &packed, &err));
        encoder_free(encoder);
    }
    free(content);
}

static void encoder_holds_to_the_announced_size(void **state)
{
    static const uint8_t content[10] = {0};
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        Buffer packed = {0};
        Encoder *encoder = encoder_new(spec, 9, CODEC_MEMORY_ANY, &err);
        assert_non_null(encoder);
        assert_false(encoder_write(encoder, content, 10, collect, &packed, &err));
        assert_string_equal(err.message, "more than the announced 9 bytes to compress");
        encoder_free(encoder);
        encoder = encoder_new(spec, 11, CODEC_MEMORY_ANY, &err);
        assert_non_null(encoder);
        assert_true(encoder_write(encoder, content, 10, collect, &packed, &err));
        assert_false(encoder_finish(encoder, collect, &packed, &err));
        assert_string_equal(err.message, "only 10 of the announced 11 bytes to compress");
        assert_int_equal(err.class, ERROR_ARCHIVE);
        encoder_free(encoder);
        free(packed.data);
    }
}

static void encoder_refuses_wrong_levels(void **state)
{
    Error err;

    (void)state;
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_max + 1};
        assert_null(encoder_new(spec, 1, CODEC_MEMORY_ANY, &err));
        assert_int_equal(err.class, ERROR_USAGE);
        spec.level = methods[m].level_min - 1;
        assert_null(encoder_new(spec, 1, CODEC_MEMORY_ANY, &err));
        assert_int_equal(err.class, ERROR_USAGE);
    }
    assert_null(encoder_new((CompressSpec){WAL_RAW, 0}, 1, CODEC_MEMORY_ANY, &err));
    assert_int_equal(err.class, ERROR_USAGE);
}

static void free_takes_null_and_unfinished_objects(void **state)
{
    Buffer ignored = {0};
    Error err;

    (void)state;
    encoder_free(NULL);
    decoder_free(NULL);
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        CompressSpec spec = {methods[m].compression, methods[m].level_default};
        encoder_free(encoder_new(spec, 100, CODEC_MEMORY_ANY, &err));
        decoder_free(decoder_new(spec.method, &err));
        Encoder *encoder = encoder_new(spec, 100, CODEC_MEMORY_ANY, &err);
        assert_non_null(encoder);
        assert_true(encoder_write(encoder, "half", 4, collect, &ignored, &err));
        encoder_free(encoder);
    }
    free(ignored.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_gives_back_what_it_took),
        cmocka_unit_test(pieces_of_any_size_will_do),
        cmocka_unit_test(contents_of_any_size_will_do),
        cmocka_unit_test(raw_passes_through),
        cmocka_unit_test(frames_carry_size_and_checksum),
        cmocka_unit_test(usual_tools_read_what_we_write),
        cmocka_unit_test(truncation_is_found_at_every_byte),
        cmocka_unit_test(flipped_bits_never_give_other_content),
        cmocka_unit_test(bytes_after_the_frame_are_refused),
        cmocka_unit_test(gzip_headers_of_other_programs_are_read),
        cmocka_unit_test(a_damaged_gzip_header_is_refused),
        cmocka_unit_test(foreign_bytes_are_named),
        cmocka_unit_test(zstd_window_is_bounded),
        cmocka_unit_test(zstd_content_size_is_checked),
        cmocka_unit_test(zstd_output_is_drained_at_the_end),
        cmocka_unit_test(damage_is_named_with_its_place),
        cmocka_unit_test(sink_stops_a_decoder),
        cmocka_unit_test(sink_stops_an_encoder),
        cmocka_unit_test(encoder_holds_to_the_announced_size),
        cmocka_unit_test(encoder_refuses_wrong_levels),
        cmocka_unit_test(free_takes_null_and_unfinished_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
