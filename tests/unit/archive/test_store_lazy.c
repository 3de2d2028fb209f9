/* SPDX-License-Identifier: PostgreSQL
 *
 * Store with compression straight from the ring: what is written when, flushes that turn a segment
 * to raw, workers that stand still, fail or are aborted, and random runs in which the archive never
 * has a later segment without an earlier one and never less than what was told to be durable.
 */
#include "walrx/archive/store.h"

#include "fake_files.h"
#include "fixture.h"
#include "gate.h"

#include "walrx/base/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000
#define A_WHILE_MS 150 /* in which something forbidden would have happened */
#define FORM WAL_LZ4

static Bell bell;
static Compressor *compressor;
static Store *store;
static const PartialTrust nothing = {.proven_begin = FIXTURE_START, .proven_end = FIXTURE_START};

static void open_store(unsigned workers, size_t segments)
{
    CompressSpec spec = {.method = FORM, .level = 1};
    assert_true(compressor_start(&fixture.archive, spec, workers, CODEC_MEMORY_ANY, &bell,
                                 &compressor, &fixture.error));
    assert_true(store_open(&fixture.archive, segments * FIXTURE_SIZE, compressor, VERIFY_ON, &bell,
                           &store, &fixture.error));
}

static void start(const PartialTrust *trust, Lsn flushed)
{
    store_start(store, 1, FIXTURE_START, trust, flushed);
}

static void close_store(void)
{
    store_close(store);
    store = NULL;
    compressor_stop(compressor);
    compressor = NULL;
}

static int setup(void **state)
{
    (void)fixture_setup(state);
    gate_install(&fixture.archive);
    return bell_open(&bell, &fixture.error) ? 0 : -1;
}

static int teardown(void **state)
{
    gate_open();
    close_store();
    bell_close(&bell);
    gate_remove(&fixture.archive);
    return fixture_teardown(state);
}

static bool wait_for_bell(void)
{
    struct pollfd polled = {.fd = bell.fd, .events = POLLIN};
    bool rung = poll(&polled, 1, PATIENCE_MS) == 1;
    bell_silence(&bell);
    return rung;
}

static StorePositions look(void)
{
    StorePositions positions = store_positions(store);
    assert_true(positions.flushed <= positions.written);
    assert_true(positions.written <= positions.received);
    return positions;
}

/* Puts what fits of [begin, end) into the ring. */
static Lsn offer(Lsn begin, Lsn end)
{
    while (begin < end) {
        size_t room;
        uint8_t *place = store_reserve(store, &room);
        if (place == NULL)
            break;
        size_t count = end - begin < room ? (size_t)(end - begin) : room;
        memcpy(place, fixture_wal(begin), count);
        store_publish(store, count);
        begin += count;
    }
    return begin;
}

static void expect_no_failure(void)
{
    if (!look().failed)
        return;
    store_error(store, &fixture.error);
    fail_msg("%s", fixture.error.message);
}

static void receive(Lsn begin, Lsn end)
{
    for (begin = offer(begin, end); begin < end; begin = offer(begin, end)) {
        expect_no_failure();
        assert_true(wait_for_bell());
    }
}

static void wait_for_flush(Lsn lsn)
{
    while (look().flushed < lsn) {
        expect_no_failure();
        assert_true(wait_for_bell());
    }
}

static void flush(Lsn lsn)
{
    store_request_flush(store);
    wait_for_flush(lsn);
}

static void wait_for_failure(void)
{
    while (!look().failed)
        assert_true(wait_for_bell());
    store_error(store, &fixture.error);
}

