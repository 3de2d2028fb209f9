/* SPDX-License-Identifier: PostgreSQL
 *
 * The WAL scanner, page by page, with what a verifier asks beyond it: pages of the right timeline
 * and version, zeros where PostgreSQL writes zeros, and a way on behind a fault. While nothing has
 * been proven since a fault, its damage is open; further faults belong to it. Behind a wrong
 * checksum the next record is tried, since the length is mostly right; behind all else the page
 * itself, then the next page, on which a record begins or goes on that the header tells the length
 * of.
 *
 * Facts: AdvanceXLInsertBuffer, CopyXLogRecordToWAL and CreateOverwriteContrecordRecord (xlog.c,
 * PostgreSQL 15).
 */
#include "verify_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OFFSET_FLAGS 2
#define OFFSET_REMAINING 16
#define OFFSET_PADDING 20
#define RMGR_XLOG 0
#define INFO_MASK 0xF0
#define INFO_SWITCH 0x40
#define INFO_OVERWRITE_CONTRECORD 0xD0

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

static Lsn segment_end(const VerifyScan *scan)
{
    return scan->segment + scan->plan->archive->segment_size;
}

static void restart(VerifyScan *scan, Lsn page)
{
    const Archive *archive = scan->plan->archive;
    wal_scan_init(&scan->scanner, page, archive->segment_size, archive->system_identifier);
    scan->scan_begin = page;
    scan->resume = LSN_INVALID;
}

void verify_scan_begin(VerifyScan *scan, const VerifyPlan *plan, VerifyFound *found, Lsn start)
{
    memset(scan, 0, sizeof(*scan));
    scan->plan = plan;
    scan->found = found;
    scan->position = start;
    restart(scan, start);
}

void verify_scan_file(VerifyScan *scan, const VerifyLine *line, const char *name, Lsn start,
                      bool partial)
{
    if (start != scan->segment) /* else another form of the file that was just tried */
        memcpy(scan->previous_file, scan->file, sizeof(scan->file));
    (void)snprintf(scan->file, sizeof(scan->file), "%s", name);
    scan->line = line;
    scan->segment = start;
    scan->partial = partial;
    scan->gathered = 0;
    scan->ended = false;
    scan->position = start;
    scan->tail = (VerifyTail){.partial = partial};
}

/* Problems -------------------------------------------------------------------------------------
 */

static VerifyProblem problem_at(const VerifyScan *scan, VerifyKind kind, Lsn lsn, Lsn end)
{
    const char *file = lsn < scan->segment ? scan->previous_file : scan->file;
    return verify_problem(kind, scan->line->timeline, file,
                          segment_offset(lsn, scan->plan->archive->segment_size), lsn, end);
}

static void add_stray(VerifyScan *scan, Lsn lsn, uint64_t count, const char *what)
{
    if (scan->reading_on || scan->broken)
        return;
    VerifyProblem problem = problem_at(scan, VERIFY_STRAY, lsn, lsn + count);
    (void)snprintf(problem.message, sizeof(problem.message), "%s", what);
    (void)snprintf(problem.detail, sizeof(problem.detail),
                   "%" PRIu64 " byte%s; no record is touched.", count, count == 1 ? "" : "s");
    verify_found_add(scan->found, &problem);
}

/* What is behind the last proven record, or the fault itself where nothing is proven yet. */
static Lsn unproven_from(const VerifyScan *scan, Lsn fault)
{
    return scan->scanner.records > 0 ? scan->scanner.proven_end : fault;
}

/* A fault at `lsn`: nothing is proven from the last record on, at least up to `end`. */
static void open_damage(VerifyScan *scan, Lsn lsn, Lsn end, const char *message, const char *detail)
{
    if (scan->broken)
        return;
    scan->broken = true;
    scan->whole = true;
    scan->met = scan->position;
    scan->damage = problem_at(scan, VERIFY_DAMAGE, lsn, end);
    scan->damage.begin = unproven_from(scan, lsn);
    (void)snprintf(scan->damage.message, sizeof(scan->damage.message), "%s", message);
    (void)snprintf(scan->damage.detail, sizeof(scan->damage.detail), "%s", detail);
    if (scan->first == LSN_INVALID)
        scan->first = scan->damage.begin;
}

static void close_damage(VerifyScan *scan, Lsn end)
{
    scan->damage.end = end;
    verify_found_add(scan->found, &scan->damage);
    scan->broken = false;
    scan->tail = (VerifyTail){.partial = scan->partial};
}

/* Pages ----------------------------------------------------------------------------------------
 */

