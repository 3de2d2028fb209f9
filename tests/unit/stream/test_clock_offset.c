/* SPDX-License-Identifier: PostgreSQL
 *
 * The server's clock against ours: messages travel with known delays between known clocks, and the
 * estimate is held against the truth.
 */
#include "walrx/stream/clock_offset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define TRUTH_US INT64_C(700000000123456)

static ClockOffset offset_clock;

static int unknown(void **state)
{
    (void)state;
    clock_offset_reset(&offset_clock);
    return 0;
}

/* The server's time at a moment of ours, its clock running `drift_ppm` faster. */
static PgTime server_time(uint64_t ns, int64_t drift_ppm)
{
    int64_t us = (int64_t)(ns / 1000);
    return TRUTH_US + us + us * drift_ppm / 1000000;
}

static uint64_t distance(int64_t a, int64_t b)
{
    return (uint64_t)(a > b ? a - b : b - a);
}

static void nothing_is_known_before_a_message(void **state)
{
    (void)state;
    ClockEstimate estimate = clock_offset_estimate(&offset_clock, SECOND);
    assert_false(estimate.known);
    assert_int_equal(clock_offset_to_local(&estimate, 12345, SECOND), SECOND);
}

static void one_message_bounds_the_offset_from_below(void **state)
{
    (void)state;
    clock_offset_message(&offset_clock, server_time(SECOND, 0), false, SECOND + 3 * MS);
    ClockEstimate estimate = clock_offset_estimate(&offset_clock, SECOND + 3 * MS);
    assert_true(estimate.known);
    assert_false(estimate.bounded);
    assert_int_equal(estimate.offset_us, TRUTH_US - 3000);
}

static void a_reply_gives_the_offset_and_its_error(void **state)
{
    (void)state;
    clock_offset_ask(&offset_clock, SECOND);
    /* 2 ms there, 6 ms back. */
    clock_offset_message(&offset_clock, server_time(SECOND + 2 * MS, 0), true, SECOND + 8 * MS);
    ClockEstimate estimate = clock_offset_estimate(&offset_clock, SECOND + 8 * MS);
    assert_true(estimate.bounded);
    assert_in_range(estimate.error_us, 4000, 4001);
    assert_true(distance(estimate.offset_us, TRUTH_US) <= estimate.error_us);
}

static void a_reply_nobody_asked_for_bounds_nothing(void **state)
{
    (void)state;
    clock_offset_message(&offset_clock, server_time(SECOND, 0), true, SECOND + MS);
    assert_false(clock_offset_estimate(&offset_clock, SECOND + MS).bounded);
}

static void the_error_grows_with_age_until_something_tighter_comes(void **state)
{
    (void)state;
    clock_offset_ask(&offset_clock, SECOND);
    clock_offset_message(&offset_clock, server_time(SECOND + MS, 0), true, SECOND + 2 * MS);
    uint64_t fresh = clock_offset_estimate(&offset_clock, SECOND + 2 * MS).error_us;
    uint64_t hour = 3600 * SECOND;
    uint64_t aged = clock_offset_estimate(&offset_clock, SECOND + hour).error_us;
    assert_true(aged >= fresh + 3600 * 1000000ULL / CLOCK_DRIFT_SHARE - 1000);
    clock_offset_ask(&offset_clock, hour);
    clock_offset_message(&offset_clock, server_time(hour + MS, 0), true, hour + 2 * MS);
    assert_true(clock_offset_estimate(&offset_clock, hour + 2 * MS).error_us <= 1001);
}

static void the_truth_lies_within_the_error_whatever_the_delays_and_the_drift(void **state)
{
    (void)state;
    for (int64_t drift = -90; drift <= 90; drift += 45) {
        clock_offset_reset(&offset_clock);
        srandom((unsigned)(drift + 1000));
        uint64_t now = SECOND;
        for (int i = 0; i < 20000; i++) {
            uint64_t there = (uint64_t)(random() % 20) * MS / 10;
            uint64_t back = (uint64_t)(random() % 400) * MS / 10;
            bool ask = i % 50 == 0;
            if (ask)
                clock_offset_ask(&offset_clock, now);
            clock_offset_message(&offset_clock, server_time(now + there, drift), ask,
                                 now + there + back);
            now += there + back + (uint64_t)(random() % 100) * MS;
            ClockEstimate estimate = clock_offset_estimate(&offset_clock, now);
            int64_t truth = server_time(now, drift) - (int64_t)(now / 1000);
            assert_true(estimate.bounded);
            assert_true(distance(estimate.offset_us, truth) <= estimate.error_us + 2);
        }
        assert_true(clock_offset_estimate(&offset_clock, now).error_us < 30000);
    }
}

static void a_clock_that_was_set_is_followed(void **state)
{
    (void)state;
    const int64_t steps[] = {-3600000000, 3600000000};
    for (size_t i = 0; i < 2; i++) {
        clock_offset_reset(&offset_clock);
        clock_offset_ask(&offset_clock, SECOND);
        clock_offset_message(&offset_clock, server_time(SECOND + MS, 0), true, SECOND + 2 * MS);
        clock_offset_ask(&offset_clock, 9 * SECOND);
        clock_offset_message(&offset_clock, server_time(9 * SECOND + MS, 0) + steps[i], true,
                             9 * SECOND + 2 * MS);
        ClockEstimate estimate = clock_offset_estimate(&offset_clock, 9 * SECOND + 2 * MS);
        assert_true(estimate.bounded);
        assert_true(distance(estimate.offset_us, TRUTH_US + steps[i]) <= 1001);
    }
}

static void times_no_clock_shows_are_harmless(void **state)
{
    (void)state;
    const PgTime times[] = {INT64_MIN, INT64_MAX, INT64_MIN + 1, INT64_MAX - 1, 0, -1};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        clock_offset_ask(&offset_clock, SECOND + i);
        clock_offset_message(&offset_clock, times[i], true, SECOND + MS + i);
        ClockEstimate estimate = clock_offset_estimate(&offset_clock, UINT64_MAX / 2);
        uint64_t local = clock_offset_to_local(&estimate, times[i], 2 * SECOND);
        assert_true(local <= 2 * SECOND);
    }
}

static void a_time_of_the_server_is_never_in_our_future(void **state)
{
    (void)state;
    clock_offset_message(&offset_clock, server_time(SECOND, 0), false, SECOND);
    ClockEstimate estimate = clock_offset_estimate(&offset_clock, SECOND);
    assert_int_equal(clock_offset_to_local(&estimate, server_time(SECOND / 2, 0), SECOND),
                     SECOND / 2);
    assert_int_equal(clock_offset_to_local(&estimate, server_time(2 * SECOND, 0), SECOND), SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_known_before_a_message, unknown),
        cmocka_unit_test_setup(one_message_bounds_the_offset_from_below, unknown),
        cmocka_unit_test_setup(a_reply_gives_the_offset_and_its_error, unknown),
        cmocka_unit_test_setup(a_reply_nobody_asked_for_bounds_nothing, unknown),
        cmocka_unit_test_setup(the_error_grows_with_age_until_something_tighter_comes, unknown),
        cmocka_unit_test_setup(the_truth_lies_within_the_error_whatever_the_delays_and_the_drift,
                               unknown),
        cmocka_unit_test_setup(a_clock_that_was_set_is_followed, unknown),
        cmocka_unit_test_setup(times_no_clock_shows_are_harmless, unknown),
        cmocka_unit_test_setup(a_time_of_the_server_is_never_in_our_future, unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
