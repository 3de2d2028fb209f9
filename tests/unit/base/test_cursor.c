/* SPDX-License-Identifier: PostgreSQL
 *
 * The checked cursor: byte orders, and that nothing outside the buffer is ever touched.
 */
#include "walrx/base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t sample[] = {0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88};

static void reads_network_order(void **state)
{
    Reader reader = reader_over(sample, sizeof(sample));

    (void)state;
    assert_true(read_u32_be(&reader) == 0x81828384U);
    assert_int_equal(reader_left(&reader), 4);
    assert_true(read_u32_be(&reader) == 0x85868788U);
    assert_int_equal(reader_left(&reader), 0);
    assert_false(reader.failed);
    reader = reader_over(sample, sizeof(sample));
    assert_true(read_u64_be(&reader) == UINT64_C(0x8182838485868788));
    assert_false(reader.failed);
}

static void reads_little_endian(void **state)
{
    Reader reader = reader_over(sample, sizeof(sample));

    (void)state;
    assert_int_equal(read_u8(&reader), 0x81);
    assert_int_equal(read_u16_le(&reader), 0x8382);
    assert_true(read_u32_le(&reader) == 0x87868584U);
    assert_int_equal(read_u8(&reader), 0x88);
    assert_false(reader.failed);
    reader = reader_over(sample, sizeof(sample));
    assert_true(read_u64_le(&reader) == UINT64_C(0x8887868584838281));
    assert_false(reader.failed);
}

static void read_bytes_is_a_view_of_the_buffer(void **state)
{
    Reader reader = reader_over(sample, sizeof(sample));

    (void)state;
    read_skip(&reader, 2);
    assert_ptr_equal(read_bytes(&reader, 3), sample + 2);
    assert_ptr_equal(read_bytes(&reader, 3), sample + 5);
    assert_ptr_equal(read_bytes(&reader, 0), sample + 8);
    assert_false(reader.failed);
}

/* Each kind of read, with one byte too few: nothing is taken, and the reader stays failed. */
static void read_past_the_end_fails_for_good(void **state)
{
    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        static const size_t sizes[] = {1, 4, 8, 2, 4, 8, 3, 5};
        Reader reader = reader_over(sample, sizes[kind] - 1);
        uint64_t value = 0;
        switch (kind) {
        case 0:
            value = read_u8(&reader);
            break;
        case 1:
            value = read_u32_be(&reader);
            break;
        case 2:
            value = read_u64_be(&reader);
            break;
        case 3:
            value = read_u16_le(&reader);
            break;
        case 4:
            value = read_u32_le(&reader);
            break;
        case 5:
            value = read_u64_le(&reader);
            break;
        case 6:
            assert_null(read_bytes(&reader, sizes[kind]));
            break;
        default:
            read_skip(&reader, sizes[kind]);
            break;
        }
        assert_true(value == 0);
        assert_true(reader.failed);
        assert_int_equal(reader.position, 0);
        reader.length = sizeof(sample); /* even with room again */
        assert_int_equal(read_u8(&reader), 0);
        assert_null(read_bytes(&reader, 0));
        assert_true(reader.failed);
    }
}

static void huge_count_does_not_wrap_around(void **state)
{
    uint8_t buffer[8] = {0};
    Reader reader = reader_over(sample, sizeof(sample));
    Writer writer = writer_over(buffer, sizeof(buffer));

    (void)state;
    read_skip(&reader, 4);
    read_skip(&reader, SIZE_MAX - 1);
    assert_true(reader.failed);
    assert_int_equal(reader.position, 4);
    write_u32_be(&writer, 1);
    write_bytes(&writer, sample, SIZE_MAX - 1);
    assert_true(writer.failed);
    assert_int_equal(writer.position, 4);
}

static void empty_buffer_may_be_null(void **state)
{
    Reader reader = reader_over(NULL, 0);
    Writer writer = writer_over(NULL, 0);

    (void)state;
    (void)read_bytes(&reader, 0);
    assert_false(reader.failed);
    (void)read_u8(&reader);
    assert_true(reader.failed);
    write_bytes(&writer, NULL, 0);
    assert_false(writer.failed);
    write_u8(&writer, 1);
    assert_true(writer.failed);
}

static void writes_both_orders(void **state)
{
    static const uint8_t expected[] = {
        0x7F,                                           /* u8 */
        0x81, 0x82, 0x83, 0x84,                         /* u32 be */
        0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, /* u64 be */
        0x82, 0x81,                                     /* u16 le */
        0x84, 0x83, 0x82, 0x81,                         /* u32 le */
        0x88, 0x87, 0x86, 0x85, 0x84, 0x83, 0x82, 0x81, /* u64 le */
        0x81, 0x82, 0x83,                               /* bytes */
    };
    uint8_t buffer[sizeof(expected)];
    Writer writer = writer_over(buffer, sizeof(buffer));

    (void)state;
    write_u8(&writer, 0x7F);
    write_u32_be(&writer, 0x81828384U);
    write_u64_be(&writer, UINT64_C(0x8182838485868788));
    write_u16_le(&writer, 0x8182);
    write_u32_le(&writer, 0x81828384U);
    write_u64_le(&writer, UINT64_C(0x8182838485868788));
    write_bytes(&writer, sample, 3);
    assert_false(writer.failed);
    assert_int_equal(writer.position, sizeof(expected));
    assert_memory_equal(buffer, expected, sizeof(expected));
}

/* The byte behind the room is a guard. */
static void write_past_the_end_changes_nothing(void **state)
{
    uint8_t buffer[9];

    (void)state;
    for (int kind = 0; kind < 7; kind++) {
        static const size_t sizes[] = {1, 4, 8, 2, 4, 8, 3};
        Writer writer = writer_over(buffer, sizes[kind] - 1);
        memset(buffer, 0xEE, sizeof(buffer));
        switch (kind) {
        case 0:
            write_u8(&writer, 1);
            break;
        case 1:
            write_u32_be(&writer, 1);
            break;
        case 2:
            write_u64_be(&writer, 1);
            break;
        case 3:
            write_u16_le(&writer, 1);
            break;
        case 4:
            write_u32_le(&writer, 1);
            break;
        case 5:
            write_u64_le(&writer, 1);
            break;
        default:
            write_bytes(&writer, sample, 3);
            break;
        }
        assert_true(writer.failed);
        assert_int_equal(writer.position, 0);
        writer.capacity = sizeof(buffer);
        write_u8(&writer, 1); /* failed for good */
        for (size_t i = 0; i < sizeof(buffer); i++)
            assert_int_equal(buffer[i], 0xEE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_network_order),
        cmocka_unit_test(reads_little_endian),
        cmocka_unit_test(read_bytes_is_a_view_of_the_buffer),
        cmocka_unit_test(read_past_the_end_fails_for_good),
        cmocka_unit_test(huge_count_does_not_wrap_around),
        cmocka_unit_test(empty_buffer_may_be_null),
        cmocka_unit_test(writes_both_orders),
        cmocka_unit_test(write_past_the_end_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
