/* SPDX-License-Identifier: PostgreSQL
 *
 * LSNs: text both ways, strictness, sums at the end of 64 bits.
 */
#include "walrx/proto/lsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void lsn_is_formatted_as_postgres_shows_it(void **state)
{
    char text[LSN_TEXT_SIZE];

    (void)state;
    assert_string_equal(lsn_format(UINT64_C(0x16B374D848), text), "16/B374D848");
    assert_string_equal(lsn_format(0, text), "0/0");
    assert_string_equal(lsn_format(UINT64_C(0x100000000), text), "1/0");
    assert_string_equal(lsn_format(UINT64_MAX, text), "FFFFFFFF/FFFFFFFF");
}

static void lsn_parse_reads_what_format_writes(void **state)
{
    static const Lsn VALUES[] = {0,
                                 1,
                                 UINT64_C(0xFFFFFFFF),
                                 UINT64_C(0x100000000),
                                 UINT64_C(0x16B374D848),
                                 UINT64_MAX - 1,
                                 UINT64_MAX};
    char text[LSN_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        Lsn lsn = 42;

        assert_true(lsn_parse(lsn_format(VALUES[i], text), &lsn));
        assert_int_equal(lsn, VALUES[i]);
    }
}

static void lsn_parse_takes_lower_case_and_leading_zeros(void **state)
{
    Lsn lsn;

    (void)state;
    assert_true(lsn_parse("16/b374d848", &lsn));
    assert_int_equal(lsn, UINT64_C(0x16B374D848));
    assert_true(lsn_parse("00000016/00000001", &lsn));
    assert_int_equal(lsn, UINT64_C(0x1600000001));
}

static void lsn_parse_refuses_everything_else(void **state)
{
    static const char *const TEXTS[] = {
        "",     "/",     "0",           "0/",          "/0",          " 0/0",  "0/0 ", "0 /0",
        "0/ 0", "+1/0",  "1/-0",        "0x1/0",       "1/0x0",       "1/0/0", "1//0", "G/0",
        "0/G",  "0/0\n", "123456789/0", "0/123456789", "000000000/0", "1-0",   "1/0;", "\t1/0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        Lsn lsn = 42;

        if (lsn_parse(TEXTS[i], &lsn))
            fail_msg("accepted \"%s\"", TEXTS[i]);
        assert_int_equal(lsn, 42);
    }
}

static void lsn_add_refuses_to_wrap(void **state)
{
    Lsn lsn = 42;

    (void)state;
    assert_true(lsn_add(UINT64_C(0xFFFFFFFF), 1, &lsn));
    assert_int_equal(lsn, UINT64_C(0x100000000));
    assert_true(lsn_add(UINT64_MAX - 5, 5, &lsn));
    assert_int_equal(lsn, UINT64_MAX);
    lsn = 42;
    assert_false(lsn_add(UINT64_MAX - 5, 6, &lsn));
    assert_false(lsn_add(1, UINT64_MAX, &lsn));
    assert_int_equal(lsn, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lsn_is_formatted_as_postgres_shows_it),
        cmocka_unit_test(lsn_parse_reads_what_format_writes),
        cmocka_unit_test(lsn_parse_takes_lower_case_and_leading_zeros),
        cmocka_unit_test(lsn_parse_refuses_everything_else),
        cmocka_unit_test(lsn_add_refuses_to_wrap),
    };

    return cmocka_run_group_tests_name("lsn", tests, NULL, NULL);
}
