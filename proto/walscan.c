/* SPDX-License-Identifier: PostgreSQL
 *
 * A push parser over WAL. Pages and records are two layers: at every page boundary the page's
 * header is gathered and checked, whatever the record layer is doing; between headers, the phase
 * says what the bytes are. A record's header is gathered (24 bytes, it may lie on two pages); its
 * body only passes through the CRC, straight from the caller's buffer, in pieces as long as buffer
 * and page allow.
 *
 * Facts: XLogDecodeNextRecord, ValidXLogRecordHeader and ValidXLogRecord (xlogreader.c),
 * xlogrecord.h, PostgreSQL 15. Resource manager numbers are not checked: they differ between
 * majors, and the CRC covers them.
 */
#include "walrx/proto/walscan.h"

#include "walrx/proto/crc32c.h"
#include "walrx/proto/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RECORD_ALIGN 8       /* MAXALIGN of every 64-bit server */
#define RECORD_CRC_OFFSET 20 /* the CRC covers the header up to itself */

/* rmgrlist.h and pg_control.h: the record after which the rest of the segment is not WAL */
#define RMGR_XLOG 0
#define RMGR_XACT 1
#define INFO_RMGR_MASK 0xF0
#define INFO_XLOG_SWITCH 0x40

/* xlogrecord.h */
#define MAX_BLOCK_ID 32
#define ID_DATA_LONG 254 /* ID_DATA_SHORT is 255 */
#define BLOCK_HAS_IMAGE 0x10
#define BLOCK_SAME_RELATION 0x80
#define BLOCK_REFERENCE_SIZE 20 /* ID, flags, length, relation, block number */
#define RELATION_SIZE 12

typedef enum Phase {
    PHASE_RECORD_HEADER,   /* a record begins, or its header is being gathered */
    PHASE_RECORD_BODY,     /* record_left bytes for the CRC */
    PHASE_SKIPPED_RECORD,  /* record_left bytes of a record that began before the scan */
    PHASE_PADDING,         /* record_left bytes up to the next possible record */
    PHASE_REST_OF_SEGMENT, /* behind a switch record: anything, page headers or not */
} Phase;

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

/* Here and not through base/cursor: these run once per record, in the innermost loop. */
static uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static uint64_t load_u64(const uint8_t *bytes)
{
    return load_u32(bytes) | (uint64_t)load_u32(bytes + 4) << 32;
}

static uint32_t page_offset(Lsn lsn)
{
    return (uint32_t)(lsn % WAL_PAGE_SIZE);
}

