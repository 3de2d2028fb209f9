/* SPDX-License-Identifier: PostgreSQL
 *
 * A segment that arrives again: equal content is dropped, other content goes to quarantine, and
 * what the archive has is never touched, whatever fails.
 */
#include "duplicate.h"

#include "fake_files.h"
#include "fixture.h"

#include "walrx/os/durable.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGNO FIXTURE_SEGNO
#define NEWCOMER "newcomer.tmp"

static const uint8_t *wal;
static uint8_t *other;

static int setup(void **state)
{
    (void)fixture_setup(state);
    wal = fixture_wal(FIXTURE_START);
    other = malloc(FIXTURE_SIZE);
    if (other == NULL)
        return -1;
    memcpy(other, wal, FIXTURE_SIZE);
    other[FIXTURE_SIZE / 2] ^= 1;
    return 0;
}

static int teardown(void **state)
{
    free(other);
    return fixture_teardown(state);
}

/* Puts a newcomer of that form into .walrx/. */
static void arrive(WalCompression form, const uint8_t *bytes, size_t length)
{
    char path[64];
    size_t packed;
    const char *name = fixture_name(SEGNO + 9, form, false);
    fixture_archive(SEGNO + 9, form, false, bytes, length);
    uint8_t *content = scratch_read(fixture.path, name, &packed);
    assert_non_null(content);
    (void)snprintf(path, sizeof(path), ".walrx/%s", NEWCOMER);
    scratch_write(fixture.path, path, content, packed);
    assert_int_equal(unlinkat(fixture.archive.dir.fd, name, 0), 0);
    free(content);
}

static bool settle(WalCompression form, bool *ret_exists)
{
    Newcomer newcomer = {.dir = &fixture.archive.private,
                         .name = NEWCOMER,
                         .timeline = 1,
                         .segno = SEGNO,
                         .form = form};
    return duplicate_settle(&fixture.archive, &newcomer, ret_exists, &fixture.error);
}

static bool is_there(void)
{
    return scratch_exists(fixture.path, ".walrx/" NEWCOMER);
}

static void nothing_happens_to_a_segment_the_archive_does_not_have(void **state)
{
    bool exists = true;
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, wal, FIXTURE_SIZE);      /* a partial is none */
    fixture_archive(SEGNO + 1, WAL_RAW, false, wal, FIXTURE_SIZE); /* nor is its neighbour */
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        arrive((WalCompression)form, wal, FIXTURE_SIZE);
        uint64_t before = scratch_fingerprint(fixture.path);
        assert_true(settle((WalCompression)form, &exists));
        assert_false(exists);
        assert_true(scratch_fingerprint(fixture.path) == before);
    }
}

static void equal_content_is_dropped_whatever_the_forms(void **state)
{
    (void)state;
    for (int mine = 0; mine < WAL_COMPRESSION_COUNT; mine++) {
        fixture_archive(SEGNO, (WalCompression)mine, false, wal, FIXTURE_SIZE);
        uint64_t before = scratch_fingerprint(fixture.path);
        for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
            bool exists = false;
            arrive((WalCompression)form, wal, FIXTURE_SIZE);
            assert_true(settle((WalCompression)form, &exists));
            assert_true(exists);
            assert_false(is_there());
            assert_true(scratch_fingerprint(fixture.path) == before);
        }
        assert_int_equal(
            unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, (WalCompression)mine, false), 0),
            0);
    }
}

static void refuse(WalCompression mine, WalCompression form, const uint8_t *bytes, size_t length)
{
    bool exists;
    const char *name = fixture_name(SEGNO, mine, false);
    arrive(form, bytes, length);
    assert_false(settle(form, &exists));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, name));
    assert_false(is_there());
    assert_true(fixture_holds(SEGNO, mine, false, wal, FIXTURE_SIZE));
}

static void other_content_goes_to_quarantine(void **state)
{
    size_t refused = 0;
    (void)state;
    for (int mine = 0; mine < WAL_COMPRESSION_COUNT; mine++) {
        fixture_archive(SEGNO, (WalCompression)mine, false, wal, FIXTURE_SIZE);
        for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
            refuse((WalCompression)mine, (WalCompression)form, other, FIXTURE_SIZE);
            refuse((WalCompression)mine, (WalCompression)form, wal, FIXTURE_SIZE - 1);
            refused += 2;
            assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), refused);
        }
        assert_int_equal(
            unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, (WalCompression)mine, false), 0),
            0);
    }
}

static void a_damaged_archived_segment_is_told_and_nothing_is_moved(void **state)
{
    bool exists;
    (void)state;
    scratch_write(fixture.path, fixture_name(SEGNO, WAL_ZSTD, false), "damaged", 7);
    arrive(WAL_LZ4, wal, FIXTURE_SIZE);
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_false(settle(WAL_LZ4, &exists));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(scratch_fingerprint(fixture.path) == before);
}

static void try_with_failure_at(unsigned nth, const uint8_t *bytes, bool *ret_struck)
{
    bool exists = false;
    FakeCall call;
    arrive(WAL_LZ4, bytes, FIXTURE_SIZE);
    fake_files_fail(FAKE_ANY, fake_files_count(FAKE_ANY) + nth, EIO);
    bool ok = settle(WAL_LZ4, &exists);
    *ret_struck = fake_files_struck(&call);
    fake_files_fail(FAKE_ANY, 0, 0);
    assert_true(ok ? bytes == wal && exists : *ret_struck || bytes == other);
    if (ok && *ret_struck)
        assert_int_equal(call, FAKE_CLOSE); /* of files that were only read */
    assert_true(fixture_holds(SEGNO, WAL_ZSTD, false, wal, FIXTURE_SIZE));
    if (!ok && *ret_struck && call != FAKE_CLOSE)
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
    if (bytes == other && !is_there())
        assert_true(scratch_count(fixture.path, ".walrx/quarantine") > 0);
}

static void a_failure_at_any_call_keeps_what_the_archive_has(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_ZSTD, false, wal, FIXTURE_SIZE);
    for (int which = 0; which < 2; which++) {
        bool struck = true;
        unsigned nth = 1;
        for (; struck; nth++)
            try_with_failure_at(nth, which == 0 ? wal : other, &struck);
        assert_true(nth > 5);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(nothing_happens_to_a_segment_the_archive_does_not_have),
        CASE(equal_content_is_dropped_whatever_the_forms),
        CASE(other_content_goes_to_quarantine),
        CASE(a_damaged_archived_segment_is_told_and_nothing_is_moved),
        CASE(a_failure_at_any_call_keeps_what_the_archive_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
