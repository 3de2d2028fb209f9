/* SPDX-License-Identifier: PostgreSQL
 *
 * The settings a server gets, as text.
 */
#include "walrx/restore/find.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_settings(const FindTarget *target, const char *expected)
{
    const FindResult result = {.timeline = 7};
    char text[FIND_SETTINGS_SIZE];
    assert_true(find_settings(target, &result, text, sizeof(text)));
    assert_string_equal(text, expected);
    /* nothing is cut silently */
    for (size_t size = 0; size <= strlen(expected); size++) {
        char *exact = malloc(size + 1);
        assert_non_null(exact);
        assert_false(find_settings(target, &result, exact, size));
        free(exact);
    }
}

static void each_kind_has_its_setting(void **state)
{
    (void)state;
    /* a zone by number: abbreviations are not known when the server checks the setting */
    assert_settings(&(FindTarget){.kind = FIND_TIME, .time = 825681600123456},
                    "recovery_target_time = '2026-03-01 12:00:00.123456+00'\n"
                    "recovery_target_inclusive = 'on'\nrecovery_target_timeline = '7'\n");
    assert_settings(&(FindTarget){.kind = FIND_TIME, .time = -1, .exclusive = true},
                    "recovery_target_time = '1999-12-31 23:59:59.999999+00'\n"
                    "recovery_target_inclusive = 'off'\nrecovery_target_timeline = '7'\n");
    assert_settings(&(FindTarget){.kind = FIND_LSN, .lsn = 0x16B374D848, .exclusive = true},
                    "recovery_target_lsn = '16/B374D848'\n"
                    "recovery_target_inclusive = 'off'\nrecovery_target_timeline = '7'\n");
    assert_settings(&(FindTarget){.kind = FIND_XID, .xid = UINT32_MAX},
                    "recovery_target_xid = '4294967295'\n"
                    "recovery_target_inclusive = 'on'\nrecovery_target_timeline = '7'\n");
    assert_settings(&(FindTarget){.kind = FIND_POINT, .name = "release"},
                    "recovery_target_name = 'release'\nrecovery_target_timeline = '7'\n");
    assert_settings(&(FindTarget){.kind = FIND_LATEST}, "recovery_target_timeline = '7'\n");
}

static void values_are_quoted_as_the_file_needs_it(void **state)
{
    char text[64];
    (void)state;
    assert_settings(&(FindTarget){.kind = FIND_POINT, .name = "it's\\ a \"name\"\n\x7F\xC3\xA9"},
                    "recovery_target_name = 'it''s\\\\ a \"name\"\\012\\177\xC3\xA9'\n"
                    "recovery_target_timeline = '7'\n");
    /* what is no UTF-8 would be lost on its way through JSON */
    assert_settings(&(FindTarget){.kind = FIND_POINT, .name = "\xE9t\xE9 \xC3\xA9\xC3"},
                    "recovery_target_name = '\\351t\\351 \xC3\xA9\\303'\n"
                    "recovery_target_timeline = '7'\n");
    assert_settings(&(FindTarget){.kind = FIND_POINT, .name = "\xED\xA0\x80\xF0\x9F\x90\x98"},
                    "recovery_target_name = '\\355\\240\\200\xF0\x9F\x90\x98'\n"
                    "recovery_target_timeline = '7'\n");
    assert_true(find_setting("restore_command", "cp '%f' %p", text, sizeof(text)));
    assert_string_equal(text, "restore_command = 'cp ''%f'' %p'\n");
}

static void the_command_is_told_what_the_place_needs(void **state)
{
    FindTarget target = {.kind = FIND_LSN};
    FindResult result = {.at = {.found = true, .partial = true}};
    (void)state;
    assert_string_equal(find_restore_options(&target, &result), "");
    target.timeline = 1;
    assert_string_equal(find_restore_options(&target, &result), " --partial=always");
    result.gap_behind = true;
    assert_string_equal(find_restore_options(&target, &result),
                        " --on-gap=continue --partial=always");
    result.at.partial = false;
    assert_string_equal(find_restore_options(&target, &result), " --on-gap=continue");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_setting),
        cmocka_unit_test(values_are_quoted_as_the_file_needs_it),
        cmocka_unit_test(the_command_is_told_what_the_place_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
