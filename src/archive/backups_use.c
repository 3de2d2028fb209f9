/* SPDX-License-Identifier: PostgreSQL
 *
 * What an archive can do for a base backup: how far its WAL goes, and what it says of the backup.
 */
#include "walrx/archive/backups.h"

#include "branch_internal.h"

#include "walrx/archive/walk.h"
#include "walrx/base/cursor.h"

#include <stdlib.h>

/* pg_control.h, PostgreSQL 10 to 19. */
#define RMGR_XLOG 0
#define INFO_MASK 0xF0
#define INFO_CHECKPOINT_SHUTDOWN 0x00
#define INFO_CHECKPOINT_ONLINE 0x10
#define INFO_BACKUP_END 0x50

/* Does the history pass the backup, from its start to its stop? */
static bool on_history(const TimelineHistory *history, const BackupLabel *backup)
{
    Lsn end;
    if (!timeline_history_find(history, backup->timeline, &end, NULL) || end <= backup->start)
        return false;
    return backup->stop == LSN_INVALID ||
           (timeline_history_find(history, backup->stop_timeline, &end, NULL) &&
            end >= backup->stop);
}

/* Along the newest timeline when it continues the backup, else along the backup's own. */
static bool choose_branch(const Archive *archive, const Listing *listing, const BackupLabel *backup,
                          Branch *ret, bool *ret_current, Error *err)
{
    TimelineHistory history;
    bool known;
    Timeline own = backup->stop_timeline != 0 ? backup->stop_timeline : backup->timeline;
    *ret = (Branch){.spans = NULL};
    *ret_current = false;
    if (listing->timeline_count == 0)
        return true;
    Timeline newest = listing->timelines[listing->timeline_count - 1].timeline;
    TimelineSwitch *switches = calloc(TIMELINE_MAX_SWITCHES, sizeof(*switches));
    if (switches == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading history files");
    bool ok = branch_history(archive, newest, switches, &history, &known, err);
    *ret_current = ok && known && on_history(&history, backup);
    free(switches);
    if (!ok || (!*ret_current && listing_timeline(listing, own) == NULL))
        return ok;
    return branch_make(archive, listing, *ret_current ? newest : own, ret, err);
}

/* Where the WAL that goes on without a hole from the start ends. */
static Lsn reach_of(const Branch *branch, const Listing *listing, SegNo start)
{
    const BranchSpan *span = branch_find(branch, start);
    if (span == NULL)
        return LSN_INVALID;
    while (span + 1 < branch->spans + branch->count && span[1].joined)
        span++;
    if (!span->partial)
        return segment_start(span->last + 1, listing->segment_size);
    const ListingTimeline *timeline = listing_timeline(listing, span->timeline);
    Lsn begin = segment_start(span->first, listing->segment_size);
    bool proven = timeline != NULL && timeline->open.examined &&
                  timeline->open.segno == span->first && timeline->open.proven_end > begin;
    return proven ? timeline->open.proven_end : begin;
}

bool backups_use(const Archive *archive, const Listing *listing, const BackupLabel *backup,
                 BackupUse *ret, Error *err)
{
    Branch branch;
    BackupUse use = {.reach = LSN_INVALID};
    bool ok = choose_branch(archive, listing, backup, &branch, &use.current, err);
    if (ok && branch.count > 0) {
        use.reach = reach_of(&branch, listing, segment_of(backup->start, listing->segment_size));
        use.start_there = use.reach != LSN_INVALID;
        use.timeline = branch.target;
        use.consistent =
            use.start_there && backup->stop != LSN_INVALID && use.reach >= backup->stop;
    }
    branch_free(&branch);
    if (ok)
        *ret = use;
    return ok;
}

typedef struct Tracing {
    const BackupLabel *backup;
    BackupTrace *trace;
    bool wants_end;
    bool wants_checkpoint;
} Tracing;

static bool is_wanted(const WalRecordHeader *header)
{
    uint8_t info = header->info & INFO_MASK;
    return header->rmgr == RMGR_XLOG &&
           (info == INFO_BACKUP_END || info == INFO_CHECKPOINT_ONLINE ||
            info == INFO_CHECKPOINT_SHUTDOWN);
}

/* Both kinds begin with a position: xl_backup_end's start (a bare XLogRecPtr), CheckPoint.redo. */
static Lsn first_position(const WalkRecord *record)
{
    WalRecordMain main_data;
    Error unknown;
    if (!wal_record_main(record->header, record->body, record->length, record->major, &main_data,
                         &unknown) ||
        main_data.available < sizeof(Lsn))
        return LSN_INVALID;
    Reader reader = reader_over(main_data.data, main_data.available);
    return read_u64_le(&reader);
}

static bool take_record(void *context, const WalkRecord *record)
{
    Tracing *tracing = context;
    BackupTrace *trace = tracing->trace;
    bool wanted = is_wanted(record->header);
    bool ends = wanted && (record->header->info & INFO_MASK) == INFO_BACKUP_END;
    if (tracing->wants_checkpoint && record->lsn >= tracing->backup->checkpoint) {
        tracing->wants_checkpoint = false;
        trace->checkpoint_read = true;
        trace->checkpoint_fits = record->lsn == tracing->backup->checkpoint && wanted && !ends &&
                                 first_position(record) == tracing->backup->start;
    }
    if (tracing->wants_end && ends && first_position(record) == tracing->backup->start) {
        tracing->wants_end = false;
        trace->stop = record->end;
        trace->stop_timeline = record->timeline;
    }
    return tracing->wants_checkpoint || tracing->wants_end;
}

bool backups_trace(const Archive *archive, const Listing *listing, const BackupLabel *backup,
                   BackupTrace *ret, Error *err)
{
    Branch branch;
    bool current;
    Lsn end;
    BackupTrace trace = {.stop = LSN_INVALID};
    Tracing tracing = {
        .backup = backup,
        .trace = &trace,
        .wants_end = backup->stop == LSN_INVALID && !backup->from_standby,
        .wants_checkpoint = backup->checkpoint != LSN_INVALID,
    };
    const WalkVisit visit = {.wants = is_wanted, .record = take_record, .context = &tracing};
    SegNo start = segment_of(backup->start, archive->segment_size);
    bool ok = choose_branch(archive, listing, backup, &branch, &current, err);
    if (ok && branch_find(&branch, start) != NULL &&
        (tracing.wants_end || tracing.wants_checkpoint))
        ok = walk_branch(archive, &branch, start, segment_last(archive->segment_size), &visit, &end,
                         err);
    branch_free(&branch);
    if (ok)
        *ret = trace;
    return ok;
}
