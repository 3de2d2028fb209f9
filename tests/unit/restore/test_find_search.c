/* SPDX-License-Identifier: PostgreSQL
 *
 * Where recovery stops on branches of made-up records: every kind of target, inclusive and
 * exclusive; times that go backwards, segments without transactions, gaps, timelines.
 */
#include "find_fixture.h"

typedef struct World {
    Fake fake;
    FindTarget target;
    FindResult result;
    Error err;
} World;

/* Segments 2 to 9, a commit at minutes 10, 20 ... each in the middle of segments 3, 4, 6, 8; the
 * last segment is open. */
static void make_plain(World *world)
{
    Fake *fake = &world->fake;
    fake_init(fake);
    fake_span(fake, 1, 2, 8, false);
    fake_span(fake, 1, 9, 9, true);
    for (SegNo segno = 2; segno <= 9; segno++) {
        fake_other(fake, segno, 0);
        if (segno == 3)
            fake_commit(fake, segno, 1, 700, 10);
        if (segno == 4) {
            fake_abort(fake, segno, 1, 702, 20);
            fake_point(fake, segno, 2, "release", 25);
            fake_commit(fake, segno, 3, 701, 30);
        }
        if (segno == 6)
            fake_commit(fake, segno, 1, 710, 40);
        if (segno == 8)
            fake_point(fake, segno, 1, "release", 50);
        fake_other(fake, segno, 10);
        if (segno == 9)
            fake_add(fake, segno, 11, WAL_EVENT_COMMIT, 720, 60)->prepared = true;
    }
    world->target = (FindTarget){.kind = FIND_LATEST};
}

