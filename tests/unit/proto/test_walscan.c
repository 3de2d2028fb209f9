/* SPDX-License-Identifier: PostgreSQL
 *
 * The WAL scanner: against pg_waldump on WAL of real servers (the vectors), and against made WAL
 * for each place a record can be cut at and each byte that can be wrong. Every scan is repeated
 * with small pieces: the result may not depend on how the bytes arrive.
 *
 * pg_waldump and the scanner were also held against each other on whole runs of 16 MB segments,
 * which are too large to keep: pgbench, a segment switch, a record of 30 MB and a shutdown,
 * on 15.20 with and without full page writes (805404 and 530281 records) and on 18.6 (427338
 * records). Record count, first and last record were equal, and proven_end was where pg_waldump
 * found no further record.
 */
#include "vectors.h"
#include "walmaker.h"
#include "walrx/proto/segment.h"

#define SEGMENT ((uint32_t)1 << 20)
#define START ((Lsn)7 * SEGMENT)

static uint8_t wal[3 * SEGMENT];

static void assert_same_result(const WalScanner *a, const WalScanner *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->proven_end, b->proven_end);
    assert_int_equal(a->first_record, b->first_record);
    assert_int_equal(a->last_record, b->last_record);
    assert_int_equal(a->records, b->records);
    assert_int_equal(a->fault, b->fault);
    assert_int_equal(a->stray_bytes, b->stray_bytes);
    assert_int_equal(a->fault_lsn, b->fault_lsn);
    assert_int_equal(a->error.class, b->error.class);
    assert_string_equal(a->error.message, b->error.message);
    assert_string_equal(a->error.detail, b->error.detail);
}

/* Scans in one piece and in several sizes of small ones. */
static WalScanner scan(const void *data, size_t length, Lsn start, uint64_t system_identifier)
{
    static const size_t PIECES[] = {1, 7, 24, 100, 4096, 8191, 8192, 8193};
    WalScanner whole;

    wal_scan_init(&whole, start, SEGMENT, system_identifier);
    WalScanState first = wal_scan_feed(&whole, data, length);

    assert_int_equal(first, whole.state);
    for (size_t i = 0; i < sizeof(PIECES) / sizeof(PIECES[0]); i++) {
        WalScanner pieces;
        WalScanState last = WAL_SCAN_RUNNING;

        wal_scan_init(&pieces, start, SEGMENT, system_identifier);
        for (size_t at = 0; at < length; at += PIECES[i]) {
            size_t left = length - at;
            Lsn proven = pieces.proven_end;

            last = wal_scan_feed(&pieces, (const uint8_t *)data + at,
                                 left < PIECES[i] ? left : PIECES[i]);
            assert_true(pieces.proven_end >= proven);
        }
        assert_int_equal(last, pieces.state);
        assert_same_result(&pieces, &whole);
    }
    assert_int_equal(whole.state == WAL_SCAN_DAMAGED, whole.error.class != ERROR_NONE);
    return whole;
}

/* Real servers ----------------------------------------------------------------------------------
 */

typedef struct Dump {
    size_t records;
    Lsn first;
    Lsn last;
    uint32_t last_length;
    Lsn last_previous;
} Dump;

