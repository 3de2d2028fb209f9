/* SPDX-License-Identifier: PostgreSQL
 *
 * Lists of hosts: what stands behind an entry, and which entry a text is.
 */
#include "../../../src/stream/host_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void entries_are_counted(void **state)
{
    (void)state;
    assert_int_equal(host_list_count(NULL), 1);
    assert_int_equal(host_list_count(""), 1);
    assert_int_equal(host_list_count("a"), 1);
    assert_int_equal(host_list_count("a,b"), 2);
    assert_int_equal(host_list_count(",,"), 3);
}

static void the_rest_begins_behind_the_comma(void **state)
{
    (void)state;
    assert_string_equal(host_list_rest("a,b,c", 0), "b,c");
    assert_string_equal(host_list_rest("a,b,c", 1), "c");
    assert_null(host_list_rest("a,b,c", 2));
    assert_null(host_list_rest("a,b,c", 7));
    assert_string_equal(host_list_rest("a,,c", 0), ",c");
    assert_string_equal(host_list_rest("a,", 0), "");
}

static void one_entry_stands_for_all(void **state)
{
    (void)state;
    assert_string_equal(host_list_rest("5432", 0), "5432");
    assert_string_equal(host_list_rest("5432", 5), "5432");
    assert_null(host_list_rest(NULL, 3));
    assert_true(host_list_is("5432", 4, "5432"));
    assert_false(host_list_is("5432", 4, "5433"));
}

static void an_entry_is_compared_as_a_whole(void **state)
{
    (void)state;
    assert_true(host_list_is("db1,db2", 0, "db1"));
    assert_true(host_list_is("db1,db2", 1, "db2"));
    assert_false(host_list_is("db1,db2", 0, "db"));
    assert_false(host_list_is("db1,db2", 0, "db1,db2"));
    assert_false(host_list_is("db1,db2", 2, "db2"));
    assert_true(host_list_is("db1,", 1, ""));
    assert_true(host_list_is(NULL, 0, ""));
}

static void an_entry_is_copied(void **state)
{
    char entry[16];
    (void)state;
    host_list_entry("db1,db2", 0, entry);
    assert_string_equal(entry, "db1");
    host_list_entry("db1,db2", 1, entry);
    assert_string_equal(entry, "db2");
    host_list_entry("5432", 3, entry);
    assert_string_equal(entry, "5432");
    host_list_entry("db1,db2", 2, entry);
    assert_string_equal(entry, "");
    host_list_entry(NULL, 0, entry);
    assert_string_equal(entry, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_counted),
        cmocka_unit_test(the_rest_begins_behind_the_comma),
        cmocka_unit_test(one_entry_stands_for_all),
        cmocka_unit_test(an_entry_is_compared_as_a_whole),
        cmocka_unit_test(an_entry_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
