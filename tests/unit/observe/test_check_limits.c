/* SPDX-License-Identifier: PostgreSQL
 *
 * What people may write as thresholds, and what is refused without a trace.
 */
#include "walrx/observe/check_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_NS UINT64_C(1000000000)

static CheckLimits limits;
static Error error;

static int setup(void **state)
{
    (void)state;
    limits = (CheckLimits){0};
    return 0;
}

static void assert_limit(CheckFigure figure, CheckLimitKind kind, uint64_t value)
{
    assert_int_equal(limits.limit[figure].kind, kind);
    if (kind == CHECK_LIMIT_AT)
        assert_int_equal(limits.limit[figure].value, value);
}

static void names_and_units_are_understood(void **state)
{
    (void)state;
    assert_true(check_limits_parse("received-lag=3MB,received-lag-time=1.5s,gaps=2,free-disk=1TB",
                                   &limits, &error));
    assert_limit(CHECK_RECEIVED_LAG, CHECK_LIMIT_AT, 3 << 20);
    assert_limit(CHECK_RECEIVED_LAG_TIME, CHECK_LIMIT_AT, SECOND_NS * 3 / 2);
    assert_limit(CHECK_GAPS, CHECK_LIMIT_AT, 2);
    assert_limit(CHECK_FREE_DISK, CHECK_LIMIT_AT, UINT64_C(1) << 40);
    assert_limit(CHECK_FLUSHED_LAG, CHECK_LIMIT_DEFAULT, 0);
}

static void each_name_is_taken_and_can_be_turned_off(void **state)
{
    (void)state;
    for (int i = 0; i < CHECK_FIGURE_COUNT; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%s=7", check_figures[i].name);
        assert_true(check_limits_parse(text, &limits, &error));
        assert_limit((CheckFigure)i, CHECK_LIMIT_AT,
                     check_figures[i].unit == CHECK_TIME ? 7 * SECOND_NS : 7);
        (void)snprintf(text, sizeof(text), "%s=off", check_figures[i].name);
        assert_true(check_limits_parse(text, &limits, &error));
        assert_limit((CheckFigure)i, CHECK_LIMIT_OFF, 0);
    }
}

static void a_value_alone_is_for_durable_wal(void **state)
{
    (void)state;
    assert_true(check_limits_parse("64kB", &limits, &error));
    assert_limit(CHECK_FLUSHED_LAG, CHECK_LIMIT_AT, 65536);
    assert_true(check_limits_parse("off", &limits, &error));
    assert_limit(CHECK_FLUSHED_LAG, CHECK_LIMIT_OFF, 0);
}

static void later_ones_add_to_earlier_ones(void **state)
{
    (void)state;
    assert_true(check_limits_parse("gaps=1,queue=1", &limits, &error));
    assert_true(check_limits_parse("queue=2", &limits, &error));
    assert_limit(CHECK_GAPS, CHECK_LIMIT_AT, 1);
    assert_limit(CHECK_QUEUE, CHECK_LIMIT_AT, 2);
}

static void what_is_no_threshold_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        ",",
        "gaps",
        "gaps=",
        "gaps=-1",
        "gaps=1,",
        "gaps=1,,",
        "gaps=1 ",
        "gap=1",
        "gapss=1",
        "=1",
        "queue=1,flushed-lag=1s",
        "queue=1MB",
        "gaps=1=2",
        "Gaps=1",
        "flushed-lag=-1",
        "gaps=OFF",
        "received-lag-time=18446744073710s",
        "gaps=18446744073709551616",
        "gaps=00000000000000000000000000000000000000000000000000000000000000001",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        error_clear(&error);
        assert_false(check_limits_parse(bad[i], &limits, &error));
        assert_int_equal(error.class, ERROR_USAGE);
        assert_true(error.detail[0] != '\0');
        for (int figure = 0; figure < CHECK_FIGURE_COUNT; figure++)
            assert_limit((CheckFigure)figure, CHECK_LIMIT_DEFAULT, 0);
    }
}

static void defaults_have_words(void **state)
{
    char text[CHECK_LIMIT_TEXT_SIZE];
    (void)state;
    assert_string_equal(check_limit_text(CHECK_FLUSHED_LAG, false, text), "100MB");
    assert_string_equal(check_limit_text(CHECK_FLUSHED_LAG, true, text), "1GB");
    assert_string_equal(check_limit_text(CHECK_MESSAGE_AGE, false, text), "2min");
    assert_string_equal(check_limit_text(CHECK_GAPS, true, text), "0");
    assert_string_equal(check_limit_text(CHECK_GAPS, false, text), "off");
    assert_string_equal(check_limit_text(CHECK_FREE_DISK, false, text), "2GB*");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        CASE(names_and_units_are_understood),       CASE(each_name_is_taken_and_can_be_turned_off),
        CASE(a_value_alone_is_for_durable_wal),     CASE(later_ones_add_to_earlier_ones),
        CASE(what_is_no_threshold_changes_nothing), CASE(defaults_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
