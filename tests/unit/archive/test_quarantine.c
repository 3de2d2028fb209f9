/* SPDX-License-Identifier: PostgreSQL
 *
 * Quarantine: what is moved there is kept, whatever is there already, up to a bound.
 */
#include "walrx/archive/quarantine.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool move(const char *content)
{
    scratch_write(fixture.path, "bad", content, strlen(content));
    return quarantine_move(&fixture.archive, &fixture.archive.dir, "bad", "good", &fixture.error);
}

static void files_of_one_name_are_numbered(void **state)
{
    (void)state;
    assert_true(move("first"));
    assert_true(move("second"));
    assert_true(move("third"));
    assert_false(scratch_exists(fixture.path, "bad"));
    assert_true(scratch_holds(fixture.path, ".walrx/quarantine/good", "first", 5));
    assert_true(scratch_holds(fixture.path, ".walrx/quarantine/good.1", "second", 6));
    assert_true(scratch_holds(fixture.path, ".walrx/quarantine/good.2", "third", 5));
}

static void files_of_the_private_directory_can_be_moved(void **state)
{
    (void)state;
    scratch_write(fixture.path, ".walrx/x.tmp", "x", 1);
    assert_true(
        quarantine_move(&fixture.archive, &fixture.archive.private, "x.tmp", "x", &fixture.error));
    assert_true(scratch_holds(fixture.path, ".walrx/quarantine/x", "x", 1));
}

static void a_full_quarantine_refuses_and_the_file_stays(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(move("x"));
    assert_false(move("one too many"));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), 100);
    assert_true(scratch_holds(fixture.path, "bad", "one too many", 12));
}

static void a_failure_leaves_the_file_where_it_was(void **state)
{
    (void)state;
    fake_files_fail(FAKE_RENAME, fake_files_count(FAKE_RENAME) + 1, EIO);
    assert_false(move("x"));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    assert_true(scratch_exists(fixture.path, "bad"));
    fake_files_fail(FAKE_FSYNC, fake_files_count(FAKE_FSYNC) + 2, EIO);
    assert_false(move("x"));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(files_of_one_name_are_numbered),
        CASE(files_of_the_private_directory_can_be_moved),
        CASE(a_full_quarantine_refuses_and_the_file_stays),
        CASE(a_failure_leaves_the_file_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
