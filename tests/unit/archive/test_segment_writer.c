/* SPDX-License-Identifier: PostgreSQL
 *
 * Segment writer: bytes arrive in pieces of any size, with O_DIRECT and without, and the files hold
 * just them; what was proven is compared; what exists already is never overwritten.
 */
#include "walrx/archive/segment_writer.h"

#include "fake_files.h"
#include "fixture.h"

#include "walrx/base/ring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGNO FIXTURE_SEGNO
#define START FIXTURE_START

static SegmentWriter writer;
static uint8_t *extent; /* the aligned memory the ring would be */
static const PartialTrust nothing = {.proven_begin = START, .proven_end = START};

static int setup(void **state)
{
    (void)fixture_setup(state);
    extent = aligned_alloc(WRITER_BLOCK, RING_EXTENT);
    return extent != NULL && writer_init(&writer, &fixture.archive, &fixture.error) ? 0 : -1;
}

static int teardown(void **state)
{
    writer_deinit(&writer);
    free(extent);
    return fixture_teardown(state);
}

/* The server's bytes, at their place in the extent. */
static void provide(Lsn begin, Lsn end)
{
    Lsn base = begin - begin % RING_EXTENT;
    memcpy(extent + (begin - base), fixture_wal(begin), (size_t)(end - begin));
}

static bool write_to(Lsn end)
{
    Lsn block = writer.position - writer.position % WRITER_BLOCK;
    return writer_write(&writer, extent + block % RING_EXTENT, end, &fixture.error);
}

static void send_to(Lsn end)
{
    while (writer.position < end) {
        Lsn edge = writer.position - writer.position % RING_EXTENT + RING_EXTENT;
        Lsn next = end < edge ? end : edge;
        provide(writer.position, next);
        if (!write_to(next))
            fail_msg("%s", fixture.error.message);
    }
}

static bool complete(bool *ret_new)
{
    return writer_complete(&writer, ret_new, &fixture.error);
}

static void segments_roll_over_and_get_their_final_names(void **state)
{
    (void)state;
    writer_start(&writer, 1, START, &nothing);
    for (SegNo segno = SEGNO; segno < SEGNO + 3; segno++) {
        bool is_new = false;
        Lsn start = segment_start(segno, FIXTURE_SIZE);
        send_to(start + FIXTURE_SIZE / 2);
        assert_true(scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, true)));
        assert_false(scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, false)));
        send_to(start + FIXTURE_SIZE);
        assert_true(complete(&is_new));
        assert_true(is_new);
        assert_false(scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, true)));
        assert_true(fixture_holds(segno, WAL_RAW, false, fixture_wal(start), FIXTURE_SIZE));
    }
    assert_int_equal(scratch_count(fixture.path, ".walrx"), 2);
}

/* Every alignment of the ends, over blocks and extents. */
static void pieces_of_any_size_make_the_same_file(void **state)
{
    static const FakeDirect modes[] = {FAKE_DIRECT_WORKS, FAKE_DIRECT_REFUSED_AT_OPEN,
                                       FAKE_DIRECT_REFUSED_AT_WRITE};
    static const uint32_t steps[] = {1, 511, 4095, 4096, 4097, 12288, 70001, 524288};
    (void)state;
    for (unsigned mode = 0; mode < 3; mode++) {
        for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            bool is_new;
            Lsn end = START + (steps[i] == 1 ? 5000 : FIXTURE_SIZE);
            writer_start(&writer, 1, START, &nothing);
            writer.mode.off = false;
            fake_files_direct(modes[mode]);
            for (Lsn at = START; at < end; at += steps[i])
                send_to(at + steps[i] < end ? at + steps[i] : end);
            assert_int_equal(writer.mode.off, modes[mode] != FAKE_DIRECT_WORKS);
            send_to(START + FIXTURE_SIZE);
            assert_true(complete(&is_new));
            assert_true(fixture_holds(SEGNO, WAL_RAW, false, fixture_wal(START), FIXTURE_SIZE));
            scratch_write(fixture.path, "gone", "", 0);
            assert_int_equal(renameat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, false),
                                      fixture.archive.dir.fd, "gone"),
                             0);
        }
    }
}

