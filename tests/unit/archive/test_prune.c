/* SPDX-License-Identifier: PostgreSQL
 *
 * What a prune refuses, says and leaves; where the horizon lies in random archives, and what
 * crashes leave of them, is tested in tests/fault/test_prune_cuts.c.
 */
#include "walrx/archive/prune.h"

#include "walrx/archive/index.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static PrunePlan plan;
static PruneDone done;

static void put(SegNo segno, WalCompression form, bool partial)
{
    scratch_write(fixture.path, fixture_name(segno, form, partial), "content", 7);
}

/* Segments 5 to 9, some in two forms, and the open one. */
static int setup(void **state)
{
    int failed = fixture_setup(state);
    for (SegNo segno = 5; segno < 10; segno++)
        put(segno, segno % 2 == 0 ? WAL_RAW : WAL_ZSTD, false);
    put(6, WAL_ZSTD, false);
    put(5, WAL_RAW, true);
    put(10, WAL_RAW, true);
    return failed;
}

static PruneWish from(SegNo segno)
{
    return (PruneWish){
        .by_from = true, .from = segment_start(segno, FIXTURE_SIZE), .limit = UINT64_MAX};
}

static bool make_plan(const PruneWish *wish)
{
    return prune_plan(&fixture.archive, wish, NULL, &plan, &fixture.error);
}

static bool run(bool (*go_on)(void *context))
{
    return prune_run(&fixture.archive, &plan, go_on, NULL, &done, &fixture.error);
}

static void all_forms_and_partials_of_a_segment_go(void **state)
{
    const PruneWish wish = from(8);
    (void)state;
    assert_true(make_plan(&wish));
    assert_int_equal(plan.count, 5);
    assert_int_equal(plan.disk_bytes, 35);
    assert_int_equal(plan.kept_files, 3);
    assert_int_equal(plan.range_count, 1);
    assert_int_equal(plan.ranges[0].first, 5);
    assert_int_equal(plan.ranges[0].last, 7);
    assert_int_equal(plan.ranges[0].files, 5);
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_true(scratch_fingerprint(fixture.path) == before); /* a plan changes nothing */
    assert_true(run(NULL));
    assert_int_equal(done.files, 5);
    assert_int_equal(done.disk_bytes, 35);
    assert_int_equal(done.horizon, 8 * (Lsn)FIXTURE_SIZE);
    assert_false(scratch_exists(fixture.path, fixture_name(5, WAL_RAW, true)));
    assert_false(scratch_exists(fixture.path, fixture_name(6, WAL_ZSTD, false)));
    assert_true(scratch_exists(fixture.path, fixture_name(8, WAL_RAW, false)));
    assert_true(scratch_holds(fixture.path, ".walrx/pruned", "before=0/800000\n", 16));
    prune_plan_free(&plan);
}

static void the_newest_complete_segment_stays(void **state)
{
    const PruneWish wish = from(1000);
    (void)state;
    assert_true(make_plan(&wish));
    assert_int_equal(plan.horizon.segno, 9);
    assert_int_equal(plan.horizon.held_by, PRUNE_CAUSE_NEWEST);
    prune_plan_free(&plan);
}

static void an_archive_without_wal_has_nothing_to_remove(void **state)
{
    const PruneWish wish = {.by_time = true, .by_size = true, .limit = UINT64_MAX};
    (void)state;
    assert_true(make_plan(&wish));
    assert_int_equal(plan.count, 0);
    assert_int_equal(plan.horizon.segno, 0);
    assert_true(run(NULL));
    prune_plan_free(&plan);
}

static void fork_timeline_2(void)
{
    static const char history[] = "1\t0/700100\tno reason specified\n";
    scratch_write(fixture.path, "00000002.history", history, strlen(history));
}

static void put_2(SegNo segno)
{
    char name[WAL_FILE_NAME_SIZE];
    wal_segment_name(2, segno, FIXTURE_SIZE, WAL_RAW, false, name);
    scratch_write(fixture.path, name, "content", 7);
}

