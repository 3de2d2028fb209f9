/* SPDX-License-Identifier: PostgreSQL
 *
 * Records taken apart: real servers' (proto/vectors, events.wal), where pg_waldump says which of
 * them are commits and when; and made ones with wrong lengths in every place.
 */
#include "vectors.h"
#include "walmaker.h"

#include "walrx/base/cursor.h"
#include "walrx/proto/walrecord.h"

#define SEGMENT ((uint32_t)1 << 20)
#define MAX_EVENTS 32

typedef struct Seen {
    Lsn lsn;
    WalEvent event;
} Seen;

typedef struct Reading {
    int major; /* 0: by the page */
    size_t capacity;
    size_t events;
    Seen seen[MAX_EVENTS];
    size_t records;
    size_t refused;
    size_t with_main;
    uint32_t prepared; /* XID of the newest PREPARE TRANSACTION */
} Reading;

/* A PREPARE names its transaction in its header, the end of it only inside. */
static void check_xid(Reading *reading, const WalRecordHeader *header, const WalEvent *event)
{
    if (header->rmgr == 1 && (header->info & 0x70) == 0x10)
        reading->prepared = header->xid;
    if (event->kind == WAL_EVENT_NONE || event->kind == WAL_EVENT_RESTORE_POINT) {
        assert_int_equal(event->xid, 0);
        return;
    }
    assert_int_not_equal(event->xid, 0);
    assert_int_equal(event->xid, event->prepared ? reading->prepared : header->xid);
}

static void take_record(void *context, const WalScanner *scanner, const uint8_t *body,
                        size_t length)
{
    Reading *reading = context;
    int major = reading->major != 0 ? reading->major : wal_page_major(scanner->magic);
    size_t whole = scanner->last_header.total_length - WAL_RECORD_HEADER_SIZE;
    WalRecordMain main_data;
    WalEvent event;
    Error err;

    assert_int_equal(length, whole < reading->capacity ? whole : reading->capacity);
    reading->records++;
    if (!wal_record_main(&scanner->last_header, body, length, major, &main_data, &err)) {
        assert_int_equal(err.class, ERROR_ARCHIVE);
        reading->refused++;
        return;
    }
    if (main_data.data != NULL) {
        assert_true(main_data.data >= body);
        assert_ptr_equal(main_data.data + main_data.available, body + length);
        reading->with_main++;
    }
    assert_true(wal_record_event(&scanner->last_header, body, length, major, &event, &err));
    assert_int_equal(event.kind != WAL_EVENT_NONE, wal_record_may_be_event(&scanner->last_header));
    check_xid(reading, &scanner->last_header, &event);
    if (event.kind == WAL_EVENT_NONE)
        return;
    assert_true(reading->events < MAX_EVENTS);
    reading->seen[reading->events++] = (Seen){scanner->last_record, event};
}

static Reading read_wal(const Vector *wal, size_t capacity, int major, size_t piece)
{
    static uint8_t buffer[VECTOR_MAX_BYTES];
    Reading reading = {.major = major, .capacity = capacity};
    WalCollector collector = {
        .buffer = buffer, .capacity = capacity, .visit = take_record, .context = &reading};
    WalScanner scanner;
    WalPageHeader header;
    Error err;

    assert_true(wal_page_decode(wal->data, wal->length, &header, &err));
    wal_scan_init(&scanner, header.address, SEGMENT, 0);
    wal_scan_collect(&scanner, &collector);
    for (size_t at = 0; at < wal->length; at += piece) {
        size_t left = wal->length - at;
        (void)wal_scan_feed(&scanner, wal->data + at, left < piece ? left : piece);
    }
    assert_int_not_equal(scanner.state, WAL_SCAN_DAMAGED);
    assert_int_equal(scanner.records, reading.records);
    return reading;
}

/* "2026-11-20 09:16:48.445614", by arithmetic of its own. */
static PgTime parse_time(const char *text)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    long fraction;
    char *at;

    year = (int)strtol(text, &at, 10);
    month = (int)strtol(at + 1, &at, 10);
    day = (int)strtol(at + 1, &at, 10);
    hour = (int)strtol(at + 1, &at, 10);
    minute = (int)strtol(at + 1, &at, 10);
    second = (int)strtol(at + 1, &at, 10);
    fraction = strtol(at + 1, &at, 10);
    int64_t days = before[month - 1] + day - 1 + (month > 2 && year % 4 == 0 ? 1 : 0);
    for (int y = 2000; y < year; y++)
        days += y % 4 == 0 ? 366 : 365;
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000000 + fraction;
}