static void the_open_segment_has_its_full_size_and_zeros_behind_the_end(void **state)
{
    uint8_t *expected = calloc(1, FIXTURE_SIZE);
    (void)state;
    assert_non_null(expected);
    writer_start(&writer, 1, START, &nothing);
    memset(extent, 'x', RING_EXTENT); /* what lies in the ring behind the end must not get out */
    send_to(START + 10001);
    memcpy(expected, fixture_wal(START), 10001);
    assert_true(fixture_holds(SEGNO, WAL_RAW, true, expected, FIXTURE_SIZE));
    assert_true(writer_sync(&writer, &fixture.error));
    assert_true(writer_close(&writer, &fixture.error));
    assert_int_equal(writer.fd, -1);
    assert_true(fixture_holds(SEGNO, WAL_RAW, true, expected, FIXTURE_SIZE));
    free(expected);
}

static void nothing_is_opened_before_the_first_byte(void **state)
{
    unsigned syncs = fake_files_count(FAKE_FDATASYNC);
    (void)state;
    writer_start(&writer, 1, START, &nothing);
    assert_true(writer_sync(&writer, &fixture.error));
    assert_true(writer_close(&writer, &fixture.error));
    assert_int_equal(scratch_count(fixture.path, "."), 1);
    assert_int_equal(fake_files_count(FAKE_FDATASYNC), syncs);
}

/* A partial with the first `length` bytes, and `behind` behind them; proven as far as given. */
static PartialTrust left_behind(size_t length, uint8_t behind, Lsn begin, Lsn end)
{
    uint8_t *bytes = malloc(FIXTURE_SIZE);
    assert_non_null(bytes);
    memset(bytes, behind, FIXTURE_SIZE);
    memcpy(bytes, fixture_wal(START), length);
    fixture_archive(SEGNO, WAL_RAW, true, bytes, FIXTURE_SIZE);
    free(bytes);
    return (PartialTrust){.exists = true, .proven_begin = begin, .proven_end = end};
}

static void a_proven_range_is_compared_and_not_written(void **state)
{
    PartialTrust trust = left_behind(500000, 0, START + 40, START + 500000);
    bool is_new;
    (void)state;
    writer_start(&writer, 1, START, &trust);
    send_to(START + 40);
    unsigned writes = fake_files_count(FAKE_PWRITEV);
    send_to(START + 400000);
    send_to(START + 500000);
    assert_int_equal(fake_files_count(FAKE_PWRITEV), writes);
    send_to(START + 500001);
    assert_int_equal(fake_files_count(FAKE_PWRITEV), writes + 1);
    send_to(START + FIXTURE_SIZE);
    assert_true(complete(&is_new));
    assert_true(fixture_holds(SEGNO, WAL_RAW, false, fixture_wal(START), FIXTURE_SIZE));
}

/* Acknowledged bytes of a record that is not whole yet are not proven, but must not be lost either.
 */
static void what_lies_behind_the_end_of_a_reopened_segment_stays(void **state)
{
    PartialTrust trust = left_behind(500000, 0xEE, START + 40, START + 400001);
    uint8_t *expected = malloc(FIXTURE_SIZE);
    (void)state;
    assert_non_null(expected);
    memset(expected, 0xEE, FIXTURE_SIZE);
    memcpy(expected, fixture_wal(START), 500000);
    writer_start(&writer, 1, START, &trust);
    send_to(START + 20);
    assert_true(fixture_holds(SEGNO, WAL_RAW, true, expected, FIXTURE_SIZE));
    send_to(START + 400001);
    assert_true(fixture_holds(SEGNO, WAL_RAW, true, expected, FIXTURE_SIZE));
    send_to(START + 400777);
    assert_true(fixture_holds(SEGNO, WAL_RAW, true, expected, FIXTURE_SIZE));
    send_to(START + 600123);
    memcpy(expected, fixture_wal(START), 600123);
    assert_true(fixture_holds(SEGNO, WAL_RAW, true, expected, FIXTURE_SIZE));
    assert_true(writer_close(&writer, &fixture.error));
    free(expected);
}