static void finish(void)
{
    if (!store_finish(store, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

static void wait_for_workers(void)
{
    while (!compressor_idle(compressor))
        (void)usleep(1000);
    assert_false(compressor_error(compressor, &fixture.error));
}

static bool has(SegNo index, WalCompression form, bool partial)
{
    return scratch_exists(fixture.path, fixture_name(FIXTURE_SEGNO + index, form, partial));
}

static bool is_packed(SegNo index)
{
    return fixture_holds(FIXTURE_SEGNO + index, FORM, false,
                         fixture_wal(FIXTURE_START + index * FIXTURE_SIZE), FIXTURE_SIZE) &&
           !has(index, WAL_RAW, false) && !has(index, WAL_RAW, true);
}

static bool is_open(SegNo index, size_t length)
{
    size_t size;
    bool same = false;
    uint8_t *bytes =
        scratch_read(fixture.path, fixture_name(FIXTURE_SEGNO + index, WAL_RAW, true), &size);
    if (bytes != NULL)
        same = size == FIXTURE_SIZE &&
               memcmp(bytes, fixture_wal(FIXTURE_START + index * FIXTURE_SIZE), length) == 0;
    free(bytes);
    return same;
}

static bool has_spare(void)
{
    return scratch_exists(fixture.path, ".walrx/spare.tmp");
}

/* All of [start, end), compressed but for the rest, and nothing else. */
static void expect_archived(Lsn end)
{
    SegNo whole = (end - FIXTURE_START) / FIXTURE_SIZE;
    size_t rest = (size_t)((end - FIXTURE_START) % FIXTURE_SIZE);
    for (SegNo i = 0; i < whole; i++)
        assert_true(is_packed(i));
    if (rest > 0)
        assert_true(is_open(whole, rest));
    assert_int_equal(scratch_count(fixture.path, "."), 1 + whole + (rest > 0));
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 2 + has_spare()); /* identity, lock */
}

/* How many segments were written raw so far. */
static unsigned raw_segments(void)
{
    return fake_files_count(FAKE_FALLOCATE) - has_spare();
}

static void whole_segments_are_never_written_raw(void **state)
{
    Lsn end = FIXTURE_START + 4 * FIXTURE_SIZE;
    (void)state;
    open_store(2, 2);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, end);
    wait_for_flush(end); /* without being asked */
    assert_int_equal(raw_segments(), 0);
    receive(end, end + 10);
    finish();
    assert_int_equal(raw_segments(), 1);
    assert_true(look().flushed == end + 10);
    expect_archived(end + 10);
}

static void nothing_is_written_before_a_flush_is_asked_for(void **state)
{
    Lsn end = FIXTURE_START + FIXTURE_SIZE - 1;
    (void)state;
    open_store(1, 2);
    start(&nothing, LSN_INVALID);
    unsigned calls = fake_files_count(FAKE_ANY);
    receive(FIXTURE_START, end);
    (void)usleep(A_WHILE_MS * 1000);
    assert_int_equal(fake_files_count(FAKE_ANY), calls);
    assert_true(look().written == FIXTURE_START && look().flushed == LSN_INVALID);
    flush(end);
    assert_true(is_open(0, FIXTURE_SIZE - 1));
    finish();
}

static void a_flush_turns_the_segment_at_hand_to_raw_and_only_it(void **state)
{
    Lsn middle = FIXTURE_START + FIXTURE_SIZE + 500000;
    Lsn end = FIXTURE_START + 4 * FIXTURE_SIZE;
    (void)state;
    open_store(2, 3);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, middle);
    flush(middle);
    assert_true(is_packed(0));
    assert_true(is_open(1, 500000));
    assert_int_equal(raw_segments(), 1);
    receive(middle, end);
    wait_for_flush(end);
    assert_int_equal(raw_segments(), 1);
    finish();
    wait_for_workers();
    expect_archived(end);
}

static void a_requested_write_turns_to_raw_without_a_sync(void **state)
{
    Lsn end = FIXTURE_START + 5000;
    (void)state;
    open_store(1, 2);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, end);
    unsigned syncs = fake_files_count(FAKE_FDATASYNC);
    store_request_write(store);
    for (int i = 0; i < PATIENCE_MS && look().written < end; i++)
        (void)usleep(1000);
    assert_true(look().written == end && look().flushed == LSN_INVALID);
    assert_int_equal(fake_files_count(FAKE_FDATASYNC), syncs);
    assert_true(is_open(0, 5000));
    finish();
}