static void note_stray_header(VerifyScan *scan, const WalPageHeader *header, const uint8_t *page)
{
    bool continued = (header->info & WAL_PAGE_FIRST_IS_CONTRECORD) != 0;
    size_t size = wal_page_header_size(header);
    if (!continued && header->remaining != 0)
        add_stray(scan, header->address + OFFSET_REMAINING, sizeof(uint32_t),
                  "the page header tells the length of a continued record, but none continues");
    if (!is_zero(page + OFFSET_PADDING, WAL_PAGE_SHORT_HEADER - OFFSET_PADDING))
        add_stray(scan, header->address + OFFSET_PADDING, WAL_PAGE_SHORT_HEADER - OFFSET_PADDING,
                  "the padding of the page header is not zero");
    if ((header->info & WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD) == 0)
        return;
    scan->given_up = header->address;
    /* The page begins with a record that says so, and one was given up before it. */
    if (page[size + 17] != RMGR_XLOG ||
        (page[size + 16] & INFO_MASK) != INFO_OVERWRITE_CONTRECORD ||
        (scan->scanner.records > 0 && scan->scanner.proven_end == header->address))
        add_stray(scan, header->address + OFFSET_FLAGS, 1,
                  "the page header says that a record was given up before it, but none was");
}

/* What the scanner cannot know of a page. False: the page's header was found wrong. */
static bool check_page(VerifyScan *scan, const uint8_t *page, size_t length)
{
    WalPageHeader header;
    Error ignored; /* the scanner tells it */
    char message[VERIFY_TEXT_SIZE];
    if (length < WAL_PAGE_SIZE || !wal_page_decode(page, length, &header, &ignored) ||
        header.address != scan->position)
        return true;
    Timeline expected = verify_line_at(scan->line, header.address);
    if (scan->plan->magic != 0 && header.magic != scan->plan->magic) {
        (void)snprintf(message, sizeof(message),
                       "WAL page of PostgreSQL %d in an archive of PostgreSQL %d",
                       wal_page_major(header.magic), wal_page_major(scan->plan->magic));
    } else if (expected != 0 ? header.timeline != expected
                             : header.timeline > scan->line->timeline) {
        (void)snprintf(message, sizeof(message),
                       "WAL page of timeline %u where timeline %u belongs", header.timeline,
                       expected != 0 ? expected : scan->line->timeline);
    } else {
        note_stray_header(scan, &header, page);
        return true;
    }
    open_damage(scan, header.address, header.address + WAL_PAGE_SIZE, message, "");
    return false;
}

/* Behind a switch record: zeros, with page headers from PostgreSQL 10; or, when the server crashed
 * just there, pages of a recycled segment. */
static void check_rest(VerifyScan *scan, const uint8_t *page, size_t from, size_t length)
{
    WalPageHeader header;
    Error ignored;
    if (is_zero(page + from, length - from))
        return;
    if (from == 0 && wal_page_decode(page, length, &header, &ignored)) {
        size_t size = wal_page_header_size(&header);
        if (header.address != scan->position)
            return;
        if (header.remaining == 0 && (header.info & WAL_PAGE_FIRST_IS_CONTRECORD) == 0 &&
            header.timeline == scan->scanner.timeline && header.magic == scan->plan->magic) {
            from = size;
            if (is_zero(page + from, length - from))
                return;
        }
    }
    size_t first = from;
    uint64_t count = 0;
    for (size_t i = length; i > from; i--) {
        if (page[i - 1] != 0) {
            first = i - 1;
            count++;
        }
    }
    add_stray(scan, scan->position + first, count,
              "behind a switch record the rest of the segment is not zero");
}

/* What a partial holds behind its WAL. */
static void note_tail(VerifyScan *scan, const uint8_t *page, size_t length)
{
    VerifyTail *tail = &scan->tail;
    WalPageHeader header;
    Error ignored;
    if (is_zero(page, length)) {
        tail->zero_bytes += length;
        return;
    }
    if (!wal_page_decode(page, length, &header, &ignored)) {
        tail->other_bytes += length;
    } else if (header.address != scan->position) {
        if (tail->old_bytes == 0) {
            tail->old_lsn = scan->position;
            tail->old_address = header.address;
        }
        tail->old_bytes += length;
    } else {
        size_t used = length;
        while (used > 0 && page[used - 1] == 0)
            used--;
        tail->zero_bytes += length - used;
    }
}

/* Faults ---------------------------------------------------------------------------------------
 */

