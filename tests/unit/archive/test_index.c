/* SPDX-License-Identifier: PostgreSQL
 *
 * The segment index: what an entry says of its records, that whatever happens to its files the
 * answers are those of the WAL, and how little of it is read.
 */
#include "walrx/archive/index.h"

#include "../proto/walmaker.h"
#include "fake_files.h"
#include "fixture.h"
#include "index_internal.h"

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
#define SEGMENTS 5
#define INDEX_FILE ".walrx/index/0000000100000000"

static uint8_t wal[SEGMENTS * SIZE + MAKER_RECORD_MAX];
static WalMaker maker;
static Listing listing;
static Branch branch;
static IndexUse use;
static IndexEntry entries[SEGMENTS]; /* what was visited */
static size_t count;
static size_t stop_after;

/* Main data of `length` bytes. */
static Lsn put_main(uint8_t rmgr, uint8_t info, const uint8_t *data, size_t length)
{
    uint8_t body[1024] = {254};
    for (int i = 0; i < 4; i++)
        body[1 + i] = (uint8_t)(length >> (8 * i));
    memcpy(body + 5, data, length);
    return maker_record_of(&maker, (uint32_t)(WAL_RECORD_HEADER_SIZE + 5 + length), rmgr, info,
                           body);
}

static void put_u64(uint8_t *bytes, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Without xinfo: a commit is info 0x00, an abort 0x20. */
static Lsn put_end(uint8_t info, PgTime time)
{
    uint8_t data[8];
    put_u64(data, (uint64_t)time);
    return put_main(1, info, data, sizeof(data));
}

static Lsn put_point(PgTime time, const char *name)
{
    uint8_t data[8 + WAL_RESTORE_POINT_NAME_SIZE] = {0};
    put_u64(data, (uint64_t)time);
    (void)snprintf((char *)data + 8, WAL_RESTORE_POINT_NAME_SIZE, "%s", name);
    return put_main(0, 0x70, data, sizeof(data));
}

static void fill(uint32_t left)
{
    while (SIZE - maker.length % SIZE > left + 9000)
        (void)maker_record(&maker, 4000, 10, 0);
    while (SIZE - maker.length % SIZE > left)
        (void)maker_record(&maker, 32, 10, 0);
}

/* Segments 5 to 9, the last one a partial; each begins inside a record. */
static void make_wal(PgTime first_time)
{
    memset(wal, 0, sizeof(wal));
    maker = maker_over(wal, sizeof(wal), AT(5), SIZE);
    for (int i = 0; i < SEGMENTS; i++) {
        (void)put_end(0x00, first_time + 100 * i);
        (void)put_end(0x20, first_time + 100 * i + 50);
        if (i == 2)
            (void)put_point(first_time + 777, "before the migration");
        fill(i + 1 < SEGMENTS ? 500 : 90000);
        if (i + 1 < SEGMENTS)
            (void)maker_record(&maker, 3000, 10, 0);
    }
}

static void put(SegNo segno, WalCompression form)
{
    fixture_archive(segno, form, segno == 9, wal + (segno - 5) * SIZE, SIZE);
}

static void put_all(SegNo first)
{
    for (SegNo segno = first; segno <= 9; segno++)
        put(segno, WAL_RAW);
}

static void lay(void)
{
    branch_free(&branch);
    listing_free(&listing);
    if (!listing_make(&fixture.archive, true, true, &listing, &fixture.error) ||
        !branch_make(&fixture.archive, &listing, 0, &branch, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

static int setup(void **state)
{
    (void)fixture_setup(state);
    make_wal(1000);
    put_all(5);
    lay();
    return 0;
}

static int teardown(void **state)
{
    branch_free(&branch);
    listing_free(&listing);
    return fixture_teardown(state);
}

static bool take(void *context, const IndexEntry *entry)
{
    (void)context;
    assert_true(count < SEGMENTS);
    entries[count++] = *entry;
    return count != stop_after;
}

static bool try_visit(SegNo from, SegNo to)
{
    count = 0;
    return index_visit(&fixture.archive, &branch, from, to, take, NULL, &use, &fixture.error);
}

static void visit(SegNo from, SegNo to)
{
    if (!try_visit(from, to))
        fail_msg("%s", fixture.error.message);
}

static void assert_use(uint64_t from_index, uint64_t from_wal, uint64_t kept)
{
    assert_int_equal(use.from_index, from_index);
    assert_int_equal(use.from_wal, from_wal);
    assert_int_equal(use.kept, kept);
}

static void forget_all(void)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, INDEX_FILE);
    (void)remove(path);
}

static void the_second_time_only_the_open_segment_is_read(void **state)
{
    IndexEntry first[SEGMENTS];
    (void)state;
    visit(0, UINT64_MAX);
    assert_int_equal(count, 5);
    assert_use(0, 5, 4);
    memcpy(first, entries, sizeof(first));
    fake_files_reset();
    visit(0, UINT64_MAX);
    assert_use(4, 1, 0);
    first[4].modified = entries[4].modified;
    assert_memory_equal(first, entries, sizeof(first));
    assert_int_equal(entries[0].segno, 5);
    assert_int_equal(entries[0].commits, 1);
    assert_int_equal(entries[0].aborts, 1);
    assert_int_equal(entries[0].first_commit.time, 1000);
    assert_int_equal(entries[0].oldest, 1000);
    assert_int_equal(entries[0].newest, 1050);
    assert_int_equal(entries[0].xid_low, 777);
    assert_int_equal(entries[0].xid_high, 777);
    assert_int_equal(entries[0].first_record, AT(5) + WAL_PAGE_LONG_HEADER);
    assert_true(entries[1].first_record < AT(6));
    assert_int_equal(entries[2].point_count, 1);
    assert_string_equal(entries[2].points[0].name, "before the migration");
    assert_int_equal(entries[2].points[0].time, 1777);
    assert_int_equal(entries[4].last_end, maker_end(&maker));
    assert_int_equal(entries[0].rmgrs[1].records, 2);
    assert_int_equal(entries[0].rmgrs[1].bytes, 2 * (WAL_RECORD_HEADER_SIZE + 5 + 8));
    visit(6, 7);
    assert_int_equal(count, 2);
    assert_use(2, 0, 0);
    stop_after = 2;
    visit(0, UINT64_MAX);
    stop_after = 0;
    assert_int_equal(count, 2);
}

static void only_what_is_missing_is_read(void **state)
{
    (void)state;
    visit(6, 6);
    assert_use(0, 1, 1);
    visit(5, 8);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(entries[i].segno, 5 + i);
    assert_use(1, 3, 3);
}

/* Cut, spoilt or gone: whatever is left of the index, the answers are the same. */
static void whatever_happens_to_the_index_the_answers_stay(void **state)
{
    IndexEntry first[SEGMENTS];
    size_t length;
    (void)state;
    visit(0, 8);
    memcpy(first, entries, sizeof(first));
    uint8_t *bytes = scratch_read(fixture.path, INDEX_FILE, &length);
    assert_non_null(bytes);
    for (size_t cut = 0; cut < length; cut += 37) {
        scratch_write(fixture.path, INDEX_FILE, bytes, cut);
        visit(0, 8);
        assert_int_equal(use.from_index + use.from_wal, 4);
        assert_memory_equal(first, entries, 4 * sizeof(first[0]));
    }
    for (size_t at = 0; at < length; at += 13) {
        bytes[at] ^= 0x55;
        scratch_write(fixture.path, INDEX_FILE, bytes, length);
        bytes[at] ^= 0x55;
        visit(0, 8);
        assert_use(3, 1, 1);
        assert_memory_equal(first, entries, 4 * sizeof(first[0]));
    }
    memset(bytes, 0, length); /* a power cut left it so */
    scratch_write(fixture.path, INDEX_FILE, bytes, length);
    visit(0, 8);
    assert_use(0, 4, 4);
    visit(0, 8);
    assert_use(4, 0, 0);
    free(bytes);
}

/* A crash in the middle of one append, then others go on behind it. */
static void a_torn_entry_loses_only_itself(void **state)
{
    size_t length;
    (void)state;
    visit(5, 5);
    uint8_t *first = scratch_read(fixture.path, INDEX_FILE, &length);
    forget_all();
    visit(6, 8);
    size_t rest_length;
    uint8_t *rest = scratch_read(fixture.path, INDEX_FILE, &rest_length);
    uint8_t *all = malloc(length + rest_length);
    assert_true(first != NULL && rest != NULL && all != NULL);
    for (size_t torn = 1; torn < length; torn++) {
        memcpy(all, first, torn);
        memcpy(all + torn, rest, rest_length);
        scratch_write(fixture.path, INDEX_FILE, all, torn + rest_length);
        visit(5, 8);
        assert_use(3, 1, 1);
    }
    free(first);
    free(rest);
    free(all);
}

static void another_file_under_the_name_is_another_segment(void **state)
{
    (void)state;
    visit(0, 8);
    assert_int_equal(entries[1].first_commit.time, 1100);
    make_wal(5000);
    usleep(20000);
    put(6, WAL_RAW);
    put(7, WAL_RAW);
    visit(6, 7);
    assert_use(0, 2, 2);
    assert_int_equal(entries[0].first_commit.time, 5100);
    visit(6, 7);
    assert_use(2, 0, 0);
    assert_int_equal(entries[0].first_commit.time, 5100);
}

/* As the compressor does it, and gzip. */
static void another_form_with_the_same_date_is_the_same_segment(void **state)
{
    struct stat status;
    char raw[512];
    char packed[512];
    (void)state;
    visit(0, 8);
    (void)snprintf(raw, sizeof(raw), "%s/%s", fixture.path, fixture_name(6, WAL_RAW, false));
    (void)snprintf(packed, sizeof(packed), "%s/%s", fixture.path, fixture_name(6, WAL_LZ4, false));
    put(6, WAL_LZ4);
    assert_int_equal(stat(raw, &status), 0);
    const struct timespec times[2] = {status.st_mtim, status.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, packed, times, 0), 0);
    assert_int_equal(remove(raw), 0);
    lay();
    visit(0, 8);
    assert_use(4, 0, 0);
}

static void a_head_that_was_unknown_is_looked_for_when_it_may_be_there(void **state)
{
    char path[512];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, fixture_name(5, WAL_RAW, false));
    assert_int_equal(remove(path), 0);
    lay();
    visit(6, 6);
    assert_use(0, 1, 1);
    assert_true(entries[0].head_unknown);
    uint64_t without = entries[0].rmgrs[10].records;
    visit(6, 6);
    assert_use(1, 0, 0);
    put(5, WAL_RAW);
    lay();
    visit(6, 6);
    assert_use(0, 1, 1);
    assert_false(entries[0].head_unknown);
    assert_int_equal(entries[0].rmgrs[10].records, without + 1);
    visit(6, 6);
    assert_use(1, 0, 0);
    /* What has been learnt stays when the segment before goes. */
    assert_int_equal(remove(path), 0);
    lay();
    visit(6, 6);
    assert_use(1, 0, 0);
    assert_false(entries[0].head_unknown);
}