static void a_flush_waits_for_earlier_segments_that_are_in_work(void **state)
{
    Lsn end = FIXTURE_START + 2 * FIXTURE_SIZE + 1000;
    (void)state;
    open_store(2, 4);
    start(&nothing, LSN_INVALID);
    gate_close(fixture_name(FIXTURE_SEGNO, FORM, false));
    receive(FIXTURE_START, end);
    store_request_flush(store);
    store_request_write(store);
    gate_await(1);
    (void)usleep(A_WHILE_MS * 1000);
    assert_true(look().flushed == LSN_INVALID && look().written == FIXTURE_START);
    assert_int_equal(scratch_count(fixture.path, "."), 1);
    gate_open();
    wait_for_flush(end);
    assert_true(is_packed(0) && is_packed(1) && is_open(2, 1000));
    finish();
    expect_archived(end);
}

static void a_flush_at_a_segments_end_writes_nothing_raw(void **state)
{
    Lsn end = FIXTURE_START + FIXTURE_SIZE;
    (void)state;
    open_store(1, 2);
    start(&nothing, LSN_INVALID);
    store_request_flush(store); /* of nothing */
    wait_for_flush(FIXTURE_START);
    receive(FIXTURE_START, end);
    flush(end);
    assert_int_equal(raw_segments(), 0);
    finish();
    expect_archived(end);
}

static void a_full_ring_waits_for_the_workers(void **state)
{
    Lsn full = FIXTURE_START + 3 * FIXTURE_SIZE;
    (void)state;
    open_store(2, 3);
    start(&nothing, LSN_INVALID);
    gate_close("");
    assert_true(offer(FIXTURE_START, FIXTURE_END) == full);
    gate_await(2);
    (void)usleep(A_WHILE_MS * 1000);
    assert_true(offer(full, FIXTURE_END) == full); /* what is in work stays */
    assert_true(look().received == full && look().flushed == LSN_INVALID);
    gate_open();
    receive(full, FIXTURE_END);
    finish();
    expect_archived(FIXTURE_END);
}

/* After the store has lost its patience. */
static void *open_gate_much_later(void *argument)
{
    (void)argument;
    (void)usleep(4500 * 1000);
    gate_open();
    return NULL;
}

typedef struct Finisher {
    atomic_bool returned;
    bool ok;
    Error error;
} Finisher;

static void *finish_in_background(void *argument)
{
    Finisher *finisher = argument;
    finisher->ok = store_finish(store, &finisher->error);
    atomic_store(&finisher->returned, true);
    return NULL;
}

static void finishing_waits_for_the_workers(void **state)
{
    Lsn end = FIXTURE_START + 2 * FIXTURE_SIZE + 77;
    Finisher finisher = {.ok = false};
    pthread_t thread;
    (void)state;
    open_store(2, 3);
    start(&nothing, LSN_INVALID);
    gate_close("");
    receive(FIXTURE_START, end);
    gate_await(2);
    assert_int_equal(pthread_create(&thread, NULL, finish_in_background, &finisher), 0);
    (void)usleep(A_WHILE_MS * 1000);
    assert_false(atomic_load(&finisher.returned));
    assert_true(look().flushed == LSN_INVALID);
    gate_open();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(finisher.ok);
    assert_true(look().flushed == end);
    expect_archived(end);
}

/* In a hurry the store waits for the workers only for a while: then what is in memory is written
 * raw, and compressed once there is a worker. */
static void a_finish_in_a_hurry_writes_raw_what_the_workers_have_not_done(void **state)
{
    Lsn end = FIXTURE_START + 3 * FIXTURE_SIZE + 77;
    (void)state;
    open_store(1, 4);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE);
    wait_for_flush(FIXTURE_START + FIXTURE_SIZE);
    gate_close("");
    receive(FIXTURE_START + FIXTURE_SIZE, end);
    gate_await(1);
    compressor_hurry(compressor, true);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_gate_much_later, NULL), 0);
    finish();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(look().flushed == end);
    assert_int_equal(raw_segments(), 3); /* two whole ones and the open one */
    assert_true(is_packed(0) && is_open(3, 77));
    wait_for_workers();
    expect_archived(end);
    compressor_hurry(compressor, false);
    start(&nothing, FIXTURE_START); /* the next connection is lazy again */
}