static uint32_t minimum(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many of the `wanted` bytes the caller has given us. */
static uint32_t available(const Input *input, uint32_t wanted)
{
    return input->left < wanted ? (uint32_t)input->left : wanted;
}

static void consume(WalScanner *scanner, Input *input, uint32_t count)
{
    input->data += count;
    input->left -= count;
    scanner->position += count;
}

static void stop(WalScanner *scanner, WalScanState state, WalScanFault fault, Lsn lsn)
{
    scanner->state = state;
    scanner->fault = fault;
    scanner->fault_lsn = lsn;
}

/* scanner->error is filled. */
static void stop_damaged(WalScanner *scanner, WalScanFault fault, Lsn lsn)
{
    stop(scanner, WAL_SCAN_DAMAGED, fault, lsn);
}

/* Pages -----------------------------------------------------------------------------------------
 */

/* Bytes of an unfinished record that the next page must continue, 0 when a record may begin there.
 */
static uint32_t continuation_expected(const WalScanner *scanner)
{
    switch ((Phase)scanner->phase) {
    case PHASE_RECORD_HEADER:
        return scanner->record_gathered == 0
                   ? 0
                   : load_u32(scanner->record_bytes) - scanner->record_gathered;
    case PHASE_RECORD_BODY:
    case PHASE_SKIPPED_RECORD:
        return scanner->record_left;
    case PHASE_PADDING:
    case PHASE_REST_OF_SEGMENT:
        return 0;
    }
    return 0;
}

static bool is_first_page(const WalScanner *scanner)
{
    return scanner->timeline == 0;
}

static void begin_record(WalScanner *scanner)
{
    scanner->phase = PHASE_RECORD_HEADER;
    scanner->record_gathered = 0;
}

/* The long header names the cluster; PostgreSQL puts one on each segment's first page. */
static bool check_identity(WalScanner *scanner, const WalPageHeader *header, Lsn page)
{
    if ((header->info & WAL_PAGE_LONG) == 0) {
        if (segment_offset(page, scanner->segment_size) != 0)
            return true;
        return error_set(&scanner->error, ERROR_ARCHIVE,
                         "first page of a WAL segment has no long header");
    }
    if (header->segment_size != scanner->segment_size)
        return error_set(&scanner->error, ERROR_ARCHIVE,
                         "WAL is of another segment size: %" PRIu32 " bytes instead of %" PRIu32,
                         header->segment_size, scanner->segment_size);
    if (scanner->system_identifier != 0 && header->system_identifier != scanner->system_identifier)
        return error_set(&scanner->error, ERROR_ARCHIVE,
                         "WAL is of another system: identifier %" PRIu64 " instead of %" PRIu64,
                         header->system_identifier, scanner->system_identifier);
    return true;
}

static bool check_timeline(WalScanner *scanner, const WalPageHeader *header)
{
    if (header->timeline == 0 || header->timeline < scanner->timeline)
        return error_set(&scanner->error, ERROR_ARCHIVE,
                         "timeline %" PRIu32 " in WAL page header follows timeline %" PRIu32,
                         header->timeline, scanner->timeline);
    return true;
}

/* Does the page continue the record layer's state? Moves that layer on where the page says so. */
static bool check_continuation(WalScanner *scanner, const WalPageHeader *header)
{
    uint32_t expected = continuation_expected(scanner);
    bool continued = (header->info & WAL_PAGE_FIRST_IS_CONTRECORD) != 0;

    /* A server that crashed in the middle of this record has written another one in its place
     * (CreateOverwriteContrecordRecord, xlog.c, PostgreSQL 15). The aborted record is no link of
     * the xl_prev chain. */
    if ((header->info & WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD) != 0) {
        begin_record(scanner);
        return true;
    }
    if (is_first_page(scanner) && continued && header->remaining > 0) {
        scanner->phase = PHASE_SKIPPED_RECORD;
        scanner->record_left = header->remaining;
        return true;
    }
    if (!continued && expected == 0)
        return true;
    if (!continued)
        return error_set(&scanner->error, ERROR_ARCHIVE,
                         "WAL page does not continue the record of the page before, which lacks "
                         "%" PRIu32 " bytes",
                         expected);
    if (expected == 0)
        return error_set(&scanner->error, ERROR_ARCHIVE,
                         "WAL page continues a record, but none is unfinished");
    if (header->remaining != expected)
        return error_set(&scanner->error, ERROR_ARCHIVE,
                         "WAL page continues a record by %" PRIu32 " bytes instead of %" PRIu32,
                         header->remaining, expected);
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static void finish_page_header(WalScanner *scanner)
{
    Lsn page = scanner->position - scanner->gathered;
    char text[LSN_TEXT_SIZE];
    WalPageHeader header;

    if (is_zero(scanner->header_bytes, scanner->gathered)) {
        stop(scanner, WAL_SCAN_END, WAL_FAULT_NO_PAGE, page);
        return;
    }
    if (!wal_page_decode(scanner->header_bytes, scanner->gathered, &header, &scanner->error)) {
        (void)error_detail(&scanner->error, "The page is at %s.", lsn_format(page, text));
        stop_damaged(scanner, WAL_FAULT_PAGE, page);
        return;
    }
    /* A recycled segment: the page still is what it was at its old address. */
    if (header.address != page) {
        scanner->found_address = header.address;
        stop(scanner, WAL_SCAN_END, WAL_FAULT_OTHER_PAGE, page);
        return;
    }
    if (!check_identity(scanner, &header, page) || !check_timeline(scanner, &header) ||
        !check_continuation(scanner, &header)) {
        (void)error_detail(&scanner->error, "The page is at %s.", lsn_format(page, text));
        stop_damaged(scanner, WAL_FAULT_PAGE, page);
        return;
    }
    scanner->timeline = header.timeline;
    scanner->magic = header.magic;
}

static void feed_page_header(WalScanner *scanner, Input *input)
{
    uint32_t count = available(input, scanner->pending);

    memcpy(scanner->header_bytes + scanner->gathered, input->data, count);
    consume(scanner, input, count);
    scanner->gathered += count;
    scanner->pending -= count;
    if (scanner->pending > 0)
        return;
    /* xlp_info, little-endian, behind xlp_magic */
    if (scanner->gathered == WAL_PAGE_SHORT_HEADER &&
        (scanner->header_bytes[2] & WAL_PAGE_LONG) != 0)
        scanner->pending = WAL_PAGE_LONG_HEADER - WAL_PAGE_SHORT_HEADER;
    else
        finish_page_header(scanner);
}

/* Records ---------------------------------------------------------------------------------------
 */

static bool record_error(WalScanner *scanner, WalScanFault fault)
{
    char text[LSN_TEXT_SIZE];

    (void)error_detail(&scanner->error, "The record is at %s.",
                       lsn_format(scanner->record_start, text));
    stop_damaged(scanner, fault, scanner->record_start);
    return false;
}

/* xl_tot_len is there: false when the scan stops. A record begins 8-byte aligned, so its first
 * field never lies on two pages. */
static bool check_length(WalScanner *scanner)
{
    uint32_t length = load_u32(scanner->record_bytes);

    if (length == 0) {
        stop(scanner, WAL_SCAN_END, WAL_FAULT_NO_RECORD, scanner->record_start);
        return false;
    }
    if (length < WAL_RECORD_HEADER_SIZE || length > WAL_RECORD_MAX_SIZE) {
        (void)error_set(&scanner->error, ERROR_ARCHIVE,
                        "invalid length of WAL record: %" PRIu32 " is not from %d to %u", length,
                        WAL_RECORD_HEADER_SIZE, WAL_RECORD_MAX_SIZE);
        return record_error(scanner, WAL_FAULT_RECORD_LENGTH);
    }
    return true;
}

static bool check_previous(WalScanner *scanner)
{
    Lsn previous = load_u64(scanner->record_bytes + 8);
    char found[LSN_TEXT_SIZE];
    char expected[LSN_TEXT_SIZE];

    /* The first record of a scan is the first on its page, or follows one that began before. */
    if (scanner->previous_record == LSN_INVALID) {
        if (previous < scanner->start)
            return true;
        (void)error_set(
            &scanner->error, ERROR_ARCHIVE,
            "WAL record names %s as the one before it, which is not before %s, where the "
            "scan began",
            lsn_format(previous, found), lsn_format(scanner->start, expected));
        return record_error(scanner, WAL_FAULT_RECORD_PREVIOUS);
    }
    if (previous == scanner->previous_record)
        return true;
    (void)error_set(&scanner->error, ERROR_ARCHIVE,
                    "WAL record names %s as the one before it instead of %s",
                    lsn_format(previous, found), lsn_format(scanner->previous_record, expected));
    return record_error(scanner, WAL_FAULT_RECORD_PREVIOUS);
}

bool wal_record_is_switch(const WalRecordHeader *header)
{
    return header->rmgr == RMGR_XLOG && (header->info & INFO_RMGR_MASK) == INFO_XLOG_SWITCH;
}

static void begin_padding(WalScanner *scanner)
{
    uint32_t over = (uint32_t)(scanner->position % RECORD_ALIGN);

    scanner->phase = PHASE_PADDING;
    scanner->record_left = over == 0 ? 0 : RECORD_ALIGN - over;
}

/* Behind a record and its padding. */
static void finish_padding(WalScanner *scanner)
{
    begin_record(scanner);
    if (scanner->skip_to_segment_end &&
        segment_offset(scanner->position, scanner->segment_size) != 0)
        scanner->phase = PHASE_REST_OF_SEGMENT;
    scanner->skip_to_segment_end = false;
}

/* The XID inside the end of a prepared transaction is looked for while the record passes. */
static bool is_twophase(const WalScanner *scanner)
{
    const uint8_t *header = scanner->record_bytes;
    return header[17] == RMGR_XACT && wal_twophase_ends(header[17], header[16]);
}

/* Takes a piece of a body that does not come in one, or is looked into; kept out of the loop that
 * runs for every record. */
__attribute__((noinline, cold)) static void collect(WalScanner *scanner, const uint8_t *bytes,
                                                    size_t count)
{
    const WalCollector *collector = scanner->collector;
    const uint8_t *header = scanner->record_bytes;
    size_t at = load_u32(header) - WAL_RECORD_HEADER_SIZE - (size_t)scanner->record_left;

    if (is_twophase(scanner)) {
        if (at == 0)
            wal_twophase_begin(&scanner->twophase, header[16], wal_page_major(scanner->magic));
        scanner->twophase_record = scanner->record_start;
        wal_twophase_feed(&scanner->twophase, bytes, count);
    }
    if (at >= collector->capacity)
        return;
    size_t room = collector->capacity - at;
    memcpy(collector->buffer + at, bytes, count < room ? count : room);
}

/* `whole`: the body where it lies, NULL when it was collected. */
static void tell_record(WalScanner *scanner, const uint8_t *whole)
{
    const WalCollector *collector = scanner->collector;
    size_t length = scanner->last_header.total_length - WAL_RECORD_HEADER_SIZE;

    if (scanner->twophase_record == scanner->record_start)
        (void)wal_twophase_xid(&scanner->twophase, &scanner->last_header.inner_xid);
    collector->visit(collector->context, scanner, whole != NULL ? whole : collector->buffer,
                     length < collector->capacity ? length : collector->capacity);
}

/* Most records refer to a block or two without an image, and go on with their data. */
static bool is_imageless(const uint8_t *body, size_t length)
{
    size_t at = 0;

    while (length - at > BLOCK_REFERENCE_SIZE && body[at] <= MAX_BLOCK_ID &&
           (body[at + 1] & BLOCK_HAS_IMAGE) == 0)
        at += (body[at + 1] & BLOCK_SAME_RELATION) != 0 ? BLOCK_REFERENCE_SIZE - RELATION_SIZE
                                                        : BLOCK_REFERENCE_SIZE;
    return length > at && body[at] >= ID_DATA_LONG;
}

/* This runs for every record that arrives. */
static void collect_record(WalScanner *scanner, const uint8_t *whole)
{
    const WalRecordHeader *header = &scanner->last_header;
    WalTally *tally = scanner->collector->tally;

    if (tally != NULL && header->rmgr > RMGR_XACT && whole != NULL &&
        is_imageless(whole, header->total_length - WAL_RECORD_HEADER_SIZE)) {
        tally[header->rmgr].records++;
        tally[header->rmgr].bytes += header->total_length;
        return;
    }
    tell_record(scanner, whole);
}

static WalRecordHeader decode_header(const uint8_t *bytes)
{
    return (WalRecordHeader){
        .total_length = load_u32(bytes),
        .xid = load_u32(bytes + 4),
        .previous = load_u64(bytes + 8),
        .info = bytes[16],
        .rmgr = bytes[17],
        .crc = load_u32(bytes + RECORD_CRC_OFFSET),
    };
}

/* From a record's end on to the next one. begin_padding was called. */
static void leave_record(WalScanner *scanner, const WalRecordHeader *header)
{
    scanner->previous_record = scanner->record_start;
    scanner->skip_to_segment_end = wal_record_is_switch(header);
    if (scanner->record_left == 0)
        finish_padding(scanner);
}

static void note_record(WalScanner *scanner, const WalRecordHeader *header, Lsn end)
{
    scanner->proven_end = end;
    scanner->last_record = scanner->record_start;
    scanner->last_header = *header;
    scanner->records++;
    if (scanner->first_record == LSN_INVALID)
        scanner->first_record = scanner->record_start;
}

/* All bytes of the record have passed: its CRC decides. `whole`: its body, where that came in one
 * piece. */
static void finish_record(WalScanner *scanner, const uint8_t *whole)
{
    const uint8_t *bytes = scanner->record_bytes;
    WalRecordHeader header = decode_header(bytes);
    uint32_t crc = crc32c_final(crc32c_update(scanner->crc, bytes, RECORD_CRC_OFFSET));

    if (crc != header.crc) {
        (void)error_set(&scanner->error, ERROR_ARCHIVE,
                        "incorrect checksum of WAL record: %08" PRIX32 " instead of %08" PRIX32,
                        crc, header.crc);
        (void)record_error(scanner, WAL_FAULT_RECORD_CRC);
        return;
    }
    begin_padding(scanner);
    note_record(scanner, &header, scanner->position + scanner->record_left);
    if (scanner->collector != NULL)
        collect_record(scanner, whole);
    leave_record(scanner, &header);
}

/* Is the record's padding, up to a multiple of RECORD_ALIGN behind its `length` bytes, zero? */
static bool padding_is_zero(const uint8_t *bytes, uint32_t length, uint32_t padded)
{
    uint32_t count = padded - length;

    return count == 0 || load_u64(bytes + padded - 8) >> (64 - 8 * count) == 0;
}

/* Most records: one that lies on its page and in the input with all of its bytes, and is right.
 * Does in one what the steps below do. False: it is not such a one, and nothing has changed. */
static bool feed_whole_record(WalScanner *scanner, Input *input, uint32_t page_left)
{
    const uint8_t *bytes = input->data;
    uint32_t room = available(input, page_left);

    if (room < WAL_RECORD_HEADER_SIZE)
        return false;
    uint32_t length = load_u32(bytes);
    if (length < WAL_RECORD_HEADER_SIZE || length > room)
        return false;
    uint32_t padded = (length + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
    WalRecordHeader header = decode_header(bytes);
    if (padded > room || header.previous != scanner->previous_record ||
        header.previous == LSN_INVALID || wal_record_is_switch(&header) ||
        (header.rmgr == RMGR_XACT && wal_twophase_ends(header.rmgr, header.info)))
        return false;
    uint32_t crc =
        crc32c_update(CRC32C_INIT, bytes + WAL_RECORD_HEADER_SIZE, length - WAL_RECORD_HEADER_SIZE);
    if (crc32c_final(crc32c_update(crc, bytes, RECORD_CRC_OFFSET)) != header.crc ||
        !padding_is_zero(bytes, length, padded))
        return false;
    scanner->record_start = scanner->position;
    consume(scanner, input, padded);
    note_record(scanner, &header, scanner->position);
    scanner->previous_record = scanner->record_start;
    if (scanner->collector != NULL)
        collect_record(scanner, bytes + WAL_RECORD_HEADER_SIZE);
    return true;
}

static void feed_record_header(WalScanner *scanner, Input *input, uint32_t page_left)
{
    uint32_t before = scanner->record_gathered;
    uint32_t count = available(input, minimum(WAL_RECORD_HEADER_SIZE - before, page_left));

    if (before == 0)
        scanner->record_start = scanner->position;
    memcpy(scanner->record_bytes + before, input->data, count);
    consume(scanner, input, count);
    scanner->record_gathered = before + count;
    if (before < sizeof(uint32_t) && scanner->record_gathered >= sizeof(uint32_t) &&
        !check_length(scanner))
        return;
    if (scanner->record_gathered < WAL_RECORD_HEADER_SIZE || !check_previous(scanner))
        return;
    scanner->crc = CRC32C_INIT;
    scanner->record_left = load_u32(scanner->record_bytes) - WAL_RECORD_HEADER_SIZE;
    scanner->phase = PHASE_RECORD_BODY;
    if (scanner->record_left == 0)
        finish_record(scanner, NULL);
}

static void feed_record_body(WalScanner *scanner, Input *input, uint32_t page_left)
{
    const uint8_t *piece = input->data;
    uint32_t count = available(input, minimum(scanner->record_left, page_left));
    bool whole = count == load_u32(scanner->record_bytes) - WAL_RECORD_HEADER_SIZE;

    scanner->crc = crc32c_update(scanner->crc, piece, count);
    if (scanner->collector != NULL && (!whole || is_twophase(scanner)))
        collect(scanner, piece, count);
    consume(scanner, input, count);
    scanner->record_left -= count;
    if (scanner->record_left == 0)
        finish_record(scanner, whole ? piece : NULL);
}

/* CopyXLogRecordToWAL (xlog.c, PostgreSQL 15) writes records into pages of zeros. */
static void check_padding(WalScanner *scanner, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] == 0)
            continue;
        if (scanner->stray_bytes == 0)
            scanner->stray_lsn = scanner->position + i;
        scanner->stray_bytes++;
    }
}

