/* SPDX-License-Identifier: PostgreSQL
 *
 * Compression of one segment: at every moment a good file is there, whatever fails; a copy that
 * does not read back never takes the raw file's place.
 */
#include "compress_job.h"

#include "fake_files.h"
#include "fixture.h"

#include "walrx/archive/compressor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGNO FIXTURE_SEGNO

static const uint8_t *wal;

static int setup(void **state)
{
    (void)fixture_setup(state);
    wal = fixture_wal(FIXTURE_START);
    fixture_archive(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE);
    return 0;
}

static CompressWay way_of(WalCompression form, const atomic_bool *abort)
{
    return (CompressWay){
        .spec = {.method = form, .level = 1}, .memory = CODEC_MEMORY_ANY, .abort = abort};
}

static bool run(WalCompression form, const atomic_bool *abort)
{
    CompressWay way = way_of(form, abort);
    CompressInput input = {.raw = fixture_name(SEGNO, WAL_RAW, false), .length = FIXTURE_SIZE};
    return compress_job_run(&fixture.archive, &way, &input, fixture_name(SEGNO, form, false),
                            &fixture.error);
}

/* From memory; without raw file only the temporary copy is made. */
static bool run_memory(WalCompression form, const uint8_t *memory, bool has_raw,
                       const atomic_bool *abort)
{
    CompressWay way = way_of(form, abort);
    uint32_t crc;
    CompressInput input = {.raw = has_raw ? fixture_name(SEGNO, WAL_RAW, false) : NULL,
                           .memory = memory,
                           .length = FIXTURE_SIZE};
    const char *packed = fixture_name(SEGNO, form, false);
    return has_raw
               ? compress_job_run(&fixture.archive, &way, &input, packed, &fixture.error)
               : compress_job_write(&fixture.archive, &way, &input, packed, &crc, &fixture.error);
}

static bool has_raw(void)
{
    return fixture_holds(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE);
}

static bool has_packed(WalCompression form)
{
    return fixture_holds(SEGNO, form, false, wal, FIXTURE_SIZE);
}

static void the_compressed_file_takes_the_place_of_the_raw_one(void **state)
{
    (void)state;
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        fixture_archive(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE);
        if (!run((WalCompression)form, NULL))
            fail_msg("%s", fixture.error.message);
        assert_true(has_packed((WalCompression)form));
        assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, false)));
        assert_int_equal(scratch_count(fixture.path, ".walrx"), 2);
    }
}

static void note_pruned(void)
{
    static const char before[] = "before=0/600000\n"; /* segment 5 is the last before */
    scratch_write(fixture.path, ".walrx/pruned", before, strlen(before));
}

static void a_raw_file_that_retention_took_away_is_no_error(void **state)
{
    char raw[SCRATCH_PATH_SIZE + 64];
    (void)state;
    (void)snprintf(raw, sizeof(raw), "%s/%s", fixture.path, fixture_name(SEGNO, WAL_RAW, false));
    assert_int_equal(unlink(raw), 0);
    assert_false(run(WAL_ZSTD, NULL));
    assert_int_equal(fixture.error.os_errno, ENOENT);
    note_pruned();
    assert_true(run(WAL_ZSTD, NULL));
    assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_ZSTD, false)));
}

/* The copy gets its name, and the raw file goes at that moment. */
static void take_raw_away(const FakeEvent *event)
{
    if (event->call == FAKE_RENAME &&
        strcmp(event->other_name, fixture_name(SEGNO, WAL_ZSTD, false)) == 0) {
        char raw[SCRATCH_PATH_SIZE + 64];
        (void)snprintf(raw, sizeof(raw), "%s/%s", fixture.path,
                       fixture_name(SEGNO, WAL_RAW, false));
        (void)unlink(raw);
    }
}

static void a_copy_of_what_retention_took_away_does_not_stay(void **state)
{
    (void)state;
    fake_files_observe(take_raw_away);
    assert_true(run(WAL_ZSTD, NULL));
    assert_true(has_packed(WAL_ZSTD)); /* somebody removed the raw file: the copy is all there is */
    fixture_archive(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE);
    char packed[SCRATCH_PATH_SIZE + 64];
    (void)snprintf(packed, sizeof(packed), "%s/%s", fixture.path,
                   fixture_name(SEGNO, WAL_ZSTD, false));
    assert_int_equal(unlink(packed), 0);
    note_pruned();
    assert_true(run(WAL_ZSTD, NULL));
    assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_ZSTD, false)));
    assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, false)));
}

