/* SPDX-License-Identifier: PostgreSQL
 *
 * Segments compressed from memory: they get their names in WAL order, whoever finishes first; what
 * failed or was aborted is not published; memory is held until nobody reads it.
 */
#include "packing.h"

#include "compress_job.h"
#include "fake_files.h"
#include "fixture.h"
#include "gate.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPACITY 4
#define FIRST FIXTURE_SEGNO
#define PATIENCE 20000

static Bell bell;
static Compressor *compressor;
static Packing packing;

static void start(unsigned workers)
{
    CompressSpec lz4 = {.method = WAL_LZ4, .level = 1};
    assert_true(compressor_start(&fixture.archive, lz4, workers, CODEC_MEMORY_ANY, &bell,
                                 &compressor, &fixture.error));
    assert_true(packing_init(&packing, &fixture.archive, compressor, CAPACITY, &fixture.error));
}

static int setup(void **state)
{
    (void)fixture_setup(state);
    gate_install(&fixture.archive);
    compressor = NULL;
    packing = (Packing){.segments = NULL};
    return bell_open(&bell, &fixture.error) ? 0 : -1;
}

static int teardown(void **state)
{
    gate_open();
    compressor_stop(compressor);
    packing_deinit(&packing);
    bell_close(&bell);
    gate_remove(&fixture.archive);
    return fixture_teardown(state);
}

static const uint8_t *memory_of(SegNo segno)
{
    return fixture_wal(segment_start(segno, FIXTURE_SIZE));
}

static bool add(SegNo segno, bool has_raw)
{
    if (has_raw)
        fixture_archive(segno, WAL_RAW, false, memory_of(segno), FIXTURE_SIZE);
    return packing_add(&packing, 1, segno, memory_of(segno), has_raw, &fixture.error);
}

static CompressOutcome outcome(size_t index)
{
    return (CompressOutcome)atomic_load(
        &packing.segments[(packing.head + index) % CAPACITY].ticket.outcome);
}

static void await(size_t index)
{
    for (int i = 0; i < PATIENCE && outcome(index) == COMPRESS_PENDING; i++)
        (void)usleep(1000);
    assert_int_not_equal(outcome(index), COMPRESS_PENDING);
}

static bool is_packed(SegNo segno)
{
    return fixture_holds(segno, WAL_LZ4, false, memory_of(segno), FIXTURE_SIZE);
}

static bool has_name(SegNo segno)
{
    return scratch_exists(fixture.path, fixture_name(segno, WAL_LZ4, false)) ||
           scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, false));
}

static bool has_temporary(SegNo segno)
{
    char name[COMPRESS_TEMP_SIZE];
    char path[COMPRESS_TEMP_SIZE + 16];
    compress_job_temporary(fixture_name(segno, WAL_LZ4, false), name);
    (void)snprintf(path, sizeof(path), ".walrx/%s", name);
    return scratch_exists(fixture.path, path);
}

static bool retire(void)
{
    bool retired;
    Lsn end = LSN_INVALID;
    if (!packing_retire(&packing, &retired, &end, &fixture.error))
        fail_msg("%s", fixture.error.message);
    assert_true(retired == (end != LSN_INVALID));
    return retired;
}

static void an_empty_one_has_nothing_to_retire(void **state)
{
    (void)state;
    start(1);
    assert_false(retire());
    assert_false(packing_busy(&packing));
}

static void names_are_given_in_wal_order_whoever_finishes_first(void **state)
{
    bool retired;
    Lsn end;
    (void)state;
    start(3);
    gate_close(fixture_name(FIRST, WAL_LZ4, false));
    for (SegNo i = 0; i < 3; i++)
        assert_true(add(FIRST + i, false));
    await(1);
    await(2);
    assert_int_equal(outcome(0), COMPRESS_PENDING);
    assert_false(retire());
    assert_true(packing_busy(&packing));
    assert_int_equal(packing.without_raw, 3);
    for (SegNo i = 0; i < 3; i++)
        assert_false(has_name(FIRST + i));
    assert_true(has_temporary(FIRST + 1) && has_temporary(FIRST + 2));
    gate_open();
    await(0);
    assert_false(packing_busy(&packing));
    for (SegNo i = 0; i < 3; i++) {
        assert_true(packing_retire(&packing, &retired, &end, &fixture.error));
        assert_true(retired);
        assert_true(end == segment_start(FIRST + i + 1, FIXTURE_SIZE));
        assert_int_equal(packing.without_raw, 2 - i);
        for (SegNo j = 0; j < 3; j++) {
            assert_true(is_packed(FIRST + j) == (j <= i));
            assert_true(has_temporary(FIRST + j) == (j > i));
        }
    }
    assert_false(retire());
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 2); /* identity and lock */
}