static int setup(void **state)
{
    World *world = calloc(1, sizeof(*world));
    if (world == NULL)
        return -1;
    make_plain(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    World *world = *state;
    find_free(&world->result);
    free(world);
    return 0;
}

static const FindResult *search(World *world)
{
    find_free(&world->result);
    if (!find_on_branch(&world->fake.source, &world->target, &world->result, &world->err))
        fail_msg("%s", world->err.message);
    return &world->result;
}

static const FindResult *at_minute(World *world, int64_t minute, bool exclusive)
{
    world->target.kind = FIND_TIME;
    world->target.time = minute * MINUTE;
    world->target.exclusive = exclusive;
    return search(world);
}

static const FindResult *at_xid(World *world, uint32_t xid, bool exclusive)
{
    world->target.kind = FIND_XID;
    world->target.xid = xid;
    world->target.exclusive = exclusive;
    return search(world);
}

static const FindResult *at_lsn(World *world, Lsn lsn, bool exclusive)
{
    world->target.kind = FIND_LSN;
    world->target.lsn = lsn;
    world->target.exclusive = exclusive;
    return search(world);
}

static const FindResult *at_point(World *world, const char *name)
{
    world->target.kind = FIND_POINT;
    world->target.name = name;
    return search(world);
}

static void assert_stops(const FindResult *result, bool after, SegNo segno, uint32_t place)
{
    assert_int_equal(result->outcome, FIND_REACHED);
    assert_true(result->at.found);
    assert_int_equal(result->at.lsn, fake_lsn(segno, place));
    assert_int_equal(result->at.segno, segno);
    assert_int_equal(result->stops_after, after);
    assert_int_equal(result->stop, fake_lsn(segno, place) + FAKE_LENGTH);
    assert_int_equal(result->stop_segno, segno);
    assert_int_equal(result->major, 15);
}

static void assert_not(const FindResult *result, FindOutcome outcome)
{
    assert_int_equal(result->outcome, outcome);
    assert_false(result->at.found);
    assert_int_equal(result->stop, LSN_INVALID);
    assert_int_equal(result->reason.class, ERROR_USAGE);
    assert_true(result->reason.message[0] != '\0');
}

static void time_stops_before_the_first_transaction_beyond_it(void **state)
{
    World *world = *state;
    const FindResult *result = at_minute(world, 25, false);
    assert_stops(result, false, 4, 3);
    assert_int_equal(result->at.event.xid, 701);
    assert_int_equal(result->replayed, fake_lsn(4, 2) + FAKE_LENGTH);
    assert_string_equal(result->last.event.name, "release");
    assert_int_equal(result->next.event.xid, 701);
    /* exactly a transaction's time: it is replayed, unless exclusive */
    assert_stops(at_minute(world, 30, false), false, 6, 1);
    assert_int_equal(world->result.last.event.xid, 701);
    assert_stops(at_minute(world, 30, true), false, 4, 3);
    /* rolled back ones count */
    assert_stops(at_minute(world, 15, false), false, 4, 1);
    assert_int_equal(world->result.at.event.kind, WAL_EVENT_ABORT);
    /* restore points do not */
    assert_stops(at_minute(world, 45, false), false, 9, 11);
    assert_true(world->result.at.partial);
    assert_int_equal(world->result.at.event.xid, 720);
    assert_true(world->result.at.event.prepared);
    assert_int_equal(world->result.wal_begin, segment_start(2, FAKE_SEGMENT));
    assert_int_equal(world->result.wal_end, fake_lsn(9, 11) + FAKE_LENGTH);
}

static void time_out_of_the_archive_is_told(void **state)
{
    World *world = *state;
    assert_not(at_minute(world, 60, false), FIND_BEYOND);
    assert_int_equal(world->result.last.event.xid, 720);
    assert_non_null(strstr(world->result.reason.detail, "2000-01-01T01:00:00.000000Z"));
    assert_stops(at_minute(world, 60, true), false, 9, 11);
    assert_not(at_minute(world, 61, true), FIND_BEYOND);
    assert_not(at_minute(world, 9, false), FIND_BEFORE);
    assert_int_equal(world->result.next.event.xid, 700);
    assert_false(world->result.last.found);
    assert_not(at_minute(world, 10, true), FIND_BEFORE);
    assert_stops(at_minute(world, 10, false), false, 4, 1);
    assert_int_equal(world->result.last.event.xid, 700);
}

static void first_record_in_the_order_of_the_wal_counts_not_of_the_times(void **state)
{
    World *world = *state;
    Fake *fake = &world->fake;
    fake_init(fake);
    fake_span(fake, 1, 1, 4, false);
    fake_commit(fake, 1, 0, 100, 10);
    fake_commit(fake, 1, 1, 101, 30);
    fake_commit(fake, 1, 2, 102, 20);
    fake_commit(fake, 2, 0, 103, 15);
    fake_commit(fake, 3, 0, 104, 40);
    assert_stops(at_minute(world, 25, false), false, 1, 1);
    assert_int_equal(world->result.last.event.xid, 100);
    assert_stops(at_minute(world, 12, false), false, 1, 1);
    assert_stops(at_minute(world, 30, false), false, 3, 0);
    assert_int_equal(world->result.last.event.xid, 103);
    assert_stops(at_minute(world, 39, false), false, 3, 0);
}

static void xid_stops_behind_its_end_or_before_it(void **state)
{
    World *world = *state;
    assert_stops(at_xid(world, 701, false), true, 4, 3);
    assert_int_equal(world->result.replayed, fake_lsn(4, 3) + FAKE_LENGTH);
    assert_int_equal(world->result.last.event.xid, 701);
    assert_int_equal(world->result.next.event.xid, 710);
    assert_stops(at_xid(world, 701, true), false, 4, 3);
    assert_string_equal(world->result.last.event.name, "release");
    assert_int_equal(world->result.next.event.xid, 701);
    assert_stops(at_xid(world, 702, false), true, 4, 1);
    assert_stops(at_xid(world, 720, false), true, 9, 11);
    assert_false(world->result.next.found);
    assert_not(at_xid(world, 703, false), FIND_NOT_THERE);
    assert_not(at_xid(world, 10000, false), FIND_NOT_THERE);
}

static void xids_wrap_around(void **state)
{
    World *world = *state;
    Fake *fake = &world->fake;
    fake_init(fake);
    fake_span(fake, 1, 1, 3, false);
    fake_commit(fake, 1, 0, 4294967290U, 1);
    fake_commit(fake, 2, 0, 4294967295U, 2);
    fake_commit(fake, 2, 1, 3, 3);
    fake_commit(fake, 2, 2, 4294967294U, 4);
    fake_commit(fake, 3, 0, 9, 5);
    assert_stops(at_xid(world, 3, false), true, 2, 1);
    assert_stops(at_xid(world, 4294967294U, false), true, 2, 2);
    assert_stops(at_xid(world, 9, false), true, 3, 0);
    assert_not(at_xid(world, 4294967293U, false), FIND_NOT_THERE);
}

static void lsn_takes_the_first_record_from_there_on(void **state)
{
    World *world = *state;
    assert_stops(at_lsn(world, fake_lsn(4, 1), false), true, 4, 1);
    assert_stops(at_lsn(world, fake_lsn(4, 1), true), false, 4, 1);
    assert_int_equal(world->result.replayed, fake_lsn(4, 0) + FAKE_LENGTH);
    assert_stops(at_lsn(world, fake_lsn(4, 1) + 1, false), true, 4, 2);
    assert_int_equal(world->result.at.event.kind, WAL_EVENT_RESTORE_POINT);
    assert_stops(at_lsn(world, fake_lsn(4, 10), false), true, 4, 10);
    assert_int_equal(world->result.at.event.kind, WAL_EVENT_NONE);
    assert_int_equal(world->result.last.event.xid, 701);
    assert_int_equal(world->result.next.event.xid, 710);
    /* behind the last one of a segment, and in its padding */
    assert_stops(at_lsn(world, fake_lsn(4, 10) + 1, true), false, 5, 0);
    assert_int_equal(world->result.replayed, fake_lsn(4, 10) + FAKE_LENGTH);
    assert_stops(at_lsn(world, segment_start(2, FAKE_SEGMENT), false), true, 2, 0);
}

static void lsn_out_of_the_archive_is_told(void **state)
{
    World *world = *state;
    assert_not(at_lsn(world, segment_start(2, FAKE_SEGMENT) - 1, false), FIND_BEFORE);
    /* the end of the WAL is no record's beginning */
    assert_not(at_lsn(world, fake_lsn(9, 11) + FAKE_LENGTH, false), FIND_BEYOND);
    assert_non_null(strstr(world->result.reason.hint, "--latest"));
    assert_not(at_lsn(world, segment_start(100, FAKE_SEGMENT), true), FIND_BEYOND);
}

static void point_is_the_first_of_its_name(void **state)
{
    World *world = *state;
    assert_stops(at_point(world, "release"), true, 4, 2);
    assert_int_equal(world->result.same_name, 1);
    assert_not(at_point(world, "Release"), FIND_NOT_THERE);
    assert_not(at_point(world, "releas"), FIND_NOT_THERE);
    world->target.from = fake_lsn(4, 3);
    assert_stops(at_point(world, "release"), true, 8, 1);
    assert_int_equal(world->result.same_name, 0);
    world->target.from = fake_lsn(8, 2);
    assert_not(at_point(world, "release"), FIND_BEFORE);
    assert_int_equal(world->result.next.lsn, fake_lsn(4, 2));
}

static void more_points_than_the_index_names_are_found_and_counted(void **state)
{
    World *world = *state;
    Fake *fake = &world->fake;
    char name[16];
    fake_init(fake);
    fake_span(fake, 1, 1, 4, false);
    for (uint32_t i = 0; i < 2 * INDEX_POINTS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "p%u", i);
        fake_point(fake, 2, i, name, 1);
    }
    fake_point(fake, 2, 100, "p30", 1);
    fake_point(fake, 4, 0, "p30", 1);
    assert_stops(at_point(world, "p30"), true, 2, 30);
    assert_int_equal(world->result.same_name, 2);
    assert_stops(at_point(world, "p3"), true, 2, 3);
    assert_int_equal(world->result.same_name, 0);
    assert_not(at_point(world, "p32"), FIND_NOT_THERE);
}

