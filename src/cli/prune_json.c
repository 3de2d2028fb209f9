/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx prune` as one JSON object, whose keys walrx-prune(1) describes. A reference
 * that jansson could not make is NULL and fails the object it belongs to.
 */
#include "json_text.h"
#include "prune_report.h"

#include "walrx/os/clock.h"

#include <jansson.h>

#define FORMAT_VERSION 1

static json_t *segment(const PruneReport *report, Timeline timeline, SegNo segno)
{
    char name[WAL_FILE_NAME_SIZE];
    return json_string(
        wal_segment_name(timeline, segno, report->archive->segment_size, WAL_RAW, false, name));
}

static json_t *ranges_of(const PruneReport *report)
{
    json_t *ranges = json_array();
    for (size_t i = 0; ranges != NULL && i < report->plan->range_count; i++) {
        const PruneRange *range = &report->plan->ranges[i];
        json_t *item =
            json_pack("{s:o, s:o, s:o, s:o, s:o}", "timeline", json_whole(range->timeline), "first",
                      segment(report, range->timeline, range->first), "last",
                      segment(report, range->timeline, range->last), "files",
                      json_whole(range->files), "disk_bytes", json_whole(range->disk_bytes));
        if (json_array_append_new(ranges, item) != 0) {
            json_decref(ranges);
            return NULL;
        }
    }
    return ranges;
}

static json_t *wish_of(const PruneReport *report, bool given, SegNo segno)
{
    if (!given || segno == UINT64_MAX)
        return json_null();
    return json_lsn(segment_start(segno, report->archive->segment_size));
}

static json_t *backup_of(const PrunePlan *plan, size_t index)
{
    return index == SIZE_MAX ? json_null() : json_text(plan->backups.items[index].label);
}

static json_t *time_of(const PrunePlan *plan, PgTime time)
{
    char text[CLOCK_TEXT_SIZE];
    return plan->timed ? json_string(clock_pg_text(time, text)) : json_null();
}

static json_t *horizon_of(const PruneReport *report)
{
    const PrunePlan *plan = report->plan;
    const PruneHorizon *horizon = &plan->horizon;
    const PruneWish *wish = report->wish;
    size_t holder = horizon->held_by == PRUNE_CAUSE_BACKUP ? horizon->holder : SIZE_MAX;
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "lsn",
                     json_lsn(segment_start(horizon->segno, report->archive->segment_size)),
                     "asked_by", prune_cause_word(horizon->asked), "held_by",
                     horizon->held_by == PRUNE_CAUSE_NONE
                         ? json_null()
                         : json_string(prune_cause_word(horizon->held_by)),
                     "held_by_backup", backup_of(plan, holder), "keep_from",
                     wish_of(report, wish->by_from, horizon->from), "keep_time",
                     wish_of(report, wish->by_time, horizon->time), "keep_size",
                     wish_of(report, wish->by_size, horizon->size), "since",
                     time_of(plan, plan->since), "newest_commit", time_of(plan, plan->newest),
                     "base_backup", backup_of(plan, horizon->base));
}

bool prune_print_json(FILE *out, const PruneReport *report, Error *err)
{
    const PrunePlan *plan = report->plan;
    const PruneDone *done = report->done;
    json_t *result =
        json_pack("{s:i, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "format_version",
                  FORMAT_VERSION, "directory", json_text(report->directory), "dry_run",
                  done == NULL, "horizon", horizon_of(report), "ranges", ranges_of(report),
                  "removed_files", json_whole(done != NULL ? done->files : plan->count),
                  "removed_bytes", json_whole(done != NULL ? done->disk_bytes : plan->disk_bytes),
                  "kept_files", json_whole(plan->kept_files), "kept_bytes",
                  json_whole(plan->kept_bytes), "registered_backups",
                  json_whole(plan->backups.count), "damaged_segments", json_whole(plan->unread));
    return json_print(out, result, err);
}
