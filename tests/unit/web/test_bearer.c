/* SPDX-License-Identifier: PostgreSQL
 *
 * Which files hold a token, and which headers bring it.
 */
#include "walrx/observe/bearer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TOKEN "0123456789abcdef-._~+/="

static BearerToken token_of(const char *text)
{
    BearerToken token = {.length = 0};
    Error error;
    assert_true(bearer_token_parse(text, strlen(text), &token, &error));
    return token;
}

static void blanks_and_newlines_around_a_token_do_not_count(void **state)
{
    (void)state;
    BearerToken token = token_of(" \t" TOKEN "\r\n\n");
    assert_string_equal(token.text, TOKEN);
    assert_int_equal(token.length, strlen(TOKEN));
}

static void what_is_no_token_is_refused(void **state)
{
    char longest[BEARER_MAX + 2];
    const char *const bad[] = {"",
                               "\n",
                               "fifteen-letters",
                               "two words of sixteen",
                               "sixteen-letters\n-and-a-line",
                               "quote\"quote\"quote",
                               longest};
    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[BEARER_MAX + 1] = '\0';
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        BearerToken token = {.length = 7};
        Error error;
        assert_false(bearer_token_parse(bad[i], strlen(bad[i]), &token, &error));
        assert_int_equal(error.class, ERROR_USAGE);
        assert_int_equal(token.length, 7);
    }
    longest[BEARER_MAX] = '\0';
    assert_int_equal(token_of(longest).length, BEARER_MAX);
}

static void a_zero_byte_does_not_end_a_token(void **state)
{
    static const char text[] = TOKEN "\0" TOKEN;
    BearerToken token;
    Error error;
    (void)state;
    assert_false(bearer_token_parse(text, sizeof(text) - 1, &token, &error));
}

static void the_right_header_is_accepted_in_any_spelling_of_its_scheme(void **state)
{
    (void)state;
    BearerToken token = token_of(TOKEN);
    assert_true(bearer_accepts(&token, "Bearer " TOKEN));
    assert_true(bearer_accepts(&token, "bearer   " TOKEN));
}

static void every_other_header_is_refused(void **state)
{
    char text[1024];
    (void)state;
    BearerToken token = token_of(TOKEN);
    const char *const bad[] = {NULL,
                               "",
                               "Bearer",
                               "Bearer ",
                               TOKEN,
                               "Basic " TOKEN,
                               "Bearer\t" TOKEN,
                               "Bearer " TOKEN "x",
                               "Bearer " TOKEN TOKEN,
                               "Bearer " TOKEN " "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(bearer_accepts(&token, bad[i]));
    for (size_t i = 0; i < strlen(TOKEN); i++) { /* one wrong byte, one byte less */
        (void)snprintf(text, sizeof(text), "Bearer %s", TOKEN);
        text[strlen("Bearer ") + i] ^= 1;
        assert_false(bearer_accepts(&token, text));
        (void)snprintf(text, sizeof(text), "Bearer %.*s", (int)i, TOKEN);
        assert_false(bearer_accepts(&token, text));
    }
}

static void without_a_token_everyone_is_accepted(void **state)
{
    const BearerToken none = {.length = 0};
    (void)state;
    assert_true(bearer_accepts(&none, NULL));
    assert_true(bearer_accepts(&none, "Bearer x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_and_newlines_around_a_token_do_not_count),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(a_zero_byte_does_not_end_a_token),
        cmocka_unit_test(the_right_header_is_accepted_in_any_spelling_of_its_scheme),
        cmocka_unit_test(every_other_header_is_refused),
        cmocka_unit_test(without_a_token_everyone_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