/* Its beginning is there, but cannot be read: that is found out each time, and written once. */
static void the_same_entry_is_not_added_again(void **state)
{
    (void)state;
    wal[SIZE / 2] ^= 1;
    put(5, WAL_RAW);
    visit(6, 6);
    assert_use(0, 1, 1);
    assert_true(entries[0].head_unknown);
    size_t size = scratch_size(fixture.path, INDEX_FILE);
    visit(6, 6);
    assert_use(0, 1, 0);
    assert_int_equal(scratch_size(fixture.path, INDEX_FILE), size);
}

static void damage_is_told_behind_what_is_right(void **state)
{
    (void)state;
    wal[2 * SIZE + SIZE / 2] ^= 1;
    put(7, WAL_RAW);
    assert_false(try_visit(5, 9));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_int_equal(count, 2);
    assert_use(0, 2, 2);
}

static void what_cannot_be_kept_is_only_read(void **state)
{
    (void)state;
    for (unsigned nth = 1;; nth++) {
        forget_all();
        fake_files_reset();
        fake_files_fail(FAKE_PWRITEV, nth, ENOSPC);
        visit(5, 8);
        assert_int_equal(count, 4);
        if (!fake_files_struck(NULL))
            break;
        assert_int_equal(use.kept, nth - 1);
    }
    fake_files_reset();
    assert_use(0, 4, 4);
    forget_all();
    int private_fd = fixture.archive.private.fd;
    fixture.archive.private.fd = -1; /* an archive that another program made */
    visit(5, 8);
    fixture.archive.private.fd = private_fd;
    assert_use(0, 4, 0);
    if (geteuid() == 0) {
        assert_int_equal(fchown(private_fd, 1234, (gid_t)-1), 0);
        visit(5, 8);
        assert_use(0, 4, 0);
        assert_int_equal(fchown(private_fd, 0, (gid_t)-1), 0);
    }
    assert_int_equal(scratch_count(fixture.path, ".walrx/index"), 0);
}

