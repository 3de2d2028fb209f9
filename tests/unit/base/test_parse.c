/* SPDX-License-Identifier: PostgreSQL
 *
 * What people write: which texts are values, which are not, and that a refusal changes nothing.
 */
#include "walrx/base/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define UNTOUCHED UINT64_C(0xDEADBEEF)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct Good {
    const char *text;
    uint64_t value;
} Good;

static void u64_takes_digits_within_bounds(void **state)
{
    static const Good good[] = {
        {"0", 0},
        {"7", 7},
        {"007", 7},
        {"18446744073709551615", UINT64_MAX},
    };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(parse_u64(good[i].text, 0, UINT64_MAX, &value));
        assert_true(value == good[i].value);
    }
    assert_true(parse_u64("10", 10, 10, &value));
    assert_true(value == 10);
}

static void u64_refuses_everything_else(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1x",
        "x",
        "0x10",
        "1.0",
        "1e3",
        "1\n",
        "18446744073709551616",
        "99999999999999999999999",
    };
    uint64_t value = UNTOUCHED;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(parse_u64(bad[i], 0, UINT64_MAX, &value));
    assert_false(parse_u64("9", 10, 20, &value));
    assert_false(parse_u64("21", 10, 20, &value));
    assert_true(value == UNTOUCHED);
}

static void size_knows_the_units_of_postgresql(void **state)
{
    static const Good good[] = {
        {"64MB", UINT64_C(64) << 20},
        {"1 GB", UINT64_C(1) << 30},
        {"512kB", UINT64_C(512) << 10},
        {"4096B", 4096},
        {"2TB", UINT64_C(2) << 40},
        {"0", 0},
        {"3", 3 * 512},
        {"1.5GB", UINT64_C(3) << 29},
        {"0.5", 256},
        {"16777215TB", UINT64_C(16777215) << 40},
        {"18446744073709551615B", UINT64_MAX},
    };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(parse_size(good[i].text, 512, &value));
        assert_true(value == good[i].value);
    }
}

static void size_refuses_everything_else(void **state)
{
    static const char *const bad[] = {
        "",
        "MB",
        "64mb",
        "64KB",
        "64Mb",
        "64M",
        "64MBs",
        "64  MB",
        "64MB ",
        " 64MB",
        "64 ",
        "-64MB",
        "+64MB",
        "64\tMB",
        "0x40MB",
        "1.MB",
        ".5MB",
        "1.5B",
        "0.3kB",
        "1.0000000MB",
        "1,5MB",
        "16777216TB",
        "18446744073709551616B",
        "99999999999999999999MB",
        "64ms",
        "18446744073709551615.5kB",
    };
    uint64_t value = UNTOUCHED;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(parse_size(bad[i], 512, &value));
    assert_false(parse_size("2", UINT64_MAX, &value));
    assert_true(value == UNTOUCHED);
}

static void duration_knows_the_units_of_postgresql(void **state)
{
    static const Good good[] = {
        {"500ms", 500},    {"10s", 10000}, {"5min", 300000}, {"1h", 3600000},
        {"2d", 172800000}, {"1.5s", 1500}, {"10 s", 10000},  {"0", 0},
        {"10", 10000},     {"1.25", 1250}, {"1000us", 1},    {"0.001s", 1},
        {"0.5h", 1800000}, {"0us", 0},     {"2000 us", 2},   {"1.000000s", 1000},
    };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(parse_duration(good[i].text, 1000, &value));
        assert_true(value == good[i].value);
    }
    assert_true(parse_duration("7", 1, &value));
    assert_true(value == 7);
}

