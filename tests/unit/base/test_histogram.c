/* SPDX-License-Identifier: PostgreSQL
 *
 * The histogram against sorted lists of the same values, at its borders, and read while it is
 * written.
 */
#include "walrx/base/histogram.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define VALUES 20000

static Histogram histogram;

static int empty(void **state)
{
    (void)state;
    histogram_reset(&histogram);
    return 0;
}

static void an_empty_one_says_zero(void **state)
{
    (void)state;
    assert_true(histogram_count(&histogram) == 0);
    assert_true(histogram_sum(&histogram) == 0);
    assert_true(histogram_min(&histogram) == 0);
    assert_true(histogram_max(&histogram) == 0);
    assert_true(histogram_mean(&histogram) == 0);
    assert_true(histogram_percentile(&histogram, 0) == 0);
    assert_true(histogram_percentile(&histogram, 500) == 0);
    assert_true(histogram_percentile(&histogram, 1000) == 0);
}

static void every_percentile_of_a_single_value_is_that_value(void **state)
{
    static const uint64_t values[] = {
        0, 1, 63, 64, 65, 1000003, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        histogram_reset(&histogram);
        histogram_record(&histogram, values[i]);
        for (unsigned p = 0; p <= 1000; p++)
            assert_true(histogram_percentile(&histogram, p) == values[i]);
        assert_true(histogram_min(&histogram) == values[i]);
        assert_true(histogram_max(&histogram) == values[i]);
        assert_true(histogram_mean(&histogram) == values[i]);
        assert_true(histogram_count(&histogram) == 1);
    }
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 64; value++)
        histogram_record(&histogram, value);
    for (unsigned p = 1; p <= 1000; p++)
        assert_true(histogram_percentile(&histogram, p) == (64 * p + 999) / 1000 - 1);
    assert_true(histogram_sum(&histogram) == 63 * 64 / 2);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state ^ (*state >> 31);
}

/* Record what `make` gives, and hold every percentile against the sorted list. */
static void check_against_truth(uint64_t (*make)(uint64_t *seed))
{
    static uint64_t values[VALUES];
    uint64_t seed = 42;
    uint64_t sum = 0;
    histogram_reset(&histogram);
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = make(&seed);
        sum += values[i];
        histogram_record(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof(values[0]), compare);
    assert_true(histogram_count(&histogram) == VALUES);
    assert_true(histogram_sum(&histogram) == sum);
    assert_true(histogram_mean(&histogram) == sum / VALUES);
    assert_true(histogram_min(&histogram) == values[0]);
    assert_true(histogram_max(&histogram) == values[VALUES - 1]);
    for (unsigned p = 1; p <= 1000; p++) {
        double truth = (double)values[((uint64_t)VALUES * p + 999) / 1000 - 1];
        double told = (double)histogram_percentile(&histogram, p);
        double off = told > truth ? told - truth : truth - told;
        assert_true(off <= truth / 64 + 0.5);
    }
    assert_true(histogram_percentile(&histogram, 0) == values[0]);
    assert_true(histogram_percentile(&histogram, 1000) == values[VALUES - 1]);
}

static uint64_t evenly(uint64_t *seed)
{
    return next_random(seed) % 1000000;
}

/* Every length in bits is as likely. */
static uint64_t over_all_sizes(uint64_t *seed)
{
    uint64_t random = next_random(seed);
    return random >> (20 + next_random(seed) % 44);
}

static uint64_t with_a_tail(uint64_t *seed)
{
    uint64_t random = next_random(seed);
    return random % 1000 == 0 ? 5000000000 + random % 7777777 : 70000 + random % 1500;
}

static void percentiles_are_within_the_stated_error(void **state)
{
    (void)state;
    check_against_truth(evenly);
    check_against_truth(over_all_sizes);
    check_against_truth(with_a_tail);
}

/* At each power of two, and beside it: the bucket's borders. */
static void borders_of_powers_of_two_are_within_the_stated_error(void **state)
{
    (void)state;
    for (unsigned bits = 6; bits < 64; bits++) {
        uint64_t power = UINT64_C(1) << bits;
        const uint64_t around[] = {power - 1, power, power + 1, power + (power - 1)};
        for (size_t i = 0; i < 4; i++) {
            histogram_reset(&histogram);
            histogram_record(&histogram, 0); /* or min and max would correct what is shown */
            histogram_record(&histogram, around[i]);
            histogram_record(&histogram, UINT64_MAX);
            uint64_t told = histogram_percentile(&histogram, 500);
            uint64_t off = told > around[i] ? told - around[i] : around[i] - told;
            assert_true(off <= around[i] / 64 + 1);
        }
    }
}

