/* SPDX-License-Identifier: PostgreSQL
 *
 * The receiver's way into the index: entries wait for the names of their segments, and nobody for
 * them; what the checker hands over is what the WAL says.
 */
#include "indexer.h"

#include "../proto/walmaker.h"
#include "fake_files.h"
#include "fixture.h"
#include "index_internal.h"
#include "walrx/archive/checker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE FIXTURE_SIZE
#define FIRST FIXTURE_SEGNO
#define AT(segno) ((Lsn)(segno)*SIZE)

static Indexer *indexer;
static IndexEntry entry;

static int setup(void **state)
{
    (void)fixture_setup(state);
    assert_true(indexer_open(&fixture.archive, &indexer, &fixture.error));
    indexer_start(indexer, AT(FIRST));
    return 0;
}

static int teardown(void **state)
{
    indexer_close(indexer);
    indexer = NULL;
    return fixture_teardown(state);
}

static void add(SegNo segno)
{
    entry = (IndexEntry){.timeline = 1, .segno = segno, .commits = segno};
    indexer_add(indexer, &entry);
}

static void put(SegNo segno)
{
    fixture_archive(segno, WAL_RAW, false, fixture_wal(AT(segno)), SIZE);
}

static bool is_known(SegNo segno)
{
    IndexFile file = {.loaded = false};
    bool found = index_file_find(&file, &fixture.archive, 1, segno, &entry);
    index_file_free(&file);
    return found;
}

static void wait_known(SegNo segno)
{
    for (int i = 0; i < 5000 && !is_known(segno); i++)
        (void)usleep(1000);
    assert_true(is_known(segno));
}

static void close_indexer(void)
{
    indexer_close(indexer);
    indexer = NULL;
}

static void an_entry_is_written_once_its_segment_has_its_name(void **state)
{
    (void)state;
    put(FIRST);
    put(FIRST + 1);
    add(FIRST);
    add(FIRST + 1);
    (void)usleep(20000);
    assert_false(is_known(FIRST));
    indexer_named(indexer, AT(FIRST + 1) + 5);
    wait_known(FIRST);
    assert_int_equal(entry.commits, FIRST);
    assert_true(entry.modified != 0);
    assert_false(is_known(FIRST + 1));
    indexer_named(indexer, AT(FIRST + 2));
    wait_known(FIRST + 1);
    /* The name may be there before the entry. */
    put(FIRST + 2);
    indexer_named(indexer, AT(FIRST + 3));
    add(FIRST + 2);
    wait_known(FIRST + 2);
}

static void the_end_of_the_run_waits_for_what_has_a_name(void **state)
{
    (void)state;
    put(FIRST);
    put(FIRST + 1);
    add(FIRST);
    add(FIRST + 1);
    indexer_named(indexer, AT(FIRST + 1));
    close_indexer();
    assert_true(is_known(FIRST));
    assert_false(is_known(FIRST + 1));
}

static void what_got_no_name_is_dropped_with_its_stream(void **state)
{
    (void)state;
    put(FIRST);
    add(FIRST);
    indexer_start(indexer, AT(FIRST));
    indexer_named(indexer, AT(FIRST + 1));
    close_indexer();
    assert_false(is_known(FIRST));
}

static void without_a_file_there_is_no_entry(void **state)
{
    (void)state;
    add(FIRST);
    put(FIRST + 1);
    add(FIRST + 1);
    indexer_named(indexer, AT(FIRST + 2));
    wait_known(FIRST + 1);
    assert_false(is_known(FIRST));
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    put(FIRST);
    add(FIRST);
    for (SegNo segno = 100; segno < 10000; segno++)
        add(segno);
    indexer_named(indexer, AT(20000));
    close_indexer();
    assert_true(is_known(FIRST));
}

static void a_disk_that_refuses_is_told_once_and_goes_on(void **state)
{
    (void)state;
    for (SegNo segno = FIRST; segno < FIRST + 4; segno++) {
        put(segno);
        add(segno);
    }
    fake_files_reset();
    fake_files_fail_from(FAKE_PWRITEV, 1, ENOSPC);
    indexer_named(indexer, AT(FIRST + 2));
    for (int i = 0; i < 5000 && fake_files_count(FAKE_PWRITEV) < 2; i++)
        (void)usleep(1000);
    assert_int_equal(fake_files_count(FAKE_PWRITEV), 2);
    fake_files_reset();
    indexer_named(indexer, AT(FIRST + 4));
    wait_known(FIRST + 3);
    assert_false(is_known(FIRST));
}