/* Its patience was over, but what it gave up was durable already: nothing had to turn raw. */
static void after_a_hurried_finish_whole_segments_go_to_the_workers_again(void **state)
{
    Lsn first = FIXTURE_START + FIXTURE_SIZE;
    pthread_t thread;
    (void)state;
    open_store(1, 4);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + 1000);
    flush(FIXTURE_START + 1000);
    gate_close("");
    receive(FIXTURE_START + 1000, first);
    compressor_hurry(compressor, true);
    assert_int_equal(pthread_create(&thread, NULL, open_gate_much_later, NULL), 0);
    finish();
    assert_int_equal(pthread_join(thread, NULL), 0);
    store_start(store, 1, first, &nothing, first);
    receive(first, first + 2 * FIXTURE_SIZE);
    wait_for_flush(first + 2 * FIXTURE_SIZE); /* without being asked */
}

/* The store waits in finish, no worker ever sees its jobs. */
static void an_abort_ends_a_finish_that_waits_for_the_queue(void **state)
{
    CompressJob leftover = {.timeline = 1, .segno = FIXTURE_SEGNO + 4, .has_raw = true};
    Finisher finisher = {.ok = true};
    pthread_t thread;
    (void)state;
    fixture_archive(leftover.segno, WAL_RAW, false, fixture_wal(FIXTURE_END - FIXTURE_SIZE),
                    FIXTURE_SIZE);
    gate_close("");
    open_store(1, 3);
    assert_true(compressor_submit(compressor, &leftover));
    gate_await(1);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + 2 * FIXTURE_SIZE + 77);
    assert_int_equal(pthread_create(&thread, NULL, finish_in_background, &finisher), 0);
    (void)usleep(A_WHILE_MS * 1000);
    assert_false(atomic_load(&finisher.returned));
    compressor_abort(compressor);
    assert_int_equal(pthread_join(thread, NULL), 0); /* the gate is still closed */
    assert_false(finisher.ok);
    assert_int_equal(finisher.error.class, ERROR_STOPPED);
    assert_true(look().flushed == LSN_INVALID);
    assert_false(has(0, FORM, false));
}

static void a_failed_worker_fails_the_store_and_nothing_is_acknowledged(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        open_store(workers, 4);
        start(&nothing, LSN_INVALID);
        fake_files_fail_from(FAKE_FDATASYNC, fake_files_count(FAKE_FDATASYNC) + 1, EIO);
        assert_true(offer(FIXTURE_START, FIXTURE_START + 3 * FIXTURE_SIZE + 9) >
                    FIXTURE_START + 3 * FIXTURE_SIZE);
        store_request_flush(store);
        wait_for_failure();
        assert_int_equal(fixture.error.os_errno, EIO);
        assert_true(look().flushed == LSN_INVALID);
        assert_int_equal(scratch_count(fixture.path, "."), 1);
        assert_false(store_finish(store, &fixture.error));
        assert_int_equal(fixture.error.os_errno, EIO);
        close_store();
        assert_int_equal(scratch_count(fixture.path, "."), 1);
        fake_files_fail(FAKE_ANY, 0, 0);
    }
}

static void a_failed_publication_fails_the_store_and_nothing_is_acknowledged(void **state)
{
    static const FakeCall calls[] = {FAKE_RENAME, FAKE_FSYNC};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)teardown(NULL);
        assert_int_equal(setup(NULL), 0);
        open_store(2, 4);
        start(&nothing, LSN_INVALID);
        fake_files_fail(calls[i], fake_files_count(calls[i]) + 2, EIO);
        (void)offer(FIXTURE_START, FIXTURE_START + 3 * FIXTURE_SIZE);
        wait_for_failure();
        assert_int_equal(fixture.error.os_errno, EIO);
        assert_true(look().flushed == FIXTURE_START + FIXTURE_SIZE); /* the first name was given */
        assert_false(has(2, FORM, false));
    }
}

static void *open_gate_later(void *argument)
{
    (void)argument;
    (void)usleep(A_WHILE_MS * 1000);
    gate_open();
    return NULL;
}

