/* SPDX-License-Identifier: PostgreSQL
 *
 * The observer beside a receiver that this test plays: the state file follows, a failing one is no
 * end, and the last state tells how it ended.
 */
#include "walrx/observe/observer.h"

#include "fake_files.h"
#include "fixture.h"

#include "walrx/observe/state_file.h"
#include "walrx/os/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define START FIXTURE_START
#define PATIENCE_MS 20000

static Telemetry *telemetry;
static Observer *observer;
static ReceiverWatch watch;
static Snapshot snapshot;

static int setup(void **state)
{
    (void)fixture_setup(state);
    if (!telemetry_open(&telemetry, &fixture.error))
        return -1;
    const ObserverOptions options = {.telemetry = telemetry,
                                     .version = "1.2.3",
                                     .directory = fixture.path,
                                     .verify = VERIFY_STOP,
                                     .status_interval_ms = 60000};
    if (!observer_open(&options, &observer, &fixture.error))
        return -1;
    watch = observer_watch(observer);
    return 0;
}

static int teardown(void **state)
{
    observer_close(observer);
    telemetry_close(telemetry);
    return fixture_teardown(state);
}

static void reach(Lsn received, Lsn flushed)
{
    const Lsn position[LAG_STAGE_COUNT] = {received, flushed, flushed, flushed};
    const TelemetryMessage message = {.server_end = received,
                                      .sent = clock_pg_time(),
                                      .received = received,
                                      .length = received - START};
    uint64_t now_ns = clock_monotonic_ns();
    telemetry_message(telemetry, &message, now_ns);
    telemetry_positions(telemetry, position, HOLD_NONE, now_ns);
}

static bool read_state(void)
{
    bool exists;
    if (!state_file_read(&fixture.archive.private, &exists, &snapshot, &fixture.error))
        fail_msg("%s", fixture.error.message);
    return exists;
}

/* How many ms until the state file tells that `lsn` is durable. */
static uint64_t await_flushed(Lsn lsn)
{
    uint64_t began = clock_monotonic_ms();
    while (!read_state() || snapshot.lag[LAG_FLUSHED].lsn < lsn) {
        assert_true(clock_monotonic_ms() - began < PATIENCE_MS);
        (void)usleep(5000);
    }
    return clock_monotonic_ms() - began;
}

static void begin(void)
{
    telemetry_stream(telemetry, 1, START, START, clock_monotonic_ns());
    watch.archive(watch.context, &fixture.archive, NULL);
}

static void the_state_follows_what_is_durable(void **state)
{
    (void)state;
    begin();
    reach(START + 100, START + 100);
    (void)await_flushed(START + 100);
    assert_int_equal(snapshot.pid, getpid());
    assert_string_equal(snapshot.version, "1.2.3");
    assert_string_equal(snapshot.directory, fixture.path);
    assert_int_equal(snapshot.verify, VERIFY_STOP);
    assert_int_equal(snapshot.min_free_bytes, SNAPSHOT_UNKNOWN);
    assert_int_equal(snapshot.state, RECEIVER_STREAMING);
    assert_int_equal(snapshot.stopped, PG_TIME_NONE);
    assert_int_equal(snapshot.exit_status, EXIT_STATUS_NONE);
    assert_true(snapshot.free_bytes != SNAPSHOT_UNKNOWN);
    /* It sleeps now, for a minute; but not when something moves. */
    (void)usleep(1500000);
    reach(START + 200, START + 150);
    reach(START + 200, START + 200);
    assert_true(await_flushed(START + 200) < 5000);
}

static void nothing_is_written_before_the_archive_is_known(void **state)
{
    (void)state;
    telemetry_stream(telemetry, 1, START, START, clock_monotonic_ns());
    reach(START + 100, START + 100);
    (void)usleep(300000);
    assert_false(read_state());
    observer_snapshot(observer, &snapshot);
    assert_int_equal(snapshot.lag[LAG_FLUSHED].lsn, START + 100);
}

static void the_last_state_tells_how_it_ended(void **state)
{
    Error err;
    (void)state;
    begin();
    reach(START + 100, START + 100);
    error_set(&err, ERROR_ARCHIVE, "it differs");
    telemetry_failure(telemetry, &err, clock_pg_time());
    telemetry_state(telemetry, RECEIVER_STOPPED, clock_monotonic_ns());
    watch.ended(watch.context, 2);
    assert_true(read_state());
    assert_int_equal(snapshot.state, RECEIVER_STOPPED);
    assert_int_equal(snapshot.exit_status, 2);
    assert_true(snapshot.stopped >= snapshot.started);
    assert_int_equal(snapshot.lag[LAG_FLUSHED].lsn, START + 100);
    assert_true(snapshot.failure.any);
    assert_string_equal(snapshot.failure.error.message, "it differs");
}

static void a_state_that_cannot_be_written_ends_nothing(void **state)
{
    (void)state;
    fake_files_fail_from(FAKE_PWRITEV, 1, ENOSPC);
    begin();
    reach(START + 100, START + 100);
    (void)usleep(500000);
    assert_false(read_state());
    fake_files_reset();
    reach(START + 200, START + 200);
    (void)await_flushed(START + 200);
}

/* The limit goes by the segment size, so it is known with the store, and stays when that is gone.
 */
static void the_limit_of_free_space_comes_with_the_store(void **state)
{
    Store *store;
    Bell bell;
    (void)state;
    assert_true(bell_open(&bell, &fixture.error));
    begin();
    fixture.archive.min_free = 9;
    observer_snapshot(observer, &snapshot);
    assert_int_equal(snapshot.min_free_bytes, SNAPSHOT_UNKNOWN);
    assert_true(store_open(&fixture.archive, 3 * RING_EXTENT, NULL, VERIFY_OFF, &bell, &store,
                           &fixture.error));
    watch.archive(watch.context, &fixture.archive, store);
    observer_snapshot(observer, &snapshot);
    assert_int_equal(snapshot.min_free_bytes, 9);
    watch.archive(watch.context, &fixture.archive, NULL);
    store_close(store);
    bell_close(&bell);
    observer_snapshot(observer, &snapshot);
    assert_int_equal(snapshot.min_free_bytes, 9);
}

static void what_the_primary_says_is_passed_on(void **state)
{
    MonitorView view = {.enabled = true, .reachable = true, .connections = 7};
    (void)state;
    observer_set_monitor(observer, &view);
    observer_snapshot(observer, &snapshot);
    assert_true(snapshot.monitor.enabled);
    assert_int_equal(snapshot.monitor.connections, 7);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_state_follows_what_is_durable),
        CASE(nothing_is_written_before_the_archive_is_known),
        CASE(the_last_state_tells_how_it_ended),
        CASE(a_state_that_cannot_be_written_ends_nothing),
        CASE(the_limit_of_free_space_comes_with_the_store),
        CASE(what_the_primary_says_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
