/* SPDX-License-Identifier: PostgreSQL
 *
 * What counts as being held up: most of a window, told once, with its end and how long it was.
 */
#include "walrx/stream/holdup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WINDOW 5000
#define STEP 100

static HoldUp holdup;
static uint64_t now;
static HoldNews last;
static unsigned news_count;

static int setup(void **state)
{
    (void)state;
    now = 1000000;
    news_count = 0;
    last = (HoldNews){.any = false};
    holdup_start(&holdup, now);
    return 0;
}

/* For `ms`, held up by `cause` for `percent` of each ten steps. */
static void pass(uint64_t ms, HoldCause cause, unsigned percent)
{
    for (uint64_t step = 0; step < ms / STEP; step++) {
        bool held = (step % 10) * 10 < percent;
        HoldNews news = holdup_note(&holdup, held ? cause : HOLD_NONE, now);
        if (news.any) {
            last = news;
            news_count++;
        }
        now += STEP;
    }
}

static void short_waits_are_no_news(void **state)
{
    (void)state;
    pass((uint64_t)100 * WINDOW, HOLD_DISK, 40);
    assert_int_equal(news_count, 0);
}

static void the_beginning_and_the_end_are_told_once_each(void **state)
{
    (void)state;
    pass((uint64_t)10 * WINDOW, HOLD_COMPRESSION, 90);
    assert_int_equal(news_count, 1);
    assert_int_equal(last.cause, HOLD_COMPRESSION);
    pass((uint64_t)3 * WINDOW, HOLD_COMPRESSION, 0);
    assert_int_equal(news_count, 2);
    assert_int_equal(last.cause, HOLD_NONE);
    assert_in_range(last.duration_ms, 9 * WINDOW, 11 * WINDOW);
}

static void what_swings_between_the_limits_stays_as_it_was_told(void **state)
{
    (void)state;
    pass((uint64_t)2 * WINDOW, HOLD_DISK, 80);
    assert_int_equal(news_count, 1);
    pass((uint64_t)20 * WINDOW, HOLD_DISK, 30);
    assert_int_equal(news_count, 1);
}

static void the_greater_cause_is_told_and_its_change_too(void **state)
{
    (void)state;
    pass((uint64_t)3 * WINDOW, HOLD_DISK, 100);
    assert_int_equal(last.cause, HOLD_DISK);
    pass((uint64_t)3 * WINDOW, HOLD_COMPRESSION, 100);
    assert_int_equal(last.cause, HOLD_COMPRESSION);
    assert_int_equal(news_count, 2);
    assert_in_range(last.duration_ms, 2 * WINDOW, 4 * WINDOW);
}

/* Whoever told of the full disk leaves out its end. */
static void the_end_of_a_full_disk_tells_what_it_was(void **state)
{
    (void)state;
    pass((uint64_t)3 * WINDOW, HOLD_DISK, 100);
    pass((uint64_t)3 * WINDOW, HOLD_ROOM, 100);
    assert_int_equal(last.cause, HOLD_ROOM);
    assert_int_equal(last.before, HOLD_DISK);
    pass((uint64_t)3 * WINDOW, HOLD_ROOM, 0);
    assert_int_equal(last.cause, HOLD_NONE);
    assert_int_equal(last.before, HOLD_ROOM);
    assert_int_equal(news_count, 3);
}

/* The stream sleeps with a full ring until the bell, perhaps for long. */
static void a_wait_in_one_piece_counts_as_long_as_it_was(void **state)
{
    (void)state;
    assert_false(holdup_note(&holdup, HOLD_DISK, now).any);
    HoldNews news = holdup_note(&holdup, HOLD_NONE, now + 60000);
    assert_true(news.any);
    assert_int_equal(news.cause, HOLD_DISK);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        CASE(short_waits_are_no_news),
        CASE(the_beginning_and_the_end_are_told_once_each),
        CASE(what_swings_between_the_limits_stays_as_it_was_told),
        CASE(the_greater_cause_is_told_and_its_change_too),
        CASE(the_end_of_a_full_disk_tells_what_it_was),
        CASE(a_wait_in_one_piece_counts_as_long_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
