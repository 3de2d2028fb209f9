/* SPDX-License-Identifier: PostgreSQL
 *
 * What flips in a segment are found: one bit of every byte, and every bit of every page header. The
 * bytes that no check covers are named here, and docs/verify.md names the same.
 */
#include "verify_internal.h"

#include "../proto/walmaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEGMENT SEGMENT_SIZE_MIN
#define START ((Lsn)5 * SEGMENT)
#define PAGES (SEGMENT / WAL_PAGE_SIZE)
#define FLAGS_OFFSET 2 /* xlp_info, its low byte */

static uint8_t wal[3 * (size_t)SEGMENT];
static size_t length;
static Archive archive = {.segment_size = SEGMENT, .system_identifier = MAKER_SYSTEM};
static VerifyLine line = {.timeline = 1, .known = true, .history = {.target = 1}};
static VerifyPlan plan = {.archive = &archive, .lines = &line, .line_count = 1, .magic = 0xD110};
static VerifyFound found;

/* Two segments of records of many lengths, some over several pages. The second ends in a switch. */
static void make_wal(void)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
    for (uint32_t i = 0; maker.length < SEGMENT + SEGMENT / 2; i++)
        (void)maker_record(&maker, i % 50 == 49 ? 30000 : 24 + i * 37 % 1500, 10, 0);
    (void)maker_switch(&maker);
    for (uint32_t i = 0; i < 200; i++)
        (void)maker_record(&maker, 24 + i * 37 % 1500, 10, 0);
    length = maker.length;
}

static void begin_file(VerifyScan *scan, Lsn start)
{
    char name[WAL_FILE_NAME_SIZE];
    wal_segment_name(1, segment_of(start, SEGMENT), SEGMENT, WAL_RAW, false, name);
    verify_scan_file(scan, &line, name, start, false);
}

/* Feeds a page, and the segment's file before it where one begins. */
static void feed_page(VerifyScan *scan, size_t at)
{
    if (at % SEGMENT == 0)
        begin_file(scan, START + at);
    verify_scan_feed(scan, wal + at, WAL_PAGE_SIZE);
}

static bool is_found(const VerifyScan *scan)
{
    return found.total > 0 || scan->broken;
}

/* Goes on from the page at `at`, behind which `before` stands, until something is found or a record
 * behind the page is proven, whose link leads back. */
static bool finds_fault(const VerifyScan *before, VerifyScan *scan, size_t at)
{
    *scan = *before;
    found.total = 0;
    found.count = 0;
    for (size_t page = at; page + WAL_PAGE_SIZE <= length && !is_found(scan);
         page += WAL_PAGE_SIZE) {
        feed_page(scan, page);
        if (page > at && !wal_scan_behind_switch(&scan->scanner) &&
            verify_scan_passed(scan, START + page))
            break;
    }
    return is_found(scan);
}

/* Bytes and bits that may change unseen. */
static bool is_uncovered(size_t offset_in_page, unsigned bit, bool page_has_header)
{
    return page_has_header && offset_in_page == FLAGS_OFFSET && bit == WAL_PAGE_BKP_REMOVABLE;
}

static void check_page_flips(const VerifyScan *before, size_t at)
{
    static VerifyScan scan;
    bool has_header = !wal_scan_behind_switch(&before->scanner);
    for (size_t i = 0; i < WAL_PAGE_SIZE; i++) {
        unsigned first = i < WAL_PAGE_LONG_HEADER ? 0 : (unsigned)(i % 8);
        unsigned last = i < WAL_PAGE_LONG_HEADER ? 7 : first;
        for (unsigned n = first; n <= last; n++) {
            unsigned bit = 1U << n;
            wal[at + i] ^= (uint8_t)bit;
            bool caught = finds_fault(before, &scan, at);
            wal[at + i] ^= (uint8_t)bit;
            if (caught == is_uncovered(i, bit, has_header))
                fail_msg("page %zu, byte %zu, bit %u: %s", at / WAL_PAGE_SIZE, i, n,
                         caught ? "found" : "not found");
        }
    }
}

static void a_flip_in_any_byte_is_found(void **state)
{
    static VerifyScan scan;
    (void)state;
    make_wal();
    verify_scan_begin(&scan, &plan, &found, START);
    for (size_t at = 0; at < 2 * (size_t)SEGMENT; at += WAL_PAGE_SIZE) {
        size_t page = at / WAL_PAGE_SIZE;
        /* Every page of the first segment; of the second those around its switch and joints. */
        bool behind = wal_scan_behind_switch(&scan.scanner);
        if (page < PAGES || page < PAGES + 2 || page + 2 >= 2 * PAGES ||
            (behind != (page > PAGES + PAGES / 2 + 4)))
            check_page_flips(&scan, at);
        feed_page(&scan, at);
        found.total = 0;
        assert_false(scan.broken);
    }
    assert_true(scan.records > 1000);
}

