/* SPDX-License-Identifier: PostgreSQL
 *
 * Store: random messages and requests against a model, the full ring, finishing and starting again,
 * and failures of the disk, which are told and move nothing.
 */
#include "walrx/archive/store.h"

#include "fake_files.h"
#include "fixture.h"

#include "walrx/base/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MEMORY (2 * RING_EXTENT)
#define PATIENCE_MS 20000

#define A_WHILE_US 50000

static Bell bell;
static Store *store;
static const PartialTrust nothing = {.proven_begin = FIXTURE_START, .proven_end = FIXTURE_START};

static int setup(void **state)
{
    (void)fixture_setup(state);
    return bell_open(&bell, &fixture.error) && store_open(&fixture.archive, MEMORY, NULL, VERIFY_ON,
                                                          &bell, &store, &fixture.error)
               ? 0
               : -1;
}

static int teardown(void **state)
{
    store_close(store);
    bell_close(&bell);
    return fixture_teardown(state);
}

static void check_order(const StorePositions *positions)
{
    assert_true(positions->flushed <= positions->written);
    assert_true(positions->written <= positions->received);
}

static bool wait_for_bell(void)
{
    struct pollfd polled = {.fd = bell.fd, .events = POLLIN};
    bool rung = poll(&polled, 1, PATIENCE_MS) == 1;
    bell_silence(&bell);
    return rung;
}

/* Puts [begin, end) into the ring; waits for the bell when it is full. */
static void receive(Lsn begin, Lsn end)
{
    while (begin < end) {
        size_t room;
        uint8_t *place = store_reserve(store, &room);
        if (place == NULL) {
            assert_true(wait_for_bell());
            assert_false(store_positions(store).failed);
            continue;
        }
        size_t count = end - begin < room ? (size_t)(end - begin) : room;
        memcpy(place, fixture_wal(begin), count);
        store_publish(store, count);
        begin += count;
    }
}

static void wait_for_flush(Lsn lsn)
{
    for (;;) {
        StorePositions positions = store_positions(store);
        check_order(&positions);
        if (positions.flushed >= lsn)
            return;
        if (positions.failed) {
            store_error(store, &fixture.error);
            fail_msg("%s", fixture.error.message);
        }
        assert_true(wait_for_bell());
    }
}

static void finish(void)
{
    if (!store_finish(store, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

/* Everything below `end` is in the archive, in segments and one partial. */
static void expect_archived(Lsn begin, Lsn end)
{
    for (Lsn at = begin; at < end; at += FIXTURE_SIZE) {
        SegNo segno = segment_of(at, FIXTURE_SIZE);
        size_t left = (size_t)(end - at);
        if (left >= FIXTURE_SIZE) {
            assert_true(fixture_holds(segno, WAL_RAW, false, fixture_wal(at), FIXTURE_SIZE));
            continue;
        }
        size_t length;
        uint8_t *bytes = scratch_read(fixture.path, fixture_name(segno, WAL_RAW, true), &length);
        assert_non_null(bytes);
        assert_int_equal(length, FIXTURE_SIZE);
        assert_memory_equal(bytes, fixture_wal(at), left);
        free(bytes);
    }
}

static void a_new_store_stands_at_its_start(void **state)
{
    (void)state;
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    StorePositions positions = store_positions(store);
    assert_true(positions.received == FIXTURE_START && positions.written == FIXTURE_START);
    assert_true(positions.flushed == LSN_INVALID);
    assert_false(positions.failed);
    finish();
}

static void a_requested_flush_makes_everything_received_durable(void **state)
{
    (void)state;
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + 100);
    assert_true(store_positions(store).flushed == LSN_INVALID);
    unsigned syncs = fake_files_count(FAKE_FDATASYNC);
    store_request_flush(store);
    wait_for_flush(FIXTURE_START + 100);
    assert_true(fake_files_count(FAKE_FDATASYNC) > syncs);
    expect_archived(FIXTURE_START, FIXTURE_START + 100);
    store_request_flush(store); /* nothing new: nothing happens */
    finish();
}

static void a_requested_write_writes_and_syncs_nothing(void **state)
{
    (void)state;
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + 5000);
    store_request_write(store);
    for (int i = 0; i < 2000 && store_positions(store).written < FIXTURE_START + 5000; i++)
        (void)poll(NULL, 0, 10);
    StorePositions positions = store_positions(store);
    assert_true(positions.written == FIXTURE_START + 5000);
    assert_true(positions.flushed == LSN_INVALID);
    expect_archived(FIXTURE_START, FIXTURE_START + 5000);
    finish();
}

static void random_messages_and_requests_arrive_in_order(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 12; seed++) {
        unsigned random = seed;
        Lsn at = FIXTURE_START;
        Lsn floor = LSN_INVALID;
        Lsn end = FIXTURE_END - seed * 54321;
        store_start(store, 1, at, &nothing, LSN_INVALID);
        while (at < end) {
            random = random * 1103515245U + 12345U;
            Lsn next = at + 1 + (random >> 10) % 131072;
            next = next < end ? next : end;
            receive(at, next);
            at = next;
            if ((random >> 4) % 3 == 0)
                store_request_flush(store);
            if ((random >> 4) % 7 == 0)
                store_request_write(store);
            if ((random >> 4) % 5 == 0)
                (void)store_flush_here(store);
            StorePositions positions = store_positions(store);
            check_order(&positions);
            assert_true(positions.received == at);
            assert_true(positions.flushed >= floor);
            floor = positions.flushed;
            if ((random >> 20) % 16 == 0) {
                store_request_flush(store);
                wait_for_flush(at);
            }
        }
        finish();
        assert_true(store_positions(store).flushed == end);
        expect_archived(FIXTURE_START, end);
        (void)teardown(NULL); /* the next seed begins with an empty directory */
        assert_int_equal(setup(NULL), 0);
    }
}

