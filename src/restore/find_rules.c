/* SPDX-License-Identifier: PostgreSQL
 *
 * At which record does recovery stop? The rules of recoveryStopsBefore and recoveryStopsAfter
 * (xlogrecovery.c, PostgreSQL 15; 10 to 14 have the same in xlog.c):
 * - time: the first end of a transaction, commit or abort, with a time beyond the target, before
 *   it; "beyond" includes the target's own time when exclusive. Restore points do not count.
 * - XID: its end, equality only; after it, or before it when exclusive.
 * - LSN: the first record that begins there or behind, after it, or before it when exclusive.
 * - restore point: the first of that name, after it.
 */
#include "find_internal.h"

#include <string.h>

bool find_is_end(const WalEvent *event)
{
    return event->kind == WAL_EVENT_COMMIT || event->kind == WAL_EVENT_ABORT;
}

static bool is_beyond(const FindTarget *target, PgTime time)
{
    return target->exclusive ? time >= target->time : time > target->time;
}

bool find_stops_before(const FindTarget *target, Lsn lsn, const WalEvent *event)
{
    switch (target->kind) {
    case FIND_TIME:
        return find_is_end(event) && is_beyond(target, event->time);
    case FIND_LSN:
        return target->exclusive && lsn >= target->lsn;
    case FIND_XID:
        return target->exclusive && find_is_end(event) && event->xid == target->xid;
    case FIND_POINT:
    case FIND_LATEST:
        return false;
    }
    return false;
}

bool find_stops_after(const FindTarget *target, Lsn lsn, const WalEvent *event)
{
    switch (target->kind) {
    case FIND_POINT:
        return event->kind == WAL_EVENT_RESTORE_POINT && strcmp(event->name, target->name) == 0;
    case FIND_LSN:
        return !target->exclusive && lsn >= target->lsn;
    case FIND_XID:
        return !target->exclusive && find_is_end(event) && event->xid == target->xid;
    case FIND_TIME:
    case FIND_LATEST:
        return false;
    }
    return false;
}

uint64_t find_entry_points(const FindTarget *target, const IndexEntry *entry, bool *ret_more)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < entry->point_count && i < INDEX_POINTS_MAX; i++)
        count += strcmp(entry->points[i].name, target->name) == 0 ? 1 : 0;
    *ret_more = entry->point_count > INDEX_POINTS_MAX;
    return count;
}

bool find_entry_may_stop(const FindTarget *target, const IndexEntry *entry)
{
    bool has_ends = entry->commits + entry->aborts > 0;
    bool more;
    switch (target->kind) {
    case FIND_TIME:
        return has_ends && is_beyond(target, entry->newest);
    case FIND_XID:
        /* XIDs wrap around: the range is counted from its lower end. */
        return has_ends && (uint32_t)(target->xid - entry->xid_low) <=
                               (uint32_t)(entry->xid_high - entry->xid_low);
    case FIND_POINT:
        return find_entry_points(target, entry, &more) > 0 || more;
    case FIND_LSN:
        return entry->last_end > target->lsn;
    case FIND_LATEST:
        return false;
    }
    return false;
}

bool find_wants(const WalRecordHeader *header)
{
    return wal_record_may_be_event(header);
}

bool find_event(const WalkRecord *record, WalEvent *ret, Error *err)
{
    *ret = (WalEvent){.kind = WAL_EVENT_NONE};
    return !wal_record_may_be_event(record->header) ||
           wal_record_event(record->header, record->body, record->length, record->major, ret, err);
}

FindPlace find_place(const FindSource *source, const WalkRecord *record, const WalEvent *event)
{
    const BranchSpan *span = branch_find(source->branch, record->segno);
    return (FindPlace){
        .found = true,
        .lsn = record->lsn,
        .end = record->end,
        .timeline = record->timeline,
        .segno = record->segno,
        .partial = span != NULL && span->partial,
        .event = *event,
    };
}

FindRun find_run(const Branch *branch, size_t at, size_t *ret_next)
{
    FindRun run = {.first = branch->spans[at].first,
                   .last = branch->spans[at].last,
                   .timeline = branch->spans[at].timeline};
    for (at++; at < branch->count && branch->spans[at].joined; at++)
        run.last = branch->spans[at].last;
    *ret_next = at;
    return run;
}