static void latest_is_the_last_record(void **state)
{
    World *world = *state;
    world->target.kind = FIND_LATEST;
    assert_stops(search(world), true, 9, 11);
    assert_int_equal(world->result.replayed, fake_lsn(9, 11) + FAKE_LENGTH);
    assert_false(world->result.next.found);
    /* an open segment in which no record has ended */
    world->fake.count -= 3;
    assert_stops(search(world), true, 8, 10);
    assert_string_equal(world->result.last.event.name, "release");
}

/* 1-3, a gap, 6-8 */
static void make_gap(World *world)
{
    Fake *fake = &world->fake;
    fake_init(fake);
    fake_span(fake, 1, 1, 3, false);
    fake_span(fake, 1, 6, 8, false);
    fake_commit(fake, 1, 0, 100, 10);
    fake_commit(fake, 3, 0, 101, 20);
    fake_other(fake, 3, 1);
    fake_other(fake, 6, 0);
    fake_commit(fake, 7, 0, 110, 50);
    fake_commit(fake, 8, 0, 111, 60);
    fake_point(fake, 8, 1, "late", 61);
}

static void what_lies_in_a_gap_is_told_with_both_ends(void **state)
{
    World *world = *state;
    make_gap(world);
    assert_not(at_minute(world, 30, false), FIND_IN_GAP);
    assert_int_equal(world->result.last.event.xid, 101);
    assert_int_equal(world->result.next.event.xid, 110);
    assert_non_null(strstr(world->result.reason.detail, "0/400000 (000000010000000000000004)"));
    assert_non_null(strstr(world->result.reason.detail, "0/600000 (000000010000000000000006)"));
    assert_not(at_lsn(world, segment_start(4, FAKE_SEGMENT), false), FIND_IN_GAP);
    /* no record of segment 3 begins there: the next one is missing */
    assert_not(at_lsn(world, fake_lsn(3, 1) + 1, false), FIND_IN_GAP);
    assert_stops(at_lsn(world, fake_lsn(3, 1), false), true, 3, 1);
    assert_not(at_xid(world, 105, false), FIND_NOT_THERE);
    assert_non_null(strstr(world->result.reason.detail, "missing from 0/400000 to 0/600000"));
}

