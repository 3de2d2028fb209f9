/* SPDX-License-Identifier: PostgreSQL
 *
 * Lag against computed truth: a server with a clock of its own, a receiver with stages that lag by
 * known times, all on a clock made of numbers.
 */
#include "walrx/stream/telemetry.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define KB UINT64_C(1024)
#define START (UINT64_C(16) << 20)

static Telemetry *telemetry;
static int64_t server_ahead_us; /* the server's clock against ours */

static int setup(void **state)
{
    static const TelemetrySession session = {.flush_reported = true};
    Error err;
    (void)state;
    if (!telemetry_open(&telemetry, &err))
        return -1;
    server_ahead_us = 0;
    telemetry_session(telemetry, &session);
    telemetry_stream(telemetry, 1, START, START, SECOND);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    telemetry_close(telemetry);
    return 0;
}

static PgTime server_clock(uint64_t ns)
{
    return (PgTime)(ns / 1000) + INT64_C(800000000000000) + server_ahead_us;
}

static void wal(Lsn end, uint64_t length, Lsn server_end, uint64_t sent_ns, uint64_t now_ns)
{
    TelemetryMessage message = {
        .server_end = server_end, .sent = server_clock(sent_ns), .received = end, .length = length};
    telemetry_message(telemetry, &message, now_ns);
}

static void keepalive(Lsn server_end, bool reply, uint64_t sent_ns, uint64_t now_ns)
{
    TelemetryMessage message = {
        .server_end = server_end, .sent = server_clock(sent_ns), .reply = reply};
    telemetry_message(telemetry, &message, now_ns);
}

static void positions(Lsn received, Lsn written, Lsn flushed, Lsn archived, uint64_t now_ns)
{
    const Lsn position[LAG_STAGE_COUNT] = {received, written, flushed, archived};
    telemetry_positions(telemetry, position, HOLD_NONE, now_ns);
}

static uint64_t lag_ns(LagStage stage, uint64_t now_ns)
{
    TelemetryMoment moment;
    telemetry_read(telemetry, &moment);
    return telemetry_lag_ns(&moment, stage, now_ns);
}

static uint64_t lag_bytes(LagStage stage)
{
    TelemetryMoment moment;
    telemetry_read(telemetry, &moment);
    return telemetry_lag_bytes(&moment, stage);
}

static void whoever_has_everything_has_no_lag(void **state)
{
    (void)state;
    Lsn end = START + 8 * KB;
    wal(end, 8 * KB, end, SECOND, SECOND);
    positions(end, end, end, end, SECOND);
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++) {
        assert_int_equal(lag_bytes((LagStage)stage), 0);
        assert_int_equal(lag_ns((LagStage)stage, 100 * SECOND), 0);
    }
}

static void each_stage_has_its_own_lag(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 10; i++) {
        uint64_t now = i * SECOND;
        Lsn end = START + i * 100;
        wal(end, 100, end, now, now);
        positions(end, end - (i > 1 ? 100 : 0), end - (i > 3 ? 300 : 0), START, now);
    }
    assert_int_equal(lag_bytes(LAG_RECEIVED), 0);
    assert_int_equal(lag_bytes(LAG_WRITTEN), 100);
    assert_int_equal(lag_bytes(LAG_FLUSHED), 300);
    assert_int_equal(lag_bytes(LAG_ARCHIVED), 1000);
    assert_int_equal(lag_ns(LAG_RECEIVED, 20 * SECOND), 0);
    assert_int_equal(lag_ns(LAG_WRITTEN, 20 * SECOND), 10 * SECOND);
    assert_int_equal(lag_ns(LAG_FLUSHED, 20 * SECOND), 12 * SECOND);
    assert_int_equal(lag_ns(LAG_ARCHIVED, 20 * SECOND), 19 * SECOND);
}

