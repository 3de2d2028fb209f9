/* SPDX-License-Identifier: PostgreSQL
 *
 * Partials: whatever a crash left in one, exactly the records that are whole are proven, and its
 * size is mended; compressed ones become raw ones without losing a byte.
 */
#include "walrx/archive/partial.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGNO (FIXTURE_SEGNO + 1) /* begins in the middle of a record */
#define START (FIXTURE_START + FIXTURE_SIZE)

static PartialTrust trust;
static uint64_t old_size;

static void examine(SegNo segno)
{
    if (!partial_examine(&fixture.archive, 1, segno, &trust, &old_size, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

/* A segment's bytes, malloc'ed, to be spoiled. */
static uint8_t *segment_bytes(void)
{
    uint8_t *bytes = malloc(2 * FIXTURE_SIZE);
    assert_non_null(bytes);
    memset(bytes, 0, 2 * FIXTURE_SIZE);
    memcpy(bytes, fixture_wal(START), FIXTURE_SIZE);
    return bytes;
}

static void leave(const uint8_t *bytes, size_t length)
{
    scratch_write(fixture.path, fixture_name(SEGNO, WAL_RAW, true), bytes, length);
}

/* All records that end at or before `end` are proven, no more. */
static void expect_proven_to(Lsn end)
{
    Lsn proven = fixture_record_before(end);
    Lsn first = fixture_record_from(START);
    if (proven <= first) {
        assert_true(trust.proven_begin == trust.proven_end);
        return;
    }
    assert_true(trust.proven_begin == first);
    assert_true(trust.proven_end == proven);
}

static void no_file_is_no_trust(void **state)
{
    (void)state;
    examine(SEGNO);
    assert_false(trust.exists);
    assert_true(trust.proven_begin == START && trust.proven_end == START);
    assert_int_equal(old_size, FIXTURE_SIZE);
    assert_int_equal(scratch_count(fixture.path, "."), 1); /* nothing was made */
}

static void a_full_segment_is_proven_to_its_last_whole_record(void **state)
{
    (void)state;
    leave(fixture_wal(START), FIXTURE_SIZE);
    examine(SEGNO);
    assert_true(trust.exists);
    assert_int_equal(old_size, FIXTURE_SIZE);
    expect_proven_to(START + FIXTURE_SIZE);
    assert_true(trust.proven_end > START + FIXTURE_SIZE - 4000);
    fixture_archive(FIXTURE_SEGNO, WAL_RAW, true, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    examine(FIXTURE_SEGNO); /* this one begins with a record */
    assert_true(trust.proven_begin == fixture_record_from(FIXTURE_START));
    assert_true(trust.proven_end == fixture_record_before(FIXTURE_START + FIXTURE_SIZE));
}

static void the_size_is_mended_and_what_is_there_counts(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   23,
                                   24,
                                   40,
                                   8191,
                                   8192,
                                   100000,
                                   262144,
                                   524287,
                                   1048575,
                                   FIXTURE_SIZE + 1,
                                   2 * FIXTURE_SIZE};
    uint8_t *bytes = segment_bytes();
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        leave(bytes, sizes[i]);
        examine(SEGNO);
        assert_true(trust.exists);
        assert_int_equal(old_size, sizes[i]);
        assert_int_equal(scratch_size(fixture.path, fixture_name(SEGNO, WAL_RAW, true)),
                         FIXTURE_SIZE);
        expect_proven_to(START + (sizes[i] < FIXTURE_SIZE ? sizes[i] : FIXTURE_SIZE));
    }
    free(bytes);
}

static void zeros_prove_nothing(void **state)
{
    uint8_t *bytes = segment_bytes();
    (void)state;
    memset(bytes, 0, FIXTURE_SIZE);
    leave(bytes, FIXTURE_SIZE);
    examine(SEGNO);
    assert_true(trust.exists);
    assert_true(trust.proven_begin == START && trust.proven_end == START);
    free(bytes);
}

static void garbage_behind_the_end_is_not_trusted(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 40; seed++) {
        uint8_t *bytes = segment_bytes();
        size_t end = 1 + (size_t)seed * 26003 % (FIXTURE_SIZE - 1);
        unsigned random = seed;
        for (size_t i = end; i < FIXTURE_SIZE; i++) {
            random = random * 1103515245U + 12345U;
            bytes[i] = (uint8_t)~fixture_wal(START)[i] ^ (uint8_t)((random >> 16) & 0x7F);
        }
        leave(bytes, FIXTURE_SIZE);
        examine(SEGNO);
        expect_proven_to(START + end);
        assert_true(scratch_holds(fixture.path, fixture_name(SEGNO, WAL_RAW, true), bytes,
                                  FIXTURE_SIZE)); /* only looked at */
        free(bytes);
    }
}

/* As after a power cut: blocks in the middle were never written. */
static void a_hole_in_the_middle_ends_the_proof_there(void **state)
{
    (void)state;
    for (size_t block = 1; block < FIXTURE_SIZE / 4096; block += 9) {
        uint8_t *bytes = segment_bytes();
        memset(bytes + block * 4096, 0, 4096);
        leave(bytes, FIXTURE_SIZE);
        examine(SEGNO);
        expect_proven_to(START + block * 4096);
        free(bytes);
    }
}

static void a_single_wrong_bit_ends_the_proof_before_its_record(void **state)
{
    (void)state;
    for (size_t at = 5000; at < FIXTURE_SIZE; at += 50021) {
        uint8_t *bytes = segment_bytes();
        bytes[at] ^= 0x10;
        leave(bytes, FIXTURE_SIZE);
        examine(SEGNO);
        assert_true(trust.proven_end <= START + at + 8); /* padding is not covered by the CRC */
        assert_true(trust.proven_end + 20000 > START + at);
        free(bytes);
    }
}

static void an_old_segment_that_was_recycled_proves_nothing(void **state)
{
    (void)state;
    leave(fixture_wal(FIXTURE_START), FIXTURE_SIZE); /* pages of another address */
    examine(SEGNO);
    assert_true(trust.proven_begin == trust.proven_end);
}

static void what_it_holds_is_durable_on_return(void **state)
{
    (void)state;
    leave(fixture_wal(START), FIXTURE_SIZE);
    unsigned data = fake_files_count(FAKE_FDATASYNC);
    examine(SEGNO);
    assert_int_equal(fake_files_count(FAKE_FDATASYNC), data + 1);
    fake_files_fail(FAKE_FDATASYNC, data + 2, EIO);
    assert_false(partial_examine(&fixture.archive, 1, SEGNO, &trust, &old_size, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

static PartialExpansion expansion;

static bool expand(WalCompression form)
{
    memset(&expansion, 0xFF, sizeof(expansion));
    return partial_expand(&fixture.archive, 1, SEGNO, form, &expansion, &fixture.error);
}

static bool raw_is(const uint8_t *bytes)
{
    return scratch_holds(fixture.path, fixture_name(SEGNO, WAL_RAW, true), bytes, FIXTURE_SIZE);
}

static void a_compressed_partial_becomes_a_raw_one_of_full_size(void **state)
{
    (void)state;
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        uint8_t *bytes = segment_bytes();
        memset(bytes + 300000, 0, FIXTURE_SIZE - 300000);
        fixture_archive(SEGNO, (WalCompression)form, true, bytes, 300000);
        assert_true(expand((WalCompression)form));
        assert_true(!expansion.damaged && !expansion.differs);
        assert_int_equal(expansion.bytes, 300000);
        assert_true(raw_is(bytes));
        assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, (WalCompression)form, true)));
        assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, true), 0),
                         0);
        free(bytes);
    }
}