static void describe_end(const VerifyScan *scan, const uint8_t *page, char *message,
                         size_t capacity)
{
    WalPageHeader header;
    Error ignored;
    char text[2][LSN_TEXT_SIZE];
    lsn_format(scan->scanner.fault_lsn, text[0]);
    switch (scan->scanner.fault) {
    case WAL_FAULT_NO_PAGE:
        (void)snprintf(message, capacity, "zeros instead of the WAL page at %s", text[0]);
        break;
    case WAL_FAULT_OTHER_PAGE:
        (void)snprintf(message, capacity, "WAL page of another place at %s", text[0]);
        if (wal_page_decode(page, WAL_PAGE_SIZE, &header, &ignored))
            (void)snprintf(message, capacity, "WAL page of another place, %s, at %s",
                           lsn_format(header.address, text[1]), text[0]);
        break;
    case WAL_FAULT_NO_RECORD:
        (void)snprintf(message, capacity, "zeros instead of the WAL record at %s", text[0]);
        break;
    case WAL_FAULT_NONE:
    case WAL_FAULT_PAGE:
    case WAL_FAULT_RECORD_LENGTH:
    case WAL_FAULT_RECORD_PREVIOUS:
    case WAL_FAULT_RECORD_CRC:
        (void)snprintf(message, capacity, "%s", scan->scanner.error.message);
        break;
    }
}

/* Was what is wrong all there? A write that was cut off leaves zeros behind it: then its last bytes
 * are zero. */
static bool fault_is_whole(const VerifyScan *scan, const uint8_t *page)
{
    const WalScanner *scanner = &scan->scanner;
    size_t used = (size_t)(scanner->position - scan->position);
    size_t tail = used < sizeof(uint32_t) ? used : sizeof(uint32_t);
    switch (scanner->fault) {
    case WAL_FAULT_PAGE:
    case WAL_FAULT_RECORD_LENGTH:
        return true;
    case WAL_FAULT_RECORD_PREVIOUS:
    case WAL_FAULT_RECORD_CRC:
        return !is_zero(page + used - tail, tail);
    case WAL_FAULT_NONE:
    case WAL_FAULT_NO_PAGE:
    case WAL_FAULT_OTHER_PAGE:
    case WAL_FAULT_NO_RECORD:
        break;
    }
    return false;
}

static void take_fault(VerifyScan *scan, const uint8_t *page, size_t length)
{
    const WalScanner *scanner = &scan->scanner;
    Lsn begin = unproven_from(scan, scanner->fault_lsn);
    char message[VERIFY_TEXT_SIZE];
    if (scan->broken)
        return;
    describe_end(scan, page, message, sizeof(message));
    open_damage(scan, scanner->fault_lsn, scan->position + length, message,
                scanner->state == WAL_SCAN_DAMAGED ? scanner->error.detail : "");
    scan->whole = fault_is_whole(scan, page);
    /* A page that ends the WAL leaves a record open, unless it is where the next one begins. */
    scan->tail.record_open = scanner->fault != WAL_FAULT_NO_RECORD &&
                             (scanner->state != WAL_SCAN_END || scanner->fault_lsn != begin ||
                              (scanner->records == 0 && scanner->fault_lsn > scan->scan_begin));
    if (scan->partial)
        note_tail(scan, page, length);
}

/* A fault on this page: where to go on. False: with the next page; else from *offset on. */
static bool go_on(VerifyScan *scan, size_t length, size_t *offset)
{
    WalScanner *scanner = &scan->scanner;
    if (scanner->fault == WAL_FAULT_RECORD_CRC) {
        wal_scan_pass_record(scanner);
        scan->resume = (scanner->position + 7) / 8 * 8;
        *offset = (size_t)(scanner->position - scan->position);
        return *offset < length;
    }
    if (scanner->fault_lsn <= scan->position && scan->scan_begin < scan->position) {
        restart(scan, scan->position);
        *offset = 0;
        return true;
    }
    restart(scan, scan->position + WAL_PAGE_SIZE);
    return false;
}

/* Counts what was proven; that ends an open damage. */
static void take_progress(VerifyScan *scan, uint64_t before)
{
    const WalScanner *scanner = &scan->scanner;
    if (scanner->records == before)
        return;
    scan->records += scanner->records - before;
    if (scan->broken)
        close_damage(scan, scan->resume != LSN_INVALID ? scan->resume : scanner->first_record);
    scan->resume = LSN_INVALID;
    if (scan->first == LSN_INVALID)
        scan->first = scanner->first_record;
}

