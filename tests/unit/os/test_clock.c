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

static void a_pg_time_is_shown_in_utc_with_microseconds(void **state)
{
    static const struct {
        PgTime time;
        const char *text;
    } cases[] = {
        {0, "2000-01-01T00:00:00.000000Z"},
        {1, "2000-01-01T00:00:00.000001Z"},
        {-1, "1999-12-31T23:59:59.999999Z"},
        {-1000000, "1999-12-31T23:59:59.000000Z"},
        {INT64_C(848481408445614), "2026-11-20T09:16:48.445614Z"},
        {INT64_C(5097599999999), "2000-02-28T23:59:59.999999Z"},
        {INT64_MAX, "294277-01-09T04:00:54.775807Z"},
        {INT64_MIN, "-290278-12-22T19:59:05.224192Z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[CLOCK_TEXT_SIZE];
        assert_string_equal(clock_pg_text(cases[i].time, text), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_goes_forward_at_its_pace),
        cmocka_unit_test(nanoseconds_are_of_the_same_clock),
        cmocka_unit_test(pg_time_counts_microseconds_since_2000),
        cmocka_unit_test(a_pg_time_is_shown_in_utc_with_microseconds),
        cmocka_unit_test(utc_text_is_iso_8601_with_milliseconds),
        cmocka_unit_test(seeds_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
