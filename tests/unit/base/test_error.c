/* SPDX-License-Identifier: PostgreSQL
 *
 * Errors as values: what filling one keeps, forgets and cuts.
 */
#include "walrx/base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CAUSE ": Permission denied"

/* A text of `count` times `piece`. */
static void repeat(char *buffer, size_t size, const char *piece, size_t count)
{
    size_t length = strlen(piece);

    assert_true(count * length < size);
    for (size_t i = 0; i < count; i++)
        memcpy(buffer + i * length, piece, length);
    buffer[count * length] = '\0';
}

static void error_set_fills_class_and_message(void **state)
{
    Error err;

    (void)state;
    memset(&err, 0xFF, sizeof(err));
    assert_false(error_set(&err, ERROR_PROTOCOL, "message of %d bytes", 7));
    assert_int_equal(err.class, ERROR_PROTOCOL);
    assert_string_equal(err.message, "message of 7 bytes");
    assert_int_equal(err.os_errno, 0);
    assert_string_equal(err.sqlstate, "");
    assert_string_equal(err.detail, "");
    assert_string_equal(err.hint, "");
}

static void error_set_forgets_what_an_earlier_error_held(void **state)
{
    Error err;

    (void)state;
    error_set_errno(&err, ERROR_STORAGE, EIO, "could not write");
    error_detail(&err, "detail");
    error_hint(&err, "hint");
    memcpy(err.sqlstate, "42P01", 6);
    error_set(&err, ERROR_RETRY, "again");
    assert_int_equal(err.os_errno, 0);
    assert_string_equal(err.sqlstate, "");
    assert_string_equal(err.detail, "");
    assert_string_equal(err.hint, "");
}

static void error_set_errno_appends_the_cause(void **state)
{
    Error err;

    (void)state;
    assert_false(error_set_errno(&err, ERROR_STORAGE, EACCES, "could not open file \"%s\"", "x"));
    assert_int_equal(err.class, ERROR_STORAGE);
    assert_int_equal(err.os_errno, EACCES);
    assert_string_equal(err.message, "could not open file \"x\"" CAUSE);
}

static void error_set_errno_survives_a_strange_number(void **state)
{
    Error err;

    (void)state;
    error_set_errno(&err, ERROR_STORAGE, 123456, "could not open");
    assert_int_equal(err.os_errno, 123456);
    assert_true(strlen(err.message) > strlen("could not open: "));
}

static void message_that_is_too_long_is_cut(void **state)
{
    char text[2 * ERROR_MESSAGE_SIZE];
    Error err;

    (void)state;
    repeat(text, sizeof(text), "x", 2 * ERROR_MESSAGE_SIZE - 1);
    error_set(&err, ERROR_USAGE, "%s", text);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_SIZE - 1);
    error_detail(&err, "%s", text);
    assert_int_equal(strlen(err.detail), ERROR_DETAIL_SIZE - 1);
    error_hint(&err, "%s", text);
    assert_int_equal(strlen(err.hint), ERROR_HINT_SIZE - 1);
}

static void cut_keeps_the_cause(void **state)
{
    char text[2 * ERROR_MESSAGE_SIZE];
    Error err;

    (void)state;
    repeat(text, sizeof(text), "x", 2 * ERROR_MESSAGE_SIZE - 1);
    error_set_errno(&err, ERROR_STORAGE, EACCES, "%s", text);
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_SIZE - 1);
    assert_string_equal(err.message + strlen(err.message) - strlen(CAUSE), CAUSE);
}

static void cut_never_splits_a_character(void **state)
{
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\x98"};
    char text[2 * ERROR_MESSAGE_SIZE];
    Error err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(characters[i]);
        repeat(text, sizeof(text), characters[i], ERROR_MESSAGE_SIZE / length + 1);
        for (size_t shift = 0; shift < length; shift++) {
            error_set(&err, ERROR_USAGE, "%.*s%s", (int)shift, "abc", text);
            size_t room = ERROR_MESSAGE_SIZE - 1 - shift;
            assert_int_equal(strlen(err.message), shift + room / length * length);
        }
    }
}

static void error_may_quote_itself(void **state)
{
    Error err;

    (void)state;
    error_set(&err, ERROR_ARCHIVE, "not a segment");
    error_detail(&err, "at byte 3");
    error_set(&err, err.class, "could not read \"%s\": %s (%s)", "x", err.message, err.detail);
    assert_string_equal(err.message, "could not read \"x\": not a segment (at byte 3)");
    assert_int_equal(err.class, ERROR_ARCHIVE);
    error_detail(&err, "one");
    error_detail(&err, "%s and two", err.detail);
    assert_string_equal(err.detail, "one and two");
    error_hint(&err, "one");
    error_hint(&err, "%s and two", err.hint);
    assert_string_equal(err.hint, "one and two");
}

static void detail_and_hint_keep_the_rest(void **state)
{
    Error err;

    (void)state;
    error_set_errno(&err, ERROR_STORAGE, EACCES, "could not open");
    assert_false(error_detail(&err, "first"));
    assert_false(error_detail(&err, "second"));
    assert_false(error_hint(&err, "try %d", 2));
    assert_int_equal(err.class, ERROR_STORAGE);
    assert_int_equal(err.os_errno, EACCES);
    assert_string_equal(err.message, "could not open" CAUSE);
    assert_string_equal(err.detail, "second");
    assert_string_equal(err.hint, "try 2");
}

static void error_clear_forgets_everything(void **state)
{
    Error err;

    (void)state;
    error_set_errno(&err, ERROR_STORAGE, EIO, "could not write");
    error_detail(&err, "detail");
    error_clear(&err);
    assert_int_equal(err.class, ERROR_NONE);
    assert_int_equal(err.os_errno, 0);
    assert_string_equal(err.message, "");
    assert_string_equal(err.detail, "");
}

static void each_class_has_its_exit_status_and_name(void **state)
{
    static const struct {
        ErrorClass class;
        int status;
        const char *name;
    } classes[] = {
        {ERROR_NONE, 0, "none"},         {ERROR_USAGE, 1, "usage"},
        {ERROR_RETRY, 1, "retry"},       {ERROR_OPERATOR, 1, "operator"},
        {ERROR_PROTOCOL, 1, "protocol"}, {ERROR_ARCHIVE, 2, "archive"},
        {ERROR_STORAGE, 3, "storage"},   {ERROR_NO_ROOM, 3, "no room"},
        {ERROR_MEMORY, 1, "memory"},     {ERROR_STOPPED, 0, "stopped"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        assert_int_equal(error_exit_status(classes[i].class), classes[i].status);
        assert_string_equal(error_class_name(classes[i].class), classes[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_set_fills_class_and_message),
        cmocka_unit_test(error_set_forgets_what_an_earlier_error_held),
        cmocka_unit_test(error_set_errno_appends_the_cause),
        cmocka_unit_test(error_set_errno_survives_a_strange_number),
        cmocka_unit_test(message_that_is_too_long_is_cut),
        cmocka_unit_test(cut_keeps_the_cause),
        cmocka_unit_test(cut_never_splits_a_character),
        cmocka_unit_test(error_may_quote_itself),
        cmocka_unit_test(detail_and_hint_keep_the_rest),
        cmocka_unit_test(error_clear_forgets_everything),
        cmocka_unit_test(each_class_has_its_exit_status_and_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
