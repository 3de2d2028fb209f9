/* SPDX-License-Identifier: PostgreSQL
 *
 * The newest complete segment: what is no segment goes to quarantine, in every form; what cannot be
 * read stays where it is.
 */
#include "walrx/archive/newest.h"

#include "fake_files.h"
#include "fixture.h"

#include "walrx/proto/walpage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGNO FIXTURE_SEGNO

static Error moved;

static bool check(void)
{
    bool sound = false;
    if (!newest_check(&fixture.archive, 1, SEGNO, &sound, &moved, &fixture.error))
        fail_msg("%s", fixture.error.message);
    return sound;
}

static void archive_bytes(WalCompression form, size_t length)
{
    uint8_t *bytes = calloc(2, FIXTURE_SIZE);
    assert_non_null(bytes);
    memcpy(bytes, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    fixture_archive(SEGNO, form, false, bytes, length);
    free(bytes);
}

/* The file is in the quarantine, and the message says why. */
static void expect_moved(WalCompression form, const char *why)
{
    char quarantined[128];
    const char *name = fixture_name(SEGNO, form, false);
    (void)snprintf(quarantined, sizeof(quarantined), ".walrx/quarantine/%s", name);
    uint64_t before = scratch_size(fixture.path, name);
    assert_false(check());
    assert_int_equal(moved.class, ERROR_ARCHIVE);
    if (strstr(moved.message, why) == NULL || strstr(moved.message, name) == NULL)
        fail_msg("%s", moved.message);
    assert_false(scratch_exists(fixture.path, name));
    assert_int_equal(scratch_size(fixture.path, quarantined), before);
}

static void a_whole_segment_of_any_form_is_sound(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        archive_bytes((WalCompression)form, FIXTURE_SIZE);
        assert_true(check());
        assert_int_equal(moved.class, ERROR_NONE);
        assert_true(scratch_exists(fixture.path, fixture_name(SEGNO, (WalCompression)form, false)));
        assert_int_equal(
            unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, (WalCompression)form, false), 0),
            0);
    }
}

static void a_wrong_size_in_any_form_is_none(void **state)
{
    static const size_t sizes[] = {1, 8192, FIXTURE_SIZE - 1, FIXTURE_SIZE + 1, 2 * FIXTURE_SIZE};
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        size_t size = sizes[(size_t)form % 3];
        archive_bytes((WalCompression)form, size);
        expect_moved((WalCompression)form, "bytes instead of 1048576");
    }
    for (size_t i = 3; i < 5; i++) {
        archive_bytes(WAL_GZIP, sizes[i]);
        assert_false(check());
        assert_non_null(strstr(moved.message, "more than 1048576 bytes"));
        archive_bytes(WAL_RAW, sizes[i]);
        assert_false(check());
        assert_non_null(strstr(moved.message, "bytes instead of 1048576"));
    }
    assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), 8);
}

static void an_empty_or_damaged_file_of_any_form_is_none(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        const char *name = fixture_name(SEGNO, (WalCompression)form, false);
        size_t length;
        scratch_write(fixture.path, name, "", 0);
        expect_moved((WalCompression)form, "is not a whole segment");
        if (form == WAL_RAW)
            continue;
        archive_bytes((WalCompression)form, FIXTURE_SIZE);
        uint8_t *packed = scratch_read(fixture.path, name, &length);
        assert_non_null(packed);
        scratch_write(fixture.path, name, packed, length - 1);
        free(packed);
        assert_false(check());
        assert_int_equal(moved.class, ERROR_ARCHIVE);
        assert_false(scratch_exists(fixture.path, name));
    }
}

static void one_form_at_a_time_is_looked_at(void **state)
{
    (void)state;
    archive_bytes(WAL_RAW, 1000);
    archive_bytes(WAL_ZSTD, FIXTURE_SIZE);
    expect_moved(WAL_RAW, "it has 1000 bytes");
    assert_true(check());
    assert_true(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_ZSTD, false)));
}

static void a_segment_that_is_gone_makes_another_look_necessary(void **state)
{
    (void)state;
    assert_false(check());
    assert_int_equal(moved.class, ERROR_NONE);
    assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), 0);
}

/* The compressor's worker removes the raw file between the look for it and the opening. */
static void gone_while_it_is_opened_is_gone(void **state)
{
    (void)state;
    archive_bytes(WAL_LZ4, FIXTURE_SIZE);
    fake_files_fail(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, ENOENT);
    assert_false(check());
    assert_int_equal(moved.class, ERROR_NONE);
    assert_true(check());
}

static void what_cannot_be_read_stays_and_is_an_error(void **state)
{
    static const FakeCall calls[] = {FAKE_OPENAT, FAKE_PREAD};
    bool sound;
    (void)state;
    archive_bytes(WAL_LZ4, FIXTURE_SIZE);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        fake_files_fail(calls[i], fake_files_count(calls[i]) + 1, EIO);
        assert_false(newest_check(&fixture.archive, 1, SEGNO, &sound, &moved, &fixture.error));
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
        assert_true(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_LZ4, false)));
    }
    archive_bytes(WAL_RAW, 1);
    fake_files_fail(FAKE_RENAME, fake_files_count(FAKE_RENAME) + 1, EIO);
    assert_false(newest_check(&fixture.archive, 1, SEGNO, &sound, &moved, &fixture.error));
    assert_true(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, false)));
}

/* Of a compressed segment above the limit only the first page is asked about: the rest of these
 * files is not there at all. */
static void of_a_large_compressed_segment_the_first_page_counts(void **state)
{
    const uint32_t large = 2 * NEWEST_DECODE_MAX;
    Lsn start = (Lsn)SEGNO * large;
    uint8_t *bytes = calloc(1, 8192);
    WalPageHeader header = {.magic = 0xD110,
                            .info = WAL_PAGE_LONG,
                            .timeline = 1,
                            .address = start,
                            .system_identifier = 1,
                            .segment_size = large,
                            .block_size = 8192};
    char name[WAL_FILE_NAME_SIZE];
    (void)state;
    assert_non_null(bytes);
    fixture.archive.segment_size = large;
    wal_segment_name(1, SEGNO, large, WAL_GZIP, false, name);
    for (unsigned i = 0; i < 3; i++) {
        header.address = i == 1 ? start + large : start;
        assert_int_equal(wal_page_encode(&header, bytes, 8192), WAL_PAGE_LONG_HEADER);
        if (i == 2)
            bytes[0] ^= 0xFF;
        /* The fixture's names are those of small segments. */
        fixture_archive(SEGNO, WAL_GZIP, false, bytes, 8192);
        assert_int_equal(renameat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_GZIP, false),
                                  fixture.archive.dir.fd, name),
                         0);
        assert_int_equal(check(), i == 0);
        assert_int_equal(scratch_exists(fixture.path, name), i == 0);
        if (i > 0)
            assert_non_null(strstr(moved.message, "its first page"));
    }
    free(bytes);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_whole_segment_of_any_form_is_sound),
        CASE(a_wrong_size_in_any_form_is_none),
        CASE(an_empty_or_damaged_file_of_any_form_is_none),
        CASE(one_form_at_a_time_is_looked_at),
        CASE(a_segment_that_is_gone_makes_another_look_necessary),
        CASE(gone_while_it_is_opened_is_gone),
        CASE(what_cannot_be_read_stays_and_is_an_error),
        CASE(of_a_large_compressed_segment_the_first_page_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
