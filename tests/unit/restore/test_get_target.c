/* SPDX-License-Identifier: PostgreSQL
 *
 * Where the file goes, which cluster it is for, and whether a standby asks: then a partial that a
 * receiver writes to is not handed out.
 */
#include "get_fixture.h"

#include "../proto/walmaker.h"

#include <errno.h>
#include <fcntl.h>

static void a_target_that_is_no_file_or_nowhere_is_refused(void **state)
{
    static const char *const names[] = {"", "/", ".", "pg_wal/..", "pg_wal/"};
    (void)state;
    put(SEGNO, WAL_RAW);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        server.request.target = names[i];
        expect_error(wanted(SEGNO), ERROR_USAGE, "is no name of a file to restore to");
    }
    server.request.target = "/nosuch/pg_wal/RECOVERYXLOG";
    expect_error(wanted(SEGNO), ERROR_STORAGE, "could not open directory \"/nosuch/pg_wal\"");
}

/* As PostgreSQL asks: from its data directory. */
static void a_relative_target_is_that_of_the_working_directory(void **state)
{
    char path[SCRATCH_PATH_SIZE + 16];
    (void)state;
    int before = open(".", O_RDONLY | O_DIRECTORY);
    assert_true(before >= 0);
    (void)snprintf(path, sizeof(path), "%s/data", fixture.path);
    put(SEGNO, WAL_RAW);
    assert_int_equal(chdir(path), 0);
    server.request.target = "pg_wal/RECOVERYXLOG";
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
    scratch_write(fixture.path, "data/standby.signal", "", 0);
    server.receiver = true;
    fixture_archive(SEGNO + 1, WAL_RAW, true, filled(SEGNO + 1, SEGMENT), SEGMENT);
    expect_absent(wanted(SEGNO + 1));
    assert_int_equal(fchdir(before), 0);
    (void)close(before);
}

static void what_a_killed_restore_left_is_in_nobodys_way(void **state)
{
    (void)state;
    put(SEGNO, WAL_RAW);
    scratch_write(fixture.path, "data/pg_wal/xlogtemp.walrx.RECOVERYXLOG",
                  filled(SEGNO + 1, SEGMENT), SEGMENT);
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
}

static void the_group_may_read_where_it_may_read_the_folder(void **state)
{
    static const struct {
        mode_t folder;
        mode_t file;
    } cases[] = {{0700, 0600}, {0750, 0640}};
    char path[SCRATCH_PATH_SIZE + 64];
    (void)state;
    put(SEGNO, WAL_RAW);
    for (size_t i = 0; i < 2; i++) {
        struct stat status;
        (void)snprintf(path, sizeof(path), "%s/data/pg_wal", fixture.path);
        assert_int_equal(chmod(path, cases[i].folder), 0);
        expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
        assert_int_equal(stat(server.target, &status), 0);
        assert_int_equal(status.st_mode & 07777, cases[i].file);
    }
}

static void a_server_of_another_cluster_gets_nothing(void **state)
{
    uint64_t identifiers[2] = {MAKER_SYSTEM, 1};
    (void)state;
    put(SEGNO, WAL_RAW);
    scratch_mkdir(fixture.path, "data/global");
    scratch_write(fixture.path, "data/global/pg_control", identifiers, sizeof(identifiers));
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
    identifiers[0]++;
    scratch_write(fixture.path, "data/global/pg_control", identifiers, sizeof(identifiers));
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "belongs to another cluster");
    expect_error("00000002.history", ERROR_ARCHIVE, "belongs to another cluster");
    scratch_write(fixture.path, "data/global/pg_control", identifiers, 7);
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
}

/* A standby gets no partial while a receiver runs; a recovery to an end does. */
static void who_asks_is_known_by_the_signal_files(void **state)
{
    static const struct {
        const char *file;
        const char *text;
        bool standby;
    } cases[] = {
        {"recovery.signal", "", false},
        {"standby.signal", "", true},
        {"recovery.conf", "restore_command = 'x'\n", false},
        {"recovery.conf", "restore_command = 'x'\n standby_mode = on\n", true},
        {"recovery.conf", "standby_mode='on' # yes", true},
        {"recovery.conf", "standby_mode true", true},
        {"recovery.conf", "standby_mode = 'on'\nstandby_mode = off\n", false},
        {"recovery.conf", "#standby_mode = 'on'\n", false},
        {"recovery.conf", "", false},
    };
    const uint8_t *partial = filled(SEGNO, SEGMENT);
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, partial, SEGMENT);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "data/%s", cases[i].file);
        scratch_write(fixture.path, name, cases[i].text, strlen(cases[i].text));
        server.receiver = true;
        if (cases[i].standby)
            expect_absent(wanted(SEGNO));
        else
            expect_placed(wanted(SEGNO), partial, SEGMENT);
        server.receiver = false;
        expect_placed(wanted(SEGNO), partial, SEGMENT);
        assert_int_equal(unlinkat(fixture.archive.dir.fd, name, 0), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_target_that_is_no_file_or_nowhere_is_refused),
        CASE(a_relative_target_is_that_of_the_working_directory),
        CASE(what_a_killed_restore_left_is_in_nobodys_way),
        CASE(the_group_may_read_where_it_may_read_the_folder),
        CASE(a_server_of_another_cluster_gets_nothing),
        CASE(who_asks_is_known_by_the_signal_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