/* Whichever server comes next, a receiver finds the end of its WAL. */
static void the_newest_segments_of_both_timelines_stay_while_no_receiver_runs(void **state)
{
    PruneWish wish = from(1000);
    (void)state;
    fork_timeline_2();
    for (SegNo segno = 7; segno < 15; segno++)
        put_2(segno);
    assert_true(make_plan(&wish));
    assert_int_equal(plan.horizon.segno, 14);
    prune_plan_free(&plan);
    wish.timeline = 1; /* was received last */
    assert_true(make_plan(&wish));
    assert_int_equal(plan.horizon.segno, 9);
    prune_plan_free(&plan);
    put(20, WAL_RAW, false);
    assert_true(make_plan(&wish));
    assert_int_equal(plan.horizon.segno, 14);
    prune_plan_free(&plan);
    wish.limit = segment_start(18, FIXTURE_SIZE); /* one runs, on timeline 1 */
    assert_true(make_plan(&wish));
    assert_int_equal(plan.horizon.segno, 18);
    prune_plan_free(&plan);
}

/* After a recovery to an earlier point. */
static void what_a_dead_timeline_has_behind_the_end_does_not_count(void **state)
{
    const PruneWish wish = {.by_size = true, .size = 4 * 7, .limit = UINT64_MAX};
    (void)state;
    fork_timeline_2();
    for (SegNo segno = 7; segno < 9; segno++)
        put_2(segno); /* as long as timeline 1 */
    assert_true(make_plan(&wish));
    assert_int_equal(plan.horizon.segno, 7); /* 7 and 8, of both; 9 and 10 are dead */
    assert_int_equal(plan.horizon.held_by, PRUNE_CAUSE_NONE);
    prune_plan_free(&plan);
}

static void a_file_that_cannot_be_removed_stops_it_before_the_first_goes(void **state)
{
    const PruneWish wish = from(9);
    (void)state;
    scratch_mkdir(fixture.path, fixture_name(7, WAL_GZIP, false));
    assert_true(make_plan(&wish));
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_false(run(NULL));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, fixture_name(7, WAL_GZIP, false)));
    assert_non_null(strstr(fixture.error.hint, "Nothing was removed"));
    assert_true(scratch_fingerprint(fixture.path) == before);
    prune_plan_free(&plan);
}

static void one_that_is_refused_on_the_way_ends_it_there(void **state)
{
    const PruneWish wish = from(9);
    (void)state;
    assert_true(make_plan(&wish));
    fake_files_reset();
    fake_files_fail(FAKE_UNLINK, 3, EPERM);
    assert_false(run(NULL));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_int_equal(done.files, 2);
    assert_false(scratch_exists(fixture.path, fixture_name(5, WAL_ZSTD, false)));
    assert_true(scratch_exists(fixture.path, fixture_name(7, WAL_ZSTD, false)));
    prune_plan_free(&plan);
}

#define DAY INT64_C(86400000000)

/* The index says so; nothing is in the segments. */
static void date(SegNo segno, PgTime time)
{
    static IndexBuilder builder;
    bool exists;
    index_begin(&builder, 1, segno);
    builder.entry.commits = 1;
    builder.entry.oldest = builder.entry.newest = time;
    assert_true(index_date(&fixture.archive, &builder.entry, &exists, &fixture.error) && exists);
    assert_true(index_append(&fixture.archive, &builder.entry, &fixture.error));
}

/* One day each, the newest one's commits on the ninth. */
static void date_all(void)
{
    for (SegNo segno = 5; segno < 10; segno++)
        date(segno, (PgTime)segno * DAY);
}

static SegNo horizon_of(PgTime now, PgTime span, PruneMemory *memory)
{
    const PruneWish wish = {.by_time = true, .now = now, .span = span, .limit = UINT64_MAX};
    if (!prune_plan(&fixture.archive, &wish, memory, &plan, &fixture.error))
        fail_msg("%s", fixture.error.message);
    prune_plan_free(&plan);
    return plan.horizon.segno;
}

/* An idle server, or a clock that went ahead: nothing that was kept becomes old by it. */
static void time_that_passes_without_commits_lets_nothing_go(void **state)
{
    PruneMemory memory = {.timeline = 0};
    (void)state;
    date_all();
    for (int pass = 0; pass < 2; pass++) {
        PruneMemory *used = pass == 0 ? NULL : &memory;
        assert_int_equal(horizon_of(9 * DAY + 1, 2 * DAY, used), 6);
        assert_true(plan.timed && plan.newest == 9 * DAY && plan.since == 7 * DAY);
        assert_int_equal(horizon_of(11 * DAY, 2 * DAY, used), 6);
        assert_int_equal(horizon_of(12 * DAY, 2 * DAY, used), 6);
        assert_int_equal(horizon_of(5000 * DAY, 2 * DAY, used), 6);
        assert_int_equal(horizon_of(5000 * DAY, DAY, used), 7);
    }
}