static void assert_line(const Seen *seen, char *line)
{
    char *kind = strchr(line, ' ');
    bool prepared = strstr(line, "_PREPARED ") != NULL;
    Lsn lsn;

    assert_non_null(kind);
    *kind++ = '\0';
    char *rest = strchr(kind, ' ');
    assert_non_null(rest);
    *rest++ = '\0';
    assert_true(lsn_parse(line, &lsn));
    assert_int_equal(seen->lsn, lsn);
    if (strcmp(kind, "RESTORE_POINT") == 0) {
        assert_int_equal(seen->event.kind, WAL_EVENT_RESTORE_POINT);
        assert_string_equal(seen->event.name, rest);
        return;
    }
    assert_int_equal(seen->event.kind,
                     strncmp(kind, "COMMIT", 6) == 0 ? WAL_EVENT_COMMIT : WAL_EVENT_ABORT);
    assert_int_equal(seen->event.prepared, prepared);
    assert_int_equal(seen->event.time, parse_time(rest));
    assert_string_equal(seen->event.name, "");
}

static void assert_events(const char *folder, size_t capacity, size_t piece)
{
    static Vector wal;
    static Vector text;
    char name[64];
    char *save = NULL;
    size_t count = 0;

    (void)snprintf(name, sizeof(name), "%s/events.wal", folder);
    vector_read(name, &wal);
    (void)snprintf(name, sizeof(name), "%s/events.records", folder);
    vector_read(name, &text);
    Reading reading = read_wal(&wal, capacity, 0, piece);

    for (char *line = strtok_r((char *)text.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        assert_true(count < reading.events);
        assert_line(&reading.seen[count++], line);
    }
    assert_int_equal(count, reading.events);
    assert_true(count >= 7);
    assert_true(reading.records > 2 * count);
    if (capacity >= WAL_PAGE_SIZE)
        assert_int_equal(reading.refused, 0);
    /* A restore point has no transaction: its time lies between its neighbours'. */
    for (size_t i = 1; i < reading.events; i++)
        assert_true(reading.seen[i].event.time >= reading.seen[i - 1].event.time);
}

static void events_are_those_that_pg_waldump_sees(void **state)
{
    static const char *const folders[] = {"13", "15", "18", "19"};

    (void)state;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        assert_events(folders[i], VECTOR_MAX_BYTES, VECTOR_MAX_BYTES);
        assert_events(folders[i], VECTOR_MAX_BYTES, 7);
        assert_events(folders[i], WAL_RECORD_HEAD_SIZE, 8193);
    }
}

static void without_a_collector_nothing_is_called(void **state)
{
    static Vector wal;
    static uint8_t buffer[1];
    Reading reading = {.capacity = 0};
    WalCollector collector = {.buffer = buffer, .visit = take_record, .context = &reading};
    WalScanner scanner;

    (void)state;
    vector_read("15/switch.wal", &wal);
    wal_scan_init(&scanner, 0x700000, SEGMENT, 0);
    (void)wal_scan_feed(&scanner, wal.data, wal.length);
    assert_true(scanner.records > 0);
    assert_int_equal(scanner.magic, 0xD110);
    /* and with one of no room, records are told without their bodies */
    wal_scan_init(&scanner, 0x700000, SEGMENT, 0);
    wal_scan_collect(&scanner, &collector);
    (void)wal_scan_feed(&scanner, wal.data, wal.length);
    assert_int_equal(reading.records, scanner.records);
    assert_int_equal(reading.events, 0);
}

/* Made records ----------------------------------------------------------------------------------
 */

static bool read_body(uint8_t rmgr, uint8_t info, const uint8_t *body, size_t length,
                      size_t available, WalEvent *ret, Error *err)
{
    WalRecordHeader header = {
        .total_length = (uint32_t)(WAL_RECORD_HEADER_SIZE + length), .rmgr = rmgr, .info = info};
    return wal_record_event(&header, body, available, 15, ret, err);
}

