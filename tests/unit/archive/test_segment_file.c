/* SPDX-License-Identifier: PostgreSQL
 *
 * Segment files: content, first page header, checksum and presence, for every form.
 */
#include "walrx/archive/segment_file.h"

#include "fake_files.h"
#include "fixture.h"

#include "../proto/walmaker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t crc_of(const void *data, size_t length)
{
    return crc32c_final(crc32c_update(CRC32C_INIT, data, length));
}

static void every_form_has_the_checksum_of_its_content(void **state)
{
    const uint8_t *wal = fixture_wal(FIXTURE_START);
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        uint64_t length;
        uint32_t crc;
        const char *name = fixture_name(FIXTURE_SEGNO, (WalCompression)form, false);
        fixture_archive(FIXTURE_SEGNO, (WalCompression)form, false, wal, FIXTURE_SIZE);
        assert_true(segment_file_checksum(&fixture.archive.dir, name, (WalCompression)form, &length,
                                          &crc, &fixture.error));
        assert_int_equal(length, FIXTURE_SIZE);
        assert_int_equal(crc, crc_of(wal, FIXTURE_SIZE));
    }
}

static void damage_is_an_archive_error_that_names_the_file(void **state)
{
    (void)state;
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        const char *name = fixture_name(FIXTURE_SEGNO, (WalCompression)form, false);
        uint64_t length;
        uint32_t crc;
        size_t size;
        fixture_archive(FIXTURE_SEGNO, (WalCompression)form, false, fixture_wal(FIXTURE_START),
                        FIXTURE_SIZE);
        uint8_t *packed = scratch_read(fixture.path, name, &size);
        assert_non_null(packed);
        scratch_write(fixture.path, name, packed, size - 1); /* torn */
        assert_false(segment_file_checksum(&fixture.archive.dir, name, (WalCompression)form,
                                           &length, &crc, &fixture.error));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_non_null(strstr(fixture.error.detail, name));
        scratch_write(fixture.path, name, "", 0);
        assert_false(segment_file_checksum(&fixture.archive.dir, name, (WalCompression)form,
                                           &length, &crc, &fixture.error));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        free(packed);
    }
}

static void what_cannot_be_read_is_a_storage_error(void **state)
{
    const char *name = fixture_name(FIXTURE_SEGNO, WAL_RAW, false);
    WalPageHeader header;
    bool found;
    uint64_t length;
    uint32_t crc;
    (void)state;
    assert_false(
        segment_file_checksum(&fixture.archive.dir, name, WAL_RAW, &length, &crc, &fixture.error));
    assert_int_equal(fixture.error.os_errno, ENOENT);
    fixture_archive(FIXTURE_SEGNO, WAL_RAW, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    fake_files_fail(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 2, EIO);
    assert_false(
        segment_file_checksum(&fixture.archive.dir, name, WAL_RAW, &length, &crc, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    fake_files_fail(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 1, EIO);
    assert_false(
        segment_file_header(&fixture.archive.dir, name, WAL_RAW, &found, &header, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

static void the_first_page_header_is_found_in_every_form(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        const char *name = fixture_name(FIXTURE_SEGNO, (WalCompression)form, false);
        WalPageHeader header;
        bool found;
        fixture_archive(FIXTURE_SEGNO, (WalCompression)form, false, fixture_wal(FIXTURE_START),
                        FIXTURE_SIZE);
        unsigned before = fake_files_count(FAKE_PREAD);
        assert_true(segment_file_header(&fixture.archive.dir, name, (WalCompression)form, &found,
                                        &header, &fixture.error));
        assert_true(found);
        assert_true(header.system_identifier == MAKER_SYSTEM);
        assert_true(header.address == FIXTURE_START);
        /* One chunk, and the end of the file where that is in it. */
        assert_in_range(fake_files_count(FAKE_PREAD) - before, 1, 2);
    }
}

static void a_file_without_a_header_is_no_error(void **state)
{
    static const size_t sizes[] = {0, 1, 39, 40, 8192};
    static const uint8_t zeros[8192];
    const char *name = fixture_name(FIXTURE_SEGNO, WAL_RAW, false);
    WalPageHeader header;
    bool found = true;
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        scratch_write(fixture.path, name, zeros, sizes[i]);
        assert_true(segment_file_header(&fixture.archive.dir, name, WAL_RAW, &found, &header,
                                        &fixture.error));
        assert_false(found);
    }
    scratch_write(fixture.path, name, fixture_wal(FIXTURE_START), 39);
    assert_true(
        segment_file_header(&fixture.archive.dir, name, WAL_RAW, &found, &header, &fixture.error));
    assert_false(found);
    scratch_write(fixture.path, name, fixture_wal(FIXTURE_START), 40);
    assert_true(
        segment_file_header(&fixture.archive.dir, name, WAL_RAW, &found, &header, &fixture.error));
    assert_true(found);
}

static void any_complete_form_is_found_and_no_partial(void **state)
{
    const Dir *dir = &fixture.archive.dir;
    WalCompression form;
    bool found;
    (void)state;
    scratch_write(fixture.path, fixture_name(7, WAL_RAW, true), "", 0);
    scratch_write(fixture.path, fixture_name(7, WAL_GZIP, true), "", 0);
    assert_true(segment_file_find(dir, 1, 7, FIXTURE_SIZE, &found, &form, &fixture.error));
    assert_false(found);
    for (int expected = WAL_COMPRESSION_COUNT - 1; expected >= 0; expected--) {
        scratch_write(fixture.path, fixture_name(7, (WalCompression)expected, false), "", 0);
        assert_true(segment_file_find(dir, 1, 7, FIXTURE_SIZE, &found, &form, &fixture.error));
        assert_true(found);
        assert_int_equal(form, expected);
    }
    assert_true(segment_file_find(dir, 2, 7, FIXTURE_SIZE, &found, &form, &fixture.error));
    assert_false(found);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_form_has_the_checksum_of_its_content),
        CASE(damage_is_an_archive_error_that_names_the_file),
        CASE(what_cannot_be_read_is_a_storage_error),
        CASE(the_first_page_header_is_found_in_every_form),
        CASE(a_file_without_a_header_is_no_error),
        CASE(any_complete_form_is_found_and_no_partial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