static void an_equal_compressed_file_is_kept_and_the_raw_one_goes(void **state)
{
    size_t length;
    size_t after;
    const char *name = fixture_name(SEGNO, WAL_ZSTD, false);
    (void)state;
    fixture_archive(SEGNO, WAL_ZSTD, false, wal, FIXTURE_SIZE);
    uint8_t *before = scratch_read(fixture.path, name, &length);
    assert_true(run(WAL_ZSTD, NULL));
    uint8_t *now = scratch_read(fixture.path, name, &after);
    assert_non_null(before);
    assert_non_null(now);
    assert_int_equal(after, length);
    assert_memory_equal(now, before, length);
    assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, false)));
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 2);
    free(before);
    free(now);
}

static void a_different_compressed_file_is_an_archive_error_and_both_stay(void **state)
{
    uint8_t *other = malloc(FIXTURE_SIZE);
    (void)state;
    assert_non_null(other);
    memcpy(other, wal, FIXTURE_SIZE);
    other[99] ^= 1;
    fixture_archive(SEGNO, WAL_LZ4, false, other, FIXTURE_SIZE);
    assert_false(run(WAL_LZ4, NULL));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(has_raw());
    assert_true(fixture_holds(SEGNO, WAL_LZ4, false, other, FIXTURE_SIZE));
    scratch_write(fixture.path, fixture_name(SEGNO, WAL_LZ4, false), "damaged", 7);
    assert_false(run(WAL_LZ4, NULL));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(has_raw());
    free(other);
}

static bool spoil;

/* The disk gives something else back than what was written. */
static ssize_t pread_spoiled(int fd, void *buffer, size_t count, off_t offset)
{
    ssize_t n = fake_files_table()->pread(fd, buffer, count, offset);
    if (spoil && n > 0 && fake_files_count(FAKE_FDATASYNC) > 1)
        ((uint8_t *)buffer)[n / 2] ^= 1;
    return n;
}

static void a_copy_that_does_not_read_back_is_not_published(void **state)
{
    FileTable table = *fake_files_table();
    (void)state;
    table.pread = pread_spoiled;
    fixture.archive.dir.files = &table;
    fixture.archive.private.files = &table;
    for (int way = 0; way < 6; way++) {
        WalCompression form = (WalCompression)(WAL_GZIP + way % 3);
        fake_files_reset();
        (void)fake_files_table()->fdatasync(fixture.archive.dir.fd);
        spoil = true;
        if (way < 3)
            assert_false(run(form, NULL));
        else
            assert_false(run_memory(form, wal, true, NULL));
        spoil = false;
        assert_true(fixture.error.class == ERROR_STORAGE || fixture.error.class == ERROR_ARCHIVE);
        assert_true(has_raw());
        assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, form, false)));
    }
    fixture.archive.dir.files = fake_files_table();
    fixture.archive.private.files = fake_files_table();
}

static uint8_t *changing;
#define CHANGED_AT                                                                                 \
    ((size_t)900 * 1024) /* in what is being written when the first piece is full                  \
                          */

/* The segment's memory changes while its copy is written. */
static ssize_t pwritev_with_a_bad_memory(int fd, const struct iovec *parts, int count, off_t offset)
{
    changing[CHANGED_AT] ^= 1;
    return fake_files_table()->pwritev(fd, parts, count, offset);
}

