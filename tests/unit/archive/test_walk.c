/* SPDX-License-Identifier: PostgreSQL
 *
 * Walks over archives made here: which records come, of which segment they are, where the walk
 * begins and what ends it.
 */
#define MAKER_RECORD_MAX (3 << 20)

#include "walrx/archive/walk.h"

#include "../proto/walmaker.h"
#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIZE FIXTURE_SIZE
#define AT(segno) ((Lsn)(segno)*SIZE)
#define SEGMENTS 6
#define RECORDS_MAX 4096

static uint8_t wal[SEGMENTS * SIZE + MAKER_RECORD_MAX];
static WalMaker maker;
static Listing listing;
static Branch branch;
static Error error;

/* What a walk told. */
typedef struct Seen {
    size_t records;
    WalkRecord record[RECORDS_MAX];
    size_t segments;
    SegNo segno[SEGMENTS];
    Timeline timeline[SEGMENTS];
    bool head_unknown[SEGMENTS];
    size_t bodies;
    size_t stop_after; /* records; 0: never */
    bool stop_at_segment;
} Seen;
static Seen seen;
static Lsn end;

static void begin_wal(void)
{
    memset(wal, 0, sizeof(wal));
    maker = maker_over(wal, sizeof(wal), AT(5), SIZE);
}

/* Until the segment has `left` bytes or a little less. */
static void fill(uint32_t left)
{
    while (SIZE - maker.length % SIZE > left + 9000)
        (void)maker_record(&maker, 4000, 10, 0);
    while (SIZE - maker.length % SIZE > left)
        (void)maker_record(&maker, 32, 10, 0);
}

static void put(Timeline timeline, SegNo segno, WalCompression form, bool partial)
{
    if (timeline == 1) {
        fixture_archive(segno, form, partial, wal + (segno - 5) * SIZE, SIZE);
        return;
    }
    char name[WAL_FILE_NAME_SIZE];
    scratch_write(fixture.path, wal_segment_name(timeline, segno, SIZE, WAL_RAW, partial, name),
                  wal + (segno - 5) * SIZE, SIZE);
}

static void put_all(SegNo first, SegNo last)
{
    for (SegNo segno = first; segno <= last; segno++)
        put(1, segno, (WalCompression)(segno % WAL_COMPRESSION_COUNT), false);
}

static void lay(Timeline target)
{
    branch_free(&branch);
    listing_free(&listing);
    if (!listing_make(&fixture.archive, true, true, &listing, &error) ||
        !branch_make(&fixture.archive, &listing, target, &branch, &error))
        fail_msg("%s", error.message);
}

static int teardown(void **state)
{
    branch_free(&branch);
    listing_free(&listing);
    return fixture_teardown(state);
}

static bool wants_all(const WalRecordHeader *header)
{
    (void)header;
    return true;
}

static bool take_record(void *context, const WalkRecord *record)
{
    (void)context;
    assert_true(seen.records < RECORDS_MAX);
    seen.record[seen.records++] = *record;
    assert_int_equal(record->major, 15);
    if (record->body != NULL) {
        seen.bodies++;
        size_t whole = record->header->total_length - WAL_RECORD_HEADER_SIZE;
        assert_int_equal(record->length,
                         whole < WAL_RECORD_HEAD_SIZE ? whole : WAL_RECORD_HEAD_SIZE);
        for (size_t i = 0; i < record->length; i++)
            assert_int_equal(record->body[i],
                             (uint8_t)(record->lsn * 31 + (i + WAL_RECORD_HEADER_SIZE) * 7));
    }
    return seen.records != seen.stop_after;
}

static bool take_segment(void *context, Timeline timeline, SegNo segno, bool head_unknown)
{
    (void)context;
    seen.segno[seen.segments] = segno;
    seen.timeline[seen.segments] = timeline;
    seen.head_unknown[seen.segments++] = head_unknown;
    return !seen.stop_at_segment;
}

static bool walk_with(SegNo from, SegNo to, bool (*wants)(const WalRecordHeader *header))
{
    const WalkVisit visit = {.wants = wants, .record = take_record, .segment = take_segment};
    seen.records = 0;
    seen.segments = 0;
    seen.bodies = 0;
    end = 77;
    return walk_branch(&fixture.archive, &branch, from, to, &visit, &end, &error);
}

static void walk(SegNo from, SegNo to)
{
    if (!walk_with(from, to, wants_all))
        fail_msg("%s", error.message);
}

