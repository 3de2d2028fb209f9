/* SPDX-License-Identifier: PostgreSQL
 *
 * See walk.h. One scanner goes over everything that is joined; it begins anew behind a hole. Behind
 * a segment switch nothing is read: idle segments cost little.
 *
 * Where the first segment begins inside a record, page headers tell in which segment before it that
 * record begins, and the scan begins there; what is wrong with these segments is nobody's concern,
 * and then the beginning is not known.
 */
#include "walrx/archive/walk.h"

#include "walrx/archive/segment_file.h"
#include "walrx/proto/walscan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A file that vanished is looked for in its other forms: from .partial to complete to packed. */
#define FIND_TRIES 4
#define REASON_SIZE 320

typedef struct Walk {
    const Archive *archive;
    const Branch *branch;
    const WalkVisit *visit;
    SegNo from;
    bool leading;    /* the segment under way lies before `from` */
    bool ended;      /* the visitor has had enough */
    uint64_t left;   /* bytes of the segment that may still come */
    bool partial;    /* its file is one */
    bool head_known; /* the segment was entered with a whole record behind the scanner */
    uint16_t magic;  /* whose major is in `record` */
    Lsn end;
    WalkRecord record;
    WalScanner scanner;
    WalCollector collector;
    char name[WAL_FILE_NAME_SIZE];
    uint8_t head[WAL_RECORD_HEAD_SIZE];
} Walk;

static void take_record(void *context, const WalScanner *scanner, const uint8_t *body,
                        size_t length)
{
    Walk *walk = context;
    WalkRecord *record = &walk->record;
    const WalkVisit *visit = walk->visit;
    if (walk->leading || walk->ended)
        return;
    if (walk->magic != scanner->magic) {
        walk->magic = scanner->magic;
        record->major = wal_page_major(scanner->magic);
    }
    bool wanted = visit->wants != NULL && visit->wants(&scanner->last_header);
    record->lsn = scanner->last_record;
    record->end = wal_scan_record_end(scanner);
    record->header = &scanner->last_header;
    record->body = wanted ? body : NULL;
    record->length = wanted ? length : 0;
    walk->end = record->end;
    walk->ended = visit->record != NULL && !visit->record(visit->context, record);
}

static bool take_bytes(void *context, const void *data, size_t length, Error *err)
{
    Walk *walk = context;
    WalScanner *scanner = &walk->scanner;
    size_t taken = length < walk->left ? length : (size_t)walk->left;
    (void)wal_scan_feed(scanner, data, taken);
    walk->left -= taken;
    if (walk->ended || walk->left == 0 || scanner->state != WAL_SCAN_RUNNING ||
        wal_scan_behind_switch(scanner))
        return error_set(err, ERROR_STOPPED, "enough was read");
    return true;
}

static void restart(Walk *walk, Lsn start)
{
    wal_scan_init(&walk->scanner, start, walk->archive->segment_size,
                  walk->archive->system_identifier);
    wal_scan_collect(&walk->scanner, &walk->collector);
}

/* The best file of the segment as the directory is now: complete before partial, raw before
 * compressed. */
static bool find_file(const Archive *archive, const BranchSpan *span, SegNo segno,
                      char name[WAL_FILE_NAME_SIZE], WalCompression *ret_form, bool *ret_partial,
                      Error *err)
{
    for (int partial = 0; partial < (span->partial ? 2 : 1); partial++) {
        for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
            bool exists;
            uint64_t size;
            wal_segment_name(span->timeline, segno, archive->segment_size, (WalCompression)form,
                             partial == 1, name);
            if (!file_status(&archive->dir, name, &exists, &size, err))
                return false;
            if (exists) {
                *ret_form = (WalCompression)form;
                *ret_partial = partial == 1;
                return true;
            }
        }
    }
    wal_segment_name(span->timeline, segno, archive->segment_size, WAL_RAW, span->partial, name);
    error_set(err, ERROR_ARCHIVE, "segment \"%s/%s\" is no longer there", archive->dir.path, name);
    err->os_errno = ENOENT;
    return false;
}

/* Feeds what the file holds, as far as it is wanted. */
static bool read_file(Walk *walk, const BranchSpan *span, SegNo segno, Error *err)
{
    const Archive *archive = walk->archive;
    for (int i = 0;; i++) {
        WalCompression form;
        if (!find_file(archive, span, segno, walk->name, &form, &walk->partial, err))
            return false;
        if (segment_file_read(&archive->dir, walk->name, form, take_bytes, walk, err) ||
            err->class == ERROR_STOPPED)
            return true;
        if (err->os_errno != ENOENT || i == FIND_TRIES)
            return walk->partial && err->class == ERROR_ARCHIVE;
    }
}