static void a_sum_that_does_not_fit_stays_at_the_largest_number(void **state)
{
    (void)state;
    histogram_record(&histogram, UINT64_MAX - 1);
    histogram_record(&histogram, 1);
    assert_true(histogram_sum(&histogram) == UINT64_MAX);
    histogram_record(&histogram, UINT64_MAX);
    histogram_record(&histogram, 5);
    assert_true(histogram_sum(&histogram) == UINT64_MAX);
    assert_true(histogram_count(&histogram) == 4);
    assert_true(histogram_max(&histogram) == UINT64_MAX);
}

static void reset_forgets_everything(void **state)
{
    histogram_record(&histogram, 7);
    histogram_record(&histogram, UINT64_MAX);
    histogram_reset(&histogram);
    an_empty_one_says_zero(state);
    histogram_record(&histogram, 9);
    assert_true(histogram_percentile(&histogram, 500) == 9);
}

static void *record_many(void *context)
{
    (void)context;
    for (uint64_t i = 0; i < 200000; i++)
        histogram_record(&histogram, 1000 + i % 1000);
    return NULL;
}

static void can_be_read_while_it_is_written(void **state)
{
    pthread_t writer;
    uint64_t before = 0;
    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, record_many, NULL), 0);
    while (before < 200000) {
        uint64_t median = histogram_percentile(&histogram, 500);
        uint64_t count = histogram_count(&histogram);
        assert_true(count >= before);
        assert_true(median == 0 || (median >= 1000 && median < 2000));
        before = count;
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(histogram_count(&histogram) == 200000);
    assert_true(histogram_sum(&histogram) == UINT64_C(200000) * 1000 + 200 * 999 * 500);
}

static void cumulated_counts_agree_with_a_sorted_list(void **state)
{
    static const uint64_t bounds[] = {0, 5, 63, 1000, 50000, 1000000, UINT64_MAX / 2};
    enum { BOUNDS = sizeof(bounds) / sizeof(bounds[0]) };
    uint64_t counts[BOUNDS + 1];
    uint64_t value = 1;
    uint64_t sure[BOUNDS] = {0};     /* clearly below */
    uint64_t possible[BOUNDS] = {0}; /* not clearly above */
    (void)state;
    histogram_cumulate(&histogram, bounds, BOUNDS, counts);
    assert_true(counts[0] == 0 && counts[BOUNDS] == 0);
    for (size_t i = 0; i < VALUES; i++) {
        value = value * 6364136223846793005U + 1442695040888963407U;
        uint64_t recorded = value >> (33 + i % 30);
        histogram_record(&histogram, recorded);
        for (size_t b = 0; b < BOUNDS; b++) {
            uint64_t margin = bounds[b] < 64 ? 0 : bounds[b] / 60;
            sure[b] += recorded <= bounds[b] - margin ? 1 : 0;
            possible[b] += recorded <= bounds[b] + margin ? 1 : 0;
        }
    }
    histogram_record(&histogram, UINT64_MAX);
    histogram_cumulate(&histogram, bounds, BOUNDS, counts);
    for (size_t b = 0; b < BOUNDS; b++) {
        assert_in_range(counts[b], sure[b], possible[b]);
        assert_true(b == 0 || counts[b] >= counts[b - 1]);
    }
    assert_true(counts[BOUNDS - 1] == VALUES);
    assert_true(counts[BOUNDS] == VALUES + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_one_says_zero, empty),
        cmocka_unit_test_setup(every_percentile_of_a_single_value_is_that_value, empty),
        cmocka_unit_test_setup(small_values_are_exact, empty),
        cmocka_unit_test_setup(percentiles_are_within_the_stated_error, empty),
        cmocka_unit_test_setup(borders_of_powers_of_two_are_within_the_stated_error, empty),
        cmocka_unit_test_setup(a_sum_that_does_not_fit_stays_at_the_largest_number, empty),
        cmocka_unit_test_setup(reset_forgets_everything, empty),
        cmocka_unit_test_setup(can_be_read_while_it_is_written, empty),
        cmocka_unit_test_setup(cumulated_counts_agree_with_a_sorted_list, empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