static void a_difference_is_a_divergence_and_nothing_is_overwritten(void **state)
{
    static const size_t places[] = {40, 41, 4095, 4096, 100000, 499999};
    (void)state;
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        PartialTrust trust = left_behind(500000, 0xEE, START + 40, START + 500000);
        uint64_t before = scratch_fingerprint(fixture.path);
        char text[LSN_TEXT_SIZE];
        writer_start(&writer, 1, START, &trust);
        provide(START, START + FIXTURE_SIZE);
        extent[places[i]] ^= 0x40; /* the server sends something else */
        assert_false(write_to(START + FIXTURE_SIZE));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_non_null(strstr(fixture.error.message, lsn_format(START + places[i], text)));
        assert_non_null(strstr(fixture.error.message, fixture_name(SEGNO, WAL_RAW, true)));
        assert_true(scratch_fingerprint(fixture.path) == before);
        assert_true(writer_close(&writer, &fixture.error));
    }
}

/* The bytes in front of the first record belong to one of the segment before: they are not proven,
 * but a server on another branch must not spoil them either. */
static void a_divergence_is_found_before_the_head_is_written(void **state)
{
    PartialTrust trust = left_behind(500000, 0xEE, START + 300, START + 500000);
    uint64_t before = scratch_fingerprint(fixture.path);
    (void)state;
    writer_start(&writer, 1, START, &trust);
    provide(START, START + FIXTURE_SIZE);
    extent[100] ^= 0x40;
    extent[400] ^= 0x40;
    assert_false(write_to(START + FIXTURE_SIZE));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(scratch_fingerprint(fixture.path) == before);
}

static void the_head_that_is_not_proven_is_written_again(void **state)
{
    PartialTrust trust = left_behind(500000, 0xEE, START + 5000, START + 500000);
    bool is_new;
    (void)state;
    scratch_write(fixture.path, "x", "", 0);
    uint8_t *bytes = malloc(FIXTURE_SIZE);
    assert_non_null(bytes);
    memset(bytes, 0, FIXTURE_SIZE); /* the head was lost with the power */
    memcpy(bytes + 5000, fixture_wal(START + 5000), 495000);
    fixture_archive(SEGNO, WAL_RAW, true, bytes, FIXTURE_SIZE);
    free(bytes);
    writer_start(&writer, 1, START, &trust);
    send_to(START + 3000);
    send_to(START + FIXTURE_SIZE);
    assert_true(complete(&is_new));
    assert_true(fixture_holds(SEGNO, WAL_RAW, false, fixture_wal(START), FIXTURE_SIZE));
}

static void an_identical_duplicate_of_any_form_is_dropped(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        SegNo segno = SEGNO + (SegNo)form;
        Lsn start = segment_start(segno, FIXTURE_SIZE);
        PartialTrust fresh = {.proven_begin = start, .proven_end = start};
        bool is_new = true;
        fixture_archive(segno, (WalCompression)form, false, fixture_wal(start), FIXTURE_SIZE);
        writer_start(&writer, 1, start, &fresh);
        send_to(start + FIXTURE_SIZE);
        assert_true(complete(&is_new));
        assert_false(is_new);
        assert_false(scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, true)));
        assert_true(
            fixture_holds(segno, (WalCompression)form, false, fixture_wal(start), FIXTURE_SIZE));
        if (form != WAL_RAW)
            assert_false(scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, false)));
    }
}

static void a_different_duplicate_of_any_form_goes_to_quarantine(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        SegNo segno = SEGNO + (SegNo)form;
        Lsn start = segment_start(segno, FIXTURE_SIZE);
        PartialTrust fresh = {.proven_begin = start, .proven_end = start};
        char quarantined[128];
        bool is_new;
        uint8_t *other = malloc(FIXTURE_SIZE);
        assert_non_null(other);
        memcpy(other, fixture_wal(start), FIXTURE_SIZE);
        other[777777] ^= 1;
        fixture_archive(segno, (WalCompression)form, false, other, FIXTURE_SIZE);
        writer_start(&writer, 1, start, &fresh);
        send_to(start + FIXTURE_SIZE);
        assert_false(complete(&is_new));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_true(fixture_holds(segno, (WalCompression)form, false, other, FIXTURE_SIZE));
        (void)snprintf(quarantined, sizeof(quarantined), ".walrx/quarantine/%s",
                       fixture_name(segno, (WalCompression)form, false));
        assert_true(scratch_holds(fixture.path, quarantined, fixture_wal(start), FIXTURE_SIZE));
        free(other);
    }
}