static void memory_that_changes_on_the_way_is_found(void **state)
{
    const size_t length = (size_t)3 * 1024 * 1024;
    FileTable table = *fake_files_table();
    uint64_t random = 88172645463325252U; /* xorshift64: a copy is as long as its content */
    (void)state;
    table.pwritev = pwritev_with_a_bad_memory;
    changing = malloc(length);
    assert_non_null(changing);
    for (size_t i = 0; i < length; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        changing[i] = (uint8_t)random;
    }
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        CompressWay way = way_of((WalCompression)form, NULL);
        CompressInput input = {.memory = changing, .length = length};
        const char *packed = fixture_name(SEGNO, (WalCompression)form, false);
        uint32_t crc;
        fixture.archive.private.files = &table;
        bool ok = compress_job_write(&fixture.archive, &way, &input, packed, &crc, &fixture.error);
        fixture.archive.private.files = fake_files_table();
        assert_false(ok);
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
        assert_non_null(strstr(fixture.error.message, "does not read back"));
        assert_true(
            compress_job_write(&fixture.archive, &way, &input, packed, &crc, &fixture.error));
    }
    free(changing);
}

static bool temporary_holds(WalCompression form, const uint8_t *bytes)
{
    char temporary[COMPRESS_TEMP_SIZE];
    char path[COMPRESS_TEMP_SIZE + 16];
    size_t length;
    compress_job_temporary(fixture_name(SEGNO, form, false), temporary);
    (void)snprintf(path, sizeof(path), ".walrx/%s", temporary);
    uint8_t *copy = scratch_read(fixture.path, path, &length);
    if (copy == NULL)
        return false;
    scratch_write(fixture.path, fixture_name(SEGNO, form, true), copy, length);
    free(copy);
    return fixture_holds(SEGNO, form, true, bytes, FIXTURE_SIZE);
}

static void memory_becomes_a_durable_copy_without_a_final_name(void **state)
{
    (void)state;
    assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, false), 0), 0);
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        unsigned syncs = fake_files_count(FAKE_FDATASYNC);
        if (!run_memory((WalCompression)form, wal, false, NULL))
            fail_msg("%s", fixture.error.message);
        assert_int_equal(fake_files_count(FAKE_FDATASYNC), syncs + 1);
        assert_false(
            scratch_exists(fixture.path, fixture_name(SEGNO, (WalCompression)form, false)));
        assert_true(temporary_holds((WalCompression)form, wal));
        /* What an aborted job left there does not matter. */
        assert_true(run_memory((WalCompression)form, wal, false, NULL));
        assert_true(temporary_holds((WalCompression)form, wal));
    }
}

static void memory_spares_the_raw_file_the_reading(void **state)
{
    FakeCall call;
    (void)state;
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        fixture_archive(SEGNO, WAL_RAW, false, "not read", 8);
        if (!run_memory((WalCompression)form, wal, true, NULL))
            fail_msg("%s", fixture.error.message);
        assert_true(has_packed((WalCompression)form));
        assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, false)));
    }
    assert_false(fake_files_struck(&call));
}

static void an_existing_file_is_compared_with_memory(void **state)
{
    uint8_t *other = malloc(FIXTURE_SIZE);
    (void)state;
    assert_non_null(other);
    memcpy(other, wal, FIXTURE_SIZE);
    other[FIXTURE_SIZE - 1] ^= 1;
    fixture_archive(SEGNO, WAL_LZ4, false, wal, FIXTURE_SIZE);
    assert_true(run_memory(WAL_LZ4, wal, true, NULL));
    assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, false)));
    fixture_archive(SEGNO, WAL_RAW, false, other, FIXTURE_SIZE);
    assert_false(run_memory(WAL_LZ4, other, true, NULL));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(has_packed(WAL_LZ4));
    assert_true(fixture_holds(SEGNO, WAL_RAW, false, other, FIXTURE_SIZE));
    /* A whole frame that holds less, or more. */
    fixture_archive(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE);
    fixture_archive(SEGNO, WAL_LZ4, false, wal, FIXTURE_SIZE - 1);
    assert_false(run_memory(WAL_LZ4, wal, true, NULL));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    fixture_archive(SEGNO, WAL_LZ4, false, wal, FIXTURE_SIZE + 1);
    assert_false(run_memory(WAL_LZ4, wal, true, NULL));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(has_raw());
    free(other);
}

static void an_aborted_copy_of_memory_is_no_success(void **state)
{
    atomic_bool abort_now = true;
    (void)state;
    assert_false(run_memory(WAL_ZSTD, wal, false, &abort_now));
    assert_int_equal(fixture.error.class, ERROR_STOPPED);
}

