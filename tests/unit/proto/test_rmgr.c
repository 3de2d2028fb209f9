/* SPDX-License-Identifier: PostgreSQL
 *
 * Names of resource managers.
 */
#include "walrx/proto/rmgr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_name(uint8_t rmgr, int major, const char *expected)
{
    char buffer[RMGR_NAME_SIZE];
    assert_string_equal(rmgr_name(rmgr, major, buffer), expected);
}

static void names_are_those_of_the_major_version(void **state)
{
    (void)state;
    for (int major = 10; major <= 19; major++) {
        assert_name(0, major, "XLOG");
        assert_name(1, major, "Transaction");
        assert_name(10, major, "Heap");
        assert_name(21, major, "LogicalMessage");
        assert_name(22, major, major == 19 ? "XLOG2" : "rmgr 22");
        assert_name(23, major, "rmgr 23");
        assert_name(128, major, "custom128");
        assert_name(255, major, "custom255");
    }
    assert_name(22, 0, "rmgr 22");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_the_major_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
