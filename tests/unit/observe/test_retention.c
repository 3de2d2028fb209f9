/* SPDX-License-Identifier: PostgreSQL
 *
 * Retention beside a receiver that this test plays: old WAL goes up to what the receiver is done
 * with, settings change while it runs, a problem is told and is no end, and a stop does not wait.
 */
#include "walrx/observe/retention.h"

#include "fake_files.h"
#include "fixture.h"

#include "walrx/archive/prune.h"
#include "walrx/os/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000
#define LAST 30                        /* the newest complete segment */
#define NEVER_USED ((Store *)&fixture) /* only whether there is one counts */

static Telemetry *telemetry;
static Retention *retention;
static ReceiverWatch watch;
static unsigned told; /* what the inner watch heard */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static RetentionView view;

static void show(void *context, const RetentionView *now)
{
    (void)context;
    (void)pthread_mutex_lock(&lock);
    view = *now;
    (void)pthread_mutex_unlock(&lock);
}

static RetentionView shown(void)
{
    (void)pthread_mutex_lock(&lock);
    RetentionView now = view;
    (void)pthread_mutex_unlock(&lock);
    return now;
}

static void heard_archive(void *context, const Archive *archive, Store *store)
{
    (void)context;
    (void)archive;
    told += store != NULL ? 10 : 1;
}

static void heard_end(void *context, int status)
{
    (void)context;
    assert_int_equal(status, 7);
    told += 100;
}

/* Segments 5 to 30 of seven bytes each, and a receiver that is done with all below `done`. */
static void open_beside(RetentionKeep keep, SegNo done)
{
    for (SegNo segno = 5; segno <= LAST; segno++)
        scratch_write(fixture.path, fixture_name(segno, WAL_RAW, false), "content", 7);
    TelemetrySession session = {.segment_size = FIXTURE_SIZE};
    const RetentionOptions options = {
        .directory = fixture.path,
        .sync = false,
        .telemetry = telemetry,
        .keep = keep,
        .watch = {.archive = heard_archive, .ended = heard_end},
        .show = show,
    };
    Lsn position = segment_start(done, FIXTURE_SIZE);
    telemetry_session(telemetry, &session);
    telemetry_stream(telemetry, 1, position, position, clock_monotonic_ns());
    assert_true(retention_open(&options, &retention, &fixture.error));
    watch = retention_watch(retention);
    watch.archive(watch.context, &fixture.archive, NULL);
    watch.archive(watch.context, &fixture.archive, NEVER_USED);
}

static int setup(void **state)
{
    int failed = fixture_setup(state);
    told = 0;
    view = (RetentionView){.enabled = false};
    return telemetry_open(&telemetry, &fixture.error) ? failed : -1;
}

static int teardown(void **state)
{
    retention_close(retention);
    telemetry_close(telemetry);
    return fixture_teardown(state);
}

static bool is_there(SegNo segno)
{
    return scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, false));
}

/* Until `segno` is the oldest that is there. */
static void await_oldest(SegNo segno)
{
    uint64_t began = clock_monotonic_ms();
    while (is_there(segno - 1)) {
        assert_true(clock_monotonic_ms() - began < PATIENCE_MS);
        (void)usleep(2000);
    }
    (void)usleep(50000);
    assert_true(is_there(segno));
}

static RetentionView await_view(bool (*fits)(const RetentionView *view))
{
    uint64_t began = clock_monotonic_ms();
    RetentionView now = shown();
    while (!fits(&now)) {
        assert_true(clock_monotonic_ms() - began < PATIENCE_MS);
        (void)usleep(2000);
        now = shown();
    }
    return now;
}

static bool has_removed(const RetentionView *now)
{
    return now->removed_files > 0;
}

static bool is_failing(const RetentionView *now)
{
    return now->failing != 0;
}