/* The end of a record that began before the scan, and padding. */
static void feed_skipped(WalScanner *scanner, Input *input, uint32_t page_left)
{
    uint32_t count = available(input, minimum(scanner->record_left, page_left));

    if (scanner->phase == PHASE_PADDING)
        check_padding(scanner, input->data, count);
    consume(scanner, input, count);
    scanner->record_left -= count;
    if (scanner->record_left == 0 && scanner->phase == PHASE_SKIPPED_RECORD)
        begin_padding(scanner);
    if (scanner->record_left == 0)
        finish_padding(scanner);
}

/* PostgreSQL zeroes these bytes, 10 left page headers among them, and a crash right behind the
 * switch leaves what the recycled file held. No reader ever looks at them (XLogDecodeNextRecord
 * jumps to the next segment), so nothing is asked of them here either. */
static void feed_rest_of_segment(WalScanner *scanner, Input *input)
{
    uint32_t left =
        scanner->segment_size - segment_offset(scanner->position, scanner->segment_size);

    consume(scanner, input, available(input, left));
    if (segment_offset(scanner->position, scanner->segment_size) == 0)
        begin_record(scanner);
}

/* Interface -------------------------------------------------------------------------------------
 */

void wal_scan_init(WalScanner *scanner, Lsn start, uint32_t segment_size,
                   uint64_t system_identifier)
{
    memset(scanner, 0, sizeof(*scanner));
    scanner->state = WAL_SCAN_RUNNING;
    scanner->start = start;
    scanner->position = start;
    scanner->proven_end = start;
    scanner->segment_size = segment_size;
    scanner->system_identifier = system_identifier;
    begin_record(scanner);
    if (!segment_size_valid(segment_size)) {
        (void)error_set(&scanner->error, ERROR_USAGE, "invalid WAL segment size: %" PRIu32,
                        segment_size);
        stop_damaged(scanner, WAL_FAULT_PAGE, start);
    } else if (page_offset(start) != 0) {
        char text[LSN_TEXT_SIZE];

        (void)error_set(&scanner->error, ERROR_USAGE, "WAL scan begins inside a page, at %s",
                        lsn_format(start, text));
        stop_damaged(scanner, WAL_FAULT_PAGE, start);
    }
}

