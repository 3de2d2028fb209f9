/* SPDX-License-Identifier: PostgreSQL
 *
 * Connection options as text and their errors: no password ever shows, whatever is wrong with the
 * string it stands in, and no buffer is too small.
 */
#include "walrx/stream/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECRET "s3cr3tW0rd"

static const char *text_of(const char *conninfo)
{
    static char buffer[1024];
    ConnectOptions options = {.conninfo = conninfo};
    return connect_options_text(&options, buffer, sizeof(buffer));
}

static void passwords_become_stars_in_strings(void **state)
{
    (void)state;
    assert_string_equal(text_of("host=db1 user=rep password=" SECRET " port=5433"),
                        "user=rep password=******** host=db1 port=5433");
    assert_string_equal(text_of("password='" SECRET " with blank' host=db1"),
                        "password=******** host=db1");
    assert_string_equal(text_of("host=db1 sslpassword=" SECRET), "host=db1 sslpassword=********");
    assert_string_equal(text_of("sslpassword=" SECRET " password=" SECRET),
                        "password=******** sslpassword=********");
}

static void passwords_become_stars_in_uris(void **state)
{
    static const char *const uris[] = {
        "postgresql://rep:" SECRET "@db1:5433/x",
        "postgres://rep:" SECRET "@db1,db2/x?sslmode=require",
        "postgresql://db1/x?user=rep&password=" SECRET,
        "postgresql://rep@db1/x?sslpassword=" SECRET "&password=" SECRET,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        const char *text = text_of(uris[i]);
        assert_non_null(strstr(text, "password=********"));
        assert_non_null(strstr(text, "host=db1"));
        assert_null(strstr(text, SECRET));
    }
}

static void separate_options_are_shown_behind_the_string(void **state)
{
    char buffer[200];
    ConnectOptions options = {.conninfo = "dbname=x", .host = "db1", .port = "5433", .user = "rep"};
    (void)state;
    assert_string_equal(connect_options_text(&options, buffer, sizeof(buffer)),
                        "dbname=x host=db1 port=5433 user=rep");
    options = (ConnectOptions){.host = "db1"};
    assert_string_equal(connect_options_text(&options, buffer, sizeof(buffer)), "host=db1");
    options = (ConnectOptions){.conninfo = NULL};
    assert_string_equal(connect_options_text(&options, buffer, sizeof(buffer)), "");
}

static void every_buffer_size_holds_the_start_of_the_text(void **state)
{
    ConnectOptions options = {.conninfo = "host=db1 password=" SECRET, .user = "rep", .port = "1"};
    char whole[200];
    (void)state;
    (void)connect_options_text(&options, whole, sizeof(whole));
    assert_string_equal(whole, "password=******** host=db1 port=1 user=rep");
    for (size_t capacity = 1; capacity <= strlen(whole) + 2; capacity++) {
        char *buffer = malloc(capacity); /* the sanitizer sees one byte too many */
        assert_non_null(buffer);
        (void)connect_options_text(&options, buffer, capacity);
        size_t expected = strlen(whole) < capacity ? strlen(whole) : capacity - 1;
        assert_int_equal(strlen(buffer), expected);
        assert_memory_equal(buffer, whole, expected);
        free(buffer);
    }
}

/* Broken in each way of fe-connect.c (PostgreSQL 15) whose message repeats a piece of the input. */
static const char *const broken[] = {
    "password=my " SECRET,
    "host=db1 password=x " SECRET " port=1",
    "postgresql://rep:" SECRET "@[::1/x",
    "postgresql://rep:" SECRET "@[]/x",
    "postgresql://rep:" SECRET "@[::1]x/y",
    "postgresql://rep:%zz" SECRET "@db1/x",
    "postgresql://rep:" SECRET "%00@db1/x",
    "postgresql://db1/x?password" SECRET,
    "postgresql://db1/x?password=a=" SECRET,
    "postgresql://db1/x?password=" SECRET "%",
    "postgresql://rep:a\"b" SECRET "@[::1]x/y",
};

static void no_error_about_the_string_shows_a_password(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        ConnectOptions options = {.conninfo = broken[i]};
        Error error;
        assert_false(connect_options_check(&options, &error));
        assert_int_equal(error.class, ERROR_USAGE);
        if (strstr(error.message, SECRET) != NULL || strstr(error.detail, SECRET) != NULL ||
            strstr(error.hint, SECRET) != NULL)
            fail_msg("\"%s\" gives: %s", broken[i], error.message);
        assert_string_equal(text_of(broken[i]), "");
    }
}

static void an_unknown_option_is_named(void **state)
{
    ConnectOptions options = {.conninfo = "host=db1 hostt=db2 password=" SECRET};
    Error error;
    (void)state;
    assert_false(connect_options_check(&options, &error));
    assert_non_null(strstr(error.message, "hostt"));
    options.conninfo = "postgresql://db1/x?sslmod=require";
    assert_false(connect_options_check(&options, &error));
    assert_non_null(strstr(error.message, "sslmod"));
}

static void good_strings_pass(void **state)
{
    ConnectOptions options = {.conninfo = "host=db1 password=" SECRET};
    Error error;
    (void)state;
    assert_true(connect_options_check(&options, &error));
    options.conninfo = "postgresql://rep:" SECRET "@db1/x";
    assert_true(connect_options_check(&options, &error));
    options.conninfo = NULL;
    assert_true(connect_options_check(&options, &error));
}

/* What libpq would make of `over` on top of `base`, secrets shown as stars. */
static const char *merged(const ConnectOptions *base, const char *over)
{
    static char text[1024];
    ConnectMerge merge;
    Error error;
    assert_true(connect_options_merge(base, over, &merge, &error));
    ConnectOptions result = {.conninfo = merge.conninfo};
    (void)connect_options_text(&result, text, sizeof(text));
    free(merge.conninfo);
    return text;
}

static void settings_are_laid_over_others(void **state)
{
    const ConnectOptions base = {.conninfo = "host=a,b user=rep password=" SECRET
                                             " sslmode=verify-full options='-c x=it\\'s\\\\'",
                                 .user = "late"};
    (void)state;
    assert_string_equal(merged(&base, "dbname=mon"),
                        "user=late password=******** dbname=mon host=a,b options=-c x=it's\\ "
                        "sslmode=verify-full");
    assert_string_equal(merged(&base, "postgresql://other@/mon"),
                        "user=other dbname=mon host=a,b options=-c x=it's\\ "
                        "sslmode=verify-full");
    assert_string_equal(merged(&base, "host=else"), "host=else");
    assert_string_equal(merged(&base, "service=x"), "service=x");
}

static void a_bad_string_is_not_laid_over(void **state)
{
    const ConnectOptions base = {.conninfo = "host=a"};
    ConnectMerge merge;
    Error error;
    (void)state;
    assert_false(connect_options_merge(&base, "nonsense", &merge, &error));
    assert_int_equal(error.class, ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_become_stars_in_strings),
        cmocka_unit_test(passwords_become_stars_in_uris),
        cmocka_unit_test(separate_options_are_shown_behind_the_string),
        cmocka_unit_test(every_buffer_size_holds_the_start_of_the_text),
        cmocka_unit_test(no_error_about_the_string_shows_a_password),
        cmocka_unit_test(an_unknown_option_is_named),
        cmocka_unit_test(good_strings_pass),
        cmocka_unit_test(settings_are_laid_over_others),
        cmocka_unit_test(a_bad_string_is_not_laid_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