/* What pg_waldump said, up to `end`. */
static Dump read_dump(const char *name, Lsn end)
{
    static Vector vector;
    Dump dump = {0};
    char *save = NULL;

    vector_read(name, &vector);
    for (char *line = strtok_r((char *)vector.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *length = strchr(line, ' ');
        Lsn lsn;

        assert_non_null(length);
        *length++ = '\0';
        char *previous = strchr(length, ' ');

        assert_non_null(previous);
        *previous++ = '\0';
        assert_true(lsn_parse(line, &lsn));
        uint32_t bytes = (uint32_t)strtoul(length, NULL, 10);

        /* Of a record that leaves the page the page alone proves nothing. */
        if (lsn + bytes > end)
            break;
        dump.records++;
        dump.first = dump.first == 0 ? lsn : dump.first;
        dump.last = lsn;
        dump.last_length = bytes;
        assert_true(lsn_parse(previous, &dump.last_previous));
    }
    return dump;
}

static void assert_agrees(const WalScanner *scanner, const Dump *dump)
{
    assert_int_equal(scanner->records, dump->records);
    assert_int_equal(scanner->first_record, dump->first);
    assert_int_equal(scanner->last_record, dump->last);
    assert_int_equal(scanner->last_header.total_length, dump->last_length);
    assert_int_equal(scanner->last_header.previous, dump->last_previous);
}

static Lsn page_address(const uint8_t *page)
{
    WalPageHeader header;
    Error err;

    assert_true(wal_page_decode(page, WAL_PAGE_LONG_HEADER, &header, &err));
    return header.address;
}

static void scan_agrees_with_pg_waldump(void **state)
{
    static const char *const VERSIONS[] = {"13", "18", "19"};

    (void)state;
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        static Vector vector;
        char name[64];

        (void)snprintf(name, sizeof(name), "%s/segment_start.wal", VERSIONS[i]);
        vector_read(name, &vector);
        Lsn start = page_address(vector.data);
        WalScanner scanner = scan(vector.data, vector.length, start, 0);

        (void)snprintf(name, sizeof(name), "%s/segment_start.records", VERSIONS[i]);
        Dump dump = read_dump(name, start + vector.length);

        assert_int_not_equal(scanner.state, WAL_SCAN_DAMAGED);
        assert_true(dump.records > 3);
        assert_agrees(&scanner, &dump);
        /* One record per page at most crosses its end: the last proven one is near. */
        assert_int_equal(scanner.proven_end, (dump.last + dump.last_length + 7) / 8 * 8);
    }
}

/* The last pages of one segment, the switch, the first pages of the next one: the xl_prev chain
 * holds across the hole. Proven by the dump of a server that wrote and read it. */
static void switch_to_the_next_segment_is_followed(void **state)
{
    static Vector vector;

    (void)state;
    vector_read("15/switch.wal", &vector);
    Lsn start = page_address(vector.data);

    memset(wal, 0, sizeof(wal));
    memcpy(wal, vector.data, vector.length);
    WalScanner first = scan(wal, SEGMENT, start, 0);

    assert_int_equal(first.state, WAL_SCAN_RUNNING);
    assert_int_equal(first.position, start + SEGMENT);
    assert_int_equal(first.last_header.rmgr, 0);
    assert_int_equal(first.last_header.info & 0xF0, 0x40);
    assert_int_equal(first.proven_end, first.last_record + WAL_RECORD_HEADER_SIZE);
    vector_read("15/segment_start.wal", &vector);
    assert_int_equal(page_address(vector.data), start + SEGMENT);
    memcpy(wal + SEGMENT, vector.data, vector.length);
    WalScanner scanner = scan(wal, SEGMENT + vector.length, start, 0);
    Dump dump = read_dump("15/switch.records", start + SEGMENT + vector.length);

    assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
    assert_agrees(&scanner, &dump);
    assert_true(scanner.records > first.records);
}

/* A record that a crash cut at the end of the first page, and what the server wrote over its rest.
 */
static void record_overwritten_after_a_crash_is_dropped(void **state)
{
    static Vector vector;

    (void)state;
    vector_read("15/overwrite.wal", &vector);
    Lsn start = page_address(vector.data);
    WalScanner one_page = scan(vector.data, WAL_PAGE_SIZE, start, 0);

    assert_int_equal(one_page.state, WAL_SCAN_RUNNING);
    WalScanner scanner = scan(vector.data, vector.length, start, 0);
    Dump dump = read_dump("15/overwrite.records", start + vector.length);

    assert_int_equal(scanner.state, WAL_SCAN_END); /* zeros behind the last record */
    assert_agrees(&scanner, &dump);
    assert_int_equal(scanner.fault_lsn, scanner.proven_end);
    assert_int_equal(one_page.records, dump.records - 2);
    assert_int_equal(vector.data[WAL_PAGE_SIZE + 2] & WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD,
                     WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD);
    vector.data[WAL_PAGE_SIZE + 2] &= (uint8_t)~WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD;
    scanner = scan(vector.data, vector.length, start, 0);
    assert_int_equal(scanner.state, WAL_SCAN_DAMAGED);
    assert_int_equal(scanner.fault_lsn, start + WAL_PAGE_SIZE);
}

