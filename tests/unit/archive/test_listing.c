/* SPDX-License-Identifier: PostgreSQL
 *
 * Listings of archives made by hand: ranges, gaps, branches and leftovers by names alone (empty
 * files do), and commits in WAL that is made here, with records where they are hard to find.
 */
#include "walrx/archive/listing.h"

#include "../proto/walmaker.h"
#include "fake_files.h"
#include "fixture.h"
#include "listing_internal.h"
#include "walrx/archive/gap.h"
#include "walrx/archive/index.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE FIXTURE_SIZE
#define AT(segno) ((Lsn)(segno)*SIZE)

static Listing listing;

static void make(void)
{
    listing_free(&listing);
    if (!listing_make(&fixture.archive, true, true, &listing, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

static int teardown(void **state)
{
    listing_free(&listing);
    return fixture_teardown(state);
}

static void put(Timeline timeline, SegNo segno, WalCompression form, bool partial)
{
    char name[WAL_FILE_NAME_SIZE];
    scratch_write(fixture.path, wal_segment_name(timeline, segno, SIZE, form, partial, name), "x",
                  1);
}

static void put_range(Timeline timeline, SegNo first, SegNo last)
{
    for (SegNo segno = first; segno <= last; segno++)
        put(timeline, segno, WAL_ZSTD, false);
}

static void put_history(Timeline timeline, const char *text)
{
    char name[WAL_FILE_NAME_SIZE];
    scratch_write(fixture.path, wal_history_name(timeline, name), text, strlen(text));
}

static void assert_range(size_t index, SegNo first, SegNo last)
{
    assert_true(index < listing.range_count);
    assert_int_equal(listing.ranges[index].first, first);
    assert_int_equal(listing.ranges[index].last, last);
}

static void assert_gap(size_t index, Timeline timeline, SegNo from, Timeline behind, SegNo to,
                       ListingGapState state)
{
    assert_true(index < listing.gap_count);
    const ListingGap *gap = &listing.gaps[index];
    assert_int_equal(gap->timeline, timeline);
    assert_int_equal(gap->behind, behind);
    assert_int_equal(gap->begin, AT(from));
    assert_int_equal(gap->end, AT(to));
    assert_int_equal(gap->state, state);
}

static void nothing_gives_nothing(void **state)
{
    (void)state;
    make();
    assert_int_equal(listing.timeline_count, 0);
    assert_int_equal(listing.gap_count, 0);
    assert_int_equal(listing.unbroken_timeline, 0);
    assert_int_equal(listing.segments, 0);
    assert_int_equal(listing.foreign.files, 0);
}

static void ranges_end_at_holes_whatever_the_forms(void **state)
{
    (void)state;
    put(1, 5, WAL_RAW, false);
    put(1, 6, WAL_GZIP, false);
    put(1, 7, WAL_LZ4, false);
    put(1, 7, WAL_RAW, false);
    put(1, 9, WAL_ZSTD, false);
    put(1, 10, WAL_RAW, true);
    put(1, 10, WAL_GZIP, true);
    put(1, 6, WAL_RAW, true);
    make();
    assert_int_equal(listing.range_count, 2);
    assert_range(0, 5, 7);
    assert_range(1, 9, 9);
    assert_int_equal(listing.gap_count, 1);
    assert_gap(0, 1, 8, 1, 9, LISTING_GAP_UNEXPLAINED);
    assert_int_equal(listing.segments, 4);
    assert_int_equal(listing.disk_bytes, 5);
    assert_int_equal(listing.forms[WAL_RAW].files, 2);
    assert_int_equal(listing.duplicates.files, 1);
    assert_int_equal(listing.partials.files, 3);
    assert_int_equal(listing.stale.files, 2);
    assert_int_equal(listing.odd.files, 2); /* raw ones of one byte */
    const ListingTimeline *timeline = listing_timeline(&listing, 1);
    assert_non_null(timeline);
    assert_null(listing_timeline(&listing, 2));
    assert_true(timeline->open.exists && timeline->open.examined);
    assert_int_equal(timeline->open.segno, 10);
    assert_int_equal(timeline->open.form, WAL_RAW);
    assert_int_equal(timeline->open.proven_begin, timeline->open.proven_end);
    assert_int_equal(listing.unbroken_begin, AT(9));
}

static void a_hole_before_the_open_segment_is_a_gap(void **state)
{
    (void)state;
    put_range(1, 5, 6);
    put(1, 7, WAL_RAW, true);
    make();
    assert_int_equal(listing.gap_count, 0);
    put(1, 9, WAL_RAW, true);
    make();
    assert_int_equal(listing.gap_count, 1);
    assert_gap(0, 1, 7, 1, 9, LISTING_GAP_UNEXPLAINED);
    assert_int_equal(listing.unbroken_begin, AT(9));
    assert_int_equal(listing.stale.files, 1);
}

static void record(Timeline timeline, SegNo begin, SegNo end)
{
    Gap gap = {.timeline = timeline, .begin = AT(begin), .end = AT(end)};
    assert_true(gap_record(&fixture.archive, &gap, "2026-03-01T12:00:00.123Z", &fixture.error));
}

static void records_explain_the_gaps_they_cover(void **state)
{
    (void)state;
    put_range(1, 5, 6);
    put_range(1, 12, 13);
    put_range(1, 15, 15);
    record(1, 7, 10);
    make();
    assert_gap(0, 1, 7, 1, 12, LISTING_GAP_UNEXPLAINED);
    record(1, 10, 12); /* both together */
    record(2, 14, 15); /* another timeline's */
    record(1, 20, 24); /* begins behind the end: the next start does not go by it */
    make();
    assert_int_equal(listing.gap_count, 2);
    assert_gap(0, 1, 7, 1, 12, LISTING_GAP_RECORDED);
    assert_gap(1, 1, 14, 1, 15, LISTING_GAP_UNEXPLAINED);
}

static void of_records_ahead_the_newest_counts(void **state)
{
    (void)state;
    put_range(1, 5, 6);
    record(1, 7, 10);
    record(1, 7, 12);
    make();
    assert_int_equal(listing.gap_count, 1);
    assert_gap(0, 1, 7, 1, 12, LISTING_GAP_AHEAD);
    put_range(1, 7, 7); /* what was missing has been found elsewhere */
    make();
    assert_int_equal(listing.gap_count, 0);
}

static void timelines_are_joined_where_they_were_left(void **state)
{
    (void)state;
    put_range(1, 5, 8);
    put(1, 9, WAL_RAW, true);
    put_range(2, 9, 11);
    put_history(2, "1\t0/980000\tno recovery target specified\n");
    make();
    assert_int_equal(listing.gap_count, 0);
    assert_int_equal(listing.timelines[0].next, 2);
    assert_int_equal(listing.timelines[0].left_at, 0x980000);
    assert_int_equal(listing.timelines[1].next, 0);
    assert_true(listing.timelines[1].has_history);
    assert_int_equal(listing.timelines[0].branch, LISTING_BRANCH_CURRENT);
    assert_int_equal(listing.unbroken_timeline, 1);
    assert_int_equal(listing.unbroken_begin, AT(5));
    assert_int_equal(listing.histories.files, 1);
}

static void a_hole_between_timelines_is_a_gap(void **state)
{
    (void)state;
    put_range(1, 5, 6);
    put_range(2, 10, 11);
    put_history(2, "1\t0/980000\tno recovery target specified\n");
    make();
    assert_int_equal(listing.gap_count, 1);
    assert_gap(0, 1, 7, 2, 10, LISTING_GAP_UNEXPLAINED);
    record(1, 7, 10);
    make();
    assert_gap(0, 1, 7, 2, 10, LISTING_GAP_RECORDED);
    assert_int_equal(listing.unbroken_timeline, 2);
    assert_int_equal(listing.unbroken_begin, AT(10));
}

/* What timeline 1 wrote behind the fork is on no way to the newest WAL, its holes included. */
static void dead_ends_do_not_break_the_branch(void **state)
{
    (void)state;
    put_range(1, 5, 12);
    put_range(1, 15, 15);
    put_range(2, 9, 9);
    put_range(3, 8, 11);
    put_history(2, "1\t0/980000\tx\n");
    put_history(3, "1\t0/880000\tx\n");
    make();
    assert_int_equal(listing.gap_count, 1);
    assert_gap(0, 1, 13, 1, 15, LISTING_GAP_UNEXPLAINED);
    assert_int_equal(listing.timelines[1].branch, LISTING_BRANCH_DEAD);
    assert_int_equal(listing.timelines[0].next, 3);
    assert_int_equal(listing.unbroken_timeline, 1);
    assert_int_equal(listing.unbroken_begin, AT(5));
}

static void two_promotions_in_one_segment_are_no_gap(void **state)
{
    (void)state;
    put_range(1, 5, 8);
    put(2, 9, WAL_RAW, true);
    put_range(3, 9, 11);
    put_history(2, "1\t0/900100\tx\n");
    put_history(3, "1\t0/900100\tx\n\n2\t0/900200\tx\n");
    make();
    assert_int_equal(listing.gap_count, 0);
    assert_int_equal(listing.unbroken_begin, AT(5));
    assert_int_equal(listing.timelines[1].next, 3);
}

static void without_a_history_the_newest_timeline_stands_alone(void **state)
{
    (void)state;
    put_range(1, 5, 6);
    put_range(2, 9, 11);
    make();
    assert_int_equal(listing.timelines[0].branch, LISTING_BRANCH_UNKNOWN);
    assert_int_equal(listing.gap_count, 0);
    assert_int_equal(listing.unbroken_begin, AT(9));
    put_history(2, "1\tnonsense\n");
    make();
    assert_false(listing.timelines[1].has_history);
    assert_int_equal(listing.timelines[0].branch, LISTING_BRANCH_UNKNOWN);
    assert_non_null(strstr(listing.unreadable.message, "00000002.history"));
}

static void strangers_are_counted(void **state)
{
    (void)state;
    put_range(1, 5, 5);
    scratch_write(fixture.path, "0000000100000000FFFFFFFF", "abc", 3); /* of smaller segments */
    scratch_write(fixture.path, "readme", "ab", 2);
    scratch_write(fixture.path, ".walrx/spare.tmp", "abcd", 4);
    scratch_mkdir(fixture.path, ".walrx/quarantine");
    scratch_write(fixture.path, ".walrx/quarantine/x", "abcde", 5);
    make();
    assert_int_equal(listing.range_count, 1);
    assert_int_equal(listing.foreign.files, 2);
    assert_int_equal(listing.foreign.disk_bytes, 5);
    assert_int_equal(listing.temporary.disk_bytes, 4);
    assert_int_equal(listing.quarantine.files, 1);
    assert_int_equal(listing.quarantine.disk_bytes, 5);
}

/* The names were read while a receiver renamed: 6 and 8 showed under neither of their names. */
static void small_holes_are_looked_at_again_by_name(void **state)
{
    static const SegNo seen[] = {5, 7};
    FileList files = {.items = calloc(64, sizeof(ListedFile)), .capacity = 64};
    (void)state;
    assert_non_null(files.items);
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
        files.items[files.count++] =
            (ListedFile){.segno = seen[i], .timeline = 1, .form = WAL_ZSTD, .disk_bytes = 1};
    files.items[files.count++] = (ListedFile){.segno = 9, .timeline = 1, .partial = true};
    put(1, 6, WAL_RAW, false);
    put(1, 8, WAL_LZ4, false);
    listing_free(&listing);
    listing = (Listing){.known = true, .segment_size = SIZE};
    assert_true(listing_ranges(&fixture.archive, &files, &listing, &fixture.error));
    assert_int_equal(listing.range_count, 1);
    assert_range(0, 5, 8);
    assert_int_equal(listing.segments, 4);
    assert_int_equal(listing.stale.files, 0);
    assert_int_equal(listing.timelines[0].open.segno, 9);
    free(files.items);
}

/* Commits ---------------------------------------------------------------------------------------
 */

#define WAL_SEGMENTS 4

static uint8_t wal[WAL_SEGMENTS * SIZE + MAKER_RECORD_MAX];
static WalMaker maker;

static void begin_wal(void)
{
    memset(wal, 0, sizeof(wal));
    maker = maker_over(wal, sizeof(wal), AT(5), SIZE);
}

/* Records that are no commits, until the segment has `left` bytes or a little less. */
static void fill(uint32_t left)
{
    while (SIZE - maker.length % SIZE > left + 9000)
        (void)maker_record(&maker, 4000, 10, 0);
    while (SIZE - maker.length % SIZE > left)
        (void)maker_record(&maker, 32, 10, 0);
}

/* A commit at that time: the maker's bytes, made anew with the right checksum. `extra` bytes of
 * main data follow the time. */
static Lsn put_commit(PgTime time, uint32_t extra)
{
    uint8_t info = maker.length % 2 == 0 ? 0x00 : 0x80;
    uint32_t length = WAL_RECORD_HEADER_SIZE + 5 + 8 + extra;
    uint8_t body[MAKER_RECORD_MAX] = {254};
    uint32_t data = 8 + extra;
    for (int i = 0; i < 4; i++)
        body[1 + i] = (uint8_t)(data >> (8 * i));
    for (int i = 0; i < 8; i++)
        body[5 + i] = (uint8_t)((uint64_t)time >> (8 * i));
    return maker_record_of(&maker, length, 1, info, body);
}

static void archive_wal(SegNo first, SegNo last, bool last_is_partial)
{
    for (SegNo segno = first; segno <= last; segno++)
        fixture_archive(segno, WAL_LZ4, last_is_partial && segno == last, wal + (segno - 5) * SIZE,
                        SIZE);
}

static void the_first_and_the_last_commit_are_found(void **state)
{
    (void)state;
    begin_wal();
    fill(100000);
    Lsn first = put_commit(1000, 0);
    (void)put_commit(2000, 10);
    fill(8000);
    (void)maker_record(&maker, 30000, 10, 0); /* into the next segment */
    (void)put_commit(3000, 0);
    Lsn last = put_commit(2500, 700); /* clocks go back, and only its head is looked at */
    fill(5000);
    archive_wal(5, 6, true);
    make();
    assert_true(listing.oldest.found && listing.newest.found);
    assert_int_equal(listing.oldest.lsn, first);
    assert_int_equal(listing.oldest.time, 1000);
    assert_int_equal(listing.oldest.searched, 1);
    assert_int_equal(listing.newest.lsn, last);
    assert_int_equal(listing.newest.time, 2500);
    assert_int_equal(listing.newest.searched, 1);
    assert_int_equal(listing.timelines[0].open.proven_end, maker_end(&maker));
    assert_int_equal(listing.unreadable.class, ERROR_NONE);
}

/* The only commit begins in one segment and ends in the next. */
static void a_commit_across_two_segments_is_found(void **state)
{
    (void)state;
    begin_wal();
    fill(64);
    Lsn only = put_commit(1234, 200);
    assert_true(only < AT(6) && maker_end(&maker) > AT(6));
    fill(1000);
    archive_wal(5, 6, true);
    make();
    assert_int_equal(listing.newest.lsn, only);
    assert_int_equal(listing.newest.time, 1234);
    assert_int_equal(listing.newest.searched, 1); /* it is found where it ends */
    assert_int_equal(listing.oldest.lsn, only);
    /* Its end is missing: it is not committed as far as this archive goes. */
    scratch_write(fixture.path, fixture_name(6, WAL_LZ4, true), "", 0);
    make();
    assert_false(listing.newest.found);
    assert_false(listing.oldest.found);
    /* The same with a complete segment behind it. */
    archive_wal(6, 6, false);
    make();
    assert_int_equal(listing.newest.lsn, only);
    assert_int_equal(listing.newest.searched, 1);
    assert_int_equal(listing.oldest.lsn, only);
}

static void commits_are_not_looked_for_behind_a_gap(void **state)
{
    (void)state;
    begin_wal();
    (void)put_commit(1000, 0);
    (void)maker_switch(&maker);
    (void)put_commit(2000, 0);
    (void)maker_switch(&maker);
    (void)maker_record(&maker, 100, 10, 0);
    (void)maker_switch(&maker);
    archive_wal(5, 5, false);
    archive_wal(7, 7, false);
    make();
    assert_int_equal(listing.gap_count, 1);
    assert_int_equal(listing.oldest.time, 1000);
    assert_false(listing.oldest_unbroken.found);
    assert_int_equal(listing.oldest_unbroken.searched, 1);
    assert_false(listing.newest.found);
    assert_int_equal(listing.newest.searched, 1);
    archive_wal(6, 6, false);
    make();
    assert_int_equal(listing.newest.time, 2000);
    assert_int_equal(listing.newest.searched, 2);
    assert_int_equal(listing.oldest_unbroken.time, 1000);
}

static bool take_entry(void *context, const IndexEntry *entry)
{
    (void)context;
    (void)entry;
    return true;
}

/* Keeps its date. */
static void spoil(const char *name)
{
    struct stat status;
    int fd = openat(fixture.archive.dir.fd, name, O_WRONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    assert_int_equal(pwrite(fd, "spoilt", 6, SIZE / 2), 6);
    const struct timespec times[2] = {status.st_mtim, status.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    (void)close(fd);
}

/* Segments without a commit are not decoded again, once the index knows them. */
static void what_the_index_knows_is_not_read(void **state)
{
    Branch branch;
    IndexUse use;
    (void)state;
    begin_wal();
    fill(5000);
    (void)maker_switch(&maker);
    Lsn only = put_commit(1000, 0);
    fill(5000);
    (void)maker_switch(&maker);
    fill(5000);
    (void)maker_switch(&maker);
    (void)maker_record(&maker, 100, 10, 0);
    for (SegNo segno = 5; segno <= 8; segno++)
        fixture_archive(segno, WAL_RAW, segno == 8, wal + (segno - 5) * SIZE, SIZE);
    make();
    assert_int_equal(listing.oldest.searched, 2);
    assert_int_equal(listing.newest.searched, 3);
    assert_true(branch_make(&fixture.archive, &listing, 0, &branch, &fixture.error));
    assert_true(
        index_visit(&fixture.archive, &branch, 0, 8, take_entry, NULL, &use, &fixture.error));
    branch_free(&branch);
    assert_int_equal(use.kept, 3);
    for (SegNo segno = 5; segno <= 7; segno++)
        spoil(fixture_name(segno, WAL_RAW, false));
    make();
    assert_int_equal(listing.unreadable.class, ERROR_NONE);
    assert_int_equal(listing.oldest.lsn, only);
    assert_int_equal(listing.oldest.time, 1000);
    assert_int_equal(listing.oldest.timeline, 1);
    assert_int_equal(listing.oldest.searched, 2);
    assert_int_equal(listing.newest.lsn, only);
    assert_int_equal(listing.newest.searched, 3);
    scratch_write(fixture.path, ".walrx/index/0000000100000000", "", 0);
    make();
    assert_non_null(strstr(listing.unreadable.message, "is damaged at 0/5"));
}

static void damage_is_told_and_passed_over(void **state)
{
    (void)state;
    begin_wal();
    (void)put_commit(1000, 0);
    fill(2000);
    (void)maker_switch(&maker);
    (void)put_commit(2000, 0);
    fill(2000);
    archive_wal(5, 6, false);
    wal[30] ^= 1; /* inside of the first record */
    archive_wal(5, 5, false);
    make();
    assert_int_equal(listing.oldest.time, 2000);
    assert_int_equal(listing.oldest.searched, 2);
    assert_non_null(strstr(listing.unreadable.message, "damaged"));
}

static void a_failing_disk_is_an_error_or_told(void **state)
{
    (void)state;
    begin_wal();
    (void)put_commit(1000, 0);
    fill(2000);
    archive_wal(5, 5, false);
    fake_files_reset();
    make();
    unsigned reads = fake_files_count(FAKE_PREAD);
    assert_true(reads > 0);
    for (unsigned nth = 1; nth <= reads; nth++) {
        fake_files_reset();
        fake_files_fail_from(FAKE_PREAD, nth, EIO);
        make();
        assert_true(listing.unreadable.class == ERROR_STORAGE);
    }
    for (unsigned nth = 1; nth <= 2; nth++) {
        Listing failed;
        fake_files_reset();
        fake_files_fail_from(FAKE_OPENAT, nth, EMFILE);
        bool ok = listing_make(&fixture.archive, true, true, &failed, &fixture.error);
        assert_true(!ok || failed.unreadable.class != ERROR_NONE);
        listing_free(&failed);
    }
}

static void opening_to_read_takes_no_lock_and_changes_nothing(void **state)
{
    Archive second;
    bool loaded;
    (void)state;
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_true(
        archive_open_to_read(fixture.path, fake_files_table(), &second, &loaded, &fixture.error));
    assert_true(second.bound && loaded);
    assert_int_equal(second.system_identifier, MAKER_SYSTEM);
    assert_int_equal(second.segment_size, SIZE);
    archive_close(&second);
    assert_true(scratch_fingerprint(fixture.path) == before);
    assert_false(archive_open_to_read("/nonexistent/x", fake_files_table(), &second, &loaded,
                                      &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_USAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_gives_nothing),
        TEST(ranges_end_at_holes_whatever_the_forms),
        TEST(a_hole_before_the_open_segment_is_a_gap),
        TEST(records_explain_the_gaps_they_cover),
        TEST(of_records_ahead_the_newest_counts),
        TEST(timelines_are_joined_where_they_were_left),
        TEST(a_hole_between_timelines_is_a_gap),
        TEST(dead_ends_do_not_break_the_branch),
        TEST(two_promotions_in_one_segment_are_no_gap),
        TEST(without_a_history_the_newest_timeline_stands_alone),
        TEST(strangers_are_counted),
        TEST(small_holes_are_looked_at_again_by_name),
        TEST(the_first_and_the_last_commit_are_found),
        TEST(a_commit_across_two_segments_is_found),
        TEST(commits_are_not_looked_for_behind_a_gap),
        TEST(what_the_index_knows_is_not_read),
        TEST(damage_is_told_and_passed_over),
        TEST(a_failing_disk_is_an_error_or_told),
        TEST(opening_to_read_takes_no_lock_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
