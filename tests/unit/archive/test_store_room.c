/* SPDX-License-Identifier: PostgreSQL
 *
 * Store before a full disk: it pauses in front of the limit and after a refusal, tells, loses
 * nothing, goes on when there is room, and can be finished meanwhile.
 */
#include "walrx/archive/store.h"

#include "fake_files.h"
#include "fixture.h"
#include "gate.h"

#include "walrx/base/ring.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000
#define A_WHILE_US 150000 /* in which something forbidden would have happened */
#define LIMIT (3 * (uint64_t)FIXTURE_SIZE)
#define FORM WAL_LZ4

static Bell bell;
static Compressor *compressor;
static Store *store;
static const PartialTrust nothing = {.proven_begin = FIXTURE_START, .proven_end = FIXTURE_START};

static int setup(void **state)
{
    (void)fixture_setup(state);
    gate_install(&fixture.archive);
    return bell_open(&bell, &fixture.error) ? 0 : -1;
}

static int teardown(void **state)
{
    gate_open();
    store_close(store);
    compressor_stop(compressor);
    store = NULL;
    compressor = NULL;
    bell_close(&bell);
    gate_remove(&fixture.archive);
    return fixture_teardown(state);
}

static void begin(void)
{
    store_start(store, 1, FIXTURE_START, &nothing, LSN_INVALID);
}

static void open_raw(uint64_t min_free)
{
    fixture.archive.min_free = min_free;
    assert_true(store_open(&fixture.archive, 2 * RING_EXTENT, NULL, VERIFY_ON, &bell, &store,
                           &fixture.error));
    begin();
}

static void open_lazy(uint64_t min_free)
{
    CompressSpec spec = {.method = FORM, .level = 1};
    fixture.archive.min_free = min_free;
    assert_true(compressor_start(&fixture.archive, spec, 3, CODEC_MEMORY_ANY, &bell, &compressor,
                                 &fixture.error));
    assert_true(store_open(&fixture.archive, 4 * FIXTURE_SIZE, compressor, VERIFY_ON, &bell, &store,
                           &fixture.error));
    begin();
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
    if (positions.failed) {
        store_error(store, &fixture.error);
        fail_msg("%s", fixture.error.message);
    }
    return positions;
}

/* What fits into the ring. */
static Lsn offer(Lsn from, Lsn to)
{
    while (from < to) {
        size_t room;
        uint8_t *place = store_reserve(store, &room);
        if (place == NULL)
            break;
        size_t count = to - from < room ? (size_t)(to - from) : room;
        memcpy(place, fixture_wal(from), count);
        store_publish(store, count);
        from += count;
    }
    return from;
}

static void receive(Lsn from, Lsn to)
{
    for (from = offer(from, to); from < to; from = offer(from, to)) {
        assert_true(wait_for_bell());
        (void)look();
    }
}

static void await_pause(void)
{
    while (!look().no_room)
        assert_true(wait_for_bell());
    store_error(store, &fixture.error);
    assert_int_equal(fixture.error.class, ERROR_NO_ROOM);
}

/* It is told behind the flush that there was room for. */
static void await_room(void)
{
    while (look().no_room)
        assert_true(wait_for_bell());
}

static void await_flush(Lsn lsn)
{
    store_request_flush(store);
    while (look().flushed < lsn)
        assert_true(wait_for_bell());
}

static void stays_paused(Lsn flushed)
{
    (void)usleep(A_WHILE_US);
    assert_true(look().no_room);
    assert_true(look().flushed == flushed);
}

static void expect_raw(SegNo from, SegNo to)
{
    for (SegNo segno = from; segno < to; segno++)
        assert_true(fixture_holds(segno, WAL_RAW, false,
                                  fixture_wal(segment_start(segno, FIXTURE_SIZE)), FIXTURE_SIZE));
}

static bool has_partial(SegNo segno)
{
    return scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, true));
}

static void a_new_segment_waits_for_the_limit_and_a_margin(void **state)
{
    (void)state;
    fake_files_space(LIMIT + FIXTURE_SIZE - 1);
    open_raw(LIMIT);
    receive(FIXTURE_START, FIXTURE_START + 1000);
    store_request_flush(store);
    await_pause();
    assert_non_null(strstr(fixture.error.message, "3 MB are free"));
    assert_non_null(strstr(fixture.error.detail, "3MB are to stay free"));
    stays_paused(LSN_INVALID);
    fake_files_space(LIMIT + 2 * FIXTURE_SIZE - 1);
    stays_paused(LSN_INVALID);
    assert_false(has_partial(FIXTURE_SEGNO));
    fake_files_space(LIMIT + 2 * FIXTURE_SIZE);
    await_flush(FIXTURE_START + 1000);
    await_room();
    assert_true(has_partial(FIXTURE_SEGNO));
}

