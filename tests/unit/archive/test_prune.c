/* SPDX-License-Identifier: PostgreSQL
 *
 * What a prune refuses, says and leaves; where the horizon lies in random archives, and what
 * crashes leave of them, is tested in tests/fault/test_prune.c.
 */
#include "walrx/archive/prune.h"

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
        CASE(a_file_that_cannot_be_removed_stops_it_before_the_first_goes),
        CASE(one_that_is_refused_on_the_way_ends_it_there),
        CASE(it_can_be_interrupted_between_segments),
        CASE(a_copy_made_since_the_plan_goes_too),
        CASE(a_backup_that_is_not_understood_stops_it),
        CASE(a_timeline_without_its_history_stops_it),
        CASE(positions_are_read_in_each_way),
        CASE(two_prunes_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
