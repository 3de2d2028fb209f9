/* SPDX-License-Identifier: PostgreSQL
 *
 * Identity: kept in a file, read strictly; derived from the archived WAL of any form when there is
 * no file.
 */
#include "walrx/archive/identity.h"

#include "fake_files.h"
#include "fixture.h"

#include "../proto/walmaker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static Identity got;
static bool known;

static void put(const char *text)
{
    scratch_write(fixture.path, ".walrx/identity", text, strlen(text));
}

static bool load(void)
{
    return identity_load(&fixture.archive.private, &known, &got, &fixture.error);
}

static void what_was_saved_is_loaded(void **state)
{
    Identity identity = {.system_identifier = UINT64_MAX, .segment_size = SEGMENT_SIZE_MAX};
    (void)state;
    assert_true(identity_save(&fixture.archive.private, &identity, &fixture.error));
    assert_true(load());
    assert_true(known);
    assert_true(got.system_identifier == UINT64_MAX);
    assert_int_equal(got.segment_size, SEGMENT_SIZE_MAX);
    assert_false(scratch_exists(fixture.path, ".walrx/identity.tmp"));
}

static void a_missing_file_is_not_known(void **state)
{
    (void)state;
    assert_int_equal(unlinkat(fixture.archive.private.fd, IDENTITY_FILE, 0), 0);
    assert_true(load());
    assert_false(known);
}

static void order_and_further_lines_do_not_matter(void **state)
{
    (void)state;
    put("segment_size = 1048576\nnote = x\nversion = 1\nsystem_identifier = 77");
    assert_true(load());
    assert_true(known);
    assert_int_equal(got.system_identifier, 77);
    assert_int_equal(got.segment_size, 1048576);
}

static void what_cannot_be_understood_is_refused(void **state)
{
    static const char *const damaged[] = {
        "",
        "version = 2\nsystem_identifier = 77\nsegment_size = 1048576\n", /* from the future */
        "version = 0\nsystem_identifier = 77\nsegment_size = 1048576\n",
        "system_identifier = 77\nsegment_size = 1048576\n",
        "version = 1\nsegment_size = 1048576\n",
        "version = 1\nsystem_identifier = 77\n",
        "version = 1\nsystem_identifier = 0\nsegment_size = 1048576\n",
        "version = 1\nsystem_identifier = -7\nsegment_size = 1048576\n",
        "version = 1\nsystem_identifier = 7x\nsegment_size = 1048576\n",
        "version = 1\nsystem_identifier = 18446744073709551616\nsegment_size = 1048576\n",
        "version = 1\nsystem_identifier = 77\nsegment_size = 1048577\n",
        "version = 1\nsystem_identifier = 77\nsegment_size = 0\n",
        "version = 1\nsystem_identifier = 77\nsegment_size = 2147483648\n",
        "version = 1\nsystem_identifier = 77777777777777777777777777777777777777\n",
        "\n\n\n",
        "version",
        "version = ",
    };
    char zeros[600] = "";
    (void)state;
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        put(damaged[i]);
        got.segment_size = 99;
        if (load())
            fail_msg("accepted: %s", damaged[i]);
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_non_null(strstr(fixture.error.message, "identity"));
        assert_int_equal(got.segment_size, 99);
    }
    scratch_write(fixture.path, ".walrx/identity", zeros, sizeof(zeros));
    assert_false(load());
    memset(zeros, 'x', sizeof(zeros));
    scratch_write(fixture.path, ".walrx/identity", zeros, sizeof(zeros));
    assert_false(load());
}

static void an_unreadable_file_is_a_storage_error(void **state)
{
    (void)state;
    fake_files_fail(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 1, EIO);
    assert_false(load());
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

static void derive_expecting(bool expected)
{
    memset(&got, 0, sizeof(got));
    if (!identity_derive(&fixture.archive.dir, &known, &got, &fixture.error))
        fail_msg("%s", fixture.error.message);
    assert_int_equal(known, expected);
    if (expected) {
        assert_true(got.system_identifier == MAKER_SYSTEM);
        assert_int_equal(got.segment_size, FIXTURE_SIZE);
    }
}

static void it_is_derived_from_each_form(void **state)
{
    (void)state;
    derive_expecting(false);
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        for (int partial = 0; partial < 2; partial++) {
            fixture_archive(FIXTURE_SEGNO, (WalCompression)form, partial,
                            fixture_wal(FIXTURE_START), FIXTURE_SIZE);
            derive_expecting(true);
            assert_int_equal(unlinkat(fixture.archive.dir.fd,
                                      fixture_name(FIXTURE_SEGNO, (WalCompression)form, partial),
                                      0),
                             0);
        }
    }
}

static void the_newest_readable_segment_decides(void **state)
{
    static const uint8_t zeros[FIXTURE_SIZE];
    uint8_t other[WAL_PAGE_SIZE] = {0};
    WalMaker maker = maker_over(other, sizeof(other), 3 * (Lsn)FIXTURE_SIZE, FIXTURE_SIZE);
    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    other[24] ^= 0xFF; /* another system identifier, in an older segment */
    fixture_archive(3, WAL_RAW, false, other, sizeof(other));
    fixture_archive(FIXTURE_SEGNO, WAL_LZ4, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    fixture_archive(FIXTURE_SEGNO + 1, WAL_RAW, true, zeros, sizeof(zeros)); /* preallocated */
    fixture_archive(FIXTURE_SEGNO + 2, WAL_RAW, true, zeros, 0);
    fixture_archive(FIXTURE_SEGNO + 3, WAL_RAW, true, zeros, 39);
    scratch_write(fixture.path, fixture_name(FIXTURE_SEGNO + 4, WAL_ZSTD, false), "garbage", 7);
    derive_expecting(true);
}

/* Only the few newest are looked at, so that start-up does not depend on how many there are. */
static void a_long_row_of_unreadable_segments_is_given_up(void **state)
{
    (void)state;
    fixture_archive(FIXTURE_SEGNO, WAL_RAW, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    for (SegNo segno = 100; segno < 120; segno++)
        scratch_write(fixture.path, fixture_name(segno, WAL_RAW, false), "", 0);
    unsigned before = fake_files_count(FAKE_OPENAT);
    derive_expecting(false);
    assert_in_range(fake_files_count(FAKE_OPENAT) - before, 2, 10);
}

static void what_is_no_wal_tells_nothing(void **state)
{
    (void)state;
    fixture_archive(FIXTURE_SEGNO, WAL_RAW, false, fixture_wal(FIXTURE_START + WAL_PAGE_SIZE),
                    FIXTURE_SIZE); /* a short page header */
    derive_expecting(false);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_was_saved_is_loaded),
        CASE(a_missing_file_is_not_known),
        CASE(order_and_further_lines_do_not_matter),
        CASE(what_cannot_be_understood_is_refused),
        CASE(an_unreadable_file_is_a_storage_error),
        CASE(it_is_derived_from_each_form),
        CASE(the_newest_readable_segment_decides),
        CASE(a_long_row_of_unreadable_segments_is_given_up),
        CASE(what_is_no_wal_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