static bool has_packed(WalCompression form)
{
    return scratch_exists(fixture.path, fixture_name(SEGNO, form, true));
}

static bool in_quarantine(WalCompression form, const uint8_t *packed, size_t size)
{
    char name[128];
    (void)snprintf(name, sizeof(name), ".walrx/quarantine/%s", fixture_name(SEGNO, form, true));
    return scratch_holds(fixture.path, name, packed, size);
}

static bool no_quarantine(void)
{
    return !scratch_exists(fixture.path, ".walrx/quarantine");
}

/* The first `length` bytes of the segment, and zeros. */
static uint8_t *segment_to(size_t length)
{
    uint8_t *bytes = segment_bytes();
    memset(bytes + length, 0, 2 * (size_t)FIXTURE_SIZE - length);
    return bytes;
}

static void of_a_raw_and_a_compressed_one_the_longer_becomes_the_raw_one(void **state)
{
    static const size_t lengths[][2] = {{1000, 700000},
                                        {700000, 1000},
                                        {0, 5000},
                                        {5000, 0},
                                        {262144, 262145},
                                        {262145, 262144},
                                        {FIXTURE_SIZE, 400000},
                                        {400000, FIXTURE_SIZE},
                                        {300000, 300000}};
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t raw = lengths[i][0];
        size_t packed = lengths[i][1];
        uint8_t *longer = segment_to(raw > packed ? raw : packed);
        uint8_t *shorter = segment_to(raw);
        leave(shorter, FIXTURE_SIZE);
        fixture_archive(SEGNO, WAL_GZIP, true, longer, packed);
        unsigned synced = fake_files_count(FAKE_FDATASYNC);
        assert_true(expand(WAL_GZIP));
        assert_true(!expansion.damaged && !expansion.differs);
        assert_true(raw_is(longer));
        assert_false(has_packed(WAL_GZIP));
        assert_int_equal(fake_files_count(FAKE_FDATASYNC), synced + 2); /* the kept one too */
        assert_int_equal(scratch_count(fixture.path, ".walrx"), 2);
        free(longer);
        free(shorter);
    }
    assert_true(no_quarantine());
}