static void commits_ahead_of_this_clock_do_not_count_as_its_end(void **state)
{
    (void)state;
    date_all();
    assert_int_equal(horizon_of(8 * DAY, DAY, NULL), 6);
    assert_true(plan.since == 7 * DAY);
    date(9, INT64_MAX);
    assert_int_equal(horizon_of(8 * DAY, DAY, NULL), 6);
    date(9, INT64_MIN);
    assert_int_equal(horizon_of(8 * DAY, DAY, NULL), 4); /* all stays */
    assert_true(plan.since == INT64_MIN);
}

/* What was old by one plan is looked at again when the next one wants more. */
static void a_clock_that_is_set_back_keeps_more_again(void **state)
{
    PruneMemory memory = {.timeline = 0};
    (void)state;
    date_all();
    assert_int_equal(horizon_of(9 * DAY, DAY, &memory), 7);
    assert_int_equal(horizon_of(7 * DAY, DAY, &memory), 5);
    assert_int_equal(horizon_of(9 * DAY, 3 * DAY, &memory), 5);
}

static void the_newest_commit_is_looked_for_behind_segments_without_any(void **state)
{
    PruneMemory memory = {.timeline = 0};
    (void)state;
    date_all();
    static IndexBuilder builder;
    bool exists;
    for (SegNo segno = 8; segno < 10; segno++) {
        index_begin(&builder, 1, segno);
        assert_true(index_date(&fixture.archive, &builder.entry, &exists, &fixture.error));
        assert_true(index_append(&fixture.archive, &builder.entry, &fixture.error));
    }
    assert_int_equal(horizon_of(100 * DAY, DAY, &memory), 5);
    assert_true(plan.newest == 7 * DAY);
    /* WAL that comes is looked at, what was looked at is remembered. */
    put(10, WAL_RAW, false);
    date(10, 10 * DAY);
    assert_int_equal(horizon_of(100 * DAY, DAY, &memory), 9);
    assert_true(plan.newest == 10 * DAY);
    index_begin(&builder, 1, 10);
    assert_true(index_date(&fixture.archive, &builder.entry, &exists, &fixture.error));
    assert_true(index_append(&fixture.archive, &builder.entry, &fixture.error));
    assert_int_equal(horizon_of(100 * DAY, DAY, &memory), 9);
}

/* The index tells nothing, and what the files hold is no WAL. */
static void where_no_commit_can_be_read_all_stays_by_time(void **state)
{
    PruneMemory memory = {.timeline = 0};
    (void)state;
    assert_int_equal(horizon_of(100 * DAY, DAY, &memory), 0);
    assert_false(plan.timed);
    assert_int_equal(plan.count, 0);
    assert_int_equal(horizon_of(100 * DAY, DAY, &memory), 0);
    date(7, 7 * DAY); /* those around it are damaged */
    assert_int_equal(horizon_of(100 * DAY, DAY, NULL), 6);
    assert_int_equal(plan.unread, 2);
}

static unsigned left;

static bool twice(void *context)
{
    (void)context;
    return left-- > 0;
}

static void it_can_be_interrupted_between_segments(void **state)
{
    const PruneWish wish = from(9);
    (void)state;
    assert_true(make_plan(&wish));
    left = 2;
    assert_false(run(twice));
    assert_int_equal(fixture.error.class, ERROR_STOPPED);
    assert_int_equal(done.files, 4);
    assert_true(scratch_exists(fixture.path, fixture_name(7, WAL_ZSTD, false)));
    prune_plan_free(&plan);
}

/* A receiver has started since the plan was made, and its worker was done before the removal. */
static void a_copy_made_since_the_plan_goes_too(void **state)
{
    const PruneWish wish = from(9);
    char raw[SCRATCH_PATH_SIZE + 64];
    (void)state;
    assert_true(make_plan(&wish));
    (void)snprintf(raw, sizeof(raw), "%s/%s", fixture.path, fixture_name(8, WAL_RAW, false));
    assert_int_equal(unlink(raw), 0);
    put(8, WAL_ZSTD, false);
    assert_true(run(NULL));
    assert_false(scratch_exists(fixture.path, fixture_name(8, WAL_ZSTD, false)));
    assert_int_equal(done.files, plan.count);
    prune_plan_free(&plan);
}