static void scan_can_begin_in_the_middle_of_a_record(void **state)
{
    static Vector vector;

    (void)state;
    vector_read("15/switch.wal", &vector);
    Lsn start = page_address(vector.data);
    WalScanner all = scan(vector.data, vector.length, start, 0);

    for (size_t page = WAL_PAGE_SIZE; page < vector.length; page += WAL_PAGE_SIZE) {
        WalScanner tail = scan(vector.data + page, vector.length - page, start + page, 0);

        assert_int_equal(tail.state, WAL_SCAN_RUNNING);
        assert_int_equal(tail.last_record, all.last_record);
        assert_int_equal(tail.proven_end, all.proven_end);
        assert_true(tail.first_record > start + page + WAL_PAGE_SHORT_HEADER);
    }
}

/* Made WAL --------------------------------------------------------------------------------------
 */

/* A record of every length at every place near a page's end: headers and bodies cut everywhere. */
static void records_may_cross_pages_anywhere(void **state)
{
    static const uint32_t LENGTHS[] = {24, 25, 31, 32, 33, 48, 100, 8168, 8192, 20000};

    (void)state;
    for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
        for (uint32_t left = 0; left <= 56; left += 8) {
            WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

            maker_fill_page(&maker, left);
            Lsn lsn = maker_record(&maker, LENGTHS[i], 10, 0);
            WalScanner scanner = scan(wal, maker.length, START, MAKER_SYSTEM);

            assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
            assert_int_equal(scanner.records, 2);
            assert_int_equal(scanner.first_record, START + WAL_PAGE_LONG_HEADER);
            assert_int_equal(scanner.last_record, lsn);
            assert_int_equal(scanner.proven_end, maker_end(&maker));
            assert_int_equal(scanner.position, maker_end(&maker));
            assert_int_equal(scanner.last_header.total_length, LENGTHS[i]);
            assert_int_equal(scanner.last_header.xid, 777);
            assert_int_equal(scanner.last_header.rmgr, 10);
        }
    }
}

static void record_may_cross_segments(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
    uint64_t records = 0;

    (void)state;
    while (maker.length < SEGMENT) {
        (void)maker_record(&maker, 30000, 10, 0);
        records++;
    }
    assert_true(maker.previous < START + SEGMENT);
    WalScanner scanner = scan(wal, maker.length, START, MAKER_SYSTEM);

    assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
    assert_int_equal(scanner.records, records);
    assert_int_equal(scanner.proven_end, maker_end(&maker));
}

static void cut_record_is_not_proven(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    Lsn proven = maker_end(&maker);
    size_t before = maker.length;

    (void)maker_record(&maker, 10000, 10, 0);
    for (size_t length = before; length < maker.length; length += 997) {
        WalScanner scanner = scan(wal, length, START, MAKER_SYSTEM);

        assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
        assert_int_equal(scanner.proven_end, proven);
        assert_int_equal(scanner.records, 1);
        assert_int_equal(scanner.position, START + length);
    }
}

static void zeros_and_foreign_pages_are_the_end(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
        uint32_t left = variant == 0 ? 8 : variant == 1 ? 64 : 0;

        maker_fill_page(&maker, left);
        Lsn proven = maker_end(&maker);

        if (variant == 3) { /* a recycled page: from one gigabyte ago */
            maker.start -= 1 << 30;
            (void)maker_record(&maker, 100, 10, 0);
            maker.start += 1 << 30;
        }
        maker_zeros(&maker, SEGMENT);
        WalScanner scanner = scan(wal, maker.length, START, MAKER_SYSTEM);

        assert_int_equal(scanner.state, WAL_SCAN_END);
        assert_int_equal(scanner.proven_end, proven);
        assert_int_equal(scanner.fault_lsn, proven);
        assert_int_equal(scanner.error.class, ERROR_NONE);
    }
}