/* What the checker sees -------------------------------------------------------------------------
 */

#define CAPACITY (5 * RING_EXTENT)

static Ring ring;
static Checker *checker;
static _Alignas(64) uint8_t memory[CAPACITY];
static uint8_t wal[FIXTURE_LENGTH];
static Listing listing;
static Branch branch;

static void ignore(void *context)
{
    (void)context;
}

/* Everything from `begin` on, as a server sends it. */
static void receive(Lsn begin, Lsn upto)
{
    ring_reset(&ring, memory, CAPACITY, begin);
    assert_true(checker_open(&fixture.archive, &ring, VERIFY_ON, indexer, ignore, NULL, &checker,
                             &fixture.error));
    indexer_start(indexer, begin);
    checker_start(checker, 1, begin);
    for (Lsn at = begin; at < upto;) {
        size_t room;
        uint8_t *place = ring_reserve(&ring, &room);
        assert_non_null(place);
        size_t length = upto - at < room ? (size_t)(upto - at) : room;
        memcpy(place, wal + (at - FIXTURE_START), length);
        at = ring_publish(&ring, length);
        checker_reach(checker, at - at % 1000);
    }
    checker_reach(checker, upto);
    checker_close(checker);
    indexer_named(indexer, upto);
    close_indexer();
}

static void lay(void)
{
    for (SegNo segno = FIRST; segno < FIRST + 4; segno++)
        fixture_archive(segno, WAL_RAW, false, wal + (segno - FIRST) * SIZE, SIZE);
    assert_true(listing_make(&fixture.archive, true, true, &listing, &fixture.error));
    assert_true(branch_make(&fixture.archive, &listing, 1, &branch, &fixture.error));
}

static void leave(void)
{
    branch_free(&branch);
    listing_free(&listing);
}

static size_t compared;

static bool compare(void *context, const IndexEntry *expected)
{
    IndexFile file = {.loaded = false};
    (void)context;
    if (index_file_find(&file, &fixture.archive, 1, expected->segno, &entry)) {
        entry.modified = expected->modified;
        assert_memory_equal(&entry, expected, sizeof(entry));
        compared++;
    }
    index_file_free(&file);
    return true;
}

static void compare_all(void)
{
    Archive unindexed = fixture.archive;
    IndexUse use;
    unindexed.private.fd = -1;
    compared = 0;
    assert_true(
        index_visit(&unindexed, &branch, FIRST, FIRST + 3, compare, NULL, &use, &fixture.error));
}

static void the_checker_hands_over_what_the_segments_hold(void **state)
{
    (void)state;
    memcpy(wal, fixture_wal(FIXTURE_START), sizeof(wal));
    lay();
    receive(FIXTURE_START, AT(FIRST + 4) + 5000);
    compare_all();
    assert_int_equal(compared, 4);
    leave();
}

static void a_start_inside_a_record_is_known_as_such(void **state)
{
    (void)state;
    memcpy(wal, fixture_wal(FIXTURE_START), sizeof(wal));
    lay();
    receive(AT(FIRST + 1), AT(FIRST + 3));
    assert_true(is_known(FIRST + 1));
    assert_true(entry.head_unknown);
    assert_int_equal(entry.first_record, fixture_record_from(AT(FIRST + 1)));
    assert_true(is_known(FIRST + 2));
    assert_false(entry.head_unknown);
    leave();
}

static void a_damaged_segment_gets_no_entry(void **state)
{
    (void)state;
    memcpy(wal, fixture_wal(FIXTURE_START), sizeof(wal));
    lay();
    wal[SIZE + SIZE / 2] ^= 1;            /* a record */
    wal[3 * SIZE + SIZE / 2 + 2] ^= 0x40; /* a page header */
    receive(FIXTURE_START, AT(FIRST + 4) + 5000);
    assert_true(is_known(FIRST));
    assert_false(is_known(FIRST + 1));
    assert_true(is_known(FIRST + 2));
    assert_false(is_known(FIRST + 3));
    compare_all();
    assert_int_equal(compared, 2);
    leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_entry_is_written_once_its_segment_has_its_name),
        TEST(the_end_of_the_run_waits_for_what_has_a_name),
        TEST(what_got_no_name_is_dropped_with_its_stream),
        TEST(without_a_file_there_is_no_entry),
        TEST(the_queue_is_bounded),
        TEST(a_disk_that_refuses_is_told_once_and_goes_on),
        TEST(the_checker_hands_over_what_the_segments_hold),
        TEST(a_start_inside_a_record_is_known_as_such),
        TEST(a_damaged_segment_gets_no_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