static void a_skewed_clock_of_the_server_does_not_change_lag(void **state)
{
    (void)state;
    const int64_t skews[] = {-7200000000, -1500, 0, 40000, 7200000000};
    for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
        uint64_t now = 100 * SECOND;
        assert_int_equal(setup(state), 0);
        server_ahead_us = skews[i];
        /* A round trip of 2 ms tells the offset to the millisecond. */
        telemetry_reported(telemetry, START, START, true, now);
        keepalive(START, true, now + MS, now + 2 * MS);
        /* The message took half a second. */
        wal(START + 100, 100, START + 200, now + SECOND, now + 3 * SECOND / 2);
        positions(START + 100, START + 100, START + 100, START + 100, now + 2 * SECOND);
        uint64_t lag = lag_ns(LAG_FLUSHED, now + 2 * SECOND);
        assert_in_range(lag, SECOND - 2 * MS, SECOND + 2 * MS);
        if (i + 1 < sizeof(skews) / sizeof(skews[0]))
            telemetry_close(telemetry);
    }
}

/* Bytes of a server that writes at a steady rate, received with a delay that is known. */
static void a_receiver_that_is_behind_knows_by_how_much(void **state)
{
    (void)state;
    const uint64_t delay = 4 * SECOND;
    const uint64_t step = 10 * MS;
    const uint64_t each = 16 * KB;
    uint64_t now = SECOND;
    for (uint64_t i = 1; i <= 6000; i++, now += step) {
        Lsn server_end = START + i * each;
        Lsn received = i * step > delay ? START + i * each - delay / step * each : START;
        uint64_t length = received > START ? each : 0;
        if (length > 0)
            wal(received, length, server_end, now, now);
        else
            keepalive(server_end, false, now, now);
        positions(received, received, received, received, now);
        if (i < 1000)
            continue;
        uint64_t lag = lag_ns(LAG_RECEIVED, now);
        assert_in_range(lag, delay - delay / 33 - step, delay + delay / 33 + step);
    }
}

static void idle_time_before_a_burst_is_no_lag(void **state)
{
    (void)state;
    wal(START + 100, 100, START + 100, SECOND, SECOND);
    positions(START + 100, START + 100, START + 100, START + 100, SECOND);
    uint64_t now = 3600 * SECOND;
    wal(START + 200, 100, START + 1000, now, now);
    positions(START + 200, START + 200, START + 200, START + 200, now);
    assert_in_range(lag_ns(LAG_RECEIVED, now + SECOND), SECOND, SECOND + MS);
}

static void lag_grows_while_the_connection_is_gone_and_a_byte_is_missing(void **state)
{
    (void)state;
    wal(START + 100, 100, START + 200, SECOND, SECOND);
    positions(START + 100, START + 100, START + 100, START + 100, SECOND);
    telemetry_state(telemetry, RECEIVER_RESTARTING, 2 * SECOND);
    assert_int_equal(lag_ns(LAG_FLUSHED, 9 * SECOND), 8 * SECOND);
    telemetry_stream(telemetry, 1, START, START + 100, 10 * SECOND);
    positions(START, START, START + 100, START + 100, 10 * SECOND);
    assert_int_equal(lag_ns(LAG_FLUSHED, 12 * SECOND), 11 * SECOND);
    assert_int_equal(lag_bytes(LAG_RECEIVED), 100);
    /* Bytes that come a second time are no news. */
    wal(START + 100, 100, START + 200, 13 * SECOND, 13 * SECOND);
    positions(START + 100, START + 100, START + 100, START + 100, 13 * SECOND);
    assert_int_equal(lag_ns(LAG_FLUSHED, 13 * SECOND), 12 * SECOND);
}

static void another_timeline_begins_anew(void **state)
{
    (void)state;
    wal(START + 100, 100, START + 5000, SECOND, SECOND);
    positions(START + 100, START + 100, START + 100, START + 100, SECOND);
    telemetry_stream(telemetry, 2, START, START, 2 * SECOND);
    keepalive(START + 300, false, 3 * SECOND, 3 * SECOND);
    positions(START, START, START, START, 3 * SECOND);
    assert_int_equal(lag_bytes(LAG_RECEIVED), 300);
}

