/* SPDX-License-Identifier: PostgreSQL
 *
 * Archive: one process at a time, one cluster for ever, and a refusal leaves the directory as it
 * was.
 */
#include "walrx/archive/archive.h"

#include "fake_files.h"
#include "fixture.h"

#include "../proto/walmaker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The fixture's own archive is closed first: each test opens it as it likes. */
static int setup(void **state)
{
    (void)fixture_setup(state);
    archive_close(&fixture.archive);
    scratch_remove(fixture.path);
    scratch_make(fixture.path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(fixture.path);
    return 0;
}

static bool open_archive(Archive *archive)
{
    return archive_open(fixture.path, true, fake_files_table(), archive, &fixture.error);
}

static Archive opened(void)
{
    Archive archive;
    if (!open_archive(&archive))
        fail_msg("%s", fixture.error.message);
    return archive;
}

static bool bind_to(Archive *archive, uint64_t system, uint32_t size)
{
    return archive_bind(archive, system, size, false, &fixture.error);
}

static void an_archive_that_was_never_bound_leaves_no_trace(void **state)
{
    Archive archive = opened();
    (void)state;
    assert_false(scratch_exists(fixture.path, ".walrx"));
    assert_false(open_archive(&(Archive){.dir = {.fd = -1}})); /* locked all the same */
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    archive_close(&archive);
    assert_int_equal(scratch_count(fixture.path, "."), 0);
}

static void a_bound_archive_remembers_its_cluster(void **state)
{
    Archive archive = opened();
    (void)state;
    assert_true(bind_to(&archive, 77, FIXTURE_SIZE));
    assert_true(archive.bound);
    assert_int_equal(archive.segment_size, FIXTURE_SIZE);
    archive_close(&archive);
    assert_true(scratch_exists(fixture.path, ".walrx/identity"));
    archive = opened();
    assert_false(archive.bound);
    assert_true(bind_to(&archive, 77, FIXTURE_SIZE));
    archive_close(&archive);
}

static void another_cluster_is_refused_with_both_names_and_nothing_changes(void **state)
{
    Archive archive = opened();
    (void)state;
    assert_true(bind_to(&archive, 77, FIXTURE_SIZE));
    archive_close(&archive);
    scratch_write(fixture.path, ".walrx/left.tmp", "x", 1);
    uint64_t before = scratch_fingerprint(fixture.path);
    archive = opened();
    assert_false(bind_to(&archive, 78, FIXTURE_SIZE));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, "identifier is 77"));
    assert_non_null(strstr(fixture.error.message, "is 78"));
    assert_false(bind_to(&archive, 77, 2 * FIXTURE_SIZE));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, "1048576"));
    assert_non_null(strstr(fixture.error.message, "2097152"));
    archive_close(&archive);
    assert_true(scratch_fingerprint(fixture.path) == before);
}

