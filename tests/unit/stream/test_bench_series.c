/* SPDX-License-Identifier: PostgreSQL
 *
 * Bytes over time: slots, their folding, the windows made of them and the rates.
 */
#include "walrx/stream/bench_series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static BenchSeries series;
static BenchWindow windows[BENCH_SERIES_SLOTS];

static int empty(void **state)
{
    (void)state;
    bench_series_reset(&series);
    return 0;
}

static void assert_window(const BenchWindow *window, uint64_t begin, uint64_t end, uint64_t bytes)
{
    assert_int_equal(window->begin_ms, begin);
    assert_int_equal(window->end_ms, end);
    assert_int_equal(window->bytes, bytes);
}

static void nothing_gives_one_empty_window(void **state)
{
    (void)state;
    assert_int_equal(bench_series_windows(&series, 1000, windows, 10), 1);
    assert_window(&windows[0], 0, 0, 0);
    assert_true(bench_window_rate(&windows[0]) == 0);
    assert_true(bench_rates(windows, 0).maximum == 0);
}

static void bytes_fall_into_the_window_of_their_time(void **state)
{
    (void)state;
    bench_series_add(&series, 0, 10);
    bench_series_add(&series, 999, 5);
    bench_series_add(&series, 1000, 7);
    bench_series_add(&series, 2500, 0);
    assert_int_equal(bench_series_windows(&series, 1000, windows, 10), 3);
    assert_window(&windows[0], 0, 1000, 15);
    assert_window(&windows[1], 1000, 2000, 7);
    assert_window(&windows[2], 2000, 2500, 0);
}

static void an_end_on_a_border_makes_no_empty_window(void **state)
{
    (void)state;
    bench_series_add(&series, 500, 10);
    bench_series_add(&series, 2000, 3);
    assert_int_equal(bench_series_windows(&series, 1000, windows, 10), 2);
    assert_window(&windows[0], 0, 1000, 10);
    assert_window(&windows[1], 1000, 2000, 3);
}

static void windows_grow_to_fit_the_list(void **state)
{
    (void)state;
    for (uint64_t ms = 0; ms < 60000; ms += 100)
        bench_series_add(&series, ms, 1);
    size_t count = bench_series_windows(&series, 1000, windows, 20);
    assert_in_range(count, 15, 20);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(windows[i].begin_ms, i == 0 ? 0 : windows[i - 1].end_ms);
        sum += windows[i].bytes;
    }
    assert_int_equal(sum, 600);
    assert_int_equal(windows[count - 1].end_ms, 59900);
}

/* A day, a byte a second: no byte is lost and memory stays what it was. */
static void time_that_outgrows_the_slots_doubles_their_length(void **state)
{
    (void)state;
    for (uint64_t second = 0; second < 86400; second++)
        bench_series_add(&series, second * 1000, 1);
    assert_int_equal(series.slot_ms, 128000); /* the first of 125 * 2^n with 1024 slots a day */
    size_t count =
        bench_series_windows(&series, bench_series_window_ms(&series), windows, BENCH_SERIES_SLOTS);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += windows[i].bytes;
        if (i + 1 < count)
            assert_window(&windows[i], i * 128000, (i + 1) * 128000, 128);
    }
    assert_int_equal(sum, 86400);
}

static void short_runs_have_short_windows(void **state)
{
    (void)state;
    bench_series_add(&series, 3999, 1);
    assert_int_equal(bench_series_window_ms(&series), BENCH_SERIES_SLOT_MS);
    bench_series_add(&series, 4000, 1);
    assert_int_equal(bench_series_window_ms(&series), 1000);
}

static void rates_leave_the_shorter_last_window_out(void **state)
{
    const BenchWindow list[] = {
        {0, 1000, 400}, {1000, 2000, 100}, {2000, 3000, 300}, {3000, 4000, 200}, {4000, 4001, 99},
    };
    (void)state;
    BenchRates rates = bench_rates(list, 5);
    assert_true(rates.minimum == 100);
    assert_true(rates.median == 250);
    assert_true(rates.maximum == 400);
    rates = bench_rates(list, 3);
    assert_true(rates.median == 300);
    rates = bench_rates(list + 4, 1);
    assert_true(rates.minimum == 99000 && rates.maximum == 99000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_gives_one_empty_window, empty),
        cmocka_unit_test_setup(bytes_fall_into_the_window_of_their_time, empty),
        cmocka_unit_test_setup(an_end_on_a_border_makes_no_empty_window, empty),
        cmocka_unit_test_setup(windows_grow_to_fit_the_list, empty),
        cmocka_unit_test_setup(time_that_outgrows_the_slots_doubles_their_length, empty),
        cmocka_unit_test_setup(short_runs_have_short_windows, empty),
        cmocka_unit_test_setup(rates_leave_the_shorter_last_window_out, empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