/* The first segment is open, and the store thread has nothing to do. */
static void start_and_flush(Lsn end)
{
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, end);
    store_request_flush(store);
    wait_for_flush(end);
    (void)usleep(A_WHILE_US); /* until the thread sleeps, with the next segment prepared */
}

static void a_small_flush_is_done_by_the_caller(void **state)
{
    Lsn end = FIXTURE_START + 100;
    (void)state;
    start_and_flush(end);
    unsigned here = 0;
    for (int i = 0; i < 300; i++, end += 97) {
        receive(end, end + 97);
        if (store_flush_here(store)) {
            assert_true(store_positions(store).flushed == end + 97);
            here++;
            continue;
        }
        store_request_flush(store); /* the thread is at work, writing zeros ahead */
        wait_for_flush(end + 97);
        (void)usleep(A_WHILE_US / 10);
    }
    assert_true(here > 200);
    finish();
    expect_archived(FIXTURE_START, end);
}

static void a_flush_that_is_not_small_is_left_to_the_thread(void **state)
{
    Lsn end = FIXTURE_START + FIXTURE_SIZE;
    (void)state;
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + 10);
    assert_false(store_flush_here(store)); /* no file is open */
    store_request_flush(store);
    wait_for_flush(FIXTURE_START + 10);
    (void)usleep(A_WHILE_US);
    receive(FIXTURE_START + 10, FIXTURE_START + 10 + 70000);
    assert_false(store_flush_here(store)); /* much is pending */
    store_request_flush(store);
    wait_for_flush(FIXTURE_START + 10 + 70000);
    receive(FIXTURE_START + 10 + 70000, end - 5);
    store_request_flush(store);
    wait_for_flush(end - 5);
    (void)usleep(A_WHILE_US);
    receive(end - 5, end + 5);
    assert_false(store_flush_here(store)); /* a segment ends */
    finish();
    assert_false(store_flush_here(store));
    expect_archived(FIXTURE_START, end + 5);
}

static void a_failed_flush_here_is_told_and_flush_stays(void **state)
{
    Lsn end = FIXTURE_START + 100;
    (void)state;
    start_and_flush(end);
    receive(end, end + 100);
    fake_files_fail(FAKE_FDATASYNC, fake_files_count(FAKE_FDATASYNC) + 1, EIO);
    assert_true(store_flush_here(store));
    assert_true(store_positions(store).failed);
    assert_true(store_positions(store).flushed == end);
    assert_false(store_flush_here(store));
    assert_false(store_finish(store, &fixture.error));
    assert_int_equal(fixture.error.os_errno, EIO);
}

static void a_full_ring_says_so_and_rings_when_there_is_room(void **state)
{
    size_t room;
    (void)state;
    fake_files_direct(FAKE_DIRECT_REFUSED_AT_OPEN);
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_END); /* much more than the ring: receive waits for the bell */
    finish();
    expect_archived(FIXTURE_START, FIXTURE_END);
    assert_non_null(store_reserve(store, &room));
}

