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

static bool expand(WalCompression form)
{
    return partial_expand(&fixture.archive, 1, SEGNO, form, &fixture.error);
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
        assert_true(raw_is(bytes));
        assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, (WalCompression)form, true)));
        assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, true), 0),
                         0);
        free(bytes);
    }
}

static void an_existing_raw_partial_is_newer_and_stays(void **state)
{
    uint8_t *bytes = segment_bytes();
    (void)state;
    leave(bytes, FIXTURE_SIZE);
    fixture_archive(SEGNO, WAL_GZIP, true, bytes, 1000);
    assert_true(expand(WAL_GZIP));
    assert_true(raw_is(bytes));
    free(bytes);
}

/* Expands the first half of a compressed file; what became of it must be freed. */
static uint8_t *expand_half(WalCompression form)
{
    const char *name = fixture_name(SEGNO, form, true);
    size_t size;
    fixture_archive(SEGNO, form, true, fixture_wal(START), FIXTURE_SIZE);
    uint8_t *packed = scratch_read(fixture.path, name, &size);
    assert_non_null(packed);
    scratch_write(fixture.path, name, packed, size / 2);
    free(packed);
    assert_true(expand(form));
    uint8_t *raw = scratch_read(fixture.path, fixture_name(SEGNO, WAL_RAW, true), &size);
    assert_non_null(raw);
    assert_int_equal(size, FIXTURE_SIZE);
    return raw;
}

static void what_cannot_be_decompressed_any_more_is_left_out(void **state)
{
    static const WalCompression forms[] = {WAL_GZIP, WAL_ZSTD};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint8_t *raw = expand_half(forms[i]);
        assert_memory_equal(raw, fixture_wal(START), FIXTURE_SIZE / 4);
        free(raw);
        examine(SEGNO);
        assert_true(trust.proven_end > START + FIXTURE_SIZE / 4 - 4000);
        assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, true), 0),
                         0);
    }
}

/* Blocks of 1 MB: half of the only one gives nothing, but the segment can be received again. */
static void half_a_block_of_lz4_gives_an_empty_segment(void **state)
{
    uint8_t *empty = calloc(1, FIXTURE_SIZE);
    (void)state;
    assert_non_null(empty);
    uint8_t *raw = expand_half(WAL_LZ4);
    assert_memory_equal(raw, empty, FIXTURE_SIZE);
    free(raw);
    free(empty);
    examine(SEGNO);
    assert_true(trust.exists && trust.proven_end == START);
}

static void one_that_is_longer_than_a_segment_is_cut(void **state)
{
    uint8_t *bytes = segment_bytes();
    (void)state;
    memset(bytes + FIXTURE_SIZE, 'x', FIXTURE_SIZE);
    fixture_archive(SEGNO, WAL_ZSTD, true, bytes, 2 * FIXTURE_SIZE);
    assert_true(expand(WAL_ZSTD));
    assert_int_equal(scratch_size(fixture.path, fixture_name(SEGNO, WAL_RAW, true)), FIXTURE_SIZE);
    free(bytes);
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
        CASE(an_existing_raw_partial_is_newer_and_stays),
        CASE(what_cannot_be_decompressed_any_more_is_left_out),
        CASE(half_a_block_of_lz4_gives_an_empty_segment),
        CASE(one_that_is_longer_than_a_segment_is_cut),
        CASE(a_failure_while_expanding_keeps_the_compressed_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