static void a_raw_one_of_a_wrong_size_is_merged_by_what_it_holds(void **state)
{
    uint8_t *longer = segment_to(600000);
    (void)state;
    leave(longer, 5000);
    fixture_archive(SEGNO, WAL_LZ4, true, longer, 600000);
    assert_true(expand(WAL_LZ4));
    assert_true(raw_is(longer));
    leave(longer, 599000);
    fixture_archive(SEGNO, WAL_LZ4, true, longer, 5000);
    assert_true(expand(WAL_LZ4));
    assert_true(scratch_holds(fixture.path, fixture_name(SEGNO, WAL_RAW, true), longer, 599000));
    assert_true(no_quarantine());
    free(longer);
}

static void where_they_differ_the_raw_one_stays_and_the_other_goes_to_quarantine(void **state)
{
    static const size_t places[] = {0, 5000, 262143, 262144, 299990};
    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        uint8_t *raw = segment_to(300000);
        uint8_t *other = segment_to(500000);
        size_t size;
        raw[299999] |= 1; /* its end, whatever the WAL holds there */
        other[299999] = raw[299999];
        other[places[i]] ^= 0x10;
        leave(raw, FIXTURE_SIZE);
        fixture_archive(SEGNO, WAL_ZSTD, true, other, 500000);
        uint8_t *packed = scratch_read(fixture.path, fixture_name(SEGNO, WAL_ZSTD, true), &size);
        assert_non_null(packed);
        assert_true(expand(WAL_ZSTD));
        assert_true(expansion.differs && !expansion.damaged);
        assert_true(raw_is(raw));
        assert_false(has_packed(WAL_ZSTD));
        assert_true(in_quarantine(WAL_ZSTD, packed, size));
        char name[128];
        (void)snprintf(name, sizeof(name), ".walrx/quarantine/%s",
                       fixture_name(SEGNO, WAL_ZSTD, true));
        assert_int_equal(unlinkat(fixture.archive.dir.fd, name, 0), 0);
        free(packed);
        free(raw);
        free(other);
    }
}

/* Leaves the segment in that form, the compressed file overwritten in its middle or cut there.
 * Returns the compressed bytes. */
static uint8_t *leave_cut(WalCompression form, size_t *ret_size)
{
    const char *name = fixture_name(SEGNO, form, true);
    fixture_archive(SEGNO, form, true, fixture_wal(START), FIXTURE_SIZE);
    uint8_t *packed = scratch_read(fixture.path, name, ret_size);
    assert_non_null(packed);
    *ret_size /= 2;
    scratch_write(fixture.path, name, packed, *ret_size);
    return packed;
}

/* Cut short: a flipped bit may decompress to other content (lz4), which the records' CRCs then
 * show. */
static void of_a_damaged_one_what_can_be_read_counts_and_it_goes_to_quarantine(void **state)
{
    static const WalCompression forms[] = {WAL_GZIP, WAL_ZSTD};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        size_t length;
        uint8_t *packed = leave_cut(forms[i], &size);
        assert_true(expand(forms[i]));
        assert_true(expansion.damaged && !expansion.differs);
        assert_in_range(expansion.bytes, FIXTURE_SIZE / 4, FIXTURE_SIZE - 1);
        assert_false(has_packed(forms[i]));
        uint8_t *raw = scratch_read(fixture.path, fixture_name(SEGNO, WAL_RAW, true), &length);
        assert_non_null(raw);
        assert_int_equal(length, FIXTURE_SIZE);
        assert_memory_equal(raw, fixture_wal(START), expansion.bytes);
        examine(SEGNO);
        assert_true(trust.proven_end > START + FIXTURE_SIZE / 4 - 4000);
        char name[128];
        (void)snprintf(name, sizeof(name), ".walrx/quarantine/%s",
                       fixture_name(SEGNO, forms[i], true));
        assert_true(scratch_holds(fixture.path, name, packed, size));
        assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, true), 0),
                         0);
        free(packed);
        free(raw);
    }
}