static void origin_and_toplevel_transaction_stand_before_the_data(void **state)
{
    static const uint8_t body[] = {253, 1, 0, 252, 9, 0, 0, 0, 255, 8, 1, 2, 0, 0, 0, 0, 0, 0x80};
    WalEvent event;
    Error err;

    (void)state;
    assert_true(read_body(1, 0x80, body, sizeof(body), sizeof(body), &event, &err));
    assert_int_equal(event.kind, WAL_EVENT_COMMIT);
    assert_false(event.prepared);
    assert_int_equal(event.time, (PgTime)UINT64_C(0x8000000000000201));
}

static void long_data_of_which_only_the_head_is_there_is_enough(void **state)
{
    static uint8_t body[2000] = {254, 1995 & 0xFF, 1995 >> 8, 0, 0, 7};
    WalEvent event;
    Error err;

    (void)state;
    assert_true(read_body(1, 0xB0, body, sizeof(body), WAL_RECORD_HEAD_SIZE, &event, &err));
    assert_int_equal(event.kind, WAL_EVENT_COMMIT);
    assert_true(event.prepared);
    assert_int_equal(event.time, 7);
}

/* Main data of a prepared transaction's end: all the lists there are, `count` items each. */
static size_t make_prepared_end(uint8_t *data, uint32_t count, int major, uint32_t xid)
{
    static const uint32_t sizes[] = {4, 12, 0, 16};
    Writer writer = writer_over(data, MAKER_RECORD_MAX);

    write_u8(&writer, 253); /* origin */
    write_u16_le(&writer, 1);
    write_u8(&writer, 254);
    size_t length_at = writer.position;
    write_u32_le(&writer, 0);
    size_t begin = writer.position;
    write_u64_le(&writer, 4711);
    write_u32_le(&writer, 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | (major >= 15 ? 0x100 : 0));
    write_u64_le(&writer, UINT64_MAX); /* database and tablespace */
    for (int list = 0; list < 4; list++) {
        uint32_t size = list != 2 ? sizes[list] : major >= 18 ? 16 : 12;
        if (list == 2 && major < 15)
            continue;
        write_u32_le(&writer, count);
        for (uint32_t i = 0; i < count * size; i++)
            write_u8(&writer, (uint8_t)(i + 1));
    }
    write_u32_le(&writer, xid);
    write_bytes(&writer, "gid", 4);
    assert_false(writer.failed);
    size_t length = writer.position;
    Writer again = writer_over(data + length_at, 4);
    write_u32_le(&again, (uint32_t)(length - begin));
    return length;
}

static void xid_of_a_prepared_transaction_lies_behind_the_lists(void **state)
{
    static uint8_t body[MAKER_RECORD_MAX];
    static const uint8_t infos[] = {0xB0, 0xC0};
    WalEvent event;
    Error err;

    (void)state;
    for (int major = 10; major <= 19; major++) {
        for (uint32_t count = 0; count < 4; count++) {
            size_t length = make_prepared_end(body, count, major, 0xFEDCBA98);
            WalRecordHeader header = {.total_length = (uint32_t)(WAL_RECORD_HEADER_SIZE + length),
                                      .xid = 5,
                                      .rmgr = 1,
                                      .info = infos[count % 2]};
            assert_true(wal_record_event(&header, body, length, major, &event, &err));
            assert_int_equal(event.xid, 0xFEDCBA98);
            assert_int_equal(event.time, 4711);
            assert_true(wal_record_event(&header, body, length - 4, major, &event, &err));
            /* one byte of the XID is missing: no guess */
            assert_false(wal_record_event(&header, body, length - 5, major, &event, &err));
            assert_int_equal(err.class, ERROR_ARCHIVE);
            assert_non_null(strstr(err.message, "which one"));
        }
    }
}

static void take_event(void *context, const WalScanner *scanner, const uint8_t *body, size_t length)
{
    Reading *reading = context;
    Error err;

    assert_true(wal_record_event(&scanner->last_header, body, length, 15,
                                 &reading->seen[reading->events++].event, &err));
}