void wal_scan_collect(WalScanner *scanner, const WalCollector *collector)
{
    scanner->collector = collector;
}

static void feed_page_content(WalScanner *scanner, Input *input)
{
    uint32_t page_left = WAL_PAGE_SIZE - page_offset(scanner->position);

    switch ((Phase)scanner->phase) {
    case PHASE_RECORD_HEADER:
        if (scanner->record_gathered > 0 || !feed_whole_record(scanner, input, page_left))
            feed_record_header(scanner, input, page_left);
        break;
    case PHASE_RECORD_BODY:
        feed_record_body(scanner, input, page_left);
        break;
    case PHASE_SKIPPED_RECORD:
    case PHASE_PADDING:
        feed_skipped(scanner, input, page_left);
        break;
    case PHASE_REST_OF_SEGMENT:
        feed_rest_of_segment(scanner, input);
        break;
    }
}

WalScanState wal_scan_feed(WalScanner *scanner, const void *data, size_t length)
{
    Input input = {data, length};

    if (scanner->state != WAL_SCAN_RUNNING)
        return scanner->state;

    Lsn last_segment = segment_start(segment_last(scanner->segment_size), scanner->segment_size);

    while (input.left > 0 && scanner->state == WAL_SCAN_RUNNING) {
        bool at_page_start =
            page_offset(scanner->position) == 0 && scanner->phase != PHASE_REST_OF_SEGMENT;

        /* The end of the very last segment is no LSN; PostgreSQL never gets there. */
        if (scanner->position >= last_segment) {
            (void)error_set(&scanner->error, ERROR_ARCHIVE, "WAL in the last possible segment");
            stop_damaged(scanner, WAL_FAULT_PAGE, scanner->position);
        } else if (at_page_start) {
            scanner->pending = WAL_PAGE_SHORT_HEADER;
            scanner->gathered = 0;
            feed_page_header(scanner, &input);
        } else if (scanner->pending > 0) {
            feed_page_header(scanner, &input);
        } else {
            feed_page_content(scanner, &input);
        }
    }
    return scanner->state;
}