static void segments_are_flushed_without_being_asked(void **state)
{
    (void)state;
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE);
    wait_for_flush(FIXTURE_START + FIXTURE_SIZE);
    expect_archived(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE);
    finish();
}

static void it_starts_again_at_the_same_segment(void **state)
{
    Lsn first = FIXTURE_START + 700000;
    PartialTrust trust;
    uint64_t old_size;
    (void)state;
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, first);
    finish();
    finish(); /* at rest already */
    assert_true(store_positions(store).flushed == first);
    assert_true(
        partial_examine(&fixture.archive, 1, FIXTURE_SEGNO, &trust, &old_size, &fixture.error));
    assert_true(trust.proven_end > first - 4000);
    store_start(store, 1, FIXTURE_START, &trust, first);
    StorePositions positions = store_positions(store);
    assert_true(positions.flushed == first); /* what was durable is not taken back */
    check_order(&positions);
    receive(FIXTURE_START, FIXTURE_START + 300000);
    store_request_flush(store);
    positions = store_positions(store);
    assert_true(positions.flushed == first && positions.received == first);
    receive(FIXTURE_START + 300000, FIXTURE_START + 2 * FIXTURE_SIZE + 5);
    store_request_flush(store);
    wait_for_flush(FIXTURE_START + 2 * FIXTURE_SIZE + 5);
    finish();
    expect_archived(FIXTURE_START, FIXTURE_START + 2 * FIXTURE_SIZE + 5);
}

/* Runs until the spoiled call strikes; the flush position that was visible is honest. */
static void expect_failure(FakeCall call, unsigned nth, int error, Lsn flushed)
{
    fake_files_fail_from(call, fake_files_count(call) + nth, error);
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE);
    store_request_flush(store);
    while (!store_positions(store).failed)
        assert_true(wait_for_bell());
    store_error(store, &fixture.error);
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    assert_int_equal(fixture.error.os_errno, error);
    assert_true(store_positions(store).flushed == flushed);
    unsigned calls = fake_files_count(call);
    store_request_flush(store);
    store_request_write(store);
    Error again;
    assert_false(store_finish(store, &again));
    assert_string_equal(again.message, fixture.error.message);
    assert_int_equal(fake_files_count(call), calls); /* nothing is tried again */
    assert_true(store_positions(store).flushed == flushed);
}

static void a_failed_write_is_told_and_flush_stays(void **state)
{
    (void)state;
    expect_failure(FAKE_PWRITEV, 1, ENOSPC, LSN_INVALID);
}

static void a_failed_sync_is_told_and_flush_stays(void **state)
{
    (void)state;
    expect_failure(FAKE_FDATASYNC, 1, EIO, LSN_INVALID);
}

static void a_failed_directory_sync_is_told_and_flush_stays(void **state)
{
    (void)state;
    expect_failure(FAKE_FSYNC, 1, EIO, LSN_INVALID);
}

static void a_failed_rename_is_told_and_flush_stays(void **state)
{
    (void)state;
    expect_failure(FAKE_RENAME, 2, EIO, LSN_INVALID);
}

static void finishing_a_failed_store_ends_even_when_the_ring_is_full(void **state)
{
    size_t room;
    (void)state;
    fake_files_fail_from(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1, EIO);
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    for (Lsn at = FIXTURE_START;;) {
        uint8_t *place = store_reserve(store, &room);
        if (place == NULL)
            break;
        memcpy(place, fixture_wal(at), room);
        store_publish(store, room);
        at += room;
    }
    while (!store_positions(store).failed)
        assert_true(wait_for_bell());
    assert_false(store_finish(store, &fixture.error));
    assert_int_equal(fixture.error.os_errno, EIO);
}

/* Segments so large that two do not fit into the ring: they are compressed from their raw file. */
#define LARGE (2 * FIXTURE_SIZE)
#define LARGE_SEGNO 3
#define LARGE_START ((Lsn)LARGE_SEGNO * LARGE)

static void open_with_compressor(Compressor **ret)
{
    CompressSpec spec = {.method = WAL_ZSTD, .level = 1};
    store_close(store);
    fixture.archive.segment_size = LARGE;
    assert_true(
        compressor_start(&fixture.archive, spec, 1, CODEC_MEMORY_ANY, &bell, ret, &fixture.error));
    assert_true(store_open(&fixture.archive, 3 * RING_EXTENT, *ret, VERIFY_ON, &bell, &store,
                           &fixture.error));
}

