/* SPDX-License-Identifier: PostgreSQL
 *
 * Ages of positions, against computed truth: bursts, idle times, slow stages, more samples than
 * there is room for.
 */
#include "walrx/stream/lag_track.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)

static LagTrack track;
static Histogram histogram;

static int empty(void **state)
{
    (void)state;
    lag_track_reset(&track, 0);
    histogram_reset(&histogram);
    return 0;
}

static void nothing_has_come_so_nothing_is_late(void **state)
{
    (void)state;
    assert_int_equal(lag_track_age(&track, 0, 5 * SECOND), 0);
    assert_int_equal(lag_track_newest(&track), 0);
    lag_track_add(&track, 100, SECOND, SECOND);
    assert_int_equal(lag_track_age(&track, 100, 5 * SECOND), 0);
    assert_int_equal(lag_track_age(&track, 200, 5 * SECOND), 0);
}

static void a_stuck_stage_falls_behind_with_the_clock(void **state)
{
    (void)state;
    lag_track_add(&track, 100, SECOND, SECOND);
    assert_int_equal(lag_track_age(&track, 0, SECOND), 0);
    assert_int_equal(lag_track_age(&track, 0, 4 * SECOND), 3 * SECOND);
    lag_track_add(&track, 200, 5 * SECOND, 5 * SECOND);
    assert_int_equal(lag_track_age(&track, 99, 6 * SECOND), 5 * SECOND);
    assert_int_equal(lag_track_age(&track, 100, 6 * SECOND), SECOND);
}

static void time_is_interpolated_where_bytes_came_over_a_while(void **state)
{
    (void)state;
    lag_track_add(&track, 100, SECOND, SECOND);
    lag_track_add(&track, 200, SECOND, 3 * SECOND);
    assert_int_equal(lag_track_age(&track, 150, 10 * SECOND), 8 * SECOND);
    lag_track_forget(&track, 150);
    assert_int_equal(lag_track_age(&track, 150, 10 * SECOND), 8 * SECOND);
    assert_int_equal(lag_track_age(&track, 175, 10 * SECOND), 15 * SECOND / 2);
}

static void the_time_before_a_burst_is_not_the_bursts(void **state)
{
    (void)state;
    lag_track_add(&track, 100, SECOND, SECOND);
    lag_track_add(&track, 200, 60 * SECOND, 60 * SECOND);
    assert_int_equal(lag_track_age(&track, 150, 61 * SECOND), SECOND);
}

static void times_do_not_run_backwards(void **state)
{
    (void)state;
    lag_track_add(&track, 100, 5 * SECOND, 5 * SECOND);
    lag_track_add(&track, 200, SECOND, 2 * SECOND);
    assert_int_equal(lag_track_age(&track, 150, 6 * SECOND), SECOND);
    lag_track_add(&track, 150, 6 * SECOND, 6 * SECOND); /* an LSN that is known */
    assert_int_equal(lag_track_newest(&track), 200);
    assert_int_equal(lag_track_age(&track, 0, SECOND), 0); /* a clock before all of it */
}

static void a_sample_is_settled_once_its_position_is_reached(void **state)
{
    (void)state;
    lag_track_add(&track, 100, 10, 10);
    lag_track_add(&track, 200, 20, 20);
    lag_track_settle(&track, 99, 30, &histogram);
    assert_int_equal(histogram_count(&histogram), 0);
    lag_track_settle(&track, 100, 40, &histogram);
    assert_int_equal(histogram_count(&histogram), 1);
    assert_int_equal(histogram_max(&histogram), 30);
    lag_track_settle(&track, 100, 50, &histogram);
    assert_int_equal(histogram_count(&histogram), 1);
    lag_track_settle(&track, 1000, 60, &histogram);
    assert_int_equal(histogram_count(&histogram), 2);
    assert_int_equal(histogram_max(&histogram), 40);
    lag_track_add(&track, 900, 70, 70); /* below what is done */
    assert_int_equal(lag_track_age(&track, 0, 90), 0);
}

