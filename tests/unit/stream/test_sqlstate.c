/* SPDX-License-Identifier: PostgreSQL
 *
 * SQLSTATE classes: each code a receiver meets in practice, and codes nobody knows.
 */
#include "walrx/stream/sqlstate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Codes: src/backend/utils/errcodes.txt, PostgreSQL 15. */
static const struct {
    const char *sqlstate;
    ErrorClass class;
} cases[] = {
    {"08000", ERROR_RETRY},    /* connection_exception */
    {"08006", ERROR_RETRY},    /* connection_failure */
    {"08P01", ERROR_RETRY},    /* protocol_violation: a cut in the middle of a message */
    {"28000", ERROR_OPERATOR}, /* pg_hba.conf has no line for us */
    {"28P01", ERROR_OPERATOR}, /* wrong password */
    {"3D000", ERROR_OPERATOR}, /* no such database */
    {"42501", ERROR_OPERATOR}, /* insufficient_privilege */
    {"42601", ERROR_OPERATOR}, /* syntax_error */
    {"42704", ERROR_OPERATOR}, /* undefined_object: no such slot */
    {"42710", ERROR_OPERATOR}, /* duplicate_object: the slot exists */
    {"53300", ERROR_RETRY},    /* too_many_connections */
    {"53100", ERROR_RETRY},    /* disk_full, over there */
    {"53200", ERROR_RETRY},    /* out_of_memory, over there */
    {"53400", ERROR_OPERATOR}, /* configuration_limit_exceeded: no free slot */
    {"55000", ERROR_OPERATOR}, /* object_not_in_prerequisite_state: slot invalidated */
    {"55006", ERROR_RETRY},    /* object_in_use: the slot is active */
    {"57014", ERROR_RETRY},    /* query_canceled */
    {"57P01", ERROR_RETRY},    /* admin_shutdown */
    {"57P02", ERROR_RETRY},    /* crash_shutdown */
    {"57P03", ERROR_RETRY},    /* cannot_connect_now: starting up */
    {"57P05", ERROR_RETRY},    /* idle_session_timeout */
    {"58030", ERROR_RETRY},    /* io_error, over there */
    {"58P01", ERROR_ARCHIVE},  /* undefined_file: the WAL is gone */
    {"0A000", ERROR_OPERATOR}, /* feature_not_supported */
    {"F0000", ERROR_OPERATOR}, /* config_file_error */
    {"XX000", ERROR_RETRY},    /* internal_error: also a segment removed while it was read */
    {"", ERROR_RETRY},         /* the connection broke without a word */
    {"ZZZZZ", ERROR_RETRY},    {"5", ERROR_RETRY},
};

static void each_code_has_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (sqlstate_class(cases[i].sqlstate) != cases[i].class)
            fail_msg("%s: class %s, expected %s", cases[i].sqlstate,
                     error_class_name(sqlstate_class(cases[i].sqlstate)),
                     error_class_name(cases[i].class));
    }
}

static void the_named_codes_are_what_they_say(void **state)
{
    (void)state;
    assert_int_equal(sqlstate_class(SQLSTATE_UNDEFINED_FILE), ERROR_ARCHIVE);
    assert_int_equal(sqlstate_class(SQLSTATE_DUPLICATE_OBJECT), ERROR_OPERATOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_its_class),
        cmocka_unit_test(the_named_codes_are_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