/* Far more than a collector keeps, fed in pieces of any size. */
static void xid_is_found_however_long_the_lists_are(void **state)
{
    static uint8_t body[MAKER_RECORD_MAX];
    static uint8_t wal[SEGMENT];
    static uint8_t head[WAL_RECORD_HEAD_SIZE];
    static const size_t pieces[] = {1, 7, 8192, 100000, SEGMENT};

    (void)state;
    WalMaker maker = maker_over(wal, sizeof(wal), SEGMENT, SEGMENT);
    size_t length = make_prepared_end(body, 1400, 15, 70000);
    maker_record_of(&maker, (uint32_t)(WAL_RECORD_HEADER_SIZE + length), 1, 0xB0, body);
    length = make_prepared_end(body, 3, 15, 70001);
    maker_record_of(&maker, (uint32_t)(WAL_RECORD_HEADER_SIZE + length), 1, 0xC0, body);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        Reading reading = {.events = 0};
        WalCollector collector = {
            .buffer = head, .capacity = sizeof(head), .visit = take_event, .context = &reading};
        WalScanner scanner;

        wal_scan_init(&scanner, SEGMENT, SEGMENT, 0);
        wal_scan_collect(&scanner, &collector);
        for (size_t at = 0; at < maker.length; at += pieces[i]) {
            size_t left = maker.length - at;
            (void)wal_scan_feed(&scanner, wal + at, left < pieces[i] ? left : pieces[i]);
        }
        assert_int_equal(reading.events, 2);
        assert_int_equal(reading.seen[0].event.xid, 70000);
        assert_int_equal(reading.seen[1].event.xid, 70001);
        assert_int_equal(reading.seen[1].event.kind, WAL_EVENT_ABORT);
    }
}

/* Lists that announce more than the record holds lead nowhere, and not to the next record. */
static void lists_longer_than_the_record_tell_no_xid(void **state)
{
    static uint8_t body[MAKER_RECORD_MAX];
    WalEvent event;
    Error err;

    (void)state;
    size_t length = make_prepared_end(body, 0, 15, 9);
    memset(body + 8 + 8 + 4 + 8, 0xFF, 4); /* number of subtransactions */
    WalRecordHeader header = {
        .total_length = (uint32_t)(WAL_RECORD_HEADER_SIZE + length), .rmgr = 1, .info = 0xB0};
    assert_false(wal_record_event(&header, body, sizeof(body), 15, &event, &err));
    assert_int_equal(err.class, ERROR_ARCHIVE);
}