/* The directory is synced before the next step, and the slots go round. */
static void every_name_is_durable_when_its_end_is_told(void **state)
{
    (void)state;
    start(2);
    for (SegNo i = 0; i < 3 * CAPACITY; i++) {
        SegNo segno = FIRST + i % 5;
        assert_true(add(segno, false));
        await(0);
        unsigned syncs = fake_files_count(FAKE_FSYNC);
        assert_true(retire());
        assert_true(fake_files_count(FAKE_FSYNC) > syncs);
        assert_true(is_packed(segno));
        assert_int_equal(packing.count, 0);
        assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(segno, WAL_LZ4, false), 0),
                         0);
    }
}

static void raw_segments_wait_in_line_too_and_lose_their_raw_file(void **state)
{
    (void)state;
    start(3);
    gate_close(fixture_name(FIRST, WAL_LZ4, false));
    assert_true(add(FIRST, false));
    assert_true(add(FIRST + 1, true));
    assert_int_equal(packing.without_raw, 1);
    await(1);
    assert_true(is_packed(FIRST + 1)); /* it was durable before: the order does not matter */
    assert_false(scratch_exists(fixture.path, fixture_name(FIRST + 1, WAL_RAW, false)));
    assert_false(retire()); /* but its memory lies behind the first's */
    gate_open();
    await(0);
    assert_true(retire());
    assert_true(is_packed(FIRST));
    assert_int_equal(packing.without_raw, 0);
    assert_true(retire());
    assert_false(retire());
}

static void a_failed_job_is_told_and_neither_it_nor_what_follows_is_published(void **state)
{
    bool retired = true;
    Lsn end;
    (void)state;
    start(1);
    assert_true(add(FIRST, false));
    await(0);
    gate_close("");
    assert_true(add(FIRST + 1, false));
    assert_true(add(FIRST + 2, false));
    gate_await(1);
    fake_files_fail(FAKE_FDATASYNC, fake_files_count(FAKE_FDATASYNC) + 1, EIO);
    gate_open();
    await(1);
    await(2);
    assert_true(retire());
    assert_true(is_packed(FIRST));
    for (int again = 0; again < 2; again++) {
        assert_false(packing_retire(&packing, &retired, &end, &fixture.error));
        assert_false(retired);
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
        assert_int_equal(fixture.error.os_errno, EIO);
    }
    assert_false(has_name(FIRST + 1) || has_name(FIRST + 2));
    assert_false(add(FIRST + 3, false));
    assert_int_equal(fixture.error.os_errno, EIO);
    assert_int_equal(packing.count, 2);
}

static void a_failed_job_leaves_what_is_durable_as_raw_file(void **state)
{
    (void)state;
    start(1);
    fake_files_fail(FAKE_FDATASYNC, fake_files_count(FAKE_FDATASYNC) + 1, EIO);
    assert_true(add(FIRST, true));
    await(0);
    assert_int_equal(outcome(0), COMPRESS_FAILED);
    assert_true(retire());
    assert_true(fixture_holds(FIRST, WAL_RAW, false, memory_of(FIRST), FIXTURE_SIZE));
}

static void memory_is_held_until_the_ticket_is_filled(void **state)
{
    bool retired;
    Lsn end;
    (void)state;
    start(1);
    gate_close("");
    assert_true(add(FIRST, false));
    assert_true(add(FIRST + 1, false));
    gate_await(1);
    compressor_abort(compressor);
    assert_int_equal(outcome(0), COMPRESS_PENDING); /* a worker stands there with it */
    assert_int_equal(outcome(1), COMPRESS_FAILED);  /* nobody has seen it */
    assert_true(packing_busy(&packing));
    assert_false(retire());
    gate_open();
    await(0);
    assert_false(packing_busy(&packing));
    assert_false(packing_retire(&packing, &retired, &end, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STOPPED);
    assert_false(has_name(FIRST));
}

static void a_failed_publication_is_told_and_nothing_is_durable(void **state)
{
    static const FakeCall calls[] = {FAKE_RENAME, FAKE_FSYNC};
    (void)state;
    start(1);
    for (size_t i = 0; i < 2; i++) {
        bool retired = true;
        Lsn end;
        packing.head = packing.count = packing.without_raw = 0;
        assert_true(add(FIRST + i, false));
        await(0);
        fake_files_fail(calls[i], fake_files_count(calls[i]) + 1, EIO);
        assert_false(packing_retire(&packing, &retired, &end, &fixture.error));
        assert_false(retired);
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
        assert_int_equal(packing.without_raw, 1);
    }
}

static void a_duplicate_of_any_form_is_settled_when_its_turn_comes(void **state)
{
    (void)state;
    start(1);
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        SegNo segno = FIRST + (SegNo)form;
        fixture_archive(segno, (WalCompression)form, false, memory_of(segno), FIXTURE_SIZE);
        uint64_t before = scratch_fingerprint(fixture.path);
        assert_true(add(segno, false));
        await(0);
        assert_true(retire());
        assert_true(scratch_fingerprint(fixture.path) == before);
    }
}