/* Reading them fails, at each call that can: then it is as if there were none. */
static void an_index_that_cannot_be_read_is_no_index(void **state)
{
    IndexFile file = {.loaded = false};
    IndexEntry entry;
    unsigned found = 0;
    (void)state;
    visit(5, 8);
    unsigned nth = 1;
    for (;; nth++) {
        fake_files_reset();
        fake_files_fail(FAKE_ANY, nth, EIO);
        if (index_find(&file, &fixture.archive, &branch, 1, 6, &entry))
            found++;
        index_file_free(&file);
        if (!fake_files_struck(NULL))
            break;
    }
    fake_files_reset();
    assert_true(nth > 4);
    assert_true(found >= 1 && found < nth); /* closing may fail */
    assert_true(index_find(&file, &fixture.archive, &branch, 1, 6, &entry));
    index_file_free(&file);
}

static void a_file_beyond_all_bounds_begins_anew(void **state)
{
    char path[512];
    (void)state;
    visit(5, 8);
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, INDEX_FILE);
    assert_int_equal(truncate(path, (off_t)100 << 20), 0);
    visit(5, 8);
    assert_use(0, 4, 4);
    assert_true(scratch_size(fixture.path, INDEX_FILE) < 10000);
    visit(5, 8);
    assert_use(4, 0, 0);
}