static void duration_refuses_everything_else(void **state)
{
    static const char *const bad[] = {
        "",
        "s",
        "500us",
        "999us",
        "1001us",
        "0.5ms",
        "1.2345s",
        "10S",
        "10sec",
        "10m",
        "10 ",
        " 10s",
        "-1s",
        "+1s",
        "10  s",
        "1.s",
        ".5s",
        "1.5.5s",
        "10s ",
        "64MB",
        "18446744073709551615s",
        "18446744073709551616ms",
        "inf",
        "nan",
    };
    uint64_t value = UNTOUCHED;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(parse_duration(bad[i], 1000, &value));
    assert_false(parse_duration("1", UINT64_MAX, &value));
    assert_true(value == UNTOUCHED);
}

static void bool_takes_whole_words_in_any_case(void **state)
{
    static const char *const yes[] = {"on", "true", "yes", "1", "ON", "True", "yEs"};
    static const char *const no[] = {"off", "false", "no", "0", "OFF", "False", "nO"};
    static const char *const bad[] = {"",    "o",   "t", "y",  "n",  "tru",
                                      "on ", " on", "2", "10", "onn"};
    bool value;

    (void)state;
    for (size_t i = 0; i < COUNT(yes); i++) {
        value = false;
        assert_true(parse_bool(yes[i], &value));
        assert_true(value);
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        value = true;
        assert_true(parse_bool(no[i], &value));
        assert_false(value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        value = i % 2 == 0;
        assert_false(parse_bool(bad[i], &value));
        assert_true(value == (i % 2 == 0));
    }
}

static void format_size_takes_the_largest_exact_unit(void **state)
{
    char buffer[PARSE_TEXT_SIZE];

    (void)state;
    assert_string_equal(format_size(0, buffer), "0B");
    assert_string_equal(format_size(1023, buffer), "1023B");
    assert_string_equal(format_size(1024, buffer), "1kB");
    assert_string_equal(format_size(UINT64_C(64) << 20, buffer), "64MB");
    assert_string_equal(format_size((UINT64_C(64) << 20) + 1024, buffer), "65537kB");
    assert_string_equal(format_size(UINT64_C(3) << 30, buffer), "3GB");
    assert_string_equal(format_size(UINT64_C(5) << 40, buffer), "5TB");
    assert_string_equal(format_size(UINT64_MAX, buffer), "18446744073709551615B");
}

static void format_duration_takes_the_largest_exact_unit(void **state)
{
    char buffer[PARSE_TEXT_SIZE];

    (void)state;
    assert_string_equal(format_duration(0, buffer), "0ms");
    assert_string_equal(format_duration(1500, buffer), "1500ms");
    assert_string_equal(format_duration(10000, buffer), "10s");
    assert_string_equal(format_duration(60000, buffer), "1min");
    assert_string_equal(format_duration(90000, buffer), "90s");
    assert_string_equal(format_duration(7200000, buffer), "2h");
    assert_string_equal(format_duration(86400000, buffer), "1d");
    assert_string_equal(format_duration(UINT64_MAX, buffer), "18446744073709551615ms");
}

static void formatted_values_read_back(void **state)
{
    char buffer[PARSE_TEXT_SIZE];
    uint64_t back;

    (void)state;
    for (uint64_t value = 1; value < UINT64_MAX / 5000; value = value * 3 + 1) {
        for (uint64_t times = 1; times <= 1000; times += 111) {
            assert_true(parse_size(format_size(value * times, buffer), 7, &back));
            assert_true(back == value * times);
            assert_true(parse_duration(format_duration(value, buffer), 7, &back));
            assert_true(back == value);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(u64_takes_digits_within_bounds),
        cmocka_unit_test(u64_refuses_everything_else),
        cmocka_unit_test(size_knows_the_units_of_postgresql),
        cmocka_unit_test(size_refuses_everything_else),
        cmocka_unit_test(duration_knows_the_units_of_postgresql),
        cmocka_unit_test(duration_refuses_everything_else),
        cmocka_unit_test(bool_takes_whole_words_in_any_case),
        cmocka_unit_test(format_size_takes_the_largest_exact_unit),
        cmocka_unit_test(format_duration_takes_the_largest_exact_unit),
        cmocka_unit_test(formatted_values_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