static void the_open_segment_has_its_room(void **state)
{
    (void)state;
    open_raw(LIMIT);
    receive(FIXTURE_START, FIXTURE_START + 1000);
    await_flush(FIXTURE_START + 1000);
    fake_files_space(0);
    (void)usleep(A_WHILE_US); /* the spare segment was made before, or is not made now */
    receive(FIXTURE_START + 1000, FIXTURE_START + FIXTURE_SIZE);
    await_flush(FIXTURE_START + FIXTURE_SIZE);
    await_room();
    expect_raw(FIXTURE_SEGNO, FIXTURE_SEGNO + 1);
}

static void refuse_and_go_on(FakeCall call, int error)
{
    open_raw(0);
    fake_files_fail_from(call, fake_files_count(call) + 1, error);
    (void)offer(FIXTURE_START, FIXTURE_START + 2 * FIXTURE_SIZE);
    await_pause();
    assert_int_equal(fixture.error.os_errno, error);
    stays_paused(LSN_INVALID);
    fake_files_fail(FAKE_ANY, 0, 0);
    Lsn received = look().received;
    receive(received, FIXTURE_START + 3 * FIXTURE_SIZE);
    await_flush(FIXTURE_START + 3 * FIXTURE_SIZE);
    await_room();
    expect_raw(FIXTURE_SEGNO, FIXTURE_SEGNO + 3);
}

static void a_refused_file_is_made_later(void **state)
{
    (void)state;
    refuse_and_go_on(FAKE_FALLOCATE, ENOSPC);
}

static void a_refused_write_is_made_later(void **state)
{
    (void)state;
    refuse_and_go_on(FAKE_PWRITEV, ENOSPC);
}

static void a_quota_counts_as_a_full_disk(void **state)
{
    (void)state;
    refuse_and_go_on(FAKE_PWRITEV, EDQUOT);
}

/* A directory that has to grow for it. */
static void a_refused_name_is_given_later(void **state)
{
    (void)state;
    open_raw(0);
    receive(FIXTURE_START, FIXTURE_START + 1000);
    await_flush(FIXTURE_START + 1000);
    fake_files_fail_from(FAKE_RENAME, fake_files_count(FAKE_RENAME) + 1, ENOSPC);
    receive(FIXTURE_START + 1000, FIXTURE_START + FIXTURE_SIZE);
    await_pause();
    stays_paused(FIXTURE_START + 1000); /* durable, but without its name */
    fake_files_fail(FAKE_ANY, 0, 0);
    await_flush(FIXTURE_START + FIXTURE_SIZE);
    expect_raw(FIXTURE_SEGNO, FIXTURE_SEGNO + 1);
}

static void a_small_flush_in_the_stream_thread_pauses_too(void **state)
{
    (void)state;
    open_raw(0);
    receive(FIXTURE_START, FIXTURE_START + 1000);
    await_flush(FIXTURE_START + 1000);
    (void)usleep(A_WHILE_US); /* for the thread to sleep */
    fake_files_fail_from(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1, ENOSPC);
    receive(FIXTURE_START + 1000, FIXTURE_START + 2000);
    if (!store_flush_here(store))
        store_request_flush(store);
    await_pause();
    stays_paused(FIXTURE_START + 1000);
    fake_files_fail(FAKE_ANY, 0, 0);
    await_flush(FIXTURE_START + 2000);
}

static void finishing_keeps_what_is_there_and_drops_the_rest(void **state)
{
    Lsn durable = FIXTURE_START + FIXTURE_SIZE + 1000;
    (void)state;
    open_raw(0);
    receive(FIXTURE_START, durable);
    await_flush(durable);
    fake_files_fail_from(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1, ENOSPC);
    (void)offer(durable, durable + FIXTURE_SIZE);
    store_request_flush(store);
    await_pause();
    for (int i = 0; i < 2; i++) { /* asked again, it says the same */
        assert_false(store_finish(store, &fixture.error));
        assert_int_equal(fixture.error.class, ERROR_NO_ROOM);
    }
    assert_true(look().flushed == durable);
    fake_files_fail(FAKE_ANY, 0, 0);
    const PartialTrust trust = {
        .exists = true, .proven_begin = FIXTURE_START + FIXTURE_SIZE, .proven_end = durable};
    store_start(store, 1, FIXTURE_START + FIXTURE_SIZE, &trust, durable);
    assert_true(look().no_room); /* nobody has found room yet */
    receive(FIXTURE_START + FIXTURE_SIZE, FIXTURE_START + 3 * FIXTURE_SIZE);
    await_flush(FIXTURE_START + 3 * FIXTURE_SIZE);
    await_room();
    assert_true(store_finish(store, &fixture.error));
    expect_raw(FIXTURE_SEGNO, FIXTURE_SEGNO + 3);
}