static void places_behind_a_gap_are_reached_from_there(void **state)
{
    World *world = *state;
    make_gap(world);
    assert_stops(at_minute(world, 55, false), false, 8, 0);
    assert_int_equal(world->result.wal_begin, segment_start(6, FAKE_SEGMENT));
    assert_stops(at_minute(world, 15, false), false, 3, 0);
    assert_int_equal(world->result.wal_begin, segment_start(1, FAKE_SEGMENT));
    assert_stops(at_xid(world, 111, false), true, 8, 0);
    assert_int_equal(world->result.wal_begin, segment_start(6, FAKE_SEGMENT));
    assert_stops(at_point(world, "late"), true, 8, 1);
    world->target.kind = FIND_LATEST;
    assert_stops(search(world), true, 8, 1);
    assert_int_equal(world->result.wal_begin, segment_start(6, FAKE_SEGMENT));
    assert_not(at_minute(world, 70, false), FIND_BEYOND);
}

static void a_recovery_that_begins_before_a_gap_does_not_pass_it(void **state)
{
    World *world = *state;
    make_gap(world);
    world->target.from = fake_lsn(1, 0);
    assert_stops(at_minute(world, 15, false), false, 3, 0);
    assert_not(at_minute(world, 55, false), FIND_IN_GAP);
    assert_not(at_xid(world, 111, false), FIND_IN_GAP);
    assert_not(at_point(world, "late"), FIND_IN_GAP);
    assert_not(at_lsn(world, fake_lsn(7, 0), false), FIND_IN_GAP);
    world->target.kind = FIND_LATEST;
    assert_stops(search(world), true, 3, 1);
    world->target.from = fake_lsn(6, 0);
    assert_stops(at_xid(world, 111, false), true, 8, 0);
    assert_not(at_xid(world, 100, false), FIND_BEFORE);
    assert_not(at_lsn(world, fake_lsn(1, 0), false), FIND_BEFORE);
    assert_not(at_xid(world, 112, false), FIND_NOT_THERE);
    world->target.from = segment_start(4, FAKE_SEGMENT);
    assert_not(at_xid(world, 111, false), FIND_IN_GAP);
    assert_non_null(strstr(world->result.reason.message, "recovery would begin at 0/400000"));
    world->target.from = segment_start(0, FAKE_SEGMENT) + 100;
    assert_not(at_xid(world, 111, false), FIND_BEFORE);
}