static bool tell_stop(const Walk *walk, Error *err)
{
    const WalScanner *scanner = &walk->scanner;
    char reason[REASON_SIZE];
    char text[LSN_TEXT_SIZE];
    if (scanner->state == WAL_SCAN_RUNNING) {
        error_set(err, ERROR_ARCHIVE, "segment \"%s/%s\" is too short: WAL ends at %s",
                  walk->archive->dir.path, walk->name, lsn_format(scanner->position, text));
    } else {
        wal_scan_reason(scanner, reason, sizeof(reason));
        error_set(err, ERROR_ARCHIVE, "WAL of \"%s/%s\" is damaged at %s: %s",
                  walk->archive->dir.path, walk->name, lsn_format(scanner->fault_lsn, text),
                  reason);
        error_detail(err, "%s", scanner->error.detail);
    }
    return error_hint(err, "walrx verify tells all that is wrong with the archive.");
}

/* The rest of the segment, which is not WAL. */
static void pass_rest(Walk *walk)
{
    static const uint8_t zeros[WAL_PAGE_SIZE];
    while (walk->left > 0) {
        size_t count = walk->left < sizeof(zeros) ? (size_t)walk->left : sizeof(zeros);
        (void)wal_scan_feed(&walk->scanner, zeros, count);
        walk->left -= count;
    }
}

/* Was the segment entered inside a record whose beginning the scan did not see? */
static bool head_unknown(const Walk *walk, Lsn start)
{
    const WalScanner *scanner = &walk->scanner;
    return !walk->head_known && scanner->first_record != start + WAL_PAGE_LONG_HEADER;
}

static bool walk_segment(Walk *walk, const BranchSpan *span, SegNo segno, Error *err)
{
    const WalkVisit *visit = walk->visit;
    WalScanner *scanner = &walk->scanner;
    Lsn start = segment_start(segno, walk->archive->segment_size);
    if (scanner->state != WAL_SCAN_RUNNING || scanner->position != start)
        restart(walk, start);
    walk->head_known = scanner->first_record != LSN_INVALID;
    walk->left = walk->archive->segment_size;
    walk->record.timeline = span->timeline;
    walk->record.segno = segno;
    walk->leading = segno < walk->from;
    Error why;
    if (!read_file(walk, span, segno, &why)) {
        if (walk->leading && why.class != ERROR_MEMORY)
            return true;
        *err = why;
        return false;
    }
    if (walk->ended)
        return true;
    if (scanner->state == WAL_SCAN_RUNNING && wal_scan_behind_switch(scanner))
        pass_rest(walk);
    if (walk->left > 0 || scanner->state != WAL_SCAN_RUNNING) {
        if (!walk->leading && !walk->partial)
            return tell_stop(walk, err);
    }
    if (!walk->leading && visit->segment != NULL)
        walk->ended =
            !visit->segment(visit->context, span->timeline, segno, head_unknown(walk, start));
    return true;
}

/* How much of one record a whole segment can hold. */
static uint32_t segment_content(uint32_t size)
{
    return size - WAL_PAGE_LONG_HEADER - (size / WAL_PAGE_SIZE - 1) * WAL_PAGE_SHORT_HEADER;
}

/* How much of a record that began earlier the segment begins with; 0 also where its header cannot
 * be read. */
static uint32_t continued(const Walk *walk, const BranchSpan *span, SegNo segno)
{
    char name[WAL_FILE_NAME_SIZE];
    WalCompression form;
    bool partial;
    bool found;
    WalPageHeader header;
    Error unknown; /* reading the segment tells */
    if (!find_file(walk->archive, span, segno, name, &form, &partial, &unknown) ||
        !segment_file_header(&walk->archive->dir, name, form, &found, &header, &unknown) ||
        !found || (header.info & WAL_PAGE_FIRST_IS_CONTRECORD) == 0)
        return 0;
    return header.remaining;
}

/* The segment with the beginning of the record that `from` begins with, where the branch has it. */
static SegNo find_lead(const Walk *walk, SegNo from)
{
    const BranchSpan *span = branch_find(walk->branch, from);
    SegNo segno = from;
    if (span == NULL || continued(walk, span, segno) == 0)
        return from;
    while (segno > 0 && (span = branch_find(walk->branch, segno - 1)) != NULL) {
        segno--;
        if (continued(walk, span, segno) < segment_content(walk->archive->segment_size))
            return segno;
    }
    return segno;
}

bool walk_branch(const Archive *archive, const Branch *branch, SegNo from, SegNo to,
                 const WalkVisit *visit, Lsn *ret_end, Error *err)
{
    Walk walk = {.archive = archive, .branch = branch, .visit = visit, .from = from};
    walk.scanner.state = WAL_SCAN_END;
    walk.collector = (WalCollector){.buffer = walk.head,
                                    .capacity = visit->wants != NULL ? sizeof(walk.head) : 0,
                                    .visit = take_record,
                                    .context = &walk};
    SegNo lead = find_lead(&walk, from);
    bool ok = true;
    for (size_t i = 0; ok && !walk.ended && i < branch->count; i++) {
        const BranchSpan *span = &branch->spans[i];
        SegNo last = span->last < to ? span->last : to;
        SegNo segno = span->first > lead ? span->first : lead;
        for (; ok && !walk.ended && segno <= last; segno++)
            ok = walk_segment(&walk, span, segno, err);
    }
    if (ok)
        *ret_end = walk.end;
    return ok;
}
