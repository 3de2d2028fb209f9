/* SPDX-License-Identifier: PostgreSQL
 *
 * Store with damaged WAL: with VERIFY_ON it is archived as it came, with VERIFY_STOP it fails the
 * store before it is told to be durable or gets a final name, raw or compressed.
 */
#include "walrx/archive/store.h"

#include "fixture.h"

#include "walrx/base/ring.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_MS 20000

static Bell bell;
static Compressor *compressor;
static Store *store;
static uint8_t wal[FIXTURE_LENGTH]; /* what the server sends */
static const PartialTrust nothing = {.proven_begin = FIXTURE_START, .proven_end = FIXTURE_START};

static int setup(void **state)
{
    (void)fixture_setup(state);
    memcpy(wal, fixture_wal(FIXTURE_START), sizeof(wal));
    return bell_open(&bell, &fixture.error) ? 0 : -1;
}

static void close_all(void)
{
    store_close(store);
    store = NULL;
    compressor_stop(compressor);
    compressor = NULL;
}

static int teardown(void **state)
{
    close_all();
    bell_close(&bell);
    return fixture_teardown(state);
}

/* Raw: two extents of memory; compressed: three segments. */
static void start(VerifyMode verify, bool compressed)
{
    CompressSpec spec = {.method = WAL_LZ4, .level = 1};
    if (compressed)
        assert_true(compressor_start(&fixture.archive, spec, 1, CODEC_MEMORY_ANY, &bell,
                                     &compressor, &fixture.error));
    assert_true(store_open(&fixture.archive, (compressed ? 3 : 2) * RING_EXTENT, compressor, verify,
                           &bell, &store, &fixture.error));
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
}

static void wait_for_bell(void)
{
    struct pollfd polled = {.fd = bell.fd, .events = POLLIN};
    assert_int_equal(poll(&polled, 1, PATIENCE_MS), 1);
    bell_silence(&bell);
}

/* Until it is all in the ring or the store failed. */
static void receive(Lsn begin, Lsn end)
{
    while (begin < end && !store_positions(store).failed) {
        size_t room;
        uint8_t *place = store_reserve(store, &room);
        if (place == NULL) {
            wait_for_bell();
            continue;
        }
        size_t count = end - begin < room ? (size_t)(end - begin) : room;
        memcpy(place, wal + (begin - FIXTURE_START), count);
        store_publish(store, count);
        begin += count;
    }
}

static Lsn damage(Lsn from)
{
    Lsn record = fixture_record_from(from);
    wal[record + 24 - FIXTURE_START] ^= 1;
    return record;
}

static void expect_segments(SegNo end, WalCompression form)
{
    for (SegNo segno = FIXTURE_SEGNO; segno < end; segno++)
        assert_true(fixture_holds(segno, form, false, wal + (segno - FIXTURE_SEGNO) * FIXTURE_SIZE,
                                  FIXTURE_SIZE));
    for (SegNo segno = end; segno <= FIXTURE_SEGNO + 5; segno++)
        assert_false(scratch_exists(fixture.path, fixture_name(segno, form, false)));
}

static void on_archives_damage_as_it_came_and_counts_it(void **state)
{
    (void)state;
    for (int compressed = 0; compressed < 2; compressed++) {
        (void)teardown(state);
        assert_int_equal(setup(state), 0);
        (void)damage(FIXTURE_START + 5000);
        Lsn last = damage(FIXTURE_START + 3 * FIXTURE_SIZE + 70000);
        start(VERIFY_ON, compressed == 1);
        receive(FIXTURE_START, FIXTURE_END);
        assert_true(store_finish(store, &fixture.error));
        assert_true(store_positions(store).flushed == FIXTURE_END);
        CheckCounts counts = store_checks(store);
        assert_int_equal(counts.faults, 2);
        assert_true(counts.latest_fault == last);
        assert_int_equal(counts.records, fixture_records(FIXTURE_START, FIXTURE_END) - 2);
        close_all();
        expect_segments(FIXTURE_SEGNO + 5, compressed == 1 ? WAL_LZ4 : WAL_RAW);
    }
}