/* Whatever is cut off or announced too much is refused, and nothing behind the end is looked at. */
static void wrong_lengths_are_refused(void **state)
{
    static const uint8_t body[] = {255, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    WalEvent event;
    Error err;

    (void)state;
    for (size_t available = 0; available < sizeof(body); available++) {
        uint8_t *exact = malloc(available + 1);

        assert_non_null(exact);
        memcpy(exact, body, available);
        assert_false(read_body(1, 0, exact, sizeof(body), available, &event, &err));
        assert_int_equal(err.class, ERROR_ARCHIVE);
        assert_false(read_body(1, 0, exact, available, available, &event, &err));
        free(exact);
    }
    for (int announced = 0; announced < 256; announced++) {
        uint8_t other[sizeof(body)];

        memcpy(other, body, sizeof(body));
        other[1] = (uint8_t)announced;
        assert_int_equal(read_body(1, 0, other, sizeof(other), sizeof(other), &event, &err),
                         announced == 8);
    }
}

static void restore_point_without_an_end_of_its_name_gets_one(void **state)
{
    uint8_t body[2 + 8 + WAL_RESTORE_POINT_NAME_SIZE];
    WalEvent event;
    Error err;

    (void)state;
    memset(body, 'x', sizeof(body));
    body[0] = 255;
    body[1] = sizeof(body) - 2;
    assert_true(read_body(0, 0x70, body, sizeof(body), sizeof(body), &event, &err));
    assert_int_equal(event.kind, WAL_EVENT_RESTORE_POINT);
    assert_int_equal(strlen(event.name), WAL_RESTORE_POINT_NAME_SIZE - 1);
    body[1]--;
    assert_false(read_body(0, 0x70, body, sizeof(body) - 1, sizeof(body) - 1, &event, &err));
}

/* A page image of 4 bytes with a hole: whether the hole's length follows, the flags tell, which
 * mean other things since 15. */
static bool image_fits(int major, uint8_t flags, bool hole_length)
{
    static const uint8_t head[] = {0, 0x10, 0, 0, 4, 0, 100, 0};
    static const uint8_t place[16];
    static const uint8_t tail[] = {255, 8, 'i', 'm', 'g', 'e', 5, 0, 0, 0, 0, 0, 0, 0};
    uint8_t body[64];
    size_t length = sizeof(head);
    WalEvent event = {.time = 0};
    Error err;

    memcpy(body, head, sizeof(head));
    body[length++] = flags;
    if (hole_length) {
        body[length++] = 0;
        body[length++] = 0x1F;
    }
    memcpy(body + length, place, sizeof(place));
    memcpy(body + length + sizeof(place), tail, sizeof(tail));
    length += sizeof(place) + sizeof(tail);
    WalRecordHeader header = {.total_length = (uint32_t)(WAL_RECORD_HEADER_SIZE + length),
                              .rmgr = 1};
    return wal_record_event(&header, body, length, major, &event, &err) && event.time == 5;
}

static void page_images_depend_on_the_major_version(void **state)
{
    (void)state;
    for (int major = 10; major <= 19; major++) {
        bool old = major < 15;
        assert_true(image_fits(major, old ? 0x01 | 0x04 : 0x01 | 0x02, false));
        assert_false(image_fits(major, old ? 0x01 | 0x04 : 0x01 | 0x02, true));
        assert_true(image_fits(major, 0x01 | 0x02 | 0x04, true));
        assert_false(image_fits(major, 0x01 | 0x02 | 0x04, false));
        assert_true(image_fits(major, 0x00, false)); /* no hole */
        assert_true(image_fits(major, 0x02 | 0x04, false));
        if (!old) {
            assert_true(image_fits(major, 0x01 | 0x08, true));
            assert_true(image_fits(major, 0x01 | 0x10, true));
        }
    }
}

/* Blocks of a record in a row, then main data of 8 bytes. */
typedef struct Blocks {
    uint8_t body[1024];
    size_t length;
    uint32_t parts;
} Blocks;

static void add_block(Blocks *blocks, uint16_t image, uint8_t image_flags, bool hole_length,
                      bool same_relation)
{
    uint8_t *at = blocks->body + blocks->length;
    uint8_t *begin = at;

    *at++ = 0; /* which block does not matter */
    *at++ = (uint8_t)((image > 0 ? 0x10 : 0) | (same_relation ? 0x80 : 0));
    *at++ = 3; /* bytes of data */
    *at++ = 0;
    if (image > 0) {
        *at++ = (uint8_t)image;
        *at++ = (uint8_t)(image >> 8);
        at += 2;
        *at++ = image_flags;
        at += hole_length ? 2 : 0;
    }
    at += same_relation ? 4 : 16;
    blocks->length += (size_t)(at - begin);
    blocks->parts += image + 3U;
}

static uint32_t images_of(Blocks *blocks, int major, size_t available)
{
    blocks->body[blocks->length] = 255;
    blocks->body[blocks->length + 1] = 8;
    WalRecordHeader header = {
        .total_length = (uint32_t)(WAL_RECORD_HEADER_SIZE + blocks->length + 2 + 8) + blocks->parts,
        .rmgr = 10};
    if (available == SIZE_MAX)
        assert_int_equal(wal_record_is_imageless(blocks->body, blocks->length + 2),
                         blocks->length == 20);
    return wal_record_image_bytes(
        &header, blocks->body, available < blocks->length ? available : blocks->length + 2, major);
}

static void the_bytes_of_page_images_are_those_of_all_blocks(void **state)
{
    (void)state;
    for (int major = 10; major <= 19; major++) {
        Blocks blocks = {.length = 0};
        uint8_t compressed = major >= 15 ? 0x01 | 0x04 : 0x01 | 0x02;

        add_block(&blocks, 0, 0, false, false);
        assert_int_equal(images_of(&blocks, major, SIZE_MAX), 0);
        add_block(&blocks, 5000, compressed, true, true);
        assert_int_equal(images_of(&blocks, major, SIZE_MAX), 5000);
        add_block(&blocks, 8192, 0, false, false);
        add_block(&blocks, 0, 0, false, true);
        assert_int_equal(images_of(&blocks, major, SIZE_MAX), 13192);
        /* Of headers that are cut what is there counts, and nothing behind it is looked at. */
        size_t cut = blocks.length;
        memset(blocks.body + cut, 0x10, 40);
        for (size_t available = 0; available <= cut; available++) {
            uint32_t images = images_of(&blocks, major, available);
            assert_true(images == 0 || images == 5000 || images == 13192);
        }
        for (int i = 4; i < 33; i++)
            add_block(&blocks, 8192, compressed, true, false);
        assert_true(blocks.length + 2 < WAL_RECORD_HEAD_SIZE);
        assert_int_equal(images_of(&blocks, major, SIZE_MAX), 13192 + 29 * 8192);
    }
}

static void records_without_room_for_an_image_have_none(void **state)
{
    static const uint8_t body[] = {0, 0x10, 0, 0, 4, 0, 0, 0, 0};
    const WalRecordHeader header = {.total_length = WAL_RECORD_IMAGE_MIN - 1, .rmgr = 10};

    (void)state;
    assert_int_equal(wal_record_image_bytes(&header, body, sizeof(body), 15), 0);
    assert_int_equal(wal_record_image_bytes(&header, NULL, 0, 15), 0);
}

/* The quick way tells the same, or nothing. */
static void plain_ends_are_told_quickly(void **state)
{
    static const uint8_t infos[] = {0x00, 0x20, 0x30, 0x40, 0x80, 0xA0, 0x10, 0x50};
    uint8_t body[2 + 24] = {255, 24, 1, 2, 3, 4, 5, 6, 7, 8};
    bool commit;
    PgTime time;
    unsigned quick = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(infos); i++) {
        for (uint8_t rmgr = 0; rmgr < 3; rmgr++) {
            WalRecordHeader header = {.total_length = WAL_RECORD_HEADER_SIZE + sizeof(body),
                                      .xid = 9,
                                      .info = infos[i],
                                      .rmgr = rmgr};
            WalEvent event;
            Error err;
            if (!wal_record_plain_end(&header, body, sizeof(body), &commit, &time))
                continue;
            quick++;
            assert_true(wal_record_event(&header, body, sizeof(body), 15, &event, &err));
            assert_int_equal(event.kind, commit ? WAL_EVENT_COMMIT : WAL_EVENT_ABORT);
            assert_true(event.time == time && event.xid == 9 && !event.prepared);
            assert_false(wal_record_plain_end(&header, body, 9, &commit, &time));
            header.total_length++;
            assert_false(wal_record_plain_end(&header, body, sizeof(body), &commit, &time));
            header.total_length--;
            body[0] = 253;
            assert_false(wal_record_plain_end(&header, body, sizeof(body), &commit, &time));
            body[0] = 255;
        }
    }
    assert_int_equal(quick, 4);
}