static void entries_of_another_cluster_are_not_believed(void **state)
{
    (void)state;
    visit(5, 8);
    fixture.archive.system_identifier++;
    IndexFile file = {.loaded = false};
    IndexEntry entry;
    assert_false(index_find(&file, &fixture.archive, &branch, 1, 6, &entry));
    fixture.archive.system_identifier--;
    index_file_free(&file);
    assert_true(index_find(&file, &fixture.archive, &branch, 1, 6, &entry));
    index_file_free(&file);
}

static void files_are_forgotten_when_all_their_segments_are(void **state)
{
    (void)state;
    static const char *const names[] = {"0000000100000000", "0000000200000001", "0000000100000002",
                                        "readme", "00000001000000zz"};
    scratch_mkdir(fixture.path, ".walrx/index");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), ".walrx/index/%s", names[i]);
        scratch_write(fixture.path, name, "x", 1);
    }
    assert_true(index_forget(&fixture.archive, 4095, &fixture.error));
    assert_int_equal(scratch_count(fixture.path, ".walrx/index"), 5);
    assert_true(index_forget(&fixture.archive, 4096, &fixture.error));
    assert_false(scratch_exists(fixture.path, INDEX_FILE));
    assert_true(index_forget(&fixture.archive, 3 * 4096 - 1, &fixture.error));
    assert_false(scratch_exists(fixture.path, ".walrx/index/0000000200000001"));
    assert_true(scratch_exists(fixture.path, ".walrx/index/0000000100000002"));
    assert_true(scratch_exists(fixture.path, ".walrx/index/readme"));
    assert_true(scratch_exists(fixture.path, ".walrx/index/00000001000000zz"));
}

/* Building --------------------------------------------------------------------------------------
 */

static IndexBuilder builder;

