/* SPDX-License-Identifier: PostgreSQL
 *
 * An index entry from the records of its segment, one after the other.
 */
#include "walrx/archive/index.h"

#include <string.h>

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

static void take_end(IndexEntry *entry, const WalkRecord *record, const WalEvent *event)
{
    bool first = entry->commits + entry->aborts == 0;
    if (first || event->time < entry->oldest)
        entry->oldest = event->time;
    if (first || event->time > entry->newest)
        entry->newest = event->time;
    take_xid(entry, event->xid, first);
    if (event->kind == WAL_EVENT_ABORT) {
        entry->aborts++;
        return;
    }
    IndexEnd commit = {.lsn = record->lsn, .time = event->time};
    if (entry->commits++ == 0)
        entry->first_commit = commit;
    entry->last_commit = commit;
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
    WalEvent event;
    Error unknown; /* not a record of a PostgreSQL that we know: it tells nothing */
    if (!wal_record_event(record->header, record->body, record->length, record->major, &event,
                          &unknown))
        return;
    if (event.kind == WAL_EVENT_RESTORE_POINT)
        take_point(entry, record, &event);
    else if (event.kind != WAL_EVENT_NONE)
        take_end(entry, record, &event);
}

void index_record(IndexBuilder *builder, const WalkRecord *record)
{
    IndexEntry *entry = &builder->entry;
    const WalRecordHeader *header = record->header;
    IndexCounts *counts = &entry->rmgrs[header->rmgr];
    if (entry->first_record == LSN_INVALID)
        entry->first_record = record->lsn;
    entry->last_end = record->end;
    counts->records++;
    counts->bytes += header->total_length;
    counts->image_bytes +=
        wal_record_image_bytes(header, record->body, record->length, record->major);
    if (wal_record_may_be_event(header))
        take_event(entry, record);
}

void index_scanned(IndexBuilder *builder, const WalScanner *scanner, const uint8_t *body,
                   size_t length)
{
    if (builder->magic != scanner->magic) {
        builder->magic = scanner->magic;
        builder->major = wal_page_major(scanner->magic);
    }
    const WalkRecord record = {
        .lsn = scanner->last_record,
        .end = wal_scan_record_end(scanner),
        .timeline = builder->entry.timeline,
        .segno = builder->entry.segno,
        .major = builder->major,
        .header = &scanner->last_header,
        .body = body,
        .length = length,
    };
    index_record(builder, &record);
}