static void each_record_comes_once_in_the_segment_it_ends_in(void **state)
{
    size_t expected = 0;
    (void)state;
    begin_wal();
    while (maker.length < 4 * SIZE - 20000) {
        (void)maker_record(&maker, 60 + (uint32_t)(expected * 37 % 9000), 10, 0);
        expected++;
    }
    put_all(5, 7);
    put(1, 8, WAL_RAW, true);
    lay(0);
    walk(0, UINT64_MAX);
    assert_int_equal(seen.records, expected);
    assert_int_equal(seen.bodies, expected);
    assert_int_equal(end, maker_end(&maker));
    assert_int_equal(seen.segments, 4);
    for (size_t i = 0; i < seen.records; i++) {
        assert_int_equal(seen.record[i].segno, (seen.record[i].end - 1) / SIZE);
        assert_int_equal(seen.record[i].timeline, 1);
        if (i + 1 < seen.records)
            assert_true(seen.record[i].lsn < seen.record[i].end &&
                        seen.record[i].end <= seen.record[i + 1].lsn);
    }
    /* The same segment by segment. */
    size_t sum = 0;
    for (SegNo segno = 5; segno <= 8; segno++) {
        walk(segno, segno);
        sum += seen.records;
        assert_int_equal(seen.segments, 1);
        assert_false(seen.head_unknown[0]);
    }
    assert_int_equal(sum, expected);
}

static void headers_alone_come_without_bodies(void **state)
{
    (void)state;
    begin_wal();
    (void)maker_record(&maker, 3000, 10, 0);
    (void)maker_record(&maker, 9000, 10, 0);
    put(1, 5, WAL_RAW, true);
    lay(0);
    assert_true(walk_with(5, 5, NULL));
    assert_int_equal(seen.records, 2);
    assert_int_equal(seen.bodies, 0);
    assert_int_equal(end, maker_end(&maker));
}

static void a_record_over_several_segments_belongs_to_the_last(void **state)
{
    (void)state;
    begin_wal();
    fill(100);
    Lsn before = maker_end(&maker);
    Lsn long_one = maker_record(&maker, 3 * SIZE / 2, 10, 0);
    assert_int_equal(long_one, before);
    (void)maker_switch(&maker);
    (void)maker_record(&maker, 100, 10, 0);
    put_all(5, 7);
    put(1, 8, WAL_RAW, true);
    lay(0);
    walk(7, 7);
    assert_int_equal(seen.records, 2);
    assert_int_equal(seen.record[0].lsn, long_one);
    assert_int_equal(seen.record[0].segno, 7);
    assert_false(seen.head_unknown[0]);
    walk(6, 6);
    assert_int_equal(seen.records, 0);
    assert_int_equal(seen.segments, 1);
    walk(5, 5);
    assert_true(seen.record[seen.records - 1].end <= long_one);
    /* Without its beginning nobody knows what it is. */
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, fixture_name(5, WAL_GZIP, false));
    assert_int_equal(remove(path), 0);
    lay(0);
    walk(6, 8);
    assert_int_equal(seen.records, 2);
    assert_true(seen.head_unknown[0] && seen.head_unknown[1]);
    assert_false(seen.head_unknown[2]);
}

static void without_the_segment_before_the_head_is_unknown(void **state)
{
    (void)state;
    begin_wal();
    fill(100);
    (void)maker_record(&maker, 3000, 10, 0);
    Lsn second = maker_end(&maker);
    fill(5000);
    (void)maker_switch(&maker);
    (void)maker_record(&maker, 100, 10, 0);
    put_all(6, 6);
    put(1, 7, WAL_RAW, true);
    lay(0);
    walk(6, 7);
    assert_int_equal(seen.record[0].lsn, second);
    assert_int_equal(seen.segments, 2);
    assert_true(seen.head_unknown[0]);
    assert_false(seen.head_unknown[1]);
    /* Damage in what lies before is not this walk's. */
    memset(wal + SIZE / 2, 0, 100);
    put_all(5, 5);
    lay(0);
    walk(6, 6);
    assert_int_equal(seen.record[0].lsn, second);
    assert_true(seen.head_unknown[0]);
}

static void a_switch_ends_its_segment(void **state)
{
    (void)state;
    begin_wal();
    (void)maker_record(&maker, 100, 10, 0);
    (void)maker_switch(&maker);
    memset(wal + SIZE / 2, 0xA5, 100); /* nobody's: no reader looks there */
    Lsn behind = maker_record(&maker, 100, 10, 0);
    put_all(5, 5);
    put(1, 6, WAL_RAW, true);
    lay(0);
    walk(5, 6);
    assert_int_equal(seen.records, 3);
    assert_int_equal(seen.record[1].end, AT(6));
    assert_int_equal(seen.record[1].segno, 5);
    assert_int_equal(seen.record[2].lsn, behind);
    assert_int_equal(seen.segments, 2);
}

static void the_visitor_ends_the_walk(void **state)
{
    (void)state;
    begin_wal();
    fill(5000);
    (void)maker_record(&maker, 20000, 10, 0);
    put_all(5, 5);
    put(1, 6, WAL_RAW, true);
    lay(0);
    seen.stop_after = 7;
    walk(5, 6);
    assert_int_equal(seen.records, 7);
    assert_int_equal(end, seen.record[6].end);
    assert_int_equal(seen.segments, 0);
    seen.stop_after = 0;
    seen.stop_at_segment = true;
    walk(5, 6);
    assert_int_equal(seen.segments, 1);
    seen.stop_at_segment = false;
}

