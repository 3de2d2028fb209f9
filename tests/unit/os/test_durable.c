/* SPDX-License-Identifier: PostgreSQL
 *
 * Durable steps: their effect, their order as the disk sees it, and that no sync is skipped,
 * repeated or its failure lost.
 */
#include "walrx/os/durable.h"

#include "fake_files.h"
#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char path[SCRATCH_PATH_SIZE];
static Dir outer;
static Dir inner;
static Error error;
static char order[256]; /* one letter for each change, in the order they came */

static void note(const FakeEvent *event)
{
    static const char letters[] = {'o', 'c', 'r', 'w', 's', 'd', 'a', 't', 'm', 'u', 'k'};
    size_t length = strlen(order);
    char letter = letters[event->call];
    if (event->call == FAKE_OPENAT && !event->created && !event->truncated)
        return;
    if (event->call == FAKE_FSYNC)
        letter = event->fd == inner.fd ? 'i' : 'd';
    if (length + 1 < sizeof(order))
        order[length] = letter;
}

static int setup(void **state)
{
    (void)state;
    scratch_make(path);
    fake_files_reset();
    bool ok = dir_open(path, true, fake_files_table(), &outer, &error) &&
              dir_open_inside(&outer, "in", true, &inner, NULL, &error);
    memset(order, 0, sizeof(order));
    fake_files_observe(note);
    return ok ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    fake_files_observe(NULL);
    dir_close(&inner);
    dir_close(&outer);
    scratch_remove(path);
    return 0;
}

static void a_new_file_is_written_synced_named_and_its_directory_synced(void **state)
{
    bool exists = true;
    (void)state;
    assert_true(durable_write_new(&inner, "x.tmp", &outer, "x", "content", 7, &exists, &error));
    assert_false(exists);
    assert_true(scratch_holds(path, "x", "content", 7));
    assert_false(scratch_exists(path, "in/x.tmp"));
    assert_string_equal(order, "owsmd");
}

static void an_existing_file_is_never_replaced_by_publishing(void **state)
{
    bool exists = false;
    (void)state;
    scratch_write(path, "x", "old", 3);
    assert_true(durable_write_new(&inner, "x.tmp", &outer, "x", "new", 3, &exists, &error));
    assert_true(exists);
    assert_true(scratch_holds(path, "x", "old", 3));
    assert_true(scratch_holds(path, "in/x.tmp", "new", 3));
}

static void publishing_works_where_noreplace_does_not(void **state)
{
    static const int unsupported[] = {EINVAL, ENOSYS};
    bool exists;
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "x%u", i);
        fake_files_fail(FAKE_RENAME, fake_files_count(FAKE_RENAME) + 1, unsupported[i]);
        assert_true(durable_write_new(&inner, "t", &outer, name, "new", 3, &exists, &error));
        assert_true(fake_files_struck(NULL));
        assert_false(exists);
        assert_true(scratch_holds(path, name, "new", 3));
        fake_files_fail(FAKE_RENAME, fake_files_count(FAKE_RENAME) + 1, unsupported[i]);
        assert_true(durable_write_new(&inner, "t", &outer, name, "other", 5, &exists, &error));
        assert_true(exists);
        assert_true(scratch_holds(path, name, "new", 3));
    }
}

static void replacing_takes_the_place_of_an_existing_file(void **state)
{
    (void)state;
    scratch_write(path, "x", "old content", 11);
    assert_true(durable_write_over(&inner, "t", &outer, "x", "new", 3, &error));
    assert_true(scratch_holds(path, "x", "new", 3));
    assert_true(durable_write_over(&inner, "t", &outer, "x", "", 0, &error));
    assert_int_equal(scratch_size(path, "x"), 0);
    assert_string_equal(order, "owsmdosmd");
}

static void a_removal_is_synced_and_a_missing_file_is_fine(void **state)
{
    (void)state;
    scratch_write(path, "x", "old", 3);
    assert_true(durable_remove(&outer, "x", &error));
    assert_false(scratch_exists(path, "x"));
    assert_string_equal(order, "ud");
    assert_true(durable_remove(&outer, "x", &error));
    fake_files_fail(FAKE_UNLINK, fake_files_count(FAKE_UNLINK) + 1, EROFS);
    assert_false(durable_remove(&outer, "y", &error));
    assert_int_equal(error.os_errno, EROFS);
}

static void without_sync_nothing_is_synced(void **state)
{
    bool exists;
    (void)state;
    outer.sync = false;
    inner.sync = false;
    assert_true(durable_write_new(&inner, "t", &outer, "x", "new", 3, &exists, &error));
    assert_true(durable_write_over(&inner, "t", &outer, "x", "new", 3, &error));
    assert_true(durable_remove(&outer, "x", &error));
    assert_string_equal(order, "owmowmu");
}

static void a_failed_sync_is_a_storage_error_and_not_tried_again(void **state)
{
    bool exists;
    (void)state;
    fake_files_fail(FAKE_FDATASYNC, 1, EIO);
    assert_false(durable_write_new(&inner, "t", &outer, "x", "new", 3, &exists, &error));
    assert_int_equal(error.class, ERROR_STORAGE);
    assert_int_equal(error.os_errno, EIO);
    assert_int_equal(fake_files_count(FAKE_FDATASYNC), 1);
    assert_false(scratch_exists(path, "x")); /* no final name without its data */
    unsigned before = fake_files_count(FAKE_FSYNC);
    fake_files_fail(FAKE_FSYNC, before + 1, EIO);
    assert_false(durable_write_new(&inner, "t", &outer, "x", "new", 3, &exists, &error));
    assert_int_equal(error.class, ERROR_STORAGE);
    assert_non_null(strstr(error.message, "could not fsync directory"));
    assert_int_equal(fake_files_count(FAKE_FSYNC), before + 1);
}

static void interrupted_calls_are_made_again(void **state)
{
    static const FakeCall calls[] = {FAKE_OPENAT, FAKE_PWRITEV, FAKE_FDATASYNC, FAKE_RENAME,
                                     FAKE_FSYNC};
    bool exists;
    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "x%zu", i);
        fake_files_fail(calls[i], fake_files_count(calls[i]) + 1, EINTR);
        if (!durable_write_new(&inner, "t", &outer, name, "new", 3, &exists, &error))
            fail_msg("%s", error.message);
        assert_true(fake_files_struck(NULL));
        assert_true(scratch_holds(path, name, "new", 3));
    }
    fake_files_fail(FAKE_UNLINK, fake_files_count(FAKE_UNLINK) + 1, EINTR);
    assert_true(durable_remove(&outer, "x0", &error));
    assert_false(scratch_exists(path, "x0"));
}

static void a_failed_rename_names_both_sides(void **state)
{
    (void)state;
    assert_false(durable_replace(&inner, "missing", &outer, "x", &error));
    assert_int_equal(error.class, ERROR_STORAGE);
    assert_non_null(strstr(error.message, "/in/missing\" to \""));
    assert_non_null(strstr(error.message, "/x\""));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_new_file_is_written_synced_named_and_its_directory_synced),
        CASE(an_existing_file_is_never_replaced_by_publishing),
        CASE(publishing_works_where_noreplace_does_not),
        CASE(replacing_takes_the_place_of_an_existing_file),
        CASE(a_removal_is_synced_and_a_missing_file_is_fine),
        CASE(without_sync_nothing_is_synced),
        CASE(a_failed_sync_is_a_storage_error_and_not_tried_again),
        CASE(interrupted_calls_are_made_again),
        CASE(a_failed_rename_names_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