static void closing_waits_until_no_worker_reads_the_ring(void **state)
{
    pthread_t thread;
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        open_store(workers, 4);
        start(&nothing, LSN_INVALID);
        gate_close("");
        receive(FIXTURE_START, FIXTURE_START + 4 * FIXTURE_SIZE);
        gate_await(workers);
        assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
        close_store();
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(scratch_count(fixture.path, "."), 1);
    }
}

/* Without a gate: workers come back while the store goes. */
static void closing_at_any_moment_leaves_whole_segments_in_order(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        (void)teardown(NULL);
        assert_int_equal(setup(NULL), 0);
        open_store(1 + round % 3, 4);
        start(&nothing, LSN_INVALID);
        (void)offer(FIXTURE_START, FIXTURE_END);
        (void)usleep(round * 150);
        Lsn flushed = look().flushed;
        close_store();
        bool gap = false;
        for (SegNo i = 0; i < 5; i++) {
            assert_true(!has(i, FORM, false) || (!gap && is_packed(i)));
            gap = !has(i, FORM, false);
            assert_true(!gap || flushed == LSN_INVALID ||
                        flushed <= FIXTURE_START + i * FIXTURE_SIZE);
        }
    }
}

static void a_resumed_segment_starts_raw_and_the_next_is_lazy(void **state)
{
    Lsn first = FIXTURE_START + 700000;
    Lsn end = FIXTURE_START + 3 * FIXTURE_SIZE;
    PartialTrust trust;
    uint64_t old_size;
    (void)state;
    open_store(2, 2);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, first);
    finish();
    assert_int_equal(raw_segments(), 1);
    assert_true(
        partial_examine(&fixture.archive, 1, FIXTURE_SEGNO, &trust, &old_size, &fixture.error));
    start(&trust, first);
    receive(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE);
    wait_for_flush(FIXTURE_START + FIXTURE_SIZE);
    receive(FIXTURE_START + FIXTURE_SIZE, end);
    finish();
    assert_int_equal(raw_segments(), 1);
    wait_for_workers();
    expect_archived(end);
}

static void a_resumed_segment_is_compared(void **state)
{
    PartialTrust trust;
    uint64_t old_size;
    (void)state;
    open_store(1, 2);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + 700000);
    finish();
    assert_true(
        partial_examine(&fixture.archive, 1, FIXTURE_SEGNO, &trust, &old_size, &fixture.error));
    uint64_t before = scratch_fingerprint(fixture.path);
    start(&trust, LSN_INVALID);
    for (Lsn at = FIXTURE_START; at < FIXTURE_START + FIXTURE_SIZE;) {
        size_t room;
        uint8_t *place = store_reserve(store, &room);
        assert_non_null(place);
        memcpy(place, fixture_wal(at), room);
        place[600000] ^= 1;
        store_publish(store, room);
        at += room;
    }
    wait_for_failure();
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(scratch_fingerprint(fixture.path) == before);
}

/* The connection breaks again before what was durable already has arrived a second time. */
static void finishing_below_what_was_durable_ends(void **state)
{
    PartialTrust trust;
    uint64_t old_size;
    (void)state;
    open_store(1, 2);
    /* A new timeline: the WAL before the switch is durable under the old one. */
    start(&nothing, FIXTURE_START + 5000);
    receive(FIXTURE_START, FIXTURE_START + 100);
    finish();
    assert_true(is_open(0, 100));
    assert_true(look().flushed == FIXTURE_START + 5000);
    assert_true(
        partial_examine(&fixture.archive, 1, FIXTURE_SEGNO, &trust, &old_size, &fixture.error));
    start(&trust, FIXTURE_START + 5000);
    receive(FIXTURE_START, FIXTURE_START + 200);
    finish();
    assert_true(is_open(0, 200));
    assert_true(look().flushed == FIXTURE_START + 5000);
    start(&trust, FIXTURE_START + 5000);
    finish(); /* nothing at all arrived */
}

