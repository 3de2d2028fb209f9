/* SPDX-License-Identifier: PostgreSQL
 *
 * The joint between archived and received WAL: the same WAL goes on, whatever lies on the joint and
 * in whatever pieces it comes; other WAL is refused, whatever makes it differ.
 */
#include "walrx/archive/joint.h"

#include "fake_files.h"
#include "fixture.h"

#include "../proto/walmaker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEGNO FIXTURE_SEGNO
#define JOINT (FIXTURE_START + FIXTURE_SIZE) /* the archived segment ends here */
#define CAPACITY (3 * (size_t)FIXTURE_SIZE)
#define LONG_RECORD 60000

static Joint joint;
static uint8_t ours[CAPACITY];
static uint8_t theirs[CAPACITY];

static WalMaker maker_at_start(uint8_t *data)
{
    return maker_over(data, CAPACITY, FIXTURE_START, FIXTURE_SIZE);
}

/* Records up to a record that ends `left` bytes before the joint. */
static void fill_segment(WalMaker *maker, uint32_t left)
{
    while (maker_end(maker) < JOINT - WAL_PAGE_SIZE)
        maker_fill_page(maker, 0);
    if (left < WAL_PAGE_SIZE)
        maker_fill_page(maker, left);
}

static void prepare(Lsn lsn)
{
    if (!joint_prepare(&fixture.archive, 1, lsn, &joint, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

static void archive_and_prepare(const uint8_t *wal)
{
    fixture_archive(SEGNO, WAL_RAW, false, wal, FIXTURE_SIZE);
    prepare(JOINT);
    assert_int_equal(joint.unchecked.class, ERROR_NONE);
    assert_true(joint.active);
}

/* Feeds pieces until the joint is settled; false when it was refused. */
static bool feed(const uint8_t *wal, size_t length, size_t piece)
{
    for (size_t at = 0; at < length && joint.active; at += piece) {
        size_t count = length - at < piece ? length - at : piece;
        if (!joint_feed(&joint, wal + at, count, &fixture.error))
            return false;
    }
    return true;
}

static void expect_accepted(const WalMaker *maker)
{
    static const size_t pieces[] = {1, 7, 24, 8192, 131072, CAPACITY};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        archive_and_prepare(maker->data);
        if (!feed(maker->data + FIXTURE_SIZE, maker->length - FIXTURE_SIZE, pieces[i]))
            fail_msg("%s: %s", fixture.error.message, fixture.error.detail);
        assert_false(joint.active);
    }
}

/* `mine` is archived, the server sends `other`. */
static void expect_refused(const WalMaker *mine, const WalMaker *other)
{
    static const size_t pieces[] = {1, 8192, CAPACITY};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        archive_and_prepare(mine->data);
        assert_false(feed(other->data + FIXTURE_SIZE, other->length - FIXTURE_SIZE, pieces[i]));
        assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
        assert_non_null(strstr(fixture.error.message, fixture_name(SEGNO, WAL_RAW, false)));
        assert_non_null(strstr(fixture.error.message, "0/600000"));
        assert_true(fixture.error.hint[0] != '\0');
    }
}

static void without_a_segment_before_nothing_is_asked(void **state)
{
    (void)state;
    prepare(JOINT);
    assert_false(joint.active);
    prepare(0);
    assert_false(joint.active);
    fixture_archive(SEGNO - 1, WAL_RAW, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    fixture_archive(SEGNO, WAL_RAW, true, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    prepare(JOINT);
    assert_false(joint.active);
    assert_int_equal(joint.unchecked.class, ERROR_NONE);
}

static void a_segment_of_another_timeline_is_not_before(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    assert_true(joint_prepare(&fixture.archive, 2, JOINT, &joint, &fixture.error));
    assert_false(joint.active);
}

static void every_form_is_followed(void **state)
{
    (void)state;
    for (int form = WAL_COMPRESSION_COUNT - 1; form >= 0; form--) {
        fixture_archive(SEGNO, (WalCompression)form, false, fixture_wal(FIXTURE_START),
                        FIXTURE_SIZE);
        prepare(JOINT);
        assert_true(joint.active);
        assert_true(feed(fixture_wal(JOINT), FIXTURE_SIZE, 100));
        assert_false(joint.active);
        prepare(JOINT);
        assert_false(feed(fixture_wal(FIXTURE_START), FIXTURE_SIZE, 100));
    }
}

static void a_record_over_the_joint_is_accepted(void **state)
{
    WalMaker maker = maker_at_start(ours);
    (void)state;
    fill_segment(&maker, 5000);
    (void)maker_record(&maker, LONG_RECORD, 10, 0);
    expect_accepted(&maker);
}

static void a_header_over_the_joint_is_accepted(void **state)
{
    WalMaker maker = maker_at_start(ours);
    (void)state;
    fill_segment(&maker, 8);
    (void)maker_record(&maker, 100, 10, 0);
    expect_accepted(&maker);
}

static void a_record_that_begins_at_the_joint_is_accepted(void **state)
{
    WalMaker maker = maker_at_start(ours);
    (void)state;
    fill_segment(&maker, 0);
    assert_true(maker_end(&maker) == JOINT);
    (void)maker_record(&maker, 100, 10, 0);
    expect_accepted(&maker);
}

static void a_switch_anywhere_in_the_segment_is_accepted(void **state)
{
    static const uint32_t records[] = {0, 1, 60};
    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        WalMaker maker = maker_at_start(ours);
        for (uint32_t n = 0; n < records[i]; n++)
            maker_fill_page(&maker, 0);
        (void)maker_switch(&maker);
        assert_true(maker_end(&maker) == JOINT);
        (void)maker_record(&maker, 100, 10, 0);
        expect_accepted(&maker);
    }
}

static void only_the_first_record_behind_the_joint_decides(void **state)
{
    WalMaker maker = maker_at_start(ours);
    (void)state;
    fill_segment(&maker, 0);
    (void)maker_record(&maker, 100, 10, 0);
    Lsn second = maker_record(&maker, 100, 10, 0);
    ours[second - FIXTURE_START + 50] ^= 1;
    expect_accepted(&maker);
}

/* The aborted record began in the archived segment; the server has restarted since. */
static void a_record_the_server_gave_up_is_accepted(void **state)
{
    WalMaker maker = maker_at_start(ours);
    (void)state;
    fill_segment(&maker, 5000);
    Lsn before = maker.previous;
    (void)maker_record(&maker, LONG_RECORD, 10, 0);
    maker.length = FIXTURE_SIZE;
    maker.previous = before;
    maker.extra_flags = WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD;
    (void)maker_record(&maker, 100, 0, 0xD0);
    expect_accepted(&maker);
}

static void a_record_longer_than_the_segment_is_accepted(void **state)
{
    WalPageHeader header = {.magic = 0xD110, .timeline = 1};
    (void)state;
    memset(ours, 'x', CAPACITY);
    for (size_t at = 0; at <= FIXTURE_SIZE; at += WAL_PAGE_SIZE) {
        header.address = FIXTURE_START + at;
        header.info = WAL_PAGE_FIRST_IS_CONTRECORD;
        if (at % FIXTURE_SIZE == 0) {
            header.info |= WAL_PAGE_LONG;
            header.system_identifier = MAKER_SYSTEM;
            header.segment_size = FIXTURE_SIZE;
            header.block_size = WAL_PAGE_SIZE;
        }
        /* 1000 bytes are on the page behind the joint */
        size_t pages = (FIXTURE_SIZE - at) / WAL_PAGE_SIZE;
        size_t headers = pages * WAL_PAGE_SHORT_HEADER + (at == 0 ? 16 : 0);
        header.remaining = (uint32_t)(pages * WAL_PAGE_SIZE - headers + 1000);
        assert_true(wal_page_encode(&header, ours + at, CAPACITY - at) > 0);
    }
    WalMaker maker = maker_at_start(ours);
    maker.length = FIXTURE_SIZE + WAL_PAGE_LONG_HEADER + 1000;
    maker.previous = FIXTURE_START - 100;
    (void)maker_record(&maker, 100, 10, 0);
    expect_accepted(&maker);

    WalMaker other = maker_at_start(theirs);
    fill_segment(&other, 0);
    (void)maker_record(&other, 100, 10, 0);
    expect_refused(&maker, &other);
}

static void another_previous_record_is_refused(void **state)
{
    WalMaker mine = maker_at_start(ours);
    WalMaker other = maker_at_start(theirs);
    (void)state;
    fill_segment(&mine, 0);
    fill_segment(&other, 1000);
    (void)maker_record(&other, 1000, 10, 0);
    assert_true(maker_end(&mine) == JOINT && maker_end(&other) == JOINT);
    (void)maker_record(&other, 100, 10, 0);
    expect_refused(&mine, &other);
    assert_non_null(strstr(fixture.error.detail, "as the one before it instead of"));
}

static void another_switch_is_refused(void **state)
{
    WalMaker mine = maker_at_start(ours);
    WalMaker other = maker_at_start(theirs);
    (void)state;
    maker_fill_page(&mine, 0);
    (void)maker_switch(&mine);
    (void)maker_switch(&other);
    (void)maker_record(&other, 100, 10, 0);
    expect_refused(&mine, &other);
    expect_refused(&other, &(WalMaker){.data = ours, .length = CAPACITY}); /* zeros */
}

static void a_record_that_goes_on_only_there_or_only_here_is_refused(void **state)
{
    WalMaker mine = maker_at_start(ours);
    WalMaker other = maker_at_start(theirs);
    (void)state;
    fill_segment(&mine, 5000);
    (void)maker_record(&mine, LONG_RECORD, 10, 0);
    fill_segment(&other, 0);
    (void)maker_record(&other, 100, 10, 0);
    expect_refused(&mine, &other);
    expect_refused(&other, &mine);
}

/* Same place, same length: only the checksum over both parts tells. */
static void another_record_over_the_joint_is_refused(void **state)
{
    WalMaker mine = maker_at_start(ours);
    (void)state;
    fill_segment(&mine, 5000);
    (void)maker_record(&mine, LONG_RECORD, 10, 0);
    WalMaker other = mine;
    other.data = theirs;
    memcpy(theirs, ours, mine.length);
    theirs[mine.length - 1000] ^= 1;
    expect_refused(&mine, &other);
    assert_non_null(strstr(fixture.error.detail, "checksum"));
}

static void zeros_and_old_pages_are_refused(void **state)
{
    WalMaker mine = maker_at_start(ours);
    WalMaker other = maker_at_start(theirs);
    (void)state;
    fill_segment(&mine, 0);
    memset(theirs, 0, CAPACITY);
    other.length = CAPACITY;
    expect_refused(&mine, &other);
    assert_non_null(strstr(fixture.error.detail, "0/600000"));
    memcpy(theirs + FIXTURE_SIZE, ours, FIXTURE_SIZE);
    expect_refused(&mine, &other);
}

static void expect_unchecked(const char *reason)
{
    prepare(JOINT);
    assert_false(joint.active);
    assert_int_equal(joint.unchecked.class, ERROR_ARCHIVE);
    assert_non_null(strstr(joint.unchecked.message, fixture_name(SEGNO, WAL_RAW, false)));
    if (strstr(joint.unchecked.message, reason) == NULL)
        fail_msg("no \"%s\" in: %s", reason, joint.unchecked.message);
}

static void a_damaged_segment_is_told_and_does_not_stop_receiving(void **state)
{
    uint8_t *bytes = malloc(FIXTURE_SIZE + 1);
    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, fixture_wal(FIXTURE_START), FIXTURE_SIZE + 1);
    fixture_archive(SEGNO, WAL_RAW, false, bytes, FIXTURE_SIZE - 1);
    expect_unchecked("shorter");
    fixture_archive(SEGNO, WAL_RAW, false, bytes, FIXTURE_SIZE + 1);
    expect_unchecked("longer");
    bytes[500000] ^= 1;
    fixture_archive(SEGNO, WAL_RAW, false, bytes, FIXTURE_SIZE);
    expect_unchecked("checksum");
    size_t end = (size_t)(fixture_record_before(FIXTURE_START + 400000) - FIXTURE_START);
    memset(bytes + end, 0, FIXTURE_SIZE - end);
    fixture_archive(SEGNO, WAL_RAW, false, bytes, FIXTURE_SIZE);
    expect_unchecked("its WAL ends at 0/56");
    free(bytes);
}

static void a_torn_compressed_segment_is_told(void **state)
{
    const char *name = fixture_name(SEGNO, WAL_ZSTD, false);
    size_t size;
    (void)state;
    fixture_archive(SEGNO, WAL_ZSTD, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    uint8_t *packed = scratch_read(fixture.path, name, &size);
    assert_non_null(packed);
    scratch_write(fixture.path, name, packed, size / 2);
    free(packed);
    prepare(JOINT);
    assert_false(joint.active);
    assert_int_equal(joint.unchecked.class, ERROR_ARCHIVE);
    assert_non_null(strstr(joint.unchecked.message, name));
}

static void an_unreadable_segment_is_told(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    fake_files_fail(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 1, EIO);
    expect_unchecked("Input/output error");
    prepare(JOINT);
    assert_true(joint.active);
}

/* As when the compressor removes the raw file between the look and the open. */
static void a_segment_that_goes_while_it_is_opened_is_looked_for_again(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, false, fixture_wal(FIXTURE_START), FIXTURE_SIZE);
    fake_files_fail(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, ENOENT);
    prepare(JOINT);
    assert_true(joint.active);
    assert_int_equal(joint.unchecked.class, ERROR_NONE);
    fake_files_fail_from(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, ENOENT);
    expect_unchecked("No such file");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(without_a_segment_before_nothing_is_asked),
        CASE(a_segment_of_another_timeline_is_not_before),
        CASE(every_form_is_followed),
        CASE(a_record_over_the_joint_is_accepted),
        CASE(a_header_over_the_joint_is_accepted),
        CASE(a_record_that_begins_at_the_joint_is_accepted),
        CASE(a_switch_anywhere_in_the_segment_is_accepted),
        CASE(only_the_first_record_behind_the_joint_decides),
        CASE(a_record_the_server_gave_up_is_accepted),
        CASE(a_record_longer_than_the_segment_is_accepted),
        CASE(another_previous_record_is_refused),
        CASE(another_switch_is_refused),
        CASE(a_record_that_goes_on_only_there_or_only_here_is_refused),
        CASE(another_record_over_the_joint_is_refused),
        CASE(zeros_and_old_pages_are_refused),
        CASE(a_damaged_segment_is_told_and_does_not_stop_receiving),
        CASE(a_torn_compressed_segment_is_told),
        CASE(an_unreadable_segment_is_told),
        CASE(a_segment_that_goes_while_it_is_opened_is_looked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