static void off_looks_at_nothing(void **state)
{
    (void)state;
    (void)damage(FIXTURE_START + 5000);
    start(VERIFY_OFF, false);
    receive(FIXTURE_START, FIXTURE_END);
    assert_true(store_finish(store, &fixture.error));
    assert_int_equal(store_checks(store).faults, 0);
    assert_int_equal(store_checks(store).records, 0);
    expect_segments(FIXTURE_SEGNO + 5, WAL_RAW);
}

/* What comes too little for an extent is checked at the latest when receiving ends. */
static void finishing_checks_everything(void **state)
{
    Lsn end = FIXTURE_START + 30000;
    (void)state;
    Lsn record = damage(end - 10000);
    start(VERIFY_ON, false);
    receive(FIXTURE_START, end);
    assert_true(store_finish(store, &fixture.error));
    assert_true(store_checks(store).latest_fault == record);
    assert_int_equal(store_checks(store).records, fixture_records(FIXTURE_START, end) - 1);
}

/* In messages, with flushes in between; until the store fails. */
static void receive_until_damage(Lsn record, unsigned seed)
{
    Lsn at = FIXTURE_START;
    while (at < FIXTURE_END && !store_positions(store).failed) {
        seed = seed * 1103515245 + 12345;
        Lsn next = at + 1 + (seed >> 8) % (seed % 32 == 0 ? 400000 : 20000);
        if (next > FIXTURE_END)
            next = FIXTURE_END;
        receive(at, next);
        at = next;
        if (seed >> 28 == 0)
            store_request_flush(store);
        if (seed >> 28 == 1)
            (void)store_flush_here(store);
        assert_true(store_positions(store).flushed <= record);
    }
    assert_false(store_finish(store, &fixture.error));
    assert_true(store_positions(store).failed);
    assert_true(store_positions(store).flushed == record); /* all that is right is kept */
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_int_equal(store_checks(store).faults, 1);
    assert_true(store_checks(store).latest_fault == record);
}

static void stop_acknowledges_and_names_nothing_damaged(void **state)
{
    const Lsn places[] = {
        FIXTURE_START + 5000,
        FIXTURE_START + 2 * FIXTURE_SIZE - 8000, /* seen when the segment is whole */
        FIXTURE_START + 3 * FIXTURE_SIZE + 70000,
        FIXTURE_END - 8000,
    };
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        bool compressed = i % 2 == 1;
        (void)teardown(state);
        assert_int_equal(setup(state), 0);
        Lsn record = damage(places[i / 4]);
        start(VERIFY_STOP, compressed);
        receive_until_damage(record, i);
        SegNo segno = segment_of(record, FIXTURE_SIZE);
        close_all();
        assert_false(scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, false)));
        assert_false(scratch_exists(fixture.path, fixture_name(segno, WAL_LZ4, false)));
        expect_segments(segno, compressed ? WAL_LZ4 : WAL_RAW);
    }
}

static void stop_moves_flush_over_whole_records_only(void **state)
{
    Lsn record = fixture_record_from(FIXTURE_START + FIXTURE_SIZE + 9000);
    Lsn end = fixture_record_from(record + 1);
    (void)state;
    start(VERIFY_STOP, false);
    receive(FIXTURE_START, end - 9); /* not in its padding */
    store_request_flush(store);
    while (store_positions(store).flushed < record)
        wait_for_bell();
    assert_true(store_positions(store).flushed == record);
    receive(end - 9, end);
    store_request_flush(store);
    while (store_positions(store).flushed < end)
        wait_for_bell();
    receive(end, FIXTURE_END);
    assert_true(store_finish(store, &fixture.error));
    assert_int_equal(store_checks(store).records, fixture_records(FIXTURE_START, FIXTURE_END));
    expect_segments(FIXTURE_SEGNO + 5, WAL_RAW);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(on_archives_damage_as_it_came_and_counts_it),
        CASE(off_looks_at_nothing),
        CASE(finishing_checks_everything),
        CASE(stop_acknowledges_and_names_nothing_damaged),
        CASE(stop_moves_flush_over_whole_records_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