static void start_large(void)
{
    PartialTrust trust = {.proven_begin = LARGE_START, .proven_end = LARGE_START};
    store_start(store, 1, LARGE_START, &trust, LSN_INVALID);
}

static void segments_larger_than_half_the_ring_are_compressed_from_their_file(void **state)
{
    Compressor *compressor;
    (void)state;
    open_with_compressor(&compressor);
    start_large();
    receive(LARGE_START, LARGE_START + LARGE + 10);
    wait_for_flush(LARGE_START + LARGE);
    receive(LARGE_START + LARGE + 10, FIXTURE_END);
    finish();
    store_close(store);
    store = NULL;
    compressor_stop(compressor);
    for (SegNo segno = LARGE_SEGNO; segno < LARGE_SEGNO + 2; segno++)
        assert_true(
            fixture_holds(segno, WAL_ZSTD, false, fixture_wal(segment_start(segno, LARGE)), LARGE));
    assert_int_equal(scratch_count(fixture.path, "."), 3);
}

static void a_failed_compressor_fails_the_store(void **state)
{
    Compressor *compressor;
    CompressJob missing = {.timeline = 1, .segno = 4711, .has_raw = true};
    (void)state;
    open_with_compressor(&compressor);
    assert_true(compressor_submit(compressor, &missing)); /* there is no such segment */
    while (!compressor_error(compressor, &fixture.error))
        (void)wait_for_bell();
    start_large();
    receive(LARGE_START, LARGE_START + LARGE);
    while (!store_positions(store).failed)
        assert_true(wait_for_bell());
    assert_true(store_positions(store).flushed == LARGE_START + LARGE); /* it is durable */
    assert_false(store_finish(store, &fixture.error));
    assert_int_equal(fixture.error.os_errno, ENOENT);
    store_close(store);
    store = NULL;
    compressor_stop(compressor);
}

/* The connection breaks again before what was durable already has arrived a second time. */
static void finishing_below_what_was_durable_writes_it_and_ends(void **state)
{
    (void)state;
    store_start(store, 1, FIXTURE_START, &nothing, FIXTURE_START + 5000);
    receive(FIXTURE_START, FIXTURE_START + 100);
    finish();
    assert_true(store_positions(store).flushed == FIXTURE_START + 5000);
    expect_archived(FIXTURE_START, FIXTURE_START + 100);
}

static void writes_and_syncs_are_measured(void **state)
{
    ArchiveMetrics *metrics = calloc(1, sizeof(*metrics));
    (void)state;
    assert_non_null(metrics);
    archive_metrics_reset(metrics);
    fixture.archive.metrics = metrics; /* the store rests */
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE + 5000);
    store_request_flush(store);
    wait_for_flush(FIXTURE_START + FIXTURE_SIZE + 5000);
    finish();
    assert_int_equal(atomic_load(&metrics->bytes_written), FIXTURE_SIZE + 5000);
    assert_int_equal(atomic_load(&metrics->segments_completed), 1);
    assert_true(histogram_count(&metrics->write_ns) >= 2);
    /* The whole segment, its name, and the open one's bytes and name. */
    assert_true(histogram_count(&metrics->sync_ns) >= 4);
    assert_true(histogram_max(&metrics->sync_ns) > 0);
    fixture.archive.metrics = NULL;
    free(metrics);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_new_store_stands_at_its_start),
        CASE(a_requested_flush_makes_everything_received_durable),
        CASE(a_requested_write_writes_and_syncs_nothing),
        CASE(writes_and_syncs_are_measured),
        CASE(random_messages_and_requests_arrive_in_order),
        CASE(a_small_flush_is_done_by_the_caller),
        CASE(a_flush_that_is_not_small_is_left_to_the_thread),
        CASE(a_failed_flush_here_is_told_and_flush_stays),
        CASE(a_full_ring_says_so_and_rings_when_there_is_room),
        CASE(segments_are_flushed_without_being_asked),
        CASE(it_starts_again_at_the_same_segment),
        CASE(a_failed_write_is_told_and_flush_stays),
        CASE(a_failed_sync_is_told_and_flush_stays),
        CASE(a_failed_directory_sync_is_told_and_flush_stays),
        CASE(a_failed_rename_is_told_and_flush_stays),
        CASE(finishing_a_failed_store_ends_even_when_the_ring_is_full),
        CASE(segments_larger_than_half_the_ring_are_compressed_from_their_file),
        CASE(a_failed_compressor_fails_the_store),
        CASE(finishing_below_what_was_durable_writes_it_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