static void positions_behind_a_fork_are_not_told_of_the_new_timeline(void **state)
{
    (void)state;
    TelemetryMoment moment;
    Lsn fork = START + 1000;
    wal(fork + 500, fork + 500 - START, fork + 500, SECOND, SECOND);
    positions(fork + 500, fork + 500, fork + 500, fork + 500, SECOND);
    telemetry_stream(telemetry, 2, START, START, 2 * SECOND);
    telemetry_read(telemetry, &moment);
    assert_int_equal(moment.timeline, 2);
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++)
        assert_int_equal(moment.position[stage], START);
}

static void what_comes_a_second_time_is_no_lag(void **state)
{
    (void)state;
    uint64_t later = 3600 * SECOND;
    Lsn end = START + 5000;
    wal(START + 100, 100, START + 100, SECOND, SECOND);
    positions(START + 100, START + 100, START + 100, START + 100, SECOND);
    wal(end, 4900, end, later, later);
    positions(end, end, end, end, later);
    uint64_t count = histogram_count(&telemetry->receive_to_flush_ns);
    telemetry_stream(telemetry, 1, START, end, later + SECOND);
    positions(START, START, end, end, later + SECOND);
    wal(START + 100, 100, end, later + SECOND, later + SECOND);
    positions(START + 100, START, end, end, later + SECOND);
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++) {
        assert_int_equal(lag_bytes((LagStage)stage), 0);
        assert_int_equal(lag_ns((LagStage)stage, later + 2 * SECOND), 0);
    }
    assert_int_equal(histogram_count(&telemetry->receive_to_flush_ns), count);
}

static void wal_of_a_break_is_as_old_as_the_break_at_most(void **state)
{
    (void)state;
    Lsn end = START + 100;
    wal(end, 100, end, SECOND, SECOND);
    positions(end, end, end, end, SECOND);
    keepalive(end, false, 100 * SECOND, 100 * SECOND); /* nothing had come until then */
    telemetry_state(telemetry, RECEIVER_RESTARTING, 101 * SECOND);
    telemetry_stream(telemetry, 1, START, end, 200 * SECOND);
    wal(end, 100, end + 1000, 200 * SECOND, 200 * SECOND);
    positions(end, end, end, end, 200 * SECOND);
    assert_in_range(lag_ns(LAG_RECEIVED, 200 * SECOND), 100 * SECOND, 100 * SECOND + MS);
    /* In the stream itself news is new. */
    positions(end + 1000, end + 1000, end + 1000, end + 1000, 201 * SECOND);
    wal(end + 1000, 1000, end + 2000, 300 * SECOND, 300 * SECOND);
    positions(end + 1000, end + 1000, end + 1000, end + 1000, 300 * SECOND);
    assert_in_range(lag_ns(LAG_RECEIVED, 300 * SECOND), 0, MS);
}

static void the_ways_between_the_stages_are_measured(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++) {
        uint64_t now = i * SECOND;
        Lsn end = START + i * 100;
        wal(end, 100, end, now, now);
        positions(end, end, end, end, now + 5 * MS);
        telemetry_reported(telemetry, end, end, false, now + 7 * MS);
    }
    assert_int_equal(histogram_count(&telemetry->receive_to_flush_ns), 100);
    assert_int_equal(histogram_max(&telemetry->receive_to_flush_ns), 5 * MS);
    assert_int_equal(histogram_min(&telemetry->receive_to_flush_ns), 5 * MS);
    assert_int_equal(histogram_count(&telemetry->flush_to_report_ns), 100);
    assert_int_equal(histogram_max(&telemetry->flush_to_report_ns), 2 * MS);
}

static void reported_flush_never_goes_back(void **state)
{
    TelemetryMoment moment;
    (void)state;
    telemetry_reported(telemetry, START + 100, START + 100, false, SECOND);
    telemetry_reported(telemetry, START + 50, LSN_INVALID, false, SECOND);
    telemetry_read(telemetry, &moment);
    assert_int_equal(moment.reported_flush, START + 100);
    assert_int_equal(moment.statuses, 2);
}

/* A raw segment is complete and durable, then a worker gets it: archived goes back to its start, of
 * which the age must still be known. */
