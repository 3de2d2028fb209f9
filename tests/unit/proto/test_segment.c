/* SPDX-License-Identifier: PostgreSQL
 *
 * Segment numbers and names, at every roll-over of the sizes 1 MB, 16 MB and 1 GB, and names that
 * are almost right.
 */
#include "walrx/proto/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MB ((uint32_t)1 << 20)
#define SIZE_1MB MB
#define SIZE_16MB (16 * MB)
#define SIZE_1GB (1024 * MB)

static void sizes_are_powers_of_two_from_1_mb_to_1_gb(void **state)
{
    (void)state;
    for (uint64_t size = SIZE_1MB; size <= SIZE_1GB; size *= 2) {
        assert_true(segment_size_valid(size));
        assert_false(segment_size_valid(size + 1));
        assert_false(segment_size_valid(size - 1));
    }
    assert_false(segment_size_valid(0));
    assert_false(segment_size_valid(SIZE_1MB / 2));
    assert_false(segment_size_valid((uint64_t)SIZE_1GB * 2));
    assert_false(segment_size_valid(UINT64_C(1) << 40));
    assert_false(segment_size_valid(UINT64_C(0x100000000) + SIZE_16MB));
    assert_false(segment_size_valid(3 * SIZE_1MB));
}

static void positions_map_to_segments_and_back(void **state)
{
    static const uint32_t SIZES[] = {SIZE_1MB, SIZE_16MB, SIZE_1GB};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint32_t size = SIZES[i];
        Lsn boundary = UINT64_C(0x500000000);
        SegNo segno = boundary / size;

        assert_int_equal(segment_of(boundary, size), segno);
        assert_int_equal(segment_of(boundary - 1, size), segno - 1);
        assert_int_equal(segment_of(boundary + size - 1, size), segno);
        assert_int_equal(segment_start(segno, size), boundary);
        assert_int_equal(segment_floor(boundary + size - 1, size), boundary);
        assert_int_equal(segment_floor(boundary, size), boundary);
        assert_int_equal(segment_offset(boundary, size), 0);
        assert_int_equal(segment_offset(boundary - 1, size), size - 1);
        assert_int_equal(segment_of(UINT64_MAX, size), segment_last(size));
        assert_int_equal(segment_start(segment_last(size), size) + (size - 1), UINT64_MAX);
    }
}

static void check_name(Timeline timeline, SegNo segno, uint32_t size, const char *expected)
{
    char buffer[WAL_FILE_NAME_SIZE];
    WalFileName file;
    SegNo back;

    assert_string_equal(wal_segment_name(timeline, segno, size, WAL_RAW, false, buffer), expected);
    assert_true(wal_file_parse(buffer, &file));
    assert_int_equal(file.kind, WAL_FILE_SEGMENT);
    assert_int_equal(file.timeline, timeline);
    assert_true(wal_file_segno(&file, size, &back));
    assert_int_equal(back, segno);
}

static void names_roll_over_at_4_gb(void **state)
{
    (void)state;
    check_name(1, 0, SIZE_16MB, "000000010000000000000000");
    check_name(1, 0xFE, SIZE_16MB, "0000000100000000000000FE");
    check_name(1, 0xFF, SIZE_16MB, "0000000100000000000000FF");
    check_name(1, 0x100, SIZE_16MB, "000000010000000100000000");
    check_name(1, 0xFFF, SIZE_1MB, "000000010000000000000FFF");
    check_name(1, 0x1000, SIZE_1MB, "000000010000000100000000");
    check_name(1, 3, SIZE_1GB, "000000010000000000000003");
    check_name(1, 4, SIZE_1GB, "000000010000000100000000");
    check_name(UINT32_MAX, segment_last(SIZE_16MB), SIZE_16MB, "FFFFFFFFFFFFFFFF000000FF");
    check_name(2, segment_last(SIZE_1MB), SIZE_1MB, "00000002FFFFFFFF00000FFF");
    check_name(2, segment_last(SIZE_1GB), SIZE_1GB, "00000002FFFFFFFF00000003");
}

static void low_word_of_all_ones_is_the_last_segment_of_its_log(void **state)
{
    Lsn lsn = UINT64_C(0xA7FFFFFFFF);
    char buffer[WAL_FILE_NAME_SIZE];

    (void)state;
    (void)wal_segment_name(3, segment_of(lsn, SIZE_16MB), SIZE_16MB, WAL_RAW, false, buffer);
    assert_string_equal(buffer, "00000003000000A7000000FF");
    (void)wal_segment_name(3, segment_of(lsn + 1, SIZE_16MB), SIZE_16MB, WAL_RAW, false, buffer);
    assert_string_equal(buffer, "00000003000000A800000000");
    (void)wal_segment_name(3, segment_of(lsn, SIZE_1GB), SIZE_1GB, WAL_RAW, false, buffer);
    assert_string_equal(buffer, "00000003000000A700000003");
    (void)wal_segment_name(3, segment_of(lsn, SIZE_1MB), SIZE_1MB, WAL_RAW, false, buffer);
    assert_string_equal(buffer, "00000003000000A700000FFF");
}

