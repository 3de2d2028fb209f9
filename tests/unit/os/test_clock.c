/* SPDX-License-Identifier: PostgreSQL
 *
 * Clock: the views of time agree with the kernel's.
 */
#include "walrx/os/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void monotonic_time_goes_forward_at_its_pace(void **state)
{
    struct timespec pause = {.tv_nsec = 20000000};
    uint64_t before = clock_monotonic_ms();
    (void)state;
    (void)nanosleep(&pause, NULL);
    uint64_t passed = clock_monotonic_ms() - before;
    assert_in_range(passed, 19, 20000);
}

static void nanoseconds_are_of_the_same_clock(void **state)
{
    uint64_t before = clock_monotonic_ms();
    uint64_t now = clock_monotonic_ns();
    (void)state;
    assert_in_range(now / 1000000, before, clock_monotonic_ms());
    assert_true(clock_monotonic_ns() >= now);
}

static void pg_time_counts_microseconds_since_2000(void **state)
{
    (void)state;
    int64_t before = ((int64_t)time(NULL) - 946684800) * 1000000;
    int64_t now = clock_pg_time();
    assert_true(now >= before - 1000000 && now < before + 60000000);
}

static void utc_text_is_iso_8601_with_milliseconds(void **state)
{
    char text[CLOCK_TEXT_SIZE];
    char expected[CLOCK_TEXT_SIZE];
    (void)state;
    for (int attempt = 0; attempt < 10; attempt++) {
        time_t before = time(NULL);
        assert_ptr_equal(clock_utc_text(text), text);
        if (time(NULL) != before)
            continue; /* the second changed in between */
        struct tm parts;
        (void)gmtime_r(&before, &parts);
        (void)strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.", &parts);
        assert_int_equal(strlen(text), strlen("2026-03-01T12:00:00.123Z"));
        assert_memory_equal(text, expected, strlen(expected));
        assert_int_equal(strspn(text + 20, "0123456789"), 3);
        assert_string_equal(text + 23, "Z");
        return;
    }
    fail_msg("the clock changed its second ten times");
}

static void seeds_differ(void **state)
{
    (void)state;
    assert_true(clock_seed() != clock_seed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_goes_forward_at_its_pace),
        cmocka_unit_test(nanoseconds_are_of_the_same_clock),
        cmocka_unit_test(pg_time_counts_microseconds_since_2000),
        cmocka_unit_test(utc_text_is_iso_8601_with_milliseconds),
        cmocka_unit_test(seeds_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