static void unknown_parts_are_refused(void **state)
{
    (void)state;
    for (int id = 33; id < 252; id++) {
        uint8_t body[] = {(uint8_t)id, 0, 0, 0, 0, 0};
        WalEvent event;
        Error err;

        assert_false(read_body(1, 0, body, sizeof(body), sizeof(body), &event, &err));
        assert_non_null(strstr(err.message, "unknown kind"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_those_that_pg_waldump_sees),
        cmocka_unit_test(page_images_depend_on_the_major_version),
        cmocka_unit_test(without_a_collector_nothing_is_called),
        cmocka_unit_test(origin_and_toplevel_transaction_stand_before_the_data),
        cmocka_unit_test(long_data_of_which_only_the_head_is_there_is_enough),
        cmocka_unit_test(xid_of_a_prepared_transaction_lies_behind_the_lists),
        cmocka_unit_test(xid_is_found_however_long_the_lists_are),
        cmocka_unit_test(lists_longer_than_the_record_tell_no_xid),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(restore_point_without_an_end_of_its_name_gets_one),
        cmocka_unit_test(the_bytes_of_page_images_are_those_of_all_blocks),
        cmocka_unit_test(records_without_room_for_an_image_have_none),
        cmocka_unit_test(plain_ends_are_told_quickly),
        cmocka_unit_test(unknown_parts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
