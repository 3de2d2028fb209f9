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

static void the_same_bytes_are_kept_once(void **state)
{
    (void)state;
    assert_true(move("first"));
    assert_true(move("other"));
    assert_true(move("other"));
    assert_true(move("first"));
    assert_false(scratch_exists(fixture.path, "bad"));
    assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), 2);
    assert_true(move("first and more"));
    assert_true(move("firsT"));
    assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), 4);
}

/* Longer than what is compared at a time. */
static void a_difference_at_the_end_of_a_long_file_counts(void **state)
{
    size_t length = 600000;
    char *content = malloc(length + 1);
    (void)state;
    assert_non_null(content);
    memset(content, 'x', length);
    content[length] = '\0';
    assert_true(move(content));
    assert_true(move(content));
    assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), 1);
    content[length - 1] = 'y';
    assert_true(move(content));
    assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), 2);
    free(content);
}

static void a_failure_while_comparing_keeps_the_file(void **state)
{
    static const FakeCall calls[] = {FAKE_PREAD, FAKE_OPENAT, FAKE_UNLINK};
    (void)state;
    assert_true(move("x"));
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        fake_files_fail(calls[i], fake_files_count(calls[i]) + 1, EIO);
        assert_false(move("x"));
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
        assert_true(scratch_holds(fixture.path, "bad", "x", 1));
    }
    assert_true(move("x"));
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
    for (int i = 0; i < 100; i++) {
        char content[16];
        (void)snprintf(content, sizeof(content), "number %d", i);
        assert_true(move(content));
    }
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
        CASE(the_same_bytes_are_kept_once),
        CASE(a_difference_at_the_end_of_a_long_file_counts),
        CASE(a_failure_while_comparing_keeps_the_file),
        CASE(files_of_the_private_directory_can_be_moved),
        CASE(a_full_quarantine_refuses_and_the_file_stays),
        CASE(a_failure_leaves_the_file_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