static void end_inside_a_record_is_found_at_the_page(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    Lsn proven = maker_end(&maker);

    (void)maker_record(&maker, 20000, 10, 0);
    memset(wal + WAL_PAGE_SIZE, 0, sizeof(wal) - WAL_PAGE_SIZE);
    WalScanner scanner = scan(wal, SEGMENT, START, MAKER_SYSTEM);

    assert_int_equal(scanner.state, WAL_SCAN_END);
    assert_int_equal(scanner.proven_end, proven);
    assert_int_equal(scanner.fault_lsn, START + WAL_PAGE_SIZE);
}

static void empty_segment_ends_at_its_start(void **state)
{
    (void)state;
    memset(wal, 0, SEGMENT);
    WalScanner scanner = scan(wal, SEGMENT, START, MAKER_SYSTEM);

    assert_int_equal(scanner.state, WAL_SCAN_END);
    assert_int_equal(scanner.proven_end, START);
    assert_int_equal(scanner.fault_lsn, START);
    assert_int_equal(scanner.records, 0);
    assert_int_equal(scanner.first_record, LSN_INVALID);
}

/* No byte of a record or of a page header can change unseen, but for those that say nothing. */
static void every_changed_byte_is_found(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    maker.timeline = 0x04040404; /* a changed bit makes the second page's go down */
    (void)maker_record(&maker, 104, 10, 0);
    Lsn middle = maker_record(&maker, 8400, 10, 0);
    Lsn last = maker_record(&maker, 104, 10, 0);

    for (size_t i = 0; i < maker.length; i++) {
        WalScanner scanner;
        bool hole = (i >= 20 && i < 24) || (i >= WAL_PAGE_SIZE + 20 && i < WAL_PAGE_SIZE + 24);
        bool flag_only = i == 2 || i == WAL_PAGE_SIZE + 2; /* XLP_BKP_REMOVABLE says nothing */
        /* A remaining length without its flag is not looked at, as in xlogreader.c. */
        bool remaining = i >= 16 && i < 20;
        /* Any timeline may be the first. */
        bool timeline = i >= 4 && i < 8;

        wal[i] ^= 0x04;
        wal_scan_init(&scanner, START, SEGMENT, MAKER_SYSTEM);
        (void)wal_scan_feed(&scanner, wal, maker.length);
        wal[i] ^= 0x04;
        if (hole || flag_only || remaining || timeline) {
            assert_int_equal(scanner.records, 3);
            continue;
        }
        if (scanner.state == WAL_SCAN_RUNNING && scanner.records == 3)
            fail_msg("byte %zu may change", i);
        assert_true(scanner.last_record < last);
        if (scanner.state == WAL_SCAN_DAMAGED)
            assert_true(scanner.fault_lsn <= last);
        assert_true(scanner.proven_end <= last);
    }
    assert_true(middle < last);
}

