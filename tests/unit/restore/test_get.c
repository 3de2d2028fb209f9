/* SPDX-License-Identifier: PostgreSQL
 *
 * What is asked for is found in any form, nothing else is handed out, and trouble never looks like
 * a file that is not there.
 */
#include "get_fixture.h"

#include <errno.h>

static void a_segment_of_any_form_is_placed(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        put(SEGNO, (WalCompression)form);
        expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
        assert_int_equal(server.warnings, 0);
        assert_int_equal(
            unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, (WalCompression)form, false), 0),
            0);
        expect_absent(wanted(SEGNO));
    }
}

static void a_damaged_form_gives_way_to_a_whole_one(void **state)
{
    (void)state;
    for (int form = 1; form < WAL_COMPRESSION_COUNT; form++) {
        put_damaged(WAL_RAW, 100000);
        put(SEGNO, (WalCompression)form);
        expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
        expect_warning("another form of it was taken");
    }
    put(SEGNO, WAL_RAW);
    put_damaged(WAL_GZIP, 100000);
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
    assert_int_equal(server.warnings, 0);
}

static void a_form_that_cannot_be_read_gives_way_to_another(void **state)
{
    (void)state;
    put(SEGNO, WAL_RAW);
    expect_absent(wanted(SEGNO + 1));
    unsigned opens = fake_files_count(FAKE_PREAD); /* of the identity */
    fake_files_reset();
    fake_files_fail(FAKE_PREAD, opens + 1, EIO);
    expect_error(wanted(SEGNO), ERROR_STORAGE, "could not read");
    put(SEGNO, WAL_LZ4);
    fake_files_reset();
    fake_files_fail(FAKE_PREAD, opens + 1, EIO);
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
    expect_warning("could not read");
}

static void names_that_no_server_asks_for_are_refused(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "identity",
        ".walrx/identity",
        "../000000010000000000000005",
        "./000000010000000000000005",
        "000000010000000000000005.gz",
        "000000010000000000000005.zst.partial",
        "00000001000000000000000g",
        "000000010000000000000005x",
        "00000002.history.gz",
        "RECOVERYXLOG",
        "000000010000000000000005/../000000010000000000000005",
    };
    (void)state;
    put(SEGNO, WAL_RAW);
    put(SEGNO, WAL_GZIP);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        expect_error(names[i], ERROR_USAGE, "is no name of a WAL file");
}

static void a_name_of_another_segment_size_is_refused(void **state)
{
    Archive *archive = &fixture.archive;
    char name[WAL_FILE_NAME_SIZE];
    (void)state;
    put(SEGNO, WAL_RAW);
    expect_absent(wal_segment_name(1, 0xFFF, archive->segment_size, WAL_RAW, false, name));
    /* 4096 segments of 1 MB have 4 GB */
    expect_error("000000010000000000001000", ERROR_ARCHIVE, "whose segments have 1048576 bytes");
}

static void no_archive_is_no_end_of_the_archive(void **state)
{
    char path[SCRATCH_PATH_SIZE + 16];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/nosuch", fixture.path);
    server.request.directory = path;
    expect_error(wanted(SEGNO), ERROR_STORAGE, "could not open directory");
    /* a mount point without its disk */
    (void)snprintf(path, sizeof(path), "%s/data", fixture.path);
    expect_error(wanted(SEGNO), ERROR_STORAGE, "no WAL of any cluster");
    expect_error("00000002.history", ERROR_STORAGE, "no WAL of any cluster");
}

/* Whichever look for it comes too early or too late: a second one follows. */
static void what_gets_another_name_meanwhile_is_found(void **state)
{
    bool struck = true;
    unsigned nth = 0;
    (void)state;
    put(SEGNO, WAL_RAW);
    while (struck) {
        fake_files_reset();
        fake_files_fail(FAKE_STAT, ++nth, ENOENT);
        expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
        struck = fake_files_struck(NULL);
    }
    assert_in_range(nth, 3, 20);
}

static void a_target_that_cannot_be_written_is_trouble(void **state)
{
    static const FakeCall calls[] = {FAKE_PWRITEV, FAKE_RENAME};
    (void)state;
    put(SEGNO, WAL_RAW);
    put(SEGNO, WAL_LZ4);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        fake_files_reset();
        fake_files_fail(calls[i], 1, ENOSPC);
        expect_error(wanted(SEGNO), ERROR_NO_ROOM, "xlogtemp");
        assert_non_null(strstr(fixture.error.hint, "where the server keeps its WAL"));
    }
}

static void syncs_are_made_when_asked_for(void **state)
{
    (void)state;
    put(SEGNO, WAL_RAW);
    fake_files_reset();
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
    assert_int_equal(fake_files_count(FAKE_FDATASYNC) + fake_files_count(FAKE_FSYNC), 0);
    server.request.sync = true;
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
    assert_int_equal(fake_files_count(FAKE_FDATASYNC), 1);
    assert_int_equal(fake_files_count(FAKE_FSYNC), 1);
    fake_files_reset();
    fake_files_fail(FAKE_FDATASYNC, 1, EIO);
    expect_error(wanted(SEGNO), ERROR_STORAGE, "could not fdatasync");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_segment_of_any_form_is_placed),
        CASE(a_damaged_form_gives_way_to_a_whole_one),
        CASE(a_form_that_cannot_be_read_gives_way_to_another),
        CASE(names_that_no_server_asks_for_are_refused),
        CASE(a_name_of_another_segment_size_is_refused),
        CASE(no_archive_is_no_end_of_the_archive),
        CASE(what_gets_another_name_meanwhile_is_found),
        CASE(a_target_that_cannot_be_written_is_trouble),
        CASE(syncs_are_made_when_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