static void old_wal_goes_up_to_the_size(void **state)
{
    (void)state;
    open_beside((RetentionKeep){.size = 7 * 4}, LAST);
    await_oldest(LAST - 3);
    RetentionView now = await_view(has_removed);
    assert_true(now.enabled);
    assert_int_equal(now.removed_files, LAST - 3 - 5);
    assert_int_equal(now.removed_bytes, 7 * (LAST - 3 - 5));
    assert_int_equal(now.horizon, segment_start(LAST - 3, FIXTURE_SIZE));
    assert_string_equal(now.problem, "");
    assert_string_equal(now.held_by, "");
}

static void what_the_receiver_is_not_done_with_stays(void **state)
{
    (void)state;
    open_beside((RetentionKeep){.size = 1}, 12);
    await_oldest(12);
    assert_int_equal(await_view(has_removed).horizon, segment_start(12, FIXTURE_SIZE));
}

static void a_backup_that_holds_it_is_named(void **state)
{
    BackupLabel backup = {
        .start = segment_start(9, FIXTURE_SIZE) + 0x28, .timeline = 1, .label = "nightly"};
    bool existed;
    (void)state;
    assert_true(backups_add(&fixture.archive, &backup, &existed, &fixture.error));
    open_beside((RetentionKeep){.size = 1}, LAST);
    await_oldest(9);
    assert_string_equal(await_view(has_removed).held_by, "base backup \"nightly\"");
}

static void nothing_goes_until_it_is_told_to(void **state)
{
    const RetentionKeep less = {.size = 7 * 2};
    (void)state;
    open_beside((RetentionKeep){.size = 0}, LAST);
    (void)usleep(100000);
    assert_true(is_there(5));
    assert_false(shown().enabled);
    retention_keep(retention, &less);
    await_oldest(LAST - 1);
}

static void a_problem_is_told_and_is_no_end(void **state)
{
    char path[SCRATCH_PATH_SIZE + 64];
    const RetentionKeep more = {.size = 7 * 5};
    (void)state;
    scratch_mkdir(fixture.path, fixture_name(6, WAL_ZSTD, false));
    open_beside((RetentionKeep){.size = 7 * 6}, LAST);
    RetentionView now = await_view(is_failing);
    assert_non_null(strstr(now.problem, fixture_name(6, WAL_ZSTD, false)));
    assert_true(is_there(5));
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, fixture_name(6, WAL_ZSTD, false));
    assert_int_equal(rmdir(path), 0);
    retention_keep(retention, &more);
    await_oldest(LAST - 4);
    now = await_view(has_removed);
    assert_int_equal(now.failing, 0);
    assert_string_equal(now.problem, "");
}

static void somebody_who_prunes_is_waited_for(void **state)
{
    DirLock held;
    const RetentionKeep again = {.size = 7 * 3};
    (void)state;
    assert_true(prune_lock(&fixture.archive, 0, &held, &fixture.error));
    open_beside((RetentionKeep){.size = 7 * 4}, LAST);
    (void)usleep(200000);
    assert_true(is_there(5));
    assert_int_equal(shown().failing, 0);
    dirlock_release(&fixture.archive.private, &held);
    retention_keep(retention, &again);
    await_oldest(LAST - 2);
}

static void a_stop_in_the_middle_is_quick_and_leaves_no_hole(void **state)
{
    (void)state;
    open_beside((RetentionKeep){.size = 1}, LAST);
    while (is_there(6))
        (void)usleep(1000);
    uint64_t began = clock_monotonic_ms();
    watch.archive(watch.context, &fixture.archive, NULL);
    watch.ended(watch.context, 7);
    assert_true(clock_monotonic_ms() - began < PATIENCE_MS / 4);
    assert_int_equal(told, 1 + 10 + 1 + 100);
    SegNo oldest = 5;
    while (!is_there(oldest))
        oldest++;
    for (SegNo segno = oldest; segno <= LAST; segno++)
        assert_true(is_there(segno));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(old_wal_goes_up_to_the_size),
        CASE(what_the_receiver_is_not_done_with_stays),
        CASE(a_backup_that_holds_it_is_named),
        CASE(nothing_goes_until_it_is_told_to),
        CASE(a_problem_is_told_and_is_no_end),
        CASE(somebody_who_prunes_is_waited_for),
        CASE(a_stop_in_the_middle_is_quick_and_leaves_no_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
