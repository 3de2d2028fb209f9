/* SPDX-License-Identifier: PostgreSQL
 *
 * A receiver from outside: the lock says whether it runs, the state what it did, and whose it is.
 */
#include "walrx/observe/look.h"

#include "fixture.h"

#include "walrx/observe/state_file.h"
#include "walrx/os/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)
#define SECOND_US INT64_C(1000000)
#define FLUSHED (FIXTURE_START + 12345)

static Look look;

/* The fixture's archive is locked by this process: a receiver that runs. */
static int setup_running(void **state)
{
    return fixture_setup(state);
}

/* Without its locks: one that has ended. */
static int setup_dead(void **state)
{
    (void)fixture_setup(state);
    dirlock_release(&fixture.archive.private, &fixture.archive.lock);
    return flock(fixture.archive.dir.fd, LOCK_UN);
}

static void tell(uint64_t pid, int64_t age_seconds, bool stopped, Timeline timeline)
{
    static Snapshot snapshot;
    snapshot_clear(&snapshot);
    snapshot.at = clock_pg_time() - age_seconds * SECOND_US;
    snapshot.pid = pid;
    snapshot.state_interval_ns = 10 * SECOND_NS;
    snapshot.timeline = timeline;
    snapshot.lag[LAG_FLUSHED].lsn = FLUSHED;
    if (stopped)
        snapshot.stopped = snapshot.at;
    assert_true(state_file_write(&fixture.archive.private, &snapshot, &fixture.error));
}

static uint64_t own_pid(void)
{
    return (uint64_t)getpid();
}

static void look_now(void)
{
    if (!look_at(fixture.path, &look, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

static Lsn durable(void)
{
    Lsn lsn;
    look_now();
    assert_true(look_durable(fixture.path, &look, &lsn, &fixture.error));
    return lsn;
}

static void one_that_runs_and_tells(void **state)
{
    (void)state;
    tell(own_pid(), 1, false, 1);
    look_now();
    assert_true(look.running && look.has_state && look.is_its_own && !look.stale);
    assert_int_equal(look.pid, own_pid());
    assert_true(look.age_ns >= SECOND_NS && look.age_ns < 60 * SECOND_NS);
    assert_int_equal(look.unusable.class, ERROR_NONE);
}

static void one_that_has_not_told_for_long_is_stale(void **state)
{
    (void)state;
    tell(own_pid(), 11, false, 1);
    look_now();
    assert_false(look.stale);
    tell(own_pid(), 30, false, 1);
    look_now();
    assert_true(look.running && look.is_its_own && look.stale);
}

static void the_state_of_one_before_is_not_its_own(void **state)
{
    (void)state;
    tell(own_pid() + 1, 3600, false, 1); /* killed an hour ago */
    look_now();
    assert_true(look.running && look.has_state && !look.is_its_own && !look.stale);
    tell(own_pid(), 1, true, 1); /* the same number, but it ended */
    look_now();
    assert_true(look.running && !look.is_its_own);
    tell(own_pid() + 1, 1, false, 1); /* seen from another container */
    look_now();
    assert_true(look.is_its_own);
}

static void who_is_dead_is_dead_whatever_the_state_says(void **state)
{
    (void)state;
    tell(own_pid(), 0, false, 1);
    look_now();
    assert_true(!look.running && look.has_state && !look.is_its_own && !look.stale);
}

static void a_state_from_the_future_has_no_age(void **state)
{
    (void)state;
    tell(own_pid(), -100, false, 1);
    look_now();
    assert_true(look.is_its_own && !look.stale);
    assert_int_equal(look.age_ns, 0);
}

static void a_damaged_state_is_told(void **state)
{
    (void)state;
    scratch_write(fixture.path, ".walrx/" STATE_FILE, "{}", 2);
    look_now();
    assert_true(look.running && !look.has_state);
    assert_int_equal(look.unusable.class, ERROR_ARCHIVE);
}

static void durable_is_what_the_running_one_tells(void **state)
{
    (void)state;
    assert_true(durable() == LSN_INVALID);
    tell(own_pid(), 1, false, 1);
    assert_true(durable() == FLUSHED);
}

static void without_one_complete_segments_count_and_its_last_word(void **state)
{
    Lsn end = FIXTURE_START + FIXTURE_SIZE;
    (void)state;
    assert_true(durable() == LSN_INVALID);
    tell(own_pid(), 1, true, 1);
    assert_true(durable() == FLUSHED);
    fixture_archive(FIXTURE_SEGNO, WAL_RAW, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    assert_true(durable() == end);
    /* A partial may hold more, but whether that is durable nobody knows. */
    fixture_archive(FIXTURE_SEGNO + 1, WAL_RAW, true, fixture_wal(end), FIXTURE_SIZE);
    assert_true(durable() == end);
}

static void a_word_about_an_older_timeline_says_nothing(void **state)
{
    (void)state;
    tell(own_pid(), 1, true, 1);
    scratch_write(fixture.path, "000000020000000000000001", "x", 1);
    assert_true(durable() == segment_start(2, FIXTURE_SIZE));
    tell(own_pid(), 1, true, 2);
    assert_true(durable() == FLUSHED);
}

static void no_directory_is_an_error(void **state)
{
    (void)state;
    assert_false(look_at("/nonexistent/archive", &look, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_USAGE);
}

int main(void)
{
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, setup_running, fixture_teardown)
#define DEAD(test) cmocka_unit_test_setup_teardown(test, setup_dead, fixture_teardown)
    const struct CMUnitTest tests[] = {
        RUNNING(one_that_runs_and_tells),
        RUNNING(one_that_has_not_told_for_long_is_stale),
        RUNNING(the_state_of_one_before_is_not_its_own),
        DEAD(who_is_dead_is_dead_whatever_the_state_says),
        RUNNING(a_state_from_the_future_has_no_age),
        RUNNING(a_damaged_state_is_told),
        RUNNING(durable_is_what_the_running_one_tells),
        DEAD(without_one_complete_segments_count_and_its_last_word),
        DEAD(a_word_about_an_older_timeline_says_nothing),
        RUNNING(no_directory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