static void an_archive_without_its_private_directory_is_refused_by_its_wal(void **state)
{
    Archive archive;
    (void)state;
    scratch_write(fixture.path, fixture_name(FIXTURE_SEGNO, WAL_RAW, false),
                  fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    uint64_t before = scratch_fingerprint(fixture.path);
    archive = opened();
    assert_false(bind_to(&archive, 78, FIXTURE_SIZE));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_false(bind_to(&archive, MAKER_SYSTEM, 2 * FIXTURE_SIZE));
    archive_close(&archive);
    assert_true(scratch_fingerprint(fixture.path) == before);
    archive = opened();
    assert_true(bind_to(&archive, MAKER_SYSTEM, FIXTURE_SIZE));
    archive_close(&archive);
    assert_true(scratch_exists(fixture.path, ".walrx/identity"));
}

static void a_later_connection_is_compared_again(void **state)
{
    Archive archive = opened();
    (void)state;
    assert_true(bind_to(&archive, 77, FIXTURE_SIZE));
    assert_true(bind_to(&archive, 77, FIXTURE_SIZE));
    assert_false(bind_to(&archive, 78, FIXTURE_SIZE));
    assert_false(bind_to(&archive, 77, 2 * FIXTURE_SIZE));
    archive_close(&archive);
}

static void a_damaged_identity_is_refused(void **state)
{
    Archive archive;
    (void)state;
    scratch_mkdir(fixture.path, ".walrx");
    scratch_write(fixture.path, ".walrx/identity", "version = 9\n", 12);
    archive = opened();
    assert_false(bind_to(&archive, 77, FIXTURE_SIZE));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    archive_close(&archive);
    assert_true(scratch_holds(fixture.path, ".walrx/identity", "version = 9\n", 12));
}

static void a_second_receiver_is_refused_and_told_the_first(void **state)
{
    Archive archive = opened();
    Archive second;
    char pid[32];
    int status;
    (void)state;
    (void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_false(open_archive(&second));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, pid));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool refused = !open_archive(&second) && fixture.error.class == ERROR_ARCHIVE &&
                       strstr(fixture.error.message, pid) != NULL;
        _exit(refused ? 42 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    assert_true(scratch_fingerprint(fixture.path) == before);
    archive_close(&archive);
}

static void unfinished_files_of_an_earlier_run_are_removed(void **state)
{
    Archive archive;
    (void)state;
    scratch_mkdir(fixture.path, ".walrx");
    scratch_write(fixture.path, ".walrx/000000010000000000000003.lz4.tmp", "x", 1);
    scratch_write(fixture.path, ".walrx/identity.tmp", "x", 1);
    scratch_write(fixture.path, ".walrx/gaps", "x", 1);
    scratch_write(fixture.path, ".walrx/.tmp", "x", 1);
    scratch_write(fixture.path, "mine.tmp", "x", 1);
    archive = opened();
    assert_true(bind_to(&archive, 77, FIXTURE_SIZE));
    archive_close(&archive);
    assert_false(scratch_exists(fixture.path, ".walrx/000000010000000000000003.lz4.tmp"));
    assert_false(scratch_exists(fixture.path, ".walrx/identity.tmp"));
    assert_true(scratch_exists(fixture.path, ".walrx/gaps"));
    assert_true(scratch_exists(fixture.path, "mine.tmp"));
}

static void the_group_may_read_where_the_server_says_so(void **state)
{
    Archive archive = opened();
    struct stat status;
    (void)state;
    assert_true(archive_bind(&archive, 77, FIXTURE_SIZE, true, &fixture.error));
    assert_int_equal(archive.dir.file_mode, 0640);
    assert_int_equal(fstat(archive.private.fd, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0750);
    archive_close(&archive);
}

/* A receiver waits for room and binds again, with what it has made so far. */
static void binding_again_after_a_full_disk_makes_the_rest(void **state)
{
    unsigned nth = 1;
    (void)state;
    for (bool struck = true; struck; nth++) {
        Archive archive = opened();
        fake_files_full(nth, 1);
        bool ok = bind_to(&archive, 77, FIXTURE_SIZE);
        struck = fake_files_struck(NULL);
        assert_true(ok == !struck);
        if (!ok)
            assert_int_equal(fixture.error.class, ERROR_NO_ROOM);
        fake_files_full(0, 0);
        assert_true(bind_to(&archive, 77, FIXTURE_SIZE));
        assert_true(archive.lock.fd >= 0);
        assert_true(scratch_exists(fixture.path, ".walrx/identity"));
        assert_int_equal(scratch_count(fixture.path, ".walrx"), 2);
        archive_close(&archive);
        scratch_remove(fixture.path);
        scratch_make(fixture.path);
    }
    assert_int_equal(nth, 5 + 2); /* directory, lock, file, its content, its name */
}

static void a_failure_at_any_call_of_opening_leaves_nothing_behind(void **state)
{
    unsigned nth = 1;
    (void)state;
    for (bool struck = true; struck; nth++) {
        Archive archive;
        fake_files_reset();
        fake_files_fail(FAKE_ANY, nth, EIO);
        bool ok = open_archive(&archive);
        struck = fake_files_struck(NULL);
        assert_true(ok == !struck);
        fake_files_reset();
        if (ok)
            archive_close(&archive);
        if (scratch_count(fixture.path, ".") != 0)
            fail_msg("call %u: something is left", nth);
    }
    assert_int_equal(nth, 4); /* the directory and .walrx/ in it are opened, no more */
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_archive_that_was_never_bound_leaves_no_trace),
        CASE(a_bound_archive_remembers_its_cluster),
        CASE(another_cluster_is_refused_with_both_names_and_nothing_changes),
        CASE(an_archive_without_its_private_directory_is_refused_by_its_wal),
        CASE(a_later_connection_is_compared_again),
        CASE(a_damaged_identity_is_refused),
        CASE(a_second_receiver_is_refused_and_told_the_first),
        CASE(unfinished_files_of_an_earlier_run_are_removed),
        CASE(the_group_may_read_where_the_server_says_so),
        CASE(binding_again_after_a_full_disk_makes_the_rest),
        CASE(a_failure_at_any_call_of_opening_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
