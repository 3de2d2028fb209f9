/* SPDX-License-Identifier: PostgreSQL
 *
 * Rates against computed truth: steady, sparse, after an outage, over a ring that has wrapped.
 */
#include "walrx/observe/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define START ((Lsn)16 << 20)
#define MB (UINT64_C(1) << 20)

static RateTrack track;
static Rates rates;

static int setup(void **state)
{
    (void)state;
    rates_init(&track);
    return 0;
}

static void add(uint64_t at_ns, uint64_t received, uint64_t generated)
{
    RateInput input = {.at_ns = at_ns,
                       .received_bytes = received,
                       .streaming = true,
                       .server_end = START + generated,
                       .behind_bytes = generated > received ? generated - received : 0};
    rates_add(&track, &input, &rates);
}

static void away(uint64_t at_ns, uint64_t received, uint64_t generated)
{
    RateInput input = {.at_ns = at_ns,
                       .received_bytes = received,
                       .server_end = START + generated,
                       .behind_bytes = 50 * MB};
    rates_add(&track, &input, &rates);
}

static void assert_near(uint64_t value, uint64_t wanted)
{
    assert_true(value != SNAPSHOT_UNKNOWN);
    if (value + wanted / 200 + 1 < wanted || value > wanted + wanted / 200 + 1)
        fail_msg("%llu instead of %llu", (unsigned long long)value, (unsigned long long)wanted);
}

static void a_single_look_tells_no_rate(void **state)
{
    (void)state;
    add(5 * SECOND, 100, 100);
    for (int i = 0; i < RATE_WINDOW_COUNT; i++) {
        assert_true(rates.received[i] == SNAPSHOT_UNKNOWN);
        assert_true(rates.generated[i] == SNAPSHOT_UNKNOWN);
    }
    add(5 * SECOND + 500 * MS, 200, 200);
    assert_true(rates.received[RATE_SECOND] == SNAPSHOT_UNKNOWN);
}

/* Longer than the ring; looked at at uneven times. */
static void a_steady_rate_is_the_same_in_all_windows(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t at = 7 * SECOND + i * SECOND + (i * 7919 % 100) * MS;
        add(at, (at / MS) * 5, (at / MS) * 3);
    }
    for (int i = 0; i < RATE_WINDOW_COUNT; i++) {
        assert_near(rates.received[i], 5000);
        assert_near(rates.generated[i], 3000);
    }
}

static void a_burst_counts_in_the_window_it_falls_into(void **state)
{
    (void)state;
    add(10 * SECOND, 0, 0);
    /* An hour of nothing, then 6 MB within a second. */
    add(3610 * SECOND, 0, 0);
    add(3610 * SECOND + SECOND / 2, 3 * MB, 3 * MB);
    add(3611 * SECOND, 6 * MB, 6 * MB);
    assert_near(rates.received[RATE_SECOND], 6 * MB);
    assert_near(rates.received[RATE_MINUTE], 6 * MB / 60);
    assert_near(rates.generated[RATE_TEN_MINUTES], 6 * MB / 600);
    /* Only looked at again after a while: the burst lies before the last second. */
    add(3640 * SECOND, 6 * MB, 6 * MB);
    assert_int_equal(rates.received[RATE_SECOND], 0);
    assert_near(rates.received[RATE_MINUTE], 6 * MB / 60);
    add(3690 * SECOND, 6 * MB, 6 * MB);
    assert_int_equal(rates.received[RATE_MINUTE], 0);
    assert_near(rates.received[RATE_TEN_MINUTES], 6 * MB / 600);
}

/* Whoever looks only when something moves sees the first bytes of a burst after an idle hour. */
static void what_comes_after_an_idle_time_came_within_the_last_second(void **state)
{
    (void)state;
    add(10 * SECOND, 0, 0);
    add(3610 * SECOND, 4 * MB, 4 * MB);
    assert_near(rates.received[RATE_SECOND], 4 * MB);
}

static void what_the_server_made_during_an_outage_is_spread_over_it(void **state)
{
    (void)state;
    for (uint64_t i = 0; i <= 10; i++)
        add((100 + i) * SECOND, i * MB, i * MB);
    for (uint64_t i = 1; i < 50; i += 10) {
        away((110 + i) * SECOND, 10 * MB, 10 * MB);
        assert_true(rates.generated[RATE_SECOND] == SNAPSHOT_UNKNOWN);
        assert_true(rates.catch_up_ms == SNAPSHOT_UNKNOWN);
    }
    add(160 * SECOND, 10 * MB, 60 * MB); /* 1 MB a second meanwhile */
    assert_near(rates.generated[RATE_SECOND], MB);
    assert_near(rates.generated[RATE_MINUTE], MB);
}

static void the_end_of_wal_before_the_first_message_is_not_generated(void **state)
{
    (void)state;
    RateInput unknown = {.at_ns = SECOND, .streaming = true, .server_end = LSN_INVALID};
    rates_add(&track, &unknown, &rates);
    add(2 * SECOND, 0, 1000 * MB);
    add(3 * SECOND, 0, 1001 * MB);
    assert_near(rates.generated[RATE_MINUTE], MB);
}

static void an_end_on_another_timeline_may_lie_before(void **state)
{
    (void)state;
    add(10 * SECOND, 0, 100 * MB);
    add(11 * SECOND, 0, 90 * MB);
    add(12 * SECOND, 0, 91 * MB);
    assert_near(rates.generated[RATE_SECOND], MB);
    assert_near(rates.generated[RATE_MINUTE], MB / 2);
}

static void the_time_to_catch_up_follows_from_both_rates(void **state)
{
    (void)state;
    for (uint64_t i = 0; i <= 60; i++)
        add((100 + i) * SECOND, i * 5 * MB, 1000 * MB + i * MB);
    /* 1060 - 300 MB behind, 4 MB a second nearer. */
    assert_near(rates.catch_up_ms, 190000);
    for (uint64_t i = 1; i <= 60; i++) /* and now further away */
        add((160 + i) * SECOND, 300 * MB + i * MB, 1060 * MB + i * 2 * MB);
    assert_true(rates.catch_up_ms == SNAPSHOT_UNKNOWN);
}

static void whoever_is_a_moment_behind_has_caught_up(void **state)
{
    (void)state;
    for (uint64_t i = 0; i <= 60; i++)
        add((100 + i) * SECOND, i * 5 * MB, i * 5 * MB + 4 * MB);
    assert_int_equal(rates.catch_up_ms, 0);
    add(161 * SECOND, 305 * MB, 305 * MB + 6 * MB);
    assert_true(rates.catch_up_ms != 0);
    for (uint64_t i = 1; i <= 60; i++)
        add((161 + i) * SECOND, 310 * MB, 311 * MB);
    assert_int_equal(rates.catch_up_ms, 0);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        CASE(a_single_look_tells_no_rate),
        CASE(a_steady_rate_is_the_same_in_all_windows),
        CASE(a_burst_counts_in_the_window_it_falls_into),
        CASE(what_comes_after_an_idle_time_came_within_the_last_second),
        CASE(what_the_server_made_during_an_outage_is_spread_over_it),
        CASE(the_end_of_wal_before_the_first_message_is_not_generated),
        CASE(an_end_on_another_timeline_may_lie_before),
        CASE(the_time_to_catch_up_follows_from_both_rates),
        CASE(whoever_is_a_moment_behind_has_caught_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
