/* SPDX-License-Identifier: PostgreSQL
 *
 * Content that is given to an encoder as a whole, and encoders with little memory: the same frames,
 * which the same decoder reads.
 */
#include "walrx/codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LONGEST ((size_t)4 * 1024 * 1024)
#define MB ((size_t)1024 * 1024)

typedef struct Buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
} Buffer;

static uint8_t *wal;
static uint8_t *noise;
static Buffer packed;
static Buffer back;
static Error error;

static const struct {
    WalCompression method;
    int level_max;
} methods[] = {{WAL_GZIP, 9}, {WAL_LZ4, 12}, {WAL_ZSTD, 19}};

/* Records of one shape, with bytes between them that do not repeat. */
static int setup(void **state)
{
    uint64_t random = 88172645463325252U; /* xorshift64 */
    (void)state;
    wal = malloc(LONGEST);
    noise = malloc(LONGEST);
    packed = (Buffer){.data = malloc(2 * LONGEST), .capacity = 2 * LONGEST};
    back = (Buffer){.data = malloc(2 * LONGEST), .capacity = 2 * LONGEST};
    if (wal == NULL || noise == NULL || packed.data == NULL || back.data == NULL)
        return -1;
    for (size_t i = 0; i < LONGEST; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        noise[i] = (uint8_t)random;
        wal[i] = i % 48 < 6 ? (uint8_t)random : (uint8_t)(i % 48 + (i / 8192) % 7);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(wal);
    free(noise);
    free(packed.data);
    free(back.data);
    return 0;
}

static bool collect(void *context, const void *data, size_t length, Error *err)
{
    Buffer *buffer = context;
    if (length > buffer->capacity - buffer->length)
        return error_set_errno(err, ERROR_STORAGE, 28, "sink is full");
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    return true;
}

static void pack_whole(CompressSpec spec, const uint8_t *data, size_t length, size_t limit)
{
    Encoder *encoder = encoder_new(spec, length, limit, &error);
    assert_non_null(encoder);
    packed.length = 0;
    assert_true(encoder_write_whole(encoder, data, collect, &packed, &error));
    encoder_free(encoder);
}

static void pack_pieces(CompressSpec spec, const uint8_t *data, size_t length, size_t limit)
{
    Encoder *encoder = encoder_new(spec, length, limit, &error);
    assert_non_null(encoder);
    packed.length = 0;
    for (size_t at = 0; at < length; at += 65521)
        assert_true(encoder_write(encoder, data + at, length - at < 65521 ? length - at : 65521,
                                  collect, &packed, &error));
    assert_true(encoder_finish(encoder, collect, &packed, &error));
    encoder_free(encoder);
}

static void assert_unpacks_to(WalCompression method, const uint8_t *data, size_t length)
{
    Decoder *decoder = decoder_new(method, &error);
    assert_non_null(decoder);
    back.length = 0;
    assert_true(decoder_write(decoder, packed.data, packed.length, collect, &back, &error));
    assert_true(decoder_finish(decoder, &error));
    decoder_free(decoder);
    assert_int_equal(back.length, length);
    if (length > 0)
        assert_memory_equal(back.data, data, length);
}

static void every_level_gives_back_whole_content(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        for (int level = 1; level <= methods[m].level_max; level++) {
            CompressSpec spec = {methods[m].method, level};
            pack_whole(spec, wal, MB + 1, CODEC_MEMORY_ANY);
            assert_in_range(packed.length, 1, MB / 2);
            assert_unpacks_to(spec.method, wal, MB + 1);
        }
    }
}

static void content_of_any_size_and_kind_will_do(void **state)
{
    static const size_t sizes[] = {0, 1, 255, 65536, 262143, 262144, 262145, LONGEST};
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        for (int level = 1; level <= 6; level += 5) {
            CompressSpec spec = {methods[m].method, level};
            for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
                pack_whole(spec, wal, sizes[s], CODEC_MEMORY_ANY);
                assert_unpacks_to(spec.method, wal, sizes[s]);
                pack_whole(spec, noise, sizes[s], CODEC_MEMORY_ANY);
                assert_unpacks_to(spec.method, noise, sizes[s]);
            }
        }
    }
}

static void an_encoder_keeps_within_its_memory_where_it_can(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        for (int level = 1; level <= methods[m].level_max; level++) {
            CompressSpec spec = {methods[m].method, level};
            size_t least = codec_memory(spec, LONGEST, 0);
            size_t most = codec_memory(spec, LONGEST, CODEC_MEMORY_ANY);
            assert_in_range(least, 1, 6 * MB);
            assert_true(least <= most);
            assert_false(codec_is_limited(spec, LONGEST, most));
            for (size_t limit = 0; limit <= most + MB; limit += MB / 2) {
                size_t used = codec_memory(spec, LONGEST, limit);
                assert_true(used <= (limit > least ? limit : least));
                assert_true(!codec_is_limited(spec, LONGEST, limit) || used < most);
            }
        }
    }
    assert_int_equal(codec_memory((CompressSpec){WAL_RAW, 0}, LONGEST, MB), 0);
}

static void little_memory_costs_output_and_nothing_else(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        for (int level = 1; level <= methods[m].level_max; level += 3) {
            CompressSpec spec = {methods[m].method, level};
            pack_whole(spec, wal, LONGEST, CODEC_MEMORY_ANY);
            size_t most = packed.length;
            pack_whole(spec, wal, LONGEST, 0);
            assert_unpacks_to(spec.method, wal, LONGEST);
            assert_in_range(packed.length, most * 9 / 10, most * 3 / 2);
            pack_pieces(spec, wal, LONGEST, 0);
            assert_unpacks_to(spec.method, wal, LONGEST);
        }
    }
}

static void whole_content_ends_the_frame(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        CompressSpec spec = {methods[m].method, 1};
        Encoder *encoder = encoder_new(spec, 1000, CODEC_MEMORY_ANY, &error);
        packed.length = 0;
        assert_true(encoder_write_whole(encoder, wal, collect, &packed, &error));
        assert_false(encoder_finish(encoder, collect, &packed, &error));
        assert_false(encoder_write_whole(encoder, wal, collect, &packed, &error));
        assert_int_equal(error.class, ERROR_USAGE);
        encoder_free(encoder);

        encoder = encoder_new(spec, 1000, CODEC_MEMORY_ANY, &error);
        assert_true(encoder_write(encoder, wal, 1, collect, &packed, &error));
        assert_false(encoder_write_whole(encoder, wal, collect, &packed, &error));
        assert_int_equal(error.class, ERROR_USAGE);
        encoder_free(encoder);
    }
}

static void a_failing_sink_ends_it(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        for (int level = 1; level <= 6; level += 5) {
            CompressSpec spec = {methods[m].method, level};
            Buffer little = {.data = packed.data, .capacity = 10};
            Encoder *encoder = encoder_new(spec, LONGEST, CODEC_MEMORY_ANY, &error);
            assert_false(encoder_write_whole(encoder, wal, collect, &little, &error));
            assert_int_equal(error.os_errno, 28);
            encoder_free(encoder);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_gives_back_whole_content),
        cmocka_unit_test(content_of_any_size_and_kind_will_do),
        cmocka_unit_test(an_encoder_keeps_within_its_memory_where_it_can),
        cmocka_unit_test(little_memory_costs_output_and_nothing_else),
        cmocka_unit_test(whole_content_ends_the_frame),
        cmocka_unit_test(a_failing_sink_ends_it),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