#define LATER (SEGNO + 1) /* a segment the stream comes to, with a partial of an earlier run */
#define LATER_START (START + FIXTURE_SIZE)

/* The first 500000 bytes of the WAL, and 0xEE behind them. */
static uint8_t *later_partial(void)
{
    uint8_t *bytes = malloc(FIXTURE_SIZE);
    assert_non_null(bytes);
    memset(bytes, 0xEE, FIXTURE_SIZE);
    memcpy(bytes, fixture_wal(LATER_START), 500000);
    return bytes;
}

static void come_to_the_later_segment(void)
{
    bool is_new;
    writer_start(&writer, 1, START, &nothing);
    send_to(LATER_START);
    assert_true(complete(&is_new));
}

static void a_partial_met_later_is_compared_where_it_is_proven_and_kept_behind(void **state)
{
    uint8_t *bytes = later_partial();
    bool is_new;
    (void)state;
    fixture_archive(LATER, WAL_RAW, true, bytes, FIXTURE_SIZE);
    come_to_the_later_segment();
    send_to(LATER_START + 100000);
    assert_true(fixture_holds(LATER, WAL_RAW, true, bytes, FIXTURE_SIZE));
    unsigned writes = fake_files_count(FAKE_PWRITEV);
    send_to(LATER_START + 400000);
    assert_int_equal(fake_files_count(FAKE_PWRITEV), writes);
    send_to(LATER_START + FIXTURE_SIZE);
    assert_true(complete(&is_new));
    assert_true(is_new);
    assert_true(fixture_holds(LATER, WAL_RAW, false, fixture_wal(LATER_START), FIXTURE_SIZE));
    send_to(LATER_START + FIXTURE_SIZE + 10001); /* and the next one is a new one again */
    assert_true(writer.reopened_end == LATER_START + FIXTURE_SIZE);
    free(bytes);
}

static void a_partial_met_later_that_differs_is_a_divergence(void **state)
{
    uint8_t *bytes = later_partial();
    (void)state;
    fixture_archive(LATER, WAL_RAW, true, bytes, FIXTURE_SIZE);
    come_to_the_later_segment();
    provide(LATER_START, LATER_START + FIXTURE_SIZE);
    extent[300000] ^= 0x40;
    assert_false(write_to(LATER_START + FIXTURE_SIZE));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(fixture_holds(LATER, WAL_RAW, true, bytes, FIXTURE_SIZE));
    free(bytes);
}

static void a_compressed_partial_met_later_is_expanded(void **state)
{
    bool is_new;
    (void)state;
    fixture_archive(LATER, WAL_GZIP, true, fixture_wal(LATER_START), 500000);
    come_to_the_later_segment();
    send_to(LATER_START + 1);
    assert_false(scratch_exists(fixture.path, fixture_name(LATER, WAL_GZIP, true)));
    assert_true(writer.proven_end > LATER_START + 400000);
    send_to(LATER_START + FIXTURE_SIZE);
    assert_true(complete(&is_new));
    assert_true(fixture_holds(LATER, WAL_RAW, false, fixture_wal(LATER_START), FIXTURE_SIZE));
}

/* Another program that does not know the lock, just while the segment is made. */
static void make_a_partial(const FakeEvent *event)
{
    if (event->call == FAKE_FALLOCATE)
        fixture_archive(SEGNO, WAL_RAW, true, "x", 1);
}

static void a_partial_that_appears_while_we_hold_the_lock_is_refused(void **state)
{
    (void)state;
    fake_files_observe(make_a_partial);
    writer_start(&writer, 1, START, &nothing);
    provide(START, START + 100);
    assert_false(write_to(START + 100));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, "appeared"));
    assert_true(scratch_holds(fixture.path, fixture_name(SEGNO, WAL_RAW, true), "x", 1));
}