static void a_raw_file_that_is_too_short_is_not_compressed(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE - 1);
    assert_false(run(WAL_GZIP, NULL));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    assert_true(fixture_holds(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE - 1));
    assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_GZIP, false)));
}

static void an_aborted_job_leaves_the_raw_file(void **state)
{
    atomic_bool abort_now = true;
    (void)state;
    assert_false(run(WAL_GZIP, &abort_now));
    assert_int_equal(fixture.error.class, ERROR_STOPPED);
    assert_true(has_raw());
    assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_GZIP, false)));
    atomic_store(&abort_now, false);
    assert_true(run(WAL_GZIP, &abort_now));
    assert_true(has_packed(WAL_GZIP));
}

static void a_failure_at_any_call_leaves_a_good_file_and_the_next_try_mends_it(void **state)
{
    unsigned nth = 1;
    (void)state;
    for (bool struck = true; struck; nth++) {
        FakeCall call;
        fake_files_reset();
        fixture_archive(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE);
        fake_files_fail(FAKE_ANY, nth, EIO);
        bool ok = run(WAL_LZ4, NULL);
        struck = fake_files_struck(&call);
        /* The date of the raw file is handed on where that can be done. */
        if (ok && struck && call != FAKE_CLOSE && call != FAKE_STAT && call != FAKE_TIMES)
            fail_msg("call %u (%s): nobody noticed", nth, fake_files_call_name(call));
        fake_files_reset();
        assert_true(has_packed(WAL_LZ4) || has_raw());
        if (scratch_exists(fixture.path, fixture_name(SEGNO, WAL_LZ4, false)))
            assert_true(has_packed(WAL_LZ4));
        if (!ok && has_raw())
            assert_true(run(WAL_LZ4, NULL));
        assert_true(has_packed(WAL_LZ4));
        assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, false)));
        assert_int_equal(renameat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_LZ4, false),
                                  fixture.archive.dir.fd, "gone"),
                         0);
    }
    assert_true(nth > 10);
}

static void the_copy_has_the_date_of_the_raw_file(void **state)
{
    int64_t raw;
    int64_t packed;
    bool exists;
    (void)state;
    assert_true(file_modified(&fixture.archive.dir, fixture_name(SEGNO, WAL_RAW, false), &exists,
                              &raw, &fixture.error));
    (void)usleep(20000);
    assert_true(run(WAL_GZIP, NULL));
    assert_true(file_modified(&fixture.archive.dir, fixture_name(SEGNO, WAL_GZIP, false), &exists,
                              &packed, &fixture.error));
    assert_true(exists && packed == raw);
}

static void the_open_segment_is_compressed_as_pg_receivewal_leaves_it(void **state)
{
    (void)state;
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        CompressSpec spec = {.method = (WalCompression)form, .level = 1};
        fixture_archive(SEGNO, WAL_RAW, true, wal, FIXTURE_SIZE);
        assert_true(compress_partial(&fixture.archive, spec, 1, SEGNO, 123456, CODEC_MEMORY_ANY,
                                     &fixture.error));
        assert_true(fixture_holds(SEGNO, (WalCompression)form, true, wal, 123456));
        assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, true)));
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_compressed_file_takes_the_place_of_the_raw_one),
        CASE(a_raw_file_that_retention_took_away_is_no_error),
        CASE(a_copy_of_what_retention_took_away_does_not_stay),
        CASE(an_equal_compressed_file_is_kept_and_the_raw_one_goes),
        CASE(a_different_compressed_file_is_an_archive_error_and_both_stay),
        CASE(a_copy_that_does_not_read_back_is_not_published),
        CASE(memory_that_changes_on_the_way_is_found),
        CASE(memory_becomes_a_durable_copy_without_a_final_name),
        CASE(memory_spares_the_raw_file_the_reading),
        CASE(an_existing_file_is_compared_with_memory),
        CASE(an_aborted_copy_of_memory_is_no_success),
        CASE(a_raw_file_that_is_too_short_is_not_compressed),
        CASE(an_aborted_job_leaves_the_raw_file),
        CASE(a_failure_at_any_call_leaves_a_good_file_and_the_next_try_mends_it),
        CASE(the_copy_has_the_date_of_the_raw_file),
        CASE(the_open_segment_is_compressed_as_pg_receivewal_leaves_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