static void expect_damage(size_t length, Lsn fault, const char *word)
{
    WalScanner scanner = scan(wal, length, START, MAKER_SYSTEM);

    assert_int_equal(scanner.state, WAL_SCAN_DAMAGED);
    assert_int_equal(scanner.fault_lsn, fault);
    assert_int_equal(scanner.error.class, ERROR_ARCHIVE);
    if (strstr(scanner.error.message, word) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", scanner.error.message, word);
    assert_int_not_equal(scanner.error.detail[0], '\0');
}

static void damage_says_what_and_where(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    size_t at = maker.length;
    Lsn second = maker_record(&maker, 9000, 10, 0);
    size_t length = maker.length;
    static uint8_t good[4 * WAL_PAGE_SIZE];

    memcpy(good, wal, sizeof(good));
    wal[at + 30] ^= 1;
    expect_damage(length, second, "checksum");
    memcpy(wal, good, sizeof(good));
    wal[at] = 23;
    wal[at + 1] = 0;
    expect_damage(length, second, "length");
    memcpy(wal, good, sizeof(good));
    wal[at + 3] = 0x40; /* more than 1020 MB */
    expect_damage(length, second, "length");
    memcpy(wal, good, sizeof(good));
    wal[at + 8] ^= 8;
    expect_damage(length, second, "before it");
    memcpy(wal, good, sizeof(good));
    wal[WAL_PAGE_SIZE + 16] ^= 1;
    expect_damage(length, START + WAL_PAGE_SIZE, "instead of");
    memcpy(wal, good, sizeof(good));
    wal[WAL_PAGE_SIZE + 2] = 0;
    expect_damage(length, START + WAL_PAGE_SIZE, "continue");
    memcpy(wal, good, sizeof(good));
    wal[WAL_PAGE_SIZE] = 0x33;
    expect_damage(length, START + WAL_PAGE_SIZE, "magic");
    memcpy(wal, good, sizeof(good));
    wal[WAL_PAGE_SIZE + 4] = 0;
    expect_damage(length, START + WAL_PAGE_SIZE, "timeline");
    memcpy(wal, good, sizeof(good));
    wal[24] ^= 1;
    expect_damage(length, START, "another system");
    memcpy(wal, good, sizeof(good));
    wal[34] = 0x20;
    expect_damage(length, START, "segment size");
    memcpy(wal, good, sizeof(good));
    wal[2] = 0;
    expect_damage(length, START, "long header");
    memcpy(wal, good, sizeof(good));
    wal[WAL_PAGE_LONG_HEADER + 15] = 0xFF; /* the first record's xl_prev: far ahead of it */
    expect_damage(length, START + WAL_PAGE_LONG_HEADER, "not before");
}

static void each_fault_has_a_kind(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
    static uint8_t good[2 * WAL_PAGE_SIZE];
    struct {
        size_t at;
        uint8_t flip;
        WalScanFault fault;
    } cases[] = {
        {WAL_PAGE_LONG_HEADER + 30, 1, WAL_FAULT_RECORD_CRC},
        {WAL_PAGE_LONG_HEADER + 3, 0x80, WAL_FAULT_RECORD_LENGTH},
        {WAL_PAGE_LONG_HEADER + 12, 0xFF, WAL_FAULT_RECORD_PREVIOUS},
        {WAL_PAGE_SIZE, 0xFF, WAL_FAULT_PAGE},
        {WAL_PAGE_SIZE + 10, 1, WAL_FAULT_OTHER_PAGE},
    };

    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    maker_fill_page(&maker, 0);
    (void)maker_record(&maker, 100, 10, 0);
    memcpy(good, wal, sizeof(good));
    assert_int_equal(scan(wal, maker.length, START, 0).fault, WAL_FAULT_NONE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memcpy(wal, good, sizeof(good));
        wal[cases[i].at] ^= cases[i].flip;
        assert_int_equal(scan(wal, maker.length, START, 0).fault, cases[i].fault);
    }
    memcpy(wal, good, sizeof(good));
    memset(wal + maker.length, 0, 8);
    assert_int_equal(scan(wal, maker.length + 8, START, 0).fault, WAL_FAULT_NO_RECORD);
    memset(wal + WAL_PAGE_SIZE, 0, WAL_PAGE_SIZE);
    assert_int_equal(scan(wal, maker.length, START, 0).fault, WAL_FAULT_NO_PAGE);
}

/* The length of a record from before the scan may be wrong so that another record is hit. */
static void first_record_follows_one_from_before_the_scan(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    maker_fill_page(&maker, 80);
    (void)maker_record(&maker, 400, 10, 0);
    Lsn first = maker_record(&maker, 104, 10, 0);
    (void)maker_record(&maker, 104, 10, 0);
    const uint8_t *second_page = wal + WAL_PAGE_SIZE;
    size_t length = maker.length - WAL_PAGE_SIZE;
    WalScanner scanner = scan(second_page, length, START + WAL_PAGE_SIZE, 0);

    assert_int_equal(scanner.records, 2);
    assert_int_equal(scanner.first_record, first);
    wal[WAL_PAGE_SIZE + 16] = (uint8_t)(wal[WAL_PAGE_SIZE + 16] + 104);
    wal[WAL_PAGE_SIZE + 17] = (uint8_t)(wal[WAL_PAGE_SIZE + 17] + (wal[WAL_PAGE_SIZE + 16] < 104));
    scanner = scan(second_page, length, START + WAL_PAGE_SIZE, 0);
    assert_int_equal(scanner.fault, WAL_FAULT_RECORD_PREVIOUS);
}

static void a_scan_goes_on_behind_a_record_with_a_wrong_checksum(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
    WalScanner scanner;

    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    Lsn bad = maker_record(&maker, 101, 10, 0);
    Lsn last = maker_record(&maker, 100, 10, 0);
    wal[bad - START + 50] ^= 1;
    wal_scan_init(&scanner, START, SEGMENT, 0);
    assert_int_equal(wal_scan_feed(&scanner, wal, maker.length), WAL_SCAN_DAMAGED);
    assert_int_equal(scanner.position, bad + 101);
    wal_scan_pass_record(&scanner);
    assert_int_equal(scanner.error.class, ERROR_NONE);
    size_t at = (size_t)(scanner.position - START);
    assert_int_equal(wal_scan_feed(&scanner, wal + at, maker.length - at), WAL_SCAN_RUNNING);
    assert_int_equal(scanner.records, 2);
    assert_int_equal(scanner.last_record, last);
}

static void padding_that_is_not_zero_is_counted(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    Lsn lsn = maker_record(&maker, 99, 10, 0);
    (void)maker_record(&maker, 100, 10, 0);
    assert_int_equal(scan(wal, maker.length, START, 0).stray_bytes, 0);
    wal[lsn - START + 100] = 1;
    wal[lsn - START + 102] = 1;
    WalScanner scanner = scan(wal, maker.length, START, 0);
    assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
    assert_int_equal(scanner.records, 2);
    assert_int_equal(scanner.stray_bytes, 2);
    assert_int_equal(scanner.stray_lsn, lsn + 100);
}

static void continuation_where_a_record_must_begin_is_damage(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    maker_fill_page(&maker, 0);
    maker_page(&maker, 100);
    maker_zeros(&maker, WAL_PAGE_SIZE);
    expect_damage(maker.length, START + WAL_PAGE_SIZE, "none is unfinished");
}

static void any_system_is_accepted_when_none_is_asked_for(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    assert_int_equal(scan(wal, maker.length, START, 0).state, WAL_SCAN_RUNNING);
    assert_int_equal(scan(wal, maker.length, START, MAKER_SYSTEM).state, WAL_SCAN_RUNNING);
    assert_int_equal(scan(wal, maker.length, START, MAKER_SYSTEM + 1).state, WAL_SCAN_DAMAGED);
}

static void timeline_may_go_up_and_not_down(void **state)
{
    (void)state;
    for (int up = 0; up < 2; up++) {
        WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

        maker.timeline = 5;
        maker_fill_page(&maker, 0);
        maker.timeline = up == 1 ? 6 : 4;
        (void)maker_record(&maker, 100, 10, 0);
        WalScanner scanner = scan(wal, maker.length, START, MAKER_SYSTEM);

        assert_int_equal(scanner.state, up == 1 ? WAL_SCAN_RUNNING : WAL_SCAN_DAMAGED);
        assert_int_equal(scanner.records, up == 1 ? 2 : 1);
    }
}

/* The same, in the three states of an unfinished record: header cut, body cut, and a record that
 * began before the scan. */
static void overwritten_records_are_dropped_wherever_they_were_cut(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
        size_t begin = variant == 2 ? WAL_PAGE_SIZE : 0;

        if (variant == 2)
            (void)maker_record(&maker, 30000, 10, 0);
        else
            maker_fill_page(&maker, variant == 0 ? 8 : 80);
        Lsn kept = maker.previous;

        if (variant == 2) {
            maker.length = 2 * WAL_PAGE_SIZE;
            kept = START + 8; /* unknown to the scan */
        } else {
            (void)maker_record(&maker, 1000, 10, 0);
            maker.length = WAL_PAGE_SIZE;
        }
        maker.previous = kept;
        maker.extra_flags = WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD;
        Lsn instead = maker_record(&maker, 42, 0, 0xD0);
        Lsn last = maker_record(&maker, 100, 10, 0);
        WalScanner scanner = scan(wal + begin, maker.length - begin, START + begin, MAKER_SYSTEM);

        assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
        assert_int_equal(scanner.records, variant == 2 ? 2 : 3);
        assert_int_equal(scanner.last_record, last);
        assert_true(instead < last);
        assert_int_equal(scanner.proven_end, maker_end(&maker));
    }
}