static void a_failed_write_or_sync_is_told_and_gives_no_final_name(void **state)
{
    bool is_new;
    (void)state;
    writer_start(&writer, 1, START, &nothing);
    send_to(START + 100);
    provide(START, START + FIXTURE_SIZE);
    fake_files_fail(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1, ENOSPC);
    assert_false(write_to(START + FIXTURE_SIZE));
    assert_int_equal(fixture.error.class, ERROR_NO_ROOM);
    assert_int_equal(fixture.error.os_errno, ENOSPC);
    assert_true(writer.position == START + 100);
    send_to(START + FIXTURE_SIZE);
    fake_files_fail(FAKE_FDATASYNC, fake_files_count(FAKE_FDATASYNC) + 1, EIO);
    assert_false(complete(&is_new));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    assert_false(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, false)));
    assert_true(scratch_exists(fixture.path, fixture_name(SEGNO, WAL_RAW, true)));
}

static void a_new_segment_is_durable_by_name_with_its_first_sync(void **state)
{
    (void)state;
    writer_start(&writer, 1, START, &nothing);
    unsigned syncs = fake_files_count(FAKE_FSYNC);
    send_to(START + 100);
    assert_int_equal(fake_files_count(FAKE_FSYNC), syncs);
    assert_true(writer_sync(&writer, &fixture.error));
    assert_int_equal(fake_files_count(FAKE_FSYNC), syncs + 1);
    send_to(START + 200);
    assert_true(writer_sync(&writer, &fixture.error));
    assert_int_equal(fake_files_count(FAKE_FSYNC), syncs + 1);
}

static void a_name_that_cannot_be_made_durable_fails_the_sync(void **state)
{
    (void)state;
    writer_start(&writer, 1, START, &nothing);
    send_to(START + 100);
    fake_files_fail(FAKE_FSYNC, fake_files_count(FAKE_FSYNC) + 1, EIO);
    assert_false(writer_sync(&writer, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

static void prepare_all(void)
{
    for (bool worked = true; worked;)
        assert_true(writer_prepare(&writer, &worked, &fixture.error));
}

static void the_next_segment_is_ready_before_it_is_needed(void **state)
{
    bool is_new;
    (void)state;
    writer_start(&writer, 1, START, &nothing);
    prepare_all(); /* nothing is open: nothing to prepare for */
    assert_int_equal(fake_files_count(FAKE_FALLOCATE), 0);
    send_to(START + 100);
    prepare_all();
    assert_int_equal(fake_files_count(FAKE_FALLOCATE), 2);
    send_to(START + FIXTURE_SIZE);
    assert_true(complete(&is_new));
    send_to(START + FIXTURE_SIZE + 100);
    assert_int_equal(fake_files_count(FAKE_FALLOCATE), 2);
    assert_true(fixture_holds(SEGNO, WAL_RAW, false, fixture_wal(START), FIXTURE_SIZE));
}

static void only_a_trickle_of_syncs_makes_the_next_segment_of_zeros(void **state)
{
    (void)state;
    writer_start(&writer, 1, START, &nothing);
    for (Lsn at = START; at < START + 1000; at += 100) {
        send_to(at + 100);
        unsigned writes = fake_files_count(FAKE_PWRITEV);
        prepare_all();
        assert_int_equal(fake_files_count(FAKE_PWRITEV) - writes, at == START + 800 ? 3 + 4 : 0);
        assert_true(writer_sync(&writer, &fixture.error));
    }
}

static void trickle(void)
{
    writer_start(&writer, 1, START, &nothing);
    for (Lsn at = START; at < START + 900; at += 100) {
        send_to(at + 100);
        assert_true(writer_sync(&writer, &fixture.error));
    }
}

static void zeros_ahead_stop_on_a_full_disk_and_wal_goes_on(void **state)
{
    (void)state;
    trickle();
    fake_files_fail(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1, ENOSPC);
    prepare_all();
    send_to(START + 5000);
    assert_true(writer_sync(&writer, &fixture.error));
}

static void zeros_ahead_never_touch_what_was_received(void **state)
{
    bool is_new;
    (void)state;
    for (Lsn step = 4000; step < FIXTURE_SIZE; step += 100001) {
        trickle();
        send_to(START + step);
        prepare_all();
        assert_true(writer_sync(&writer, &fixture.error));
        prepare_all();
        send_to(START + FIXTURE_SIZE);
        assert_true(complete(&is_new));
        assert_true(fixture_holds(SEGNO, WAL_RAW, false, fixture_wal(START), FIXTURE_SIZE));
        assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, false), 0),
                         0);
    }
}