static void one_that_is_longer_than_a_segment_is_cut_and_goes_to_quarantine(void **state)
{
    uint8_t *bytes = segment_bytes();
    (void)state;
    memset(bytes + FIXTURE_SIZE, 'x', FIXTURE_SIZE);
    fixture_archive(SEGNO, WAL_ZSTD, true, bytes, 2 * FIXTURE_SIZE);
    assert_true(expand(WAL_ZSTD));
    assert_true(expansion.damaged);
    assert_int_equal(expansion.bytes, FIXTURE_SIZE);
    assert_true(raw_is(bytes));
    assert_false(has_packed(WAL_ZSTD));
    assert_false(no_quarantine());
    free(bytes);
}

static void the_content_ends_behind_the_last_byte_that_is_not_zero(void **state)
{
    static const size_t ends[] = {0, 1, 262143, 262144, 262145, 700001, FIXTURE_SIZE};
    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        uint8_t *bytes = segment_to(ends[i]);
        uint64_t end;
        if (ends[i] > 0)
            bytes[ends[i] - 1] |= 1;
        leave(bytes, FIXTURE_SIZE);
        assert_true(partial_content_end(&fixture.archive, 1, SEGNO, &end, &fixture.error));
        assert_int_equal(end, ends[i]);
        fake_files_fail(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 1, EIO);
        assert_false(partial_content_end(&fixture.archive, 1, SEGNO, &end, &fixture.error));
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
        free(bytes);
    }
}

/* At every moment one of the files holds all that was there, and the next try mends it. */
static void a_failure_at_any_call_of_a_merge_loses_nothing(void **state)
{
    uint8_t *longer = segment_to(700000);
    (void)state;
    for (unsigned packed_is_longer = 0; packed_is_longer <= 1; packed_is_longer++) {
        unsigned nth = 1;
        for (bool struck = true; struck; nth++) {
            uint8_t *shorter = segment_to(packed_is_longer != 0 ? 300000 : 700000);
            FakeCall call;
            leave(shorter, FIXTURE_SIZE);
            fixture_archive(SEGNO, WAL_GZIP, true, longer, packed_is_longer != 0 ? 700000 : 300000);
            fake_files_reset();
            fake_files_fail(FAKE_ANY, nth, EIO);
            bool ok = expand(WAL_GZIP);
            struck = fake_files_struck(&call);
            if (ok && struck && call != FAKE_CLOSE)
                fail_msg("call %u (%s): nobody noticed", nth, fake_files_call_name(call));
            fake_files_reset();
            assert_true(raw_is(longer) || fixture_holds(SEGNO, WAL_GZIP, true, longer, 700000));
            if (has_packed(WAL_GZIP))
                assert_true(expand(WAL_GZIP));
            assert_true(raw_is(longer));
            free(shorter);
        }
        assert_true(nth > 10);
    }
    free(longer);
}

static void a_failure_while_expanding_keeps_the_compressed_one(void **state)
{
    static const FakeCall calls[] = {FAKE_PREAD, FAKE_PWRITEV, FAKE_FALLOCATE, FAKE_FDATASYNC,
                                     FAKE_RENAME};
    (void)state;
    fixture_archive(SEGNO, WAL_GZIP, true, fixture_wal(START), FIXTURE_SIZE);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        fake_files_fail(calls[i], fake_files_count(calls[i]) + 1, EIO);
        assert_false(expand(WAL_GZIP));
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
        assert_true(fixture_holds(SEGNO, WAL_GZIP, true, fixture_wal(START), FIXTURE_SIZE));
        assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, true)));
    }
    assert_true(expand(WAL_GZIP));
    assert_true(raw_is(fixture_wal(START)));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(no_file_is_no_trust),
        CASE(a_full_segment_is_proven_to_its_last_whole_record),
        CASE(the_size_is_mended_and_what_is_there_counts),
        CASE(zeros_prove_nothing),
        CASE(garbage_behind_the_end_is_not_trusted),
        CASE(a_hole_in_the_middle_ends_the_proof_there),
        CASE(a_single_wrong_bit_ends_the_proof_before_its_record),
        CASE(an_old_segment_that_was_recycled_proves_nothing),
        CASE(what_it_holds_is_durable_on_return),
        CASE(a_compressed_partial_becomes_a_raw_one_of_full_size),
        CASE(of_a_raw_and_a_compressed_one_the_longer_becomes_the_raw_one),
        CASE(a_raw_one_of_a_wrong_size_is_merged_by_what_it_holds),
        CASE(where_they_differ_the_raw_one_stays_and_the_other_goes_to_quarantine),
        CASE(of_a_damaged_one_what_can_be_read_counts_and_it_goes_to_quarantine),
        CASE(one_that_is_longer_than_a_segment_is_cut_and_goes_to_quarantine),
        CASE(the_content_ends_behind_the_last_byte_that_is_not_zero),
        CASE(a_failure_at_any_call_of_a_merge_loses_nothing),
        CASE(a_failure_while_expanding_keeps_the_compressed_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