/* A base backup at minute 22: what comes before it in the WAL shows how far times go back. */
static void a_time_before_the_base_backup_is_refused(void **state)
{
    World *world = *state;
    world->target.from = fake_lsn(4, 2);
    assert_stops(at_minute(world, 22, false), false, 4, 3);
    assert_stops(at_minute(world, 20, false), false, 4, 3);
    assert_not(at_minute(world, 19, false), FIND_BEFORE);
    assert_int_equal(world->result.next.event.xid, 702);
    assert_stops(at_minute(world, 35, false), false, 6, 1);
}

/* The archive begins with a base backup, and nothing happened for a while. */
static void a_restore_point_shows_that_the_wal_reaches_back(void **state)
{
    World *world = *state;
    Fake *fake = &world->fake;
    fake_init(fake);
    fake_span(fake, 1, 1, 3, false);
    fake_point(fake, 1, 0, "begin", 5);
    fake_commit(fake, 3, 0, 100, 30);
    assert_stops(at_minute(world, 10, false), false, 3, 0);
    assert_not(at_minute(world, 4, false), FIND_BEFORE);
}

static void neighbours_come_from_as_many_segments_as_needed(void **state)
{
    World *world = *state;
    world->target.before = 3;
    world->target.after = 2;
    const FindResult *result = at_xid(world, 710, false);
    assert_stops(result, true, 6, 1);
    assert_int_equal(result->before_count, 3);
    assert_string_equal(result->before[0].event.name, "release");
    assert_int_equal(result->before[1].event.xid, 701);
    assert_int_equal(result->before[2].event.xid, 710);
    assert_int_equal(result->after_count, 2);
    assert_int_equal(result->after[0].lsn, fake_lsn(8, 1));
    assert_int_equal(result->after[1].event.xid, 720);
    world->target.before = 100;
    world->target.after = 100;
    result = at_xid(world, 702, true);
    assert_int_equal(result->before_count, 1);
    assert_int_equal(result->before[0].event.xid, 700);
    assert_int_equal(result->after_count, 6);
    assert_int_equal(result->after[0].event.xid, 702);
    assert_int_equal(result->after[5].event.xid, 720);
    result = at_xid(world, 710, false);
    assert_int_equal(result->before_count, 5);
    assert_int_equal(result->before[0].event.xid, 700);
    assert_int_equal(result->before[3].event.xid, 701);
    assert_int_equal(result->before[4].event.xid, 710);
    /* at the end of the WAL: the newest ones */
    world->target.before = 2;
    result = at_minute(world, 99, false);
    assert_not(result, FIND_BEYOND);
    assert_int_equal(result->before_count, 2);
    assert_int_equal(result->before[1].event.xid, 720);
    assert_int_equal(result->after_count, 0);
}

static void many_neighbours_in_one_segment_are_the_nearest(void **state)
{
    World *world = *state;
    Fake *fake = &world->fake;
    fake_init(fake);
    fake_span(fake, 1, 1, 2, false);
    for (uint32_t i = 0; i < 50; i++)
        fake_commit(fake, 1, i, 100 + i, i);
    world->target.before = 7;
    world->target.after = 7;
    const FindResult *result = at_xid(world, 140, false);
    assert_int_equal(result->before_count, 7);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(result->before[i].event.xid, 134 + i);
    assert_int_equal(result->after_count, 7);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(result->after[i].event.xid, 141 + i);
}