static void nothing_is_asked_of_the_bytes_behind_a_switch(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

        (void)maker_record(&maker, 9000, 10, 0);
        size_t used = maker.length + WAL_RECORD_HEADER_SIZE;
        Lsn lsn = maker_switch(&maker);

        assert_int_equal(maker.length, SEGMENT);
        if (variant == 1) { /* PostgreSQL 10 leaves page headers */
            for (size_t page = 2 * WAL_PAGE_SIZE; page < SEGMENT; page += WAL_PAGE_SIZE) {
                WalMaker header = maker_over(wal, sizeof(wal), START, SEGMENT);

                header.length = page;
                maker_page(&header, 0);
            }
        } else if (variant == 2) {
            memset(wal + used, 0xEE, SEGMENT - used);
        }
        Lsn next = maker_record(&maker, 200, 10, 0);

        assert_int_equal(next, START + SEGMENT + WAL_PAGE_LONG_HEADER);
        WalScanner scanner = scan(wal, SEGMENT, START, MAKER_SYSTEM);

        assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
        assert_int_equal(scanner.last_record, lsn);
        assert_int_equal(scanner.proven_end, lsn + WAL_RECORD_HEADER_SIZE);
        assert_int_equal(scanner.position, START + SEGMENT);
        assert_false(wal_scan_behind_switch(&scanner));
        scanner = scan(wal, used + 1, START, MAKER_SYSTEM);
        assert_true(wal_scan_behind_switch(&scanner));
        scanner = scan(wal, maker.length, START, MAKER_SYSTEM);
        assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
        assert_int_equal(scanner.records, 3);
        assert_int_equal(scanner.last_record, next);
    }
}