static void holes_are_passed_over(void **state)
{
    (void)state;
    begin_wal();
    for (int i = 0; i < 3; i++) {
        (void)maker_record(&maker, 100, 10, 0);
        (void)maker_switch(&maker);
    }
    put_all(5, 5);
    put_all(7, 7);
    lay(0);
    assert_int_equal(branch.count, 2);
    assert_false(branch.spans[1].joined);
    assert_null(branch_find(&branch, 6));
    walk(0, 100);
    assert_int_equal(seen.segments, 2);
    assert_int_equal(seen.records, 4);
    walk(6, 6);
    assert_int_equal(seen.records, 0);
    assert_int_equal(end, LSN_INVALID);
}

static void the_walk_follows_the_target_over_timelines(void **state)
{
    char name[WAL_FILE_NAME_SIZE];
    (void)state;
    begin_wal();
    fill(5000);
    (void)maker_record(&maker, 20000, 10, 0);
    put_all(5, 6);
    maker.timeline = 2;
    (void)maker_switch(&maker);
    (void)maker_record(&maker, 100, 10, 0);
    put(2, 6, WAL_RAW, false);
    put(2, 7, WAL_RAW, true);
    scratch_write(fixture.path, wal_history_name(2, name), "1\t0/610000\tx\n", 13);
    lay(0);
    assert_int_equal(branch.target, 2);
    assert_int_equal(branch.count, 3);
    assert_true(branch.spans[1].joined && branch.spans[2].joined && branch.spans[2].partial);
    walk(0, 100);
    assert_int_equal(seen.segments, 3);
    assert_int_equal(seen.timeline[0], 1);
    assert_int_equal(seen.timeline[1], 2);
    assert_int_equal(seen.timeline[2], 2);
    lay(1);
    assert_int_equal(branch.count, 1);
    assert_int_equal(branch.spans[0].last, 6);
    branch_free(&branch);
    assert_false(branch_make(&fixture.archive, &listing, 9, &branch, &error));
    assert_int_equal(error.class, ERROR_USAGE);
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/00000002.history", fixture.path);
    assert_int_equal(remove(path), 0);
    assert_false(branch_make(&fixture.archive, &listing, 2, &branch, &error));
    assert_int_equal(error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(error.message, "00000002.history"));
}

static void damage_ends_the_walk_with_its_place(void **state)
{
    (void)state;
    begin_wal();
    fill(5000);
    (void)maker_record(&maker, 20000, 10, 0);
    wal[SIZE / 2] ^= 1;
    put_all(5, 5);
    put(1, 6, WAL_RAW, true);
    lay(0);
    assert_false(walk_with(5, 6, NULL));
    assert_int_equal(error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(error.message, fixture_name(5, WAL_GZIP, false)));
    assert_non_null(strstr(error.message, "is damaged at 0/5"));
    assert_true(seen.records > 0);
    /* The end of the WAL inside a complete segment is damage too; in a partial it is the end. */
    begin_wal();
    (void)maker_record(&maker, 100, 10, 0);
    put_all(5, 5);
    put(1, 6, WAL_RAW, true);
    lay(0);
    assert_false(walk_with(5, 6, NULL));
    assert_non_null(strstr(error.message, "zeros where a record must begin"));
    begin_wal();
    (void)maker_record(&maker, 100, 10, 0);
    (void)maker_switch(&maker);
    put_all(5, 5);
    lay(0);
    fixture_archive(5, WAL_GZIP, false, wal, SIZE - 1000); /* which nobody looks at */
    assert_true(walk_with(5, 5, NULL));
    begin_wal();
    fill(2000);
    (void)maker_record(&maker, 20000, 10, 0);
    fixture_archive(5, WAL_GZIP, false, wal, SIZE - 1000);
    assert_false(walk_with(5, 5, NULL));
    assert_non_null(strstr(error.message, "too short"));
}

static void a_file_with_another_form_by_now_is_read_all_the_same(void **state)
{
    char path[512];
    (void)state;
    begin_wal();
    fill(5000);
    (void)maker_record(&maker, 20000, 10, 0);
    put(1, 5, WAL_RAW, true);
    lay(0);
    assert_true(branch.spans[0].partial);
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, fixture_name(5, WAL_RAW, true));
    assert_int_equal(remove(path), 0);
    put(1, 5, WAL_ZSTD, false);
    walk(5, 5);
    assert_true(seen.records > 100);
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, fixture_name(5, WAL_ZSTD, false));
    assert_int_equal(remove(path), 0);
    assert_false(walk_with(5, 5, NULL));
    assert_int_equal(error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(error.message, "no longer there"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)
        TEST(each_record_comes_once_in_the_segment_it_ends_in),
        TEST(headers_alone_come_without_bodies),
        TEST(a_record_over_several_segments_belongs_to_the_last),
        TEST(without_the_segment_before_the_head_is_unknown),
        TEST(a_switch_ends_its_segment),
        TEST(the_visitor_ends_the_walk),
        TEST(holes_are_passed_over),
        TEST(the_walk_follows_the_target_over_timelines),
        TEST(damage_ends_the_walk_with_its_place),
        TEST(a_file_with_another_form_by_now_is_read_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