static void names_of_another_segment_size_have_no_number(void **state)
{
    WalFileName file;
    SegNo segno = 42;

    (void)state;
    assert_true(wal_file_parse("000000010000000000000100", &file));
    assert_true(wal_file_segno(&file, SIZE_1MB, &segno));
    assert_int_equal(segno, 0x100);
    segno = 42;
    assert_false(wal_file_segno(&file, SIZE_16MB, &segno));
    assert_true(wal_file_parse("000000010000000000000004", &file));
    assert_false(wal_file_segno(&file, SIZE_1GB, &segno));
    assert_true(wal_file_parse("0000000100000000FFFFFFFF", &file));
    assert_false(wal_file_segno(&file, SIZE_1MB, &segno));
    assert_int_equal(segno, 42);
}

static void every_suffix_is_written_and_read(void **state)
{
    static const char *const SUFFIXES[WAL_COMPRESSION_COUNT] = {"", ".gz", ".lz4", ".zst"};
    char expected[WAL_FILE_NAME_SIZE];
    char buffer[WAL_FILE_NAME_SIZE];

    (void)state;
    for (int i = 0; i < WAL_COMPRESSION_COUNT; i++) {
        for (int partial = 0; partial < 2; partial++) {
            WalFileName file;

            (void)snprintf(expected, sizeof(expected), "0000000A0000000B0000000C%s%s", SUFFIXES[i],
                           partial == 1 ? ".partial" : "");
            (void)wal_segment_name(10, 0xB0C, SIZE_16MB, (WalCompression)i, partial == 1, buffer);
            assert_string_equal(buffer, expected);
            assert_true(wal_file_parse(buffer, &file));
            assert_int_equal(file.kind, WAL_FILE_SEGMENT);
            assert_int_equal(file.compression, i);
            assert_int_equal(file.partial, partial);
            assert_int_equal(file.log, 0xB);
            assert_int_equal(file.seg, 0xC);
        }
        assert_string_equal(wal_compression_suffix((WalCompression)i), SUFFIXES[i]);
    }
}

static void history_names_are_written_and_read(void **state)
{
    char buffer[WAL_FILE_NAME_SIZE];
    WalFileName file;

    (void)state;
    assert_string_equal(wal_history_name(0xABC, buffer), "00000ABC.history");
    assert_true(wal_file_parse(buffer, &file));
    assert_int_equal(file.kind, WAL_FILE_HISTORY);
    assert_int_equal(file.timeline, 0xABC);
    assert_int_equal(file.compression, WAL_RAW);
    assert_true(wal_file_parse("00000002.history.gz", &file));
    assert_int_equal(file.compression, WAL_GZIP);
    assert_true(wal_file_parse("0000000100000002000000FE.00D4A028.backup", &file));
    assert_int_equal(file.kind, WAL_FILE_BACKUP_HISTORY);
    assert_int_equal(file.timeline, 1);
    assert_int_equal(file.log, 2);
    assert_int_equal(file.seg, 0xFE);
    assert_int_equal(file.backup_offset, 0xD4A028);
}

static void names_of_strangers_are_not_taken(void **state)
{
    static const char *const NAMES[] = {
        "",
        ".",
        ".walrx",
        "0",
        "00000001",
        "00000001000000000000000",
        "0000000100000000000000010",
        "00000001000000000000000a",
        "0000000a0000000000000001",
        " 000000010000000000000001",
        "000000010000000000000001 ",
        "000000010000000000000001.",
        "000000010000000000000001.bz2",
        "000000010000000000000001.GZ",
        "000000010000000000000001.gz.gz",
        "000000010000000000000001.partial.gz",
        "000000010000000000000001.partial.partial",
        "000000010000000000000001.partia",
        "000000010000000000000001.tmp",
        "00000001000000000000000G",
        "+00000010000000000000001",
        "0x0000010000000000000001",
        "000000000000000000000001",
        "00000000.history",
        "00000002.history.partial",
        "00000002.histor",
        "00000002.history ",
        "00000002.History",
        "0000000a.history",
        "00000002.history.tmp",
        "000000010000000000000001.00D4A028.backup.gz",
        "000000010000000000000001.00D4A02.backup",
        "000000010000000000000001.00d4a028.backup",
        "000000010000000000000001.00D4A028",
        "archive_status",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        WalFileName file = {.timeline = 42};

        if (wal_file_parse(NAMES[i], &file))
            fail_msg("accepted \"%s\"", NAMES[i]);
        assert_int_equal(file.timeline, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_powers_of_two_from_1_mb_to_1_gb),
        cmocka_unit_test(positions_map_to_segments_and_back),
        cmocka_unit_test(names_roll_over_at_4_gb),
        cmocka_unit_test(low_word_of_all_ones_is_the_last_segment_of_its_log),
        cmocka_unit_test(names_of_another_segment_size_have_no_number),
        cmocka_unit_test(every_suffix_is_written_and_read),
        cmocka_unit_test(history_names_are_written_and_read),
        cmocka_unit_test(names_of_strangers_are_not_taken),
    };

    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