static void feed(uint8_t rmgr, uint8_t info, uint32_t xid, uint32_t inner_xid, const uint8_t *body,
                 size_t length)
{
    static Lsn lsn = AT(5);
    WalRecordHeader header = {.total_length = (uint32_t)(WAL_RECORD_HEADER_SIZE + length),
                              .xid = xid,
                              .info = info,
                              .rmgr = rmgr,
                              .inner_xid = inner_xid};
    WalkRecord record = {.lsn = lsn,
                         .end = lsn + 100,
                         .timeline = 1,
                         .segno = 5,
                         .major = 15,
                         .header = &header,
                         .body = body,
                         .length = length};
    lsn += 104;
    index_record(&builder, &record);
}

static void feed_end(uint8_t info, uint32_t xid, uint32_t inner_xid, PgTime time)
{
    uint8_t body[2 + 8] = {255, 8};
    put_u64(body + 2, (uint64_t)time);
    feed(1, info, xid, inner_xid, body, sizeof(body));
}

static void xids_are_a_range_on_their_circle(void **state)
{
    const IndexEntry *entry = &builder.entry;
    (void)state;
    index_begin(&builder, 1, 5);
    feed_end(0x00, UINT32_MAX - 5, 0, 900);
    feed_end(0x20, 4, 0, 800);
    feed_end(0x00, UINT32_MAX, 0, 1000);
    assert_int_equal(entry->xid_low, UINT32_MAX - 5);
    assert_int_equal(entry->xid_high, 4);
    assert_int_equal(entry->oldest, 800);
    assert_int_equal(entry->newest, 1000);
    feed_end(0x30, 0, UINT32_MAX - 100, 850); /* prepared */
    assert_int_equal(entry->xid_low, UINT32_MAX - 100);
    assert_int_equal(entry->commits, 3);
    assert_int_equal(entry->aborts, 1);
    assert_int_equal(entry->first_commit.time, 900);
    assert_int_equal(entry->last_commit.time, 850);
}

static void of_many_restore_points_the_first_are_kept(void **state)
{
    uint8_t buffer[INDEX_ENTRY_MAX];
    IndexPlace place;
    IndexEntry read;
    uint8_t body[2 + 8 + WAL_RESTORE_POINT_NAME_SIZE] = {255, 8 + WAL_RESTORE_POINT_NAME_SIZE};
    (void)state;
    index_begin(&builder, 1, 5);
    for (int i = 0; i < 300; i++) {
        memset(body + 10, 'a' + i % 26, WAL_RESTORE_POINT_NAME_SIZE - 1);
        feed(0, 0x70, 0, 0, body, sizeof(body));
        feed((uint8_t)i, 0xF0, 0, 0, NULL, 0);
    }
    assert_int_equal(builder.entry.point_count, 300);
    size_t length = index_encode(&fixture.archive, &builder.entry, buffer);
    assert_true(length < INDEX_ENTRY_MAX);
    assert_true(index_next(&fixture.archive, buffer, length, 0, &place));
    assert_int_equal(place.begin, 0);
    assert_int_equal(place.length, length);
    assert_int_equal(place.segno, 5);
    assert_true(index_decode(buffer, length, &read));
    assert_memory_equal(&read, &builder.entry, sizeof(read));
    assert_int_equal(read.points[15].name[0], 'p');
    assert_int_equal(read.rmgrs[200].records, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_second_time_only_the_open_segment_is_read),
        TEST(only_what_is_missing_is_read),
        TEST(whatever_happens_to_the_index_the_answers_stay),
        TEST(a_torn_entry_loses_only_itself),
        TEST(another_file_under_the_name_is_another_segment),
        TEST(another_form_with_the_same_date_is_the_same_segment),
        TEST(a_head_that_was_unknown_is_looked_for_when_it_may_be_there),
        TEST(the_same_entry_is_not_added_again),
        TEST(damage_is_told_behind_what_is_right),
        TEST(what_cannot_be_kept_is_only_read),
        TEST(an_index_that_cannot_be_read_is_no_index),
        TEST(a_file_beyond_all_bounds_begins_anew),
        TEST(entries_of_another_cluster_are_not_believed),
        TEST(files_are_forgotten_when_all_their_segments_are),
        TEST(xids_are_a_range_on_their_circle),
        TEST(of_many_restore_points_the_first_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