static void finishing_without_the_name_does_not_flush_the_segment(void **state)
{
    (void)state;
    open_raw(0);
    receive(FIXTURE_START, FIXTURE_START + 1000);
    await_flush(FIXTURE_START + 1000);
    fake_files_fail_from(FAKE_RENAME, fake_files_count(FAKE_RENAME) + 1, ENOSPC);
    receive(FIXTURE_START + 1000, FIXTURE_START + FIXTURE_SIZE);
    await_pause();
    assert_false(store_finish(store, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_NO_ROOM);
    assert_true(look().flushed == FIXTURE_START + 1000);
    assert_true(has_partial(FIXTURE_SEGNO));
}

/* The segment goes on in its file, which takes no space: nothing has to be found out about room. */
static void a_finish_after_the_pause_of_an_earlier_stream_is_whole(void **state)
{
    Lsn durable = FIXTURE_START + 1000;
    const PartialTrust trust = {
        .exists = true, .proven_begin = FIXTURE_START, .proven_end = durable};
    (void)state;
    open_raw(0);
    receive(FIXTURE_START, durable);
    await_flush(durable);
    fake_files_fail_from(FAKE_RENAME, fake_files_count(FAKE_RENAME) + 1, ENOSPC);
    receive(durable, FIXTURE_START + FIXTURE_SIZE);
    await_pause();
    assert_false(store_finish(store, &fixture.error));
    fake_files_fail(FAKE_ANY, 0, 0);
    store_start(store, 1, FIXTURE_START, &trust, durable);
    receive(FIXTURE_START, durable + 1000);
    if (!store_finish(store, &fixture.error))
        fail_msg("%s", fixture.error.message);
    assert_true(look().flushed == durable + 1000);
    assert_false(look().no_room);
}

static void copies_that_meet_a_full_disk_wait_in_memory(void **state)
{
    (void)state;
    open_lazy(0);
    fake_files_full(1, UINT_MAX);
    receive(FIXTURE_START, FIXTURE_START + 3 * FIXTURE_SIZE);
    await_pause();
    stays_paused(LSN_INVALID);
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 2); /* identity, lock */
    fake_files_full(0, 0);
    await_flush(FIXTURE_START + 3 * FIXTURE_SIZE);
    await_room();
    assert_true(store_finish(store, &fixture.error));
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + 3; segno++)
        assert_true(fixture_holds(segno, FORM, false,
                                  fixture_wal(segment_start(segno, FIXTURE_SIZE)), FIXTURE_SIZE));
}

static void finishing_drops_copies_that_have_no_room(void **state)
{
    (void)state;
    open_lazy(0);
    receive(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE);
    while (look().flushed < FIXTURE_START + FIXTURE_SIZE)
        assert_true(wait_for_bell());
    fake_files_full(1, UINT_MAX);
    receive(FIXTURE_START + FIXTURE_SIZE, FIXTURE_START + 3 * FIXTURE_SIZE + 1000);
    await_pause();
    assert_false(store_finish(store, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_NO_ROOM);
    assert_true(look().flushed == FIXTURE_START + FIXTURE_SIZE);
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 2);
}

static void whole_segments_wait_for_the_limit_too(void **state)
{
    (void)state;
    fake_files_space(LIMIT + FIXTURE_SIZE - 1);
    open_lazy(LIMIT);
    receive(FIXTURE_START, FIXTURE_START + FIXTURE_SIZE);
    await_pause();
    stays_paused(LSN_INVALID);
    fake_files_space(UINT64_MAX);
    while (look().flushed < FIXTURE_START + FIXTURE_SIZE)
        assert_true(wait_for_bell());
}

/* Room for two at a time: no pause, only one after the other. */
static void copies_under_way_are_waited_for_without_a_word(void **state)
{
    (void)state;
    gate_close("");
    fake_files_space(LIMIT + 2 * FIXTURE_SIZE);
    open_lazy(LIMIT);
    receive(FIXTURE_START, FIXTURE_START + 3 * FIXTURE_SIZE);
    gate_await(2);
    (void)usleep(A_WHILE_US);
    assert_int_equal(compressor_copies(compressor), 2);
    assert_false(look().no_room);
    gate_open();
    while (look().flushed < FIXTURE_START + 3 * FIXTURE_SIZE)
        assert_true(wait_for_bell());
    assert_false(look().no_room);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_new_segment_waits_for_the_limit_and_a_margin),
        CASE(the_open_segment_has_its_room),
        CASE(a_refused_file_is_made_later),
        CASE(a_refused_write_is_made_later),
        CASE(a_quota_counts_as_a_full_disk),
        CASE(a_refused_name_is_given_later),
        CASE(a_small_flush_in_the_stream_thread_pauses_too),
        CASE(finishing_keeps_what_is_there_and_drops_the_rest),
        CASE(finishing_without_the_name_does_not_flush_the_segment),
        CASE(a_finish_after_the_pause_of_an_earlier_stream_is_whole),
        CASE(copies_that_meet_a_full_disk_wait_in_memory),
        CASE(finishing_drops_copies_that_have_no_room),
        CASE(whole_segments_wait_for_the_limit_too),
        CASE(copies_under_way_are_waited_for_without_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