void wal_scan_pass_record(WalScanner *scanner)
{
    WalRecordHeader header = decode_header(scanner->record_bytes);

    if (scanner->fault != WAL_FAULT_RECORD_CRC)
        return;
    scanner->state = WAL_SCAN_RUNNING;
    scanner->fault = WAL_FAULT_NONE;
    scanner->fault_lsn = LSN_INVALID;
    error_clear(&scanner->error);
    begin_padding(scanner);
    leave_record(scanner, &header);
}

Lsn wal_scan_open_record(const WalScanner *scanner)
{
    bool open = scanner->phase == PHASE_RECORD_BODY ||
                (scanner->phase == PHASE_RECORD_HEADER && scanner->record_gathered > 0);
    return open ? scanner->record_start : LSN_INVALID;
}

Lsn wal_scan_settled(const WalScanner *scanner)
{
    Lsn open = wal_scan_open_record(scanner);

    if (open != LSN_INVALID)
        return open;
    return scanner->pending > 0 ? scanner->position - scanner->gathered : scanner->position;
}

Lsn wal_scan_record_end(const WalScanner *scanner)
{
    uint32_t size = scanner->segment_size;

    if (!wal_record_is_switch(&scanner->last_header))
        return scanner->proven_end;
    return segment_start(segment_of(scanner->proven_end - 1, size) + 1, size);
}

void wal_scan_reason(const WalScanner *scanner, char *buffer, size_t capacity)
{
    char text[LSN_TEXT_SIZE];

    switch (scanner->fault) {
    case WAL_FAULT_NO_PAGE:
        (void)snprintf(buffer, capacity, "a page of zeros where WAL must go on");
        break;
    case WAL_FAULT_OTHER_PAGE:
        (void)snprintf(buffer, capacity, "WAL page names %s as its address",
                       lsn_format(scanner->found_address, text));
        break;
    case WAL_FAULT_NO_RECORD:
        (void)snprintf(buffer, capacity, "zeros where a record must begin");
        break;
    case WAL_FAULT_NONE:
    case WAL_FAULT_PAGE:
    case WAL_FAULT_RECORD_LENGTH:
    case WAL_FAULT_RECORD_PREVIOUS:
    case WAL_FAULT_RECORD_CRC:
        (void)snprintf(buffer, capacity, "%s", scanner->error.message);
        break;
    }
}

bool wal_scan_behind_switch(const WalScanner *scanner)
{
    return scanner->phase == PHASE_REST_OF_SEGMENT;
}