static void a_backup_that_is_not_understood_stops_it(void **state)
{
    const PruneWish wish = from(9);
    (void)state;
    scratch_write(fixture.path, "000000010000000000000007.00000028.backup", "?", 1);
    assert_false(make_plan(&wish));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    prune_plan_free(&plan);
}

static void the_wal_directory_of_a_server_is_no_archive(void **state)
{
    const PruneWish wish = from(9);
    (void)state;
    scratch_mkdir(fixture.path, "archive_status");
    assert_false(make_plan(&wish));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, "the WAL directory of a server"));
    prune_plan_free(&plan);
}

static void a_timeline_without_its_history_stops_it(void **state)
{
    const PruneWish wish = from(9);
    (void)state;
    scratch_write(fixture.path, "00000002000000000000000A", "x", 1);
    assert_false(make_plan(&wish));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, "00000002.history"));
    prune_plan_free(&plan);
}

static void positions_are_read_in_each_way(void **state)
{
    static const struct {
        const char *text;
        Lsn lsn;
    } good[] = {
        {"0/712345", 0x712345},
        {"000000010000000000000007", 0x700000},
        {"000000090000000000000007.zst", 0x700000},
        {"00000001000000000000000A.partial", 0xA00000},
        {"000000010000000000000006.00000028.backup", 0x600000},
        {"nightly", 0x800028},
        {"000000010000000000000008.00000028.backup", 0x800000},
    };
    static const char *const wrong[] = {
        "", "nonsense", "7", "00000002.history", "0/", "00000001000000000000FFFF", "nightly "};
    BackupLabel backup = {.start = 0x800028, .timeline = 1, .label = "nightly"};
    bool existed;
    Lsn lsn;
    (void)state;
    assert_true(backups_add(&fixture.archive, &backup, &existed, &fixture.error));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!prune_position(&fixture.archive, good[i].text, &lsn, &fixture.error))
            fail_msg("%s: %s", good[i].text, fixture.error.message);
        assert_true(lsn == good[i].lsn);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (prune_position(&fixture.archive, wrong[i], &lsn, &fixture.error))
            fail_msg("\"%s\" was accepted", wrong[i]);
        assert_int_equal(fixture.error.class, ERROR_USAGE);
    }
}

static void two_prunes_exclude_each_other(void **state)
{
    DirLock first;
    DirLock second;
    Archive other;
    (void)state;
    assert_true(prune_lock(&fixture.archive, 0, &first, &fixture.error));
    assert_true(archive_open_to_change(fixture.path, fake_files_table(), &other, &fixture.error));
    assert_false(prune_lock(&other, 60, &second, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, "is being removed by"));
    dirlock_release(&fixture.archive.private, &first);
    assert_true(prune_lock(&other, 0, &second, &fixture.error));
    dirlock_release(&other.private, &second);
    archive_close(&other);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(all_forms_and_partials_of_a_segment_go),
        CASE(the_newest_complete_segment_stays),
        cmocka_unit_test_setup_teardown(an_archive_without_wal_has_nothing_to_remove, fixture_setup,
                                        fixture_teardown),
        CASE(the_newest_segments_of_both_timelines_stay_while_no_receiver_runs),
        CASE(what_a_dead_timeline_has_behind_the_end_does_not_count),
        CASE(a_file_that_cannot_be_removed_stops_it_before_the_first_goes),
        CASE(one_that_is_refused_on_the_way_ends_it_there),
        CASE(it_can_be_interrupted_between_segments),
        CASE(a_copy_made_since_the_plan_goes_too),
        CASE(a_backup_that_is_not_understood_stops_it),
        CASE(the_wal_directory_of_a_server_is_no_archive),
        CASE(a_timeline_without_its_history_stops_it),
        CASE(time_that_passes_without_commits_lets_nothing_go),
        CASE(commits_ahead_of_this_clock_do_not_count_as_its_end),
        CASE(a_clock_that_is_set_back_keeps_more_again),
        CASE(the_newest_commit_is_looked_for_behind_segments_without_any),
        CASE(where_no_commit_can_be_read_all_stays_by_time),
        CASE(positions_are_read_in_each_way),
        CASE(two_prunes_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