/* The server writes `rate(t)` bytes a microsecond; samples come each few microseconds and hold the
 * position of their moment. The stage is asked at random places behind, near and far. */
static double worst_error(uint64_t (*rate)(uint64_t step), uint64_t steps, uint64_t step_ns)
{
    static uint64_t when[3000000]; /* by step: truth */
    static Lsn where[3000000];
    Lsn lsn = 0;
    double worst = 0;
    lag_track_reset(&track, 0);
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t now = SECOND + step * step_ns;
        lsn += rate(step);
        where[step] = lsn;
        when[step] = now;
        lag_track_add(&track, lsn, now, now);
        if (step < 1000 || random() % 64 != 0)
            continue;
        /* As likely a moment ago as long ago. */
        uint64_t back = (uint64_t)random() % (UINT64_C(1) << (random() % 22)) + 1;
        if (back > step)
            continue;
        uint64_t index = step - back;
        while (index > 0 && where[index - 1] == where[index])
            index--;
        if (where[index] == lsn)
            continue;
        /* The first byte behind where[index] came with the next step that wrote something. */
        uint64_t next = index + 1;
        while (where[next] == where[index])
            next++;
        double truth = (double)(now - when[next]);
        double age = (double)lag_track_age(&track, where[index], now);
        double error = truth > age ? truth - age : age - truth;
        if (truth > 0 && error > (double)(2 * step_ns) && error / truth > worst)
            worst = error / truth;
    }
    return worst;
}

static uint64_t steady(uint64_t step)
{
    (void)step;
    return 1000;
}

static uint64_t bursts(uint64_t step)
{
    return step % 5000 < 500 ? 20000 : 0;
}

static uint64_t rising(uint64_t step)
{
    return 1 + step / 10;
}

static void ages_are_right_within_three_percent_however_much_came(void **state)
{
    (void)state;
    srandom(1);
    /* 3,000,000 samples: 730 times the room. */
    assert_true(worst_error(steady, 3000000, 10 * US) < 0.03);
    assert_true(worst_error(bursts, 3000000, 10 * US) < 0.03);
    assert_true(worst_error(rising, 3000000, 10 * US) < 0.03);
    assert_true(worst_error(bursts, 3000000, SECOND) < 0.03);
}

static void a_moment_with_more_samples_than_room_is_survived(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 20 * LAG_SAMPLES; i++)
        lag_track_add(&track, i, SECOND, SECOND);
    assert_int_equal(lag_track_newest(&track), 20 * LAG_SAMPLES);
    assert_int_equal(lag_track_age(&track, 5, 2 * SECOND), SECOND);
    lag_track_settle(&track, 20 * LAG_SAMPLES, 2 * SECOND, &histogram);
    assert_int_equal(histogram_min(&histogram), SECOND);
    assert_int_equal(track.count, 0);
}

static void a_stage_that_keeps_up_never_needs_joining(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 10 * LAG_SAMPLES; i++) {
        lag_track_add(&track, i * 10, i * MS, i * MS);
        lag_track_settle(&track, i > 100 ? (i - 100) * 10 : 0, i * MS, &histogram);
    }
    assert_int_equal(histogram_count(&histogram), 10 * LAG_SAMPLES - 100);
    assert_int_equal(histogram_min(&histogram), 100 * MS);
    assert_int_equal(histogram_max(&histogram), 100 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_has_come_so_nothing_is_late, empty),
        cmocka_unit_test_setup(a_stuck_stage_falls_behind_with_the_clock, empty),
        cmocka_unit_test_setup(time_is_interpolated_where_bytes_came_over_a_while, empty),
        cmocka_unit_test_setup(the_time_before_a_burst_is_not_the_bursts, empty),
        cmocka_unit_test_setup(times_do_not_run_backwards, empty),
        cmocka_unit_test_setup(a_sample_is_settled_once_its_position_is_reached, empty),
        cmocka_unit_test_setup(ages_are_right_within_three_percent_however_much_came, empty),
        cmocka_unit_test_setup(a_moment_with_more_samples_than_room_is_survived, empty),
        cmocka_unit_test_setup(a_stage_that_keeps_up_never_needs_joining, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
