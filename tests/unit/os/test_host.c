/* SPDX-License-Identifier: PostgreSQL
 *
 * The machine: what is known of it at all.
 */
#include "walrx/os/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_machine_is_known(void **state)
{
    char boot[2][BOOT_ID_SIZE];
    (void)state;
    assert_true(host_boot_id(boot[0]));
    assert_true(host_boot_id(boot[1]));
    assert_string_equal(boot[0], boot[1]);
    assert_true(strlen(boot[0]) >= 36);
    assert_true(host_cores() >= 1);
    assert_true(host_memory() > 16 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
