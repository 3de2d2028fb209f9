/* SPDX-License-Identifier: PostgreSQL
 *
 * Which records a collector with tallies is shown.
 */
#include "walmaker.h"
#include "walrx/proto/walscan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SEGMENT ((uint32_t)1 << 20)
#define START ((Lsn)7 * SEGMENT)

static uint8_t wal[SEGMENT];

typedef struct Told {
    uint64_t visited;
    Lsn last;
} Told;

static void tell(void *context, const WalScanner *scanner, const uint8_t *body, size_t length)
{
    Told *told = context;

    (void)body;
    (void)length;
    told->visited++;
    told->last = scanner->last_record;
}

/* Records of 200 bytes that begin with `count` references of blocks. */
static Lsn put_blocks(WalMaker *maker, uint8_t rmgr, unsigned count, uint8_t last_flags)
{
    uint8_t body[200] = {0};
    size_t at = 0;

    for (unsigned i = 0; i < count; i++) {
        uint8_t flags = i + 1 == count ? last_flags : 0;
        body[at] = (uint8_t)i;
        body[at + 1] = flags;
        at += (flags & 0x80) != 0 ? 8 : 20;
    }
    body[at] = 254;
    return maker_record_of(maker, 200, rmgr, 0, body);
}

/* With tallies those are visited that somebody has to look into. */
static void plain_records_are_only_counted(void **state)
{
    static WalTally tally[WAL_TALLIES];
    static uint8_t head[64];
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
    Told told = {.visited = 0};
    WalCollector collector = {
        .buffer = head, .capacity = sizeof(head), .visit = tell, .context = &told};
    WalScanner scanner;

    (void)state;
    memset(wal, 0, sizeof(wal));
    memset(tally, 0, sizeof(tally));
    (void)put_blocks(&maker, 10, 1, 0);
    (void)put_blocks(&maker, 10, 2, 0x80);
    (void)put_blocks(&maker, 11, 3, 0x20);
    Lsn image = put_blocks(&maker, 10, 1, 0x10);
    (void)put_blocks(&maker, 10, 3, 0x10);
    (void)put_blocks(&maker, 1, 1, 0); /* what a transaction does */
    (void)put_blocks(&maker, 0, 1, 0);
    (void)put_blocks(&maker, 10, 0, 0);
    maker_fill_page(&maker, 64);
    Lsn crossing = put_blocks(&maker, 10, 1, 0);
    wal_scan_init(&scanner, START, SEGMENT, 0);
    wal_scan_collect(&scanner, &collector);
    collector.tally = tally;
    assert_int_equal(wal_scan_feed(&scanner, wal, maker.length), WAL_SCAN_RUNNING);
    assert_int_equal(tally[10].records, 3);
    assert_int_equal(tally[10].bytes, 600);
    assert_int_equal(tally[11].records, 1);
    assert_int_equal(told.visited + 4, scanner.records);
    assert_true(told.last == crossing && image < crossing);
    /* Without them all are. */
    told.visited = 0;
    collector.tally = NULL;
    wal_scan_init(&scanner, START, SEGMENT, 0);
    wal_scan_collect(&scanner, &collector);
    (void)wal_scan_feed(&scanner, wal, maker.length);
    assert_int_equal(told.visited, scanner.records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_records_are_only_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
