/* SPDX-License-Identifier: PostgreSQL
 *
 * An index entry from the records of its segment, one after the other.
 */
#include "walrx/archive/index.h"

#include <string.h>

/* rmgrlist.h: events and segment switches are of this one or of the one before */
#define RMGR_XACT 1

void index_begin(IndexBuilder *builder, Timeline timeline, SegNo segno)
{
    memset(builder, 0, sizeof(*builder));
    builder->entry.timeline = timeline;
    builder->entry.segno = segno;
}

bool index_wants(const WalRecordHeader *header)
{
    return header->total_length >= WAL_RECORD_IMAGE_MIN || wal_record_may_be_event(header);
}

/* XIDs of one segment lie within half of their circle (transam.h). */
static void take_xid(IndexEntry *entry, uint32_t xid, bool first)
{
    if (first || (int32_t)(xid - entry->xid_low) < 0)
        entry->xid_low = xid;
    if (first || (int32_t)(xid - entry->xid_high) > 0)
        entry->xid_high = xid;
}

static void take_end(IndexEntry *entry, Lsn lsn, uint32_t xid, bool commit, PgTime time)
{
    bool first = entry->commits + entry->aborts == 0;
    if (first || time < entry->oldest)
        entry->oldest = time;
    if (first || time > entry->newest)
        entry->newest = time;
    take_xid(entry, xid, first);
    if (!commit) {
        entry->aborts++;
        return;
    }
    entry->last_commit = (IndexEnd){.lsn = lsn, .time = time};
    if (entry->commits++ == 0)
        entry->first_commit = entry->last_commit;
}

static void take_point(IndexEntry *entry, const WalkRecord *record, const WalEvent *event)
{
    uint32_t place = entry->point_count++;
    if (place >= INDEX_POINTS_MAX)
        return;
    IndexPoint *point = &entry->points[place];
    point->lsn = record->lsn;
    point->end = record->end;
    point->time = event->time;
    memcpy(point->name, event->name, sizeof(point->name));
}

static void take_event(IndexEntry *entry, const WalkRecord *record)
{
    const WalRecordHeader *header = record->header;
    WalEvent event;
    bool commit;
    PgTime time;
    Error unknown; /* not a record of a PostgreSQL that we know: it tells nothing */
    if (wal_record_plain_end(header, record->body, record->length, &commit, &time)) {
        take_end(entry, record->lsn, header->xid, commit, time);
        return;
    }
    if (!wal_record_event(header, record->body, record->length, record->major, &event, &unknown))
        return;
    if (event.kind == WAL_EVENT_RESTORE_POINT)
        take_point(entry, record, &event);
    else if (event.kind != WAL_EVENT_NONE)
        take_end(entry, record->lsn, event.xid, event.kind == WAL_EVENT_COMMIT, event.time);
}

static void count_record(IndexEntry *entry, const WalRecordHeader *header, Lsn lsn, Lsn end,
                         uint32_t image_bytes)
{
    IndexCounts *counts = &entry->rmgrs[header->rmgr];
    if (entry->first_record == LSN_INVALID)
        entry->first_record = lsn;
    entry->last_end = end;
    counts->records++;
    counts->bytes += header->total_length;
    counts->image_bytes += image_bytes;
}

void index_record(IndexBuilder *builder, const WalkRecord *record)
{
    const WalRecordHeader *header = record->header;
    count_record(&builder->entry, header, record->lsn, record->end,
                 wal_record_image_bytes(header, record->body, record->length, record->major));
    if (wal_record_may_be_event(header))
        take_event(&builder->entry, record);
}

/* Of the records that arrive most are neither of transactions nor of the log itself. */
void index_scanned(IndexBuilder *builder, const WalScanner *scanner, const uint8_t *body,
                   size_t length)
{
    const WalRecordHeader *header = &scanner->last_header;
    if (builder->magic != scanner->magic) {
        builder->magic = scanner->magic;
        builder->major = wal_page_major(scanner->magic);
    }
    if (header->rmgr > RMGR_XACT) {
        uint32_t images = 0;
        if (!wal_record_is_imageless(body, length))
            images = wal_record_image_bytes(header, body, length, builder->major);
        count_record(&builder->entry, header, scanner->last_record, scanner->proven_end, images);
        return;
    }
    const WalkRecord record = {
        .lsn = scanner->last_record,
        .end = wal_scan_record_end(scanner),
        .timeline = builder->entry.timeline,
        .segno = builder->entry.segno,
        .major = builder->major,
        .header = header,
        .body = body,
        .length = length,
    };
    index_record(builder, &record);
}