static void without_direct_writes_no_zeros_are_written(void **state)
{
    (void)state;
    fake_files_direct(FAKE_DIRECT_REFUSED_AT_OPEN);
    trickle();
    unsigned writes = fake_files_count(FAKE_PWRITEV);
    prepare_all();
    assert_int_equal(fake_files_count(FAKE_PWRITEV), writes);
}

/* As the store does while it catches up: several extents in one write, of a larger segment. */
static void writes_of_several_extents_reach_the_file_and_the_comparison(void **state)
{
    enum { SIZE = 2 * FIXTURE_SIZE, PROVEN = FIXTURE_SIZE + 900000 };
    static const char name[] = "000000010000000000000003.partial";
    Lsn start = 3 * (Lsn)SIZE;
    uint8_t *memory = aligned_alloc(WRITER_BLOCK, SIZE);
    PartialTrust trust = {.exists = true, .proven_begin = start, .proven_end = start + PROVEN};
    (void)state;
    assert_non_null(memory);
    fixture.archive.segment_size = SIZE;
    memcpy(memory, fixture_wal(start), SIZE);
    scratch_write(fixture.path, name, memory, SIZE);
    writer_start(&writer, 1, start, &trust);
    memory[PROVEN - 1] ^= 1;
    assert_false(writer_write(&writer, memory, start + SIZE, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    memory[PROVEN - 1] ^= 1;
    memory[PROVEN] ^= 1; /* not proven: what arrives counts */
    assert_true(writer_write(&writer, memory, start + SIZE, &fixture.error));
    assert_true(writer_close(&writer, &fixture.error));
    assert_true(scratch_holds(fixture.path, name, memory, SIZE));
    free(memory);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(segments_roll_over_and_get_their_final_names),
        CASE(pieces_of_any_size_make_the_same_file),
        CASE(the_open_segment_has_its_full_size_and_zeros_behind_the_end),
        CASE(nothing_is_opened_before_the_first_byte),
        CASE(a_proven_range_is_compared_and_not_written),
        CASE(what_lies_behind_the_end_of_a_reopened_segment_stays),
        CASE(a_difference_is_a_divergence_and_nothing_is_overwritten),
        CASE(a_divergence_is_found_before_the_head_is_written),
        CASE(the_head_that_is_not_proven_is_written_again),
        CASE(an_identical_duplicate_of_any_form_is_dropped),
        CASE(a_different_duplicate_of_any_form_goes_to_quarantine),
        CASE(a_partial_met_later_is_compared_where_it_is_proven_and_kept_behind),
        CASE(a_partial_met_later_that_differs_is_a_divergence),
        CASE(a_compressed_partial_met_later_is_expanded),
        CASE(a_partial_that_appears_while_we_hold_the_lock_is_refused),
        CASE(a_failed_write_or_sync_is_told_and_gives_no_final_name),
        CASE(a_new_segment_is_durable_by_name_with_its_first_sync),
        CASE(a_name_that_cannot_be_made_durable_fails_the_sync),
        CASE(the_next_segment_is_ready_before_it_is_needed),
        CASE(only_a_trickle_of_syncs_makes_the_next_segment_of_zeros),
        CASE(zeros_ahead_stop_on_a_full_disk_and_wal_goes_on),
        CASE(zeros_ahead_never_touch_what_was_received),
        CASE(without_direct_writes_no_zeros_are_written),
        CASE(writes_of_several_extents_reach_the_file_and_the_comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
