/* SPDX-License-Identifier: PostgreSQL
 *
 * Times as people write them. The expected values are those of `date -u -d TEXT +%s`.
 */
#include "walrx/os/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOON INT64_C(1772366400) /* 2026-03-01 12:00:00 UTC */

static void use_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static PgTime micros(int64_t unix_seconds, int64_t fraction)
{
    return (unix_seconds - PG_EPOCH_UNIX_SECONDS) * 1000000 + fraction;
}

static PgTime parsed(const char *text)
{
    PgTime time = 0;
    Error err;
    if (!timestamp_parse(text, &time, &err))
        fail_msg("\"%s\": %s", text, err.message);
    return time;
}

static void a_zone_is_an_offset_to_the_east(void **state)
{
    (void)state;
    use_zone("America/New_York");
    assert_int_equal(parsed("2026-03-01 12:00:00Z"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-01T12:00:00z"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-01 12:00 UTC"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-01 12:00:00+00"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-01 13:00:00+01"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-01 13:00:00 +01:00"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-01 08:30:00-0330"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-01 17:45:00+05:45"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-02 02:00+14"), micros(NOON, 0));
}

static void digits_behind_the_point_are_microseconds(void **state)
{
    (void)state;
    assert_int_equal(parsed("2026-03-01 12:00:00.5Z"), micros(NOON, 500000));
    assert_int_equal(parsed("2026-03-01 12:00:00.123456+00"), micros(NOON, 123456));
    assert_int_equal(parsed("2026-03-01 12:00:00.000001Z"), micros(NOON, 1));
    assert_int_equal(parsed("1999-12-31 23:59:59.999999Z"), -1);
}

static void without_a_zone_it_is_the_local_time(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_int_equal(parsed("2026-03-01 13:00:00"), micros(NOON, 0));
    assert_int_equal(parsed("2026-03-01 13:00:00.25"), micros(NOON, 250000));
    assert_int_equal(parsed("2026-07-01 14:00"), micros(1782907200, 0));
    assert_int_equal(parsed("2026-03-01"), micros(NOON - 13 * 3600, 0));
    use_zone("UTC");
    assert_int_equal(parsed("2026-03-01 12:00"), micros(NOON, 0));
    use_zone("Asia/Kathmandu");
    assert_int_equal(parsed("2026-03-01 17:45"), micros(NOON, 0));
}

static void assert_refused(const char *text, const char *words)
{
    PgTime time = 4711;
    Error err;
    if (timestamp_parse(text, &time, &err))
        fail_msg("\"%s\" is taken", text);
    assert_int_equal(err.class, ERROR_USAGE);
    assert_non_null(strstr(err.message, words));
    assert_int_equal(time, 4711);
}

/* Guessing would be wrong by an hour. */
static void local_times_when_clocks_change_are_refused(void **state)
{
    (void)state;
    use_zone("Europe/Berlin");
    assert_refused("2026-03-29 02:30:00", "does not exist");
    assert_refused("2026-10-25 02:30:00", "occurs twice");
    assert_int_equal(parsed("2026-10-25 02:30:00+01"), micros(1792891800, 0));
    assert_int_equal(parsed("2026-10-25 02:30:00+02"), micros(1792888200, 0));
    assert_int_equal(parsed("2026-03-29 03:00:00"), micros(1774746000, 0));
    assert_int_equal(parsed("2026-03-29 01:59:59"), micros(1774745999, 0));
    assert_int_equal(parsed("2026-10-25 03:00:00"), micros(1792893600, 0));
}

/* A country may change its offset without summer time, by a day, or by half an hour. */
static void clocks_also_change_for_good(void **state)
{
    (void)state;
    use_zone("Asia/Almaty"); /* 2024-03-01: from +06 to +05 */
    assert_refused("2024-02-29 23:30:00", "occurs twice");
    assert_int_equal(parsed("2024-02-29 22:59:59"), micros(1709225999, 0));
    assert_int_equal(parsed("2024-03-01 00:00:00"), micros(1709233200, 0));
    use_zone("Pacific/Apia"); /* 2011-12-30 was left out */
    assert_refused("2011-12-30 12:00:00", "does not exist");
    assert_int_equal(parsed("2011-12-29 12:00:00"), micros(1325196000, 0));
    assert_int_equal(parsed("2011-12-31 12:00:00"), micros(1325282400, 0));
    use_zone("Australia/Lord_Howe"); /* half an hour */
    assert_refused("2026-04-05 01:45:00", "occurs twice");
    assert_refused("2026-10-04 02:15:00", "does not exist");
    use_zone("UTC");
    assert_int_equal(parsed("2026-12-31 23:59:59"), micros(1798761599, 0));
    assert_int_equal(parsed("1970-01-01 00:00:00"), micros(0, 0));
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "now",
        "yesterday",
        "12:00",
        "2026-3-1 12:00",
        "26-03-01 12:00",
        "2026-03-01 1:00",
        "2026-03-01 12",
        "2026-03-01  12:00",
        " 2026-03-01 12:00",
        "2026-03-01 12:00 ",
        "2026-03-01 12:00:",
        "2026-03-01 12:00:00.",
        "2026-03-01 12:00:00.1234567",
        "2026-03-01 12:00:00 CET",
        "2026-03-01 12:00:00 +1",
        "2026-03-01 12:00:00 +01:0",
        "2026-03-01 12:00:00 +16",
        "2026-03-01 12:00:00+01x",
        "2026-03-01 12:00:00+0160",
        "2026-03-01x12:00",
        "20260301T120000",
        "2026-03-01 12:00:00 Z Z",
        "-026-03-01 12:00",
        "2026-03-01 12:00:00 +",
        "2026-03-011 12:00",
        "12026-03-01 12:00",
    };
    (void)state;
    use_zone("UTC");
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_refused(texts[i], "invalid time");
}

static void days_and_hours_that_do_not_exist_are_refused(void **state)
{
    static const char *const texts[] = {
        "2026-02-29 12:00",    "2026-13-01 12:00", "2026-00-01 12:00", "2026-04-31 12:00",
        "2026-03-00 12:00",    "2026-03-01 24:00", "2026-03-01 12:60", "2026-03-01 12:00:60",
        "1969-12-31 12:00:00", "2100-02-29 12:00"};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_refused(texts[i], "out of range");
    assert_int_equal(parsed("2028-02-29 12:00Z"), micros(1835438400, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zone_is_an_offset_to_the_east),
        cmocka_unit_test(digits_behind_the_point_are_microseconds),
        cmocka_unit_test(without_a_zone_it_is_the_local_time),
        cmocka_unit_test(local_times_when_clocks_change_are_refused),
        cmocka_unit_test(clocks_also_change_for_good),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(days_and_hours_that_do_not_exist_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