static void other_content_of_any_form_goes_to_quarantine(void **state)
{
    (void)state;
    start(1);
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        SegNo segno = FIRST + (SegNo)form;
        const uint8_t *other = memory_of(segno + 1);
        bool retired = true;
        Lsn end;
        packing.head = packing.count = packing.without_raw = 0;
        fixture_archive(segno, (WalCompression)form, false, other, FIXTURE_SIZE);
        assert_true(add(segno, false));
        await(0);
        assert_false(packing_retire(&packing, &retired, &end, &fixture.error));
        assert_false(retired);
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_true(fixture_holds(segno, (WalCompression)form, false, other, FIXTURE_SIZE));
        assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), form + 1);
        assert_false(has_temporary(segno));
    }
}

static void what_is_withdrawn_is_dropped_from_the_first_that_is_not_done(void **state)
{
    Lsn begin = 77;
    (void)state;
    start(3);
    gate_close(fixture_name(FIRST + 1, WAL_LZ4, false));
    for (SegNo i = 0; i < 3; i++)
        assert_true(add(FIRST + i, false));
    await(0);
    await(2);
    packing_withdraw(&packing);
    assert_true(retire()); /* what is done in time is published */
    assert_false(retire());
    assert_true(packing_busy(&packing)); /* a worker still reads the memory */
    gate_open();
    await(0);
    assert_int_equal(outcome(0), COMPRESS_FAILED);
    assert_false(packing_busy(&packing));
    assert_false(retire());
    assert_true(packing_drop(&packing, &begin, &fixture.error));
    assert_true(begin == segment_start(FIRST + 1, FIXTURE_SIZE));
    assert_int_equal(packing.count + packing.without_raw, 0);
    assert_true(is_packed(FIRST));
    assert_false(has_name(FIRST + 1) || has_name(FIRST + 2));
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 2); /* no copies */
    assert_true(packing_drop(&packing, &begin, &fixture.error));
    assert_true(begin == segment_start(FIRST + 1, FIXTURE_SIZE));
    assert_true(add(FIRST + 1, false)); /* and it goes on */
    await(0);
    assert_true(retire());
}

static void a_withdrawn_segment_with_a_raw_file_is_compressed_from_it_later(void **state)
{
    (void)state;
    start(1);
    gate_close("");
    assert_true(add(FIRST, true));
    gate_await(1);
    packing_withdraw(&packing);
    gate_open();
    await(0);
    assert_int_equal(outcome(0), COMPRESS_FAILED);
    assert_true(retire());
    assert_int_equal(packing.count, 0);
    while (!compressor_idle(compressor))
        (void)usleep(1000);
    assert_true(is_packed(FIRST));
    assert_false(scratch_exists(fixture.path, fixture_name(FIRST, WAL_RAW, false)));
}

static void a_worker_that_failed_is_told_also_after_a_withdrawal(void **state)
{
    bool retired = true;
    Lsn end;
    (void)state;
    start(1);
    gate_close("");
    assert_true(add(FIRST, false));
    gate_await(1);
    fake_files_fail(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, EIO);
    packing_withdraw(&packing);
    gate_open();
    await(0);
    assert_false(packing_retire(&packing, &retired, &end, &fixture.error));
    assert_int_equal(fixture.error.os_errno, EIO);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_empty_one_has_nothing_to_retire),
        CASE(names_are_given_in_wal_order_whoever_finishes_first),
        CASE(every_name_is_durable_when_its_end_is_told),
        CASE(raw_segments_wait_in_line_too_and_lose_their_raw_file),
        CASE(a_failed_job_is_told_and_neither_it_nor_what_follows_is_published),
        CASE(a_failed_job_leaves_what_is_durable_as_raw_file),
        CASE(memory_is_held_until_the_ticket_is_filled),
        CASE(a_failed_publication_is_told_and_nothing_is_durable),
        CASE(what_is_withdrawn_is_dropped_from_the_first_that_is_not_done),
        CASE(a_withdrawn_segment_with_a_raw_file_is_compressed_from_it_later),
        CASE(a_worker_that_failed_is_told_also_after_a_withdrawal),
        CASE(a_duplicate_of_any_form_is_settled_when_its_turn_comes),
        CASE(other_content_of_any_form_goes_to_quarantine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