static void segments_the_archive_has_already_are_dropped(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        (void)teardown(NULL);
        assert_int_equal(setup(NULL), 0);
        for (SegNo i = 0; i < 4; i++)
            fixture_archive(FIXTURE_SEGNO + i, (WalCompression)form, false,
                            fixture_wal(FIXTURE_START + i * FIXTURE_SIZE), FIXTURE_SIZE);
        uint64_t before = scratch_fingerprint(fixture.path);
        open_store(2, 2);
        start(&nothing, LSN_INVALID);
        for (SegNo i = 0; i < 4; i++) {
            Lsn at = FIXTURE_START + i * FIXTURE_SIZE;
            receive(at, at + 1000);
            if (i == 1 || i == 2) /* twice raw, twice lazy */
                flush(at + 1000);
            receive(at + 1000, at + FIXTURE_SIZE);
        }
        finish();
        assert_true(look().flushed == FIXTURE_START + 4 * FIXTURE_SIZE);
        assert_int_equal(raw_segments(), 2);
        store_close(store);
        store = NULL;
        assert_true(scratch_fingerprint(fixture.path) == before);
    }
}

/* Duplicates behind one in work: they are not compressed, but their memory comes free. */
static void memory_of_duplicates_comes_free(void **state)
{
    (void)state;
    fixture_archive(FIXTURE_SEGNO + 1, WAL_RAW, false, fixture_wal(FIXTURE_START + FIXTURE_SIZE),
                    FIXTURE_SIZE);
    open_store(1, 2);
    start(&nothing, LSN_INVALID);
    receive(FIXTURE_START, FIXTURE_START + 100);
    flush(FIXTURE_START + 100); /* the first is raw, so the second may turn to raw at once */
    gate_close(fixture_name(FIXTURE_SEGNO, FORM, false));
    receive(FIXTURE_START + 100, FIXTURE_START + FIXTURE_SIZE + 100);
    flush(FIXTURE_START + FIXTURE_SIZE + 100);
    receive(FIXTURE_START + FIXTURE_SIZE + 100, FIXTURE_START + 2 * FIXTURE_SIZE);
    wait_for_flush(FIXTURE_START + 2 * FIXTURE_SIZE);
    gate_await(1);
    assert_true(offer(FIXTURE_START + 2 * FIXTURE_SIZE, FIXTURE_END) ==
                FIXTURE_START + 2 * FIXTURE_SIZE);
    gate_open();
    wait_for_workers();
    Lsn both = FIXTURE_START + 4 * FIXTURE_SIZE - 1; /* all of the ring is free, nothing is whole */
    Lsn at = FIXTURE_START + 2 * FIXTURE_SIZE;
    for (int i = 0; i < PATIENCE_MS && at < both - FIXTURE_SIZE; i++) {
        at = offer(at, both - FIXTURE_SIZE);
        (void)usleep(1000);
    }
    gate_close(fixture_name(FIXTURE_SEGNO + 2, FORM, false));
    assert_true(offer(at, both) == both);
    gate_open();
    finish();
}

static void other_content_in_the_archive_fails_the_store(void **state)
{
    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        (void)teardown(NULL);
        assert_int_equal(setup(NULL), 0);
        fixture_archive(FIXTURE_SEGNO + 1, WAL_ZSTD, false, fixture_wal(FIXTURE_START),
                        FIXTURE_SIZE);
        open_store(2, 3);
        start(&nothing, LSN_INVALID);
        receive(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE + 1000);
        if (raw)
            flush(FIXTURE_START + FIXTURE_SIZE + 1000);
        (void)offer(FIXTURE_START + FIXTURE_SIZE + 1000, FIXTURE_START + 3 * FIXTURE_SIZE);
        wait_for_failure();
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_true(look().flushed < FIXTURE_START + FIXTURE_SIZE + (raw ? (Lsn)1001 : (Lsn)1));
        assert_int_equal(scratch_count(fixture.path, ".walrx/quarantine"), 1);
        assert_true(fixture_holds(FIXTURE_SEGNO + 1, WAL_ZSTD, false, fixture_wal(FIXTURE_START),
                                  FIXTURE_SIZE));
        assert_false(has(2, FORM, false));
    }
}

/* --- random runs --- */

static atomic_int hole; /* 1: a later segment without an earlier one; 2: less than was flushed */
static _Atomic(Store *) watched;

