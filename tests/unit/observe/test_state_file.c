/* SPDX-License-Identifier: PostgreSQL
 *
 * The state file: replaced as a whole, never synced, and harmless whatever lies there.
 */
#include "walrx/observe/state_file.h"

#include "fake_files.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static Snapshot snapshot;

static const char *path_of(const char *name)
{
    static char path[SCRATCH_PATH_SIZE + 64];
    (void)snprintf(path, sizeof(path), "%s/.walrx/%s", fixture.path, name);
    return path;
}

static void write_state(uint64_t pid)
{
    snapshot_clear(&snapshot);
    snapshot.pid = pid;
    assert_true(state_file_write(&fixture.archive.private, &snapshot, &fixture.error));
}

static void what_was_written_is_read(void **state)
{
    bool exists;
    (void)state;
    assert_true(state_file_read(&fixture.archive.private, &exists, &snapshot, &fixture.error));
    assert_false(exists);
    write_state(1);
    write_state(4711);
    snapshot.pid = 0;
    assert_true(state_file_read(&fixture.archive.private, &exists, &snapshot, &fixture.error));
    assert_true(exists);
    assert_int_equal(snapshot.pid, 4711);
    assert_int_equal(access(path_of(STATE_FILE_NEXT), F_OK), -1);
}

static void it_has_the_mode_of_the_archive(void **state)
{
    struct stat status;
    (void)state;
    write_state(1);
    assert_int_equal(stat(path_of(STATE_FILE), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true(dir_let_group_read(&fixture.archive.dir, &fixture.archive.private, &fixture.error));
    write_state(1);
    assert_int_equal(stat(path_of(STATE_FILE), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void what_lies_there_is_replaced(void **state)
{
    bool exists;
    (void)state;
    scratch_write(fixture.path, ".walrx/" STATE_FILE, "{\"format_version\": 1", 20);
    scratch_write(fixture.path, ".walrx/" STATE_FILE_NEXT, "rubbish", 7);
    assert_false(state_file_read(&fixture.archive.private, &exists, &snapshot, &fixture.error));
    assert_true(exists);
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, STATE_FILE));
    write_state(7);
    assert_true(state_file_read(&fixture.archive.private, &exists, &snapshot, &fixture.error));
    assert_int_equal(snapshot.pid, 7);
}

static void an_archive_without_private_directory_has_no_state(void **state)
{
    Dir none = {.fd = -1};
    bool exists = true;
    (void)state;
    assert_true(state_file_read(&none, &exists, &snapshot, &fixture.error));
    assert_false(exists);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(it_has_the_mode_of_the_archive, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_lies_there_is_replaced, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(an_archive_without_private_directory_has_no_state,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