/* 2000 segments of which few hold anything: those are read, and no others. */
static void only_segments_that_matter_are_read(void **state)
{
    World *world = *state;
    Fake *fake = &world->fake;
    fake_init(fake);
    fake_span(fake, 1, 1, 2000, false);
    for (SegNo segno = 1; segno < 2000; segno += 100)
        fake_commit(fake, segno, 0, (uint32_t)segno + 100, (int64_t)segno);
    fake->read = 0;
    assert_stops(at_minute(world, 1000, false), false, 1001, 0);
    assert_int_equal(world->result.last.segno, 901);
    assert_true(fake->read <= 8);
    fake->read = 0;
    assert_stops(at_xid(world, 601, false), true, 501, 0);
    assert_int_equal(world->result.next.segno, 601);
    assert_true(fake->read <= 8);
}

static void a_branch_goes_over_timelines(void **state)
{
    World *world = *state;
    Fake *fake = &world->fake;
    fake_init(fake);
    fake_span(fake, 1, 1, 3, false);
    fake_span(fake, 2, 4, 5, false);
    fake_span(fake, 2, 6, 6, true);
    fake_commit(fake, 3, 0, 100, 10);
    fake_commit(fake, 4, 0, 101, 20);
    fake_commit(fake, 6, 0, 102, 30);
    assert_stops(at_minute(world, 15, false), false, 4, 0);
    assert_int_equal(world->result.timeline, 2);
    assert_int_equal(world->result.at.timeline, 2);
    assert_int_equal(world->result.last.timeline, 1);
    assert_int_equal(world->result.wal_begin_timeline, 1);
    assert_int_equal(world->result.wal_begin, segment_start(1, FAKE_SEGMENT));
    assert_stops(at_xid(world, 100, false), true, 3, 0);
    assert_int_equal(world->result.at.timeline, 1);
    assert_int_equal(world->result.timeline, 2);
}

static void a_branch_without_a_record_has_nothing(void **state)
{
    World *world = *state;
    fake_init(&world->fake);
    fake_span(&world->fake, 1, 1, 3, false);
    assert_not(at_minute(world, 1, false), FIND_BEYOND);
    assert_not(at_xid(world, 9, false), FIND_NOT_THERE);
    assert_not(at_lsn(world, fake_lsn(1, 0), false), FIND_BEYOND);
    world->target.kind = FIND_LATEST;
    assert_not(search(world), FIND_NOT_THERE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(time_stops_before_the_first_transaction_beyond_it),
        TEST(time_out_of_the_archive_is_told),
        TEST(first_record_in_the_order_of_the_wal_counts_not_of_the_times),
        TEST(xid_stops_behind_its_end_or_before_it),
        TEST(xids_wrap_around),
        TEST(lsn_takes_the_first_record_from_there_on),
        TEST(lsn_out_of_the_archive_is_told),
        TEST(point_is_the_first_of_its_name),
        TEST(more_points_than_the_index_names_are_found_and_counted),
        TEST(latest_is_the_last_record),
        TEST(what_lies_in_a_gap_is_told_with_both_ends),
        TEST(places_behind_a_gap_are_reached_from_there),
        TEST(a_recovery_that_begins_before_a_gap_does_not_pass_it),
        TEST(a_time_before_the_base_backup_is_refused),
        TEST(a_restore_point_shows_that_the_wal_reaches_back),
        TEST(neighbours_come_from_as_many_segments_as_needed),
        TEST(many_neighbours_in_one_segment_are_the_nearest),
        TEST(only_segments_that_matter_are_read),
        TEST(a_branch_goes_over_timelines),
        TEST(a_branch_without_a_record_has_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
