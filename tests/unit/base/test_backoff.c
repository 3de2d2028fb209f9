/* SPDX-License-Identifier: PostgreSQL
 *
 * Backoff: the bounds of each delay, its growth and the spread.
 */
#include "walrx/base/backoff.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_between_half_and_all(uint64_t delay, uint64_t limit)
{
    assert_true(delay <= limit);
    assert_true(delay >= limit - limit / 2);
}

static void delays_double_up_to_the_largest(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        Backoff backoff = backoff_init(100, 5000, seed);
        uint64_t limit = 100;
        for (int i = 0; i < 100; i++) {
            assert_between_half_and_all(backoff_next_ms(&backoff), limit);
            limit = limit * 2 > 5000 ? 5000 : limit * 2;
        }
    }
}

static void reset_starts_again(void **state)
{
    Backoff backoff = backoff_init(100, 5000, 1);

    (void)state;
    for (int i = 0; i < 20; i++)
        (void)backoff_next_ms(&backoff);
    backoff_reset(&backoff);
    assert_between_half_and_all(backoff_next_ms(&backoff), 100);
    assert_between_half_and_all(backoff_next_ms(&backoff), 200);
}

static void same_seed_gives_same_delays_and_others_differ(void **state)
{
    Backoff first = backoff_init(1000000, 1000000, 7);
    Backoff same = backoff_init(1000000, 1000000, 7);
    Backoff other = backoff_init(1000000, 1000000, 8);
    int equal = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t delay = backoff_next_ms(&first);
        assert_true(delay == backoff_next_ms(&same));
        equal += delay == backoff_next_ms(&other);
    }
    assert_true(equal < 5);
}

/* Of 10,000 delays of 50..100 ms, each of the 51 values comes up about 196 times. */
static void jitter_covers_the_whole_range(void **state)
{
    Backoff backoff = backoff_init(100, 100, 42);
    int seen[101] = {0};

    (void)state;
    for (int i = 0; i < 10000; i++)
        seen[backoff_next_ms(&backoff)]++;
    for (int value = 50; value <= 100; value++)
        assert_in_range(seen[value], 100, 300);
}

static void extreme_bounds_do_not_overflow(void **state)
{
    Backoff huge = backoff_init(3, UINT64_MAX, 1);
    Backoff zero = backoff_init(0, 1000, 1);
    Backoff none = backoff_init(1000, 0, 1);
    Backoff above = backoff_init(1000, 10, 1);

    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t limit = i <= 62 ? UINT64_C(3) << i : UINT64_MAX; /* 3 * 2^62 still fits */
        assert_between_half_and_all(backoff_next_ms(&huge), limit);
        assert_true(backoff_next_ms(&zero) == 0);
        assert_true(backoff_next_ms(&none) == 0);
        assert_between_half_and_all(backoff_next_ms(&above), 10);
    }
}

static void attempt_counter_does_not_wrap(void **state)
{
    Backoff backoff = backoff_init(100, 5000, 1);

    (void)state;
    backoff.attempt = UINT_MAX;
    assert_between_half_and_all(backoff_next_ms(&backoff), 5000);
    assert_between_half_and_all(backoff_next_ms(&backoff), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_up_to_the_largest),
        cmocka_unit_test(reset_starts_again),
        cmocka_unit_test(same_seed_gives_same_delays_and_others_differ),
        cmocka_unit_test(jitter_covers_the_whole_range),
        cmocka_unit_test(extreme_bounds_do_not_overflow),
        cmocka_unit_test(attempt_counter_does_not_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