static void switch_that_fills_its_segment_leaves_nothing_to_skip(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    while (maker.length < SEGMENT - WAL_PAGE_SIZE)
        maker_fill_page(&maker, 0);
    maker_fill_page(&maker, WAL_RECORD_HEADER_SIZE);
    (void)maker_switch(&maker);
    assert_int_equal(maker.length, SEGMENT);
    Lsn next = maker_record(&maker, 200, 10, 0);
    WalScanner scanner = scan(wal, maker.length, START, MAKER_SYSTEM);

    assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
    assert_int_equal(scanner.last_record, next);
}

/* Only rmgr XLOG has a switch, and only with that info. */
static void other_records_of_24_bytes_are_no_switch(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);

    (void)state;
    (void)maker_record(&maker, 24, 1, 0x40);
    (void)maker_record(&maker, 24, 0, 0x50);
    (void)maker_record(&maker, 24, 10, 0);
    assert_int_equal(scan(wal, maker.length, START, MAKER_SYSTEM).records, 3);
}

static void nothing_happens_after_the_scan_has_stopped(void **state)
{
    WalMaker maker = maker_over(wal, sizeof(wal), START, SEGMENT);
    WalScanner scanner;

    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    maker_zeros(&maker, WAL_PAGE_SIZE);
    wal_scan_init(&scanner, START, SEGMENT, 0);
    assert_int_equal(wal_scan_feed(&scanner, wal, maker.length), WAL_SCAN_END);
    Lsn position = scanner.position;

    assert_int_equal(wal_scan_feed(&scanner, wal, maker.length), WAL_SCAN_END);
    assert_int_equal(scanner.position, position);
    assert_int_equal(scanner.records, 1);
}