/* The end of a record that began before: its checksum is not to be had. */
static void the_end_of_an_earlier_record_is_not_covered(void **state)
{
    static VerifyScan begin;
    static VerifyScan scan;
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
    (void)state;
    while (maker.length < SEGMENT - 4 * WAL_PAGE_SIZE)
        maker_fill_page(&maker, 0);
    (void)maker_record(&maker, 34999, 10, 0);
    size_t end = maker.length;
    size_t first = end - SEGMENT; /* of the second segment, with its padding */
    assert_true(first > WAL_PAGE_LONG_HEADER + 1000 && first < WAL_PAGE_SIZE);
    for (uint32_t i = 0; i < 20; i++)
        (void)maker_record(&maker, 1000, 10, 0);
    length = maker.length;
    verify_scan_begin(&begin, &plan, &found, START + SEGMENT);
    for (size_t i = 0; i < WAL_PAGE_SIZE; i++) {
        unsigned bit = i == FLAGS_OFFSET ? 1 : 1U << (i % 8);
        wal[SEGMENT + i] ^= (uint8_t)bit;
        bool caught = finds_fault(&begin, &scan, SEGMENT);
        wal[SEGMENT + i] ^= (uint8_t)bit;
        bool earlier = i >= WAL_PAGE_LONG_HEADER && i < first - 1;
        if (caught == earlier)
            fail_msg("byte %zu: %s", i, caught ? "found" : "not found");
        if (earlier)
            assert_true(scan.first == START + SEGMENT + first);
    }
}

/* The server crashed in the middle of a record and wrote another one in its place. */
static void the_beginning_of_a_record_given_up_is_not_covered(void **state)
{
    static VerifyScan begin;
    static VerifyScan scan;
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
    (void)state;
    maker_fill_page(&maker, 800);
    Lsn kept = maker.previous;
    size_t lost = (size_t)(maker_record(&maker, 20000, 10, 0) - START);
    maker.length = WAL_PAGE_SIZE;
    maker.previous = kept;
    maker.extra_flags = WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD;
    (void)maker_record(&maker, 42, 0, 0xD0);
    for (uint32_t i = 0; i < 20; i++)
        (void)maker_record(&maker, 1000, 10, 0);
    length = maker.length;
    verify_scan_begin(&begin, &plan, &found, START);
    assert_false(finds_fault(&begin, &scan, 0));
    for (size_t i = lost - 100; i < WAL_PAGE_SIZE; i++) {
        wal[i] ^= 0x80;
        bool caught = finds_fault(&begin, &scan, 0);
        wal[i] ^= 0x80;
        bool in_header = i >= lost && i < lost + WAL_RECORD_HEADER_SIZE; /* length and link count */
        if (!in_header && caught != (i < lost))
            fail_msg("byte %zu: %s", i, caught ? "found" : "not found");
    }
    wal[WAL_PAGE_SIZE + FLAGS_OFFSET] ^= WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD;
    assert_true(finds_fault(&begin, &scan, 0));
}

/* PostgreSQL 10 leaves page headers behind a switch, a crash there old pages. */
static void behind_a_switch_page_headers_and_old_pages_are_fine(void **state)
{
    static VerifyScan scan;
    (void)state;
    for (int old = 0; old < 2; old++) {
        make_wal();
        size_t first = 2 * (size_t)SEGMENT - 20 * WAL_PAGE_SIZE;
        for (size_t at = first; at < 2 * (size_t)SEGMENT; at += WAL_PAGE_SIZE) {
            WalMaker header = maker_over(wal, sizeof(wal), START, SEGMENT);
            header.length = at;
            maker_page(&header, 0);
            if (old == 1) {
                memcpy(wal + at, wal + at - SEGMENT, WAL_PAGE_SIZE);
            }
        }
        found.total = 0;
        verify_scan_begin(&scan, &plan, &found, START);
        for (size_t at = 0; at + WAL_PAGE_SIZE <= length; at += WAL_PAGE_SIZE)
            feed_page(&scan, at);
        assert_false(is_found(&scan));
        if (old == 1)
            continue;
        wal[first + 100] = 1; /* but nothing behind such a header */
        verify_scan_begin(&scan, &plan, &found, START);
        for (size_t at = 0; at + WAL_PAGE_SIZE <= length; at += WAL_PAGE_SIZE)
            feed_page(&scan, at);
        assert_int_equal(found.total, 1);
        assert_int_equal(found.problems[found.count - 1].kind, VERIFY_STRAY);
        assert_int_equal(found.problems[found.count - 1].begin, START + first + 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flip_in_any_byte_is_found),
        cmocka_unit_test(the_end_of_an_earlier_record_is_not_covered),
        cmocka_unit_test(the_beginning_of_a_record_given_up_is_not_covered),
        cmocka_unit_test(behind_a_switch_page_headers_and_old_pages_are_fine),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    verify_found_free(&found);
    return failed;
}