static void scan_records(VerifyScan *scan, const uint8_t *page, size_t length)
{
    WalScanner *scanner = &scan->scanner;
    size_t offset = 0;
    do {
        uint64_t before = scanner->records;
        WalScanState state = wal_scan_feed(scanner, page + offset, length - offset);
        take_progress(scan, before);
        if (state == WAL_SCAN_RUNNING)
            break;
        take_fault(scan, page, length);
    } while (go_on(scan, length, &offset));
    if (scanner->stray_bytes > 0)
        add_stray(scan, scanner->stray_lsn, scanner->stray_bytes,
                  "the padding behind a record is not zero");
    scanner->stray_bytes = 0;
    if (wal_scan_behind_switch(scanner) && scanner->proven_end > scan->position)
        check_rest(scan, page, (size_t)(scanner->proven_end - scan->position), length);
}

static void scan_page(VerifyScan *scan, const uint8_t *page, size_t length)
{
    bool blank = false;
    if (scan->broken && scan->partial) {
        uint64_t beyond = scan->tail.zero_bytes + scan->tail.old_bytes;
        note_tail(scan, page, length);
        blank = scan->tail.zero_bytes + scan->tail.old_bytes == beyond + length;
    }
    if (scan->broken && !blank)
        scan->damage.end = scan->position + length;
    if (wal_scan_behind_switch(&scan->scanner)) {
        check_rest(scan, page, 0, length);
        (void)wal_scan_feed(&scan->scanner, page, length);
    } else if (check_page(scan, page, length)) {
        scan_records(scan, page, length);
    } else {
        restart(scan, scan->position + WAL_PAGE_SIZE);
    }
    scan->position += length;
}

void verify_scan_feed(VerifyScan *scan, const uint8_t *data, size_t length)
{
    while (length > 0) {
        if (scan->gathered == 0 && length >= WAL_PAGE_SIZE) {
            scan_page(scan, data, WAL_PAGE_SIZE);
            data += WAL_PAGE_SIZE;
            length -= WAL_PAGE_SIZE;
            continue;
        }
        size_t wanted = WAL_PAGE_SIZE - scan->gathered;
        size_t count = length < wanted ? length : wanted;
        memcpy(scan->page + scan->gathered, data, count);
        scan->gathered += count;
        data += count;
        length -= count;
        if (scan->gathered == WAL_PAGE_SIZE) {
            scan->gathered = 0;
            scan_page(scan, scan->page, WAL_PAGE_SIZE);
        }
    }
}

void verify_scan_flush(VerifyScan *scan)
{
    size_t gathered = scan->gathered;
    if (gathered == 0)
        return;
    memset(scan->page + gathered, 0, WAL_PAGE_SIZE - gathered);
    scan->gathered = 0;
    scan_page(scan, scan->page, gathered);
}

/* Ends of files --------------------------------------------------------------------------------
 */

void verify_scan_cut(VerifyScan *scan, const char *message, const char *detail)
{
    verify_scan_flush(scan);
    open_damage(scan, scan->position, segment_end(scan), message, detail);
    scan->damage.end = segment_end(scan);
    scan->position = segment_end(scan);
    restart(scan, scan->position);
}

void verify_scan_skip(VerifyScan *scan)
{
    scan->gathered = 0;
    if (scan->broken)
        close_damage(scan, scan->segment);
    if (scan->first == LSN_INVALID)
        scan->first = scan->segment;
    scan->position = segment_end(scan);
    restart(scan, scan->position);
}

/* Is the record that was proven last a switch, with the rest of its segment behind it? */
static bool ends_with_switch(const WalScanner *scanner, uint32_t size)
{
    return scanner->records > 0 && scanner->last_header.rmgr == RMGR_XLOG &&
           (scanner->last_header.info & INFO_MASK) == INFO_SWITCH &&
           segment_of(scanner->proven_end - 1, size) == segment_of(scanner->position - 1, size);
}

bool verify_scan_is_open(const VerifyScan *scan)
{
    const WalScanner *scanner = &scan->scanner;
    return !scan->broken && scanner->proven_end < scanner->position &&
           !ends_with_switch(scanner, scan->plan->archive->segment_size);
}

void verify_scan_end(VerifyScan *scan)
{
    VerifyTail *tail = &scan->tail;
    if (scan->ended)
        return;
    scan->ended = true;
    if (!scan->broken) {
        tail->end = scan->scanner.proven_end;
        tail->record_open = verify_scan_is_open(scan);
        return;
    }
    tail->end = scan->damage.begin;
    if (scan->partial && !scan->whole && scan->met >= scan->segment) {
        scan->broken = false;
        return;
    }
    VerifyTail kept = *tail;
    close_damage(scan, scan->damage.end);
    *tail = kept;
}

bool verify_scan_passed(const VerifyScan *scan, Lsn lsn)
{
    return !scan->broken && scan->scanner.records > 0 && scan->scanner.proven_end > lsn;
}