static void wrong_starts_and_sizes_are_named(void **state)
{
    WalScanner scanner;

    (void)state;
    wal_scan_init(&scanner, START + 24, SEGMENT, 0);
    assert_int_equal(wal_scan_feed(&scanner, wal, 100), WAL_SCAN_DAMAGED);
    assert_int_equal(scanner.error.class, ERROR_USAGE);
    wal_scan_init(&scanner, START, 0, 0);
    assert_int_equal(wal_scan_feed(&scanner, wal, 100), WAL_SCAN_DAMAGED);
    assert_int_equal(scanner.error.class, ERROR_USAGE);
    wal_scan_init(&scanner, START, 3 * SEGMENT, 0);
    assert_int_equal(scanner.state, WAL_SCAN_DAMAGED);
}

static void last_segment_of_64_bits_is_refused_and_the_one_before_is_not(void **state)
{
    Lsn last = segment_start(segment_last(SEGMENT), SEGMENT);
    WalMaker maker = maker_over(wal, sizeof(wal), last - SEGMENT, SEGMENT);

    (void)state;
    (void)maker_record(&maker, 100, 10, 0);
    (void)maker_switch(&maker);
    WalScanner scanner = scan(wal, maker.length, last - SEGMENT, MAKER_SYSTEM);

    assert_int_equal(scanner.state, WAL_SCAN_RUNNING);
    assert_true(scanner.position == last);
    assert_int_equal(wal_scan_feed(&scanner, wal, 1), WAL_SCAN_DAMAGED);
    assert_true(scanner.fault_lsn == last);
    assert_int_equal(scanner.records, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_agrees_with_pg_waldump),
        cmocka_unit_test(switch_to_the_next_segment_is_followed),
        cmocka_unit_test(record_overwritten_after_a_crash_is_dropped),
        cmocka_unit_test(scan_can_begin_in_the_middle_of_a_record),
        cmocka_unit_test(records_may_cross_pages_anywhere),
        cmocka_unit_test(record_may_cross_segments),
        cmocka_unit_test(cut_record_is_not_proven),
        cmocka_unit_test(zeros_and_foreign_pages_are_the_end),
        cmocka_unit_test(end_inside_a_record_is_found_at_the_page),
        cmocka_unit_test(empty_segment_ends_at_its_start),
        cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(damage_says_what_and_where),
        cmocka_unit_test(each_fault_has_a_kind),
        cmocka_unit_test(first_record_follows_one_from_before_the_scan),
        cmocka_unit_test(a_scan_goes_on_behind_a_record_with_a_wrong_checksum),
        cmocka_unit_test(padding_that_is_not_zero_is_counted),
        cmocka_unit_test(continuation_where_a_record_must_begin_is_damage),
        cmocka_unit_test(any_system_is_accepted_when_none_is_asked_for),
        cmocka_unit_test(timeline_may_go_up_and_not_down),
        cmocka_unit_test(overwritten_records_are_dropped_wherever_they_were_cut),
        cmocka_unit_test(nothing_is_asked_of_the_bytes_behind_a_switch),
        cmocka_unit_test(switch_that_fills_its_segment_leaves_nothing_to_skip),
        cmocka_unit_test(other_records_of_24_bytes_are_no_switch),
        cmocka_unit_test(nothing_happens_after_the_scan_has_stopped),
        cmocka_unit_test(wrong_starts_and_sizes_are_named),
        cmocka_unit_test(last_segment_of_64_bits_is_refused_and_the_one_before_is_not),
    };

    return cmocka_run_group_tests_name("walscan", tests, NULL, NULL);
}