/* With each change of the directory, while nothing else can change. */
static void watch(const FakeEvent *event)
{
    Store *of = atomic_load(&watched);
    if (of == NULL || (event->call != FAKE_RENAME && event->call != FAKE_UNLINK &&
                       event->call != FAKE_FSYNC && event->call != FAKE_OPENAT))
        return;
    Lsn flushed = store_positions(of).flushed;
    bool whole = true;
    for (SegNo i = 0; i < 5; i++) {
        Lsn begin = FIXTURE_START + i * FIXTURE_SIZE;
        char name[WAL_FILE_NAME_SIZE];
        bool there[3];
        for (int kind = 0; kind < 3; kind++)
            there[kind] = scratch_exists(
                fixture.path, wal_segment_name(1, FIXTURE_SEGNO + i, FIXTURE_SIZE,
                                               kind == 1 ? FORM : WAL_RAW, kind == 2, name));
        bool complete = there[0] || there[1];
        if (!whole && (complete || there[2]))
            atomic_store(&hole, 1);
        if ((flushed > begin && !complete && !there[2]) ||
            (flushed >= begin + FIXTURE_SIZE && !complete))
            atomic_store(&hole, 2);
        whole = complete;
    }
}

static void run_randomly(unsigned seed)
{
    unsigned random = seed;
    Lsn at = FIXTURE_START;
    Lsn floor = LSN_INVALID;
    Lsn end = FIXTURE_END - (seed % 3) * 54321 * (seed % 7);
    unsigned rarely = seed % 4 == 0 ? 3 : 40; /* messages between flushes, about */
    open_store(1 + seed % 3, 2 + seed / 2 % 3);
    start(&nothing, LSN_INVALID);
    atomic_store(&watched, store);
    while (at < end) {
        random = random * 1103515245U + 12345U;
        Lsn next = at + 1 + (random >> 10) % 131072;
        next = next < end ? next : end;
        receive(at, next);
        at = next;
        if ((random >> 4) % rarely == 0)
            store_request_flush(store);
        if ((random >> 4) % (2 * rarely) == 1)
            store_request_write(store);
        StorePositions positions = look();
        assert_true(positions.received == at && positions.flushed >= floor);
        floor = positions.flushed;
        if ((random >> 20) % (4 * rarely) == 0)
            flush(at);
    }
    finish();
    assert_true(look().flushed == end);
    wait_for_workers();
    atomic_store(&watched, NULL);
    expect_archived(end);
    assert_int_equal(atomic_load(&hole), 0);
}

static void random_runs_have_no_hole_at_any_moment_and_lose_nothing(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 40; seed++) {
        fake_files_observe(watch);
        run_randomly(seed);
        (void)teardown(NULL);
        assert_int_equal(setup(NULL), 0);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(whole_segments_are_never_written_raw),
        CASE(nothing_is_written_before_a_flush_is_asked_for),
        CASE(a_flush_turns_the_segment_at_hand_to_raw_and_only_it),
        CASE(a_requested_write_turns_to_raw_without_a_sync),
        CASE(a_flush_waits_for_earlier_segments_that_are_in_work),
        CASE(a_flush_at_a_segments_end_writes_nothing_raw),
        CASE(a_full_ring_waits_for_the_workers),
        CASE(finishing_waits_for_the_workers),
        CASE(a_finish_in_a_hurry_writes_raw_what_the_workers_have_not_done),
        CASE(after_a_hurried_finish_whole_segments_go_to_the_workers_again),
        CASE(an_abort_ends_a_finish_that_waits_for_the_queue),
        CASE(a_failed_worker_fails_the_store_and_nothing_is_acknowledged),
        CASE(a_failed_publication_fails_the_store_and_nothing_is_acknowledged),
        CASE(closing_waits_until_no_worker_reads_the_ring),
        CASE(closing_at_any_moment_leaves_whole_segments_in_order),
        CASE(a_resumed_segment_starts_raw_and_the_next_is_lazy),
        CASE(a_resumed_segment_is_compared),
        CASE(finishing_below_what_was_durable_ends),
        CASE(segments_the_archive_has_already_are_dropped),
        CASE(memory_of_duplicates_comes_free),
        CASE(other_content_in_the_archive_fails_the_store),
        CASE(random_runs_have_no_hole_at_any_moment_and_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
