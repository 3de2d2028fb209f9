/* SPDX-License-Identifier: PostgreSQL
 *
 * History files: stored once, the same again is nothing, another content goes to quarantine.
 */
#include "walrx/archive/history_file.h"

#include "fake_files.h"
#include "fixture.h"

#include "walrx/proto/timeline.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool store(const char *content)
{
    return history_file_store(&fixture.archive, 17, content, strlen(content), &fixture.error);
}

static void a_history_is_stored_under_its_name(void **state)
{
    bool exists;
    (void)state;
    assert_true(history_file_exists(&fixture.archive, 17, &exists, &fixture.error));
    assert_false(exists);
    assert_true(store("1\t0/3000000\tx\n"));
    assert_true(scratch_holds(fixture.path, "00000011.history", "1\t0/3000000\tx\n", 14));
    assert_true(history_file_exists(&fixture.archive, 17, &exists, &fixture.error));
    assert_true(exists);
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 2); /* identity and lock */
}

static void the_same_content_again_is_nothing(void **state)
{
    (void)state;
    assert_true(store("1\t0/3000000\tx\n"));
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_true(store("1\t0/3000000\tx\n"));
    assert_true(scratch_fingerprint(fixture.path) == before);
}

static void other_content_goes_to_quarantine(void **state)
{
    static const char *const others[] = {"1\t0/3000001\tx\n", "1\t0/3000000\tx\n\n",
                                         "1\t0/3000000\tx", ""};
    (void)state;
    assert_true(store("1\t0/3000000\tx\n"));
    for (unsigned i = 0; i < 4; i++) {
        char name[64];
        assert_false(store(others[i]));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_non_null(strstr(fixture.error.message, "00000011.history"));
        assert_non_null(strstr(fixture.error.message, "timeline 17"));
        (void)snprintf(name, sizeof(name), ".walrx/quarantine/00000011.history");
        if (i > 0)
            (void)snprintf(name, sizeof(name), ".walrx/quarantine/00000011.history.%u", i);
        assert_true(scratch_holds(fixture.path, name, others[i], strlen(others[i])));
    }
    assert_true(scratch_holds(fixture.path, "00000011.history", "1\t0/3000000\tx\n", 14));
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 3);
}

static void an_empty_history_can_be_stored(void **state)
{
    (void)state;
    assert_true(store(""));
    assert_int_equal(scratch_size(fixture.path, "00000011.history"), 0);
    assert_true(store(""));
}

static void a_history_beyond_all_bounds_is_refused(void **state)
{
    char *huge = calloc(1, TIMELINE_HISTORY_MAX_BYTES + 1);
    (void)state;
    assert_non_null(huge);
    assert_false(history_file_store(&fixture.archive, 17, huge, TIMELINE_HISTORY_MAX_BYTES + 1,
                                    &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_PROTOCOL);
    assert_true(
        history_file_store(&fixture.archive, 17, huge, TIMELINE_HISTORY_MAX_BYTES, &fixture.error));
    free(huge);
}

static void a_stored_history_is_read_back(void **state)
{
    static const char *const contents[] = {"1\t0/3000000\tx\n", ""};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char *content = NULL;
        size_t length;
        scratch_write(fixture.path, "00000011.history", contents[i], strlen(contents[i]));
        assert_true(history_file_read(&fixture.archive, 17, &content, &length, &fixture.error));
        assert_non_null(content);
        assert_int_equal(length, strlen(contents[i]));
        assert_memory_equal(content, contents[i], length);
        free(content);
    }
}

static void a_history_that_is_not_there_reads_as_none(void **state)
{
    char other;
    char *content = &other;
    size_t length;
    (void)state;
    assert_true(history_file_read(&fixture.archive, 17, &content, &length, &fixture.error));
    assert_null(content);
}

static void a_history_that_cannot_be_read_is_an_error(void **state)
{
    char *huge = calloc(1, TIMELINE_HISTORY_MAX_BYTES + 1);
    char *content;
    size_t length;
    (void)state;
    assert_non_null(huge);
    scratch_write(fixture.path, "00000011.history", huge, TIMELINE_HISTORY_MAX_BYTES + 1);
    free(huge);
    assert_false(history_file_read(&fixture.archive, 17, &content, &length, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    scratch_write(fixture.path, "00000011.history", "x", 1);
    fake_files_fail(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 1, EIO);
    assert_false(history_file_read(&fixture.archive, 17, &content, &length, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

static void a_failed_sync_gives_no_file_its_final_name(void **state)
{
    (void)state;
    fake_files_fail(FAKE_FDATASYNC, fake_files_count(FAKE_FDATASYNC) + 1, EIO);
    assert_false(store("1\t0/3000000\tx\n"));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    assert_false(scratch_exists(fixture.path, "00000011.history"));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_history_is_stored_under_its_name),
        CASE(the_same_content_again_is_nothing),
        CASE(other_content_goes_to_quarantine),
        CASE(an_empty_history_can_be_stored),
        CASE(a_history_beyond_all_bounds_is_refused),
        CASE(a_stored_history_is_read_back),
        CASE(a_history_that_is_not_there_reads_as_none),
        CASE(a_history_that_cannot_be_read_is_an_error),
        CASE(a_failed_sync_gives_no_file_its_final_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