static void archived_may_go_back_to_the_start_of_a_segment(void **state)
{
    static const TelemetrySession session = {.flush_reported = true, .segment_size = 1 << 20};
    const Lsn size = 1 << 20;
    (void)state;
    telemetry_session(telemetry, &session);
    for (uint64_t i = 1; i <= 16; i++) {
        Lsn end = START + i * size / 16;
        wal(end, size / 16, end, i * SECOND, i * SECOND);
        positions(end, end, end, end, i * SECOND);
    }
    assert_int_equal(lag_ns(LAG_ARCHIVED, 16 * SECOND), 0);
    positions(START + size, START + size, START + size, START, 16 * SECOND);
    assert_int_equal(lag_bytes(LAG_ARCHIVED), size);
    assert_int_equal(lag_ns(LAG_ARCHIVED, 20 * SECOND), 19 * SECOND);
    assert_int_equal(lag_ns(LAG_FLUSHED, 20 * SECOND), 0);
}

static bool rang(void)
{
    struct pollfd polled = {.fd = telemetry->bell.fd, .events = POLLIN};
    bool rings = poll(&polled, 1, 0) == 1;
    if (rings)
        bell_silence(&telemetry->bell);
    return rings;
}

static void the_bell_rings_once_for_what_was_wanted(void **state)
{
    (void)state;
    positions(START + 2, START + 2, START + 2, START + 2, SECOND);
    assert_false(rang());
    telemetry_want(telemetry, NEWS_OF_REST);
    positions(START + 4, START + 3, START + 2, START + 2, SECOND);
    assert_false(rang());
    positions(START + 4, START + 4, START + 4, START + 4, SECOND);
    assert_true(rang());
    positions(START + 4, START + 4, START + 4, START + 4, SECOND);
    assert_false(rang());
    telemetry_want(telemetry, NEWS_OF_ANY);
    positions(START + 4, START + 4, START + 4, START + 4, SECOND);
    assert_false(rang()); /* nothing moved */
    positions(START + 5, START + 4, START + 4, START + 4, SECOND);
    assert_true(rang());
    telemetry_want(telemetry, NEWS_OF_REST);
    telemetry_state(telemetry, RECEIVER_RESTARTING, SECOND);
    assert_true(rang());
    telemetry_want(telemetry, NEWS_OF_ANY);
    telemetry_reported(telemetry, START + 5, START + 4, false, SECOND);
    assert_true(rang());
    telemetry_want(telemetry, NEWS_OF_ANY);
    telemetry_want(telemetry, NEWS_NONE);
    telemetry_state(telemetry, RECEIVER_STOPPED, SECOND);
    assert_false(rang());
}

static void failures_are_counted_and_the_last_one_is_kept(void **state)
{
    TelemetrySession session;
    TelemetryFailure failure;
    Error err;
    (void)state;
    telemetry_read_session(telemetry, &session, &failure);
    assert_false(failure.any);
    error_set(&err, ERROR_RETRY, "first");
    telemetry_failure(telemetry, &err, 1);
    error_set(&err, ERROR_RETRY, "second");
    telemetry_failure(telemetry, &err, 2);
    telemetry_read_session(telemetry, &session, &failure);
    assert_true(failure.any);
    assert_int_equal(failure.at, 2);
    assert_string_equal(failure.error.message, "second");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_has_everything_has_no_lag, setup, teardown),
        cmocka_unit_test_setup_teardown(each_stage_has_its_own_lag, setup, teardown),
        cmocka_unit_test_teardown(a_skewed_clock_of_the_server_does_not_change_lag, teardown),
        cmocka_unit_test_setup_teardown(a_receiver_that_is_behind_knows_by_how_much, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(idle_time_before_a_burst_is_no_lag, setup, teardown),
        cmocka_unit_test_setup_teardown(
            lag_grows_while_the_connection_is_gone_and_a_byte_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(another_timeline_begins_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(positions_behind_a_fork_are_not_told_of_the_new_timeline,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_comes_a_second_time_is_no_lag, setup, teardown),
        cmocka_unit_test_setup_teardown(wal_of_a_break_is_as_old_as_the_break_at_most, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_ways_between_the_stages_are_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(reported_flush_never_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(archived_may_go_back_to_the_start_of_a_segment, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_bell_rings_once_for_what_was_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_are_counted_and_the_last_one_is_kept, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
