/* SPDX-License-Identifier: PostgreSQL
 *
 * Samples of positions and times: what is settled, when, and what a full ring does.
 */
#include "../../../src/stream/bench_lag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static BenchLag lag;
static Histogram histogram;

static int empty(void **state)
{
    (void)state;
    lag = (BenchLag){.count = 0};
    histogram_reset(&histogram);
    return 0;
}

static void a_sample_is_settled_once_its_position_is_reached(void **state)
{
    (void)state;
    bench_lag_add(&lag, 100, 10);
    bench_lag_add(&lag, 200, 20);
    bench_lag_settle(&lag, 99, 30, &histogram);
    assert_int_equal(histogram_count(&histogram), 0);
    bench_lag_settle(&lag, 100, 40, &histogram);
    assert_int_equal(histogram_count(&histogram), 1);
    assert_int_equal(histogram_max(&histogram), 30);
    bench_lag_settle(&lag, 100, 50, &histogram);
    assert_int_equal(histogram_count(&histogram), 1);
    bench_lag_settle(&lag, 1000, 60, &histogram);
    assert_int_equal(histogram_count(&histogram), 2);
    assert_int_equal(histogram_max(&histogram), 40);
}

static void a_time_before_the_sample_counts_as_none(void **state)
{
    (void)state;
    bench_lag_add(&lag, 100, 10);
    bench_lag_settle(&lag, 100, 9, &histogram);
    assert_int_equal(histogram_count(&histogram), 1);
    assert_int_equal(histogram_max(&histogram), 0);
}

static void a_full_ring_passes_samples_over_and_goes_on(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < BENCH_LAG_SAMPLES + 10; i++)
        bench_lag_add(&lag, i, i);
    bench_lag_settle(&lag, BENCH_LAG_SAMPLES / 2 - 1, BENCH_LAG_SAMPLES, &histogram);
    assert_int_equal(histogram_count(&histogram), BENCH_LAG_SAMPLES / 2);
    for (uint64_t i = 0; i < BENCH_LAG_SAMPLES / 2; i++)
        bench_lag_add(&lag, BENCH_LAG_SAMPLES + 10 + i, BENCH_LAG_SAMPLES);
    bench_lag_settle(&lag, UINT64_MAX, BENCH_LAG_SAMPLES, &histogram);
    assert_int_equal(histogram_count(&histogram), BENCH_LAG_SAMPLES + BENCH_LAG_SAMPLES / 2);
    assert_int_equal(lag.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_sample_is_settled_once_its_position_is_reached, empty),
        cmocka_unit_test_setup(a_time_before_the_sample_counts_as_none, empty),
        cmocka_unit_test_setup(a_full_ring_passes_samples_over_and_goes_on, empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
