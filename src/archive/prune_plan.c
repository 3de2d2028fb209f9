/* SPDX-License-Identifier: PostgreSQL
 *
 * From what an archive holds and what is to be kept to the files that go.
 */
#include "prune_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct Planning {
    const Archive *archive;
    const PruneWish *wish;
    FileList files;
    Listing listing;
    Branch branch;
    PruneBackup *marks; /* one per backup */
    SegNo newest;       /* where a start would look for the archive's end */
    PruneFacts facts;
    PrunePlan *plan;
} Planning;

/* The newest complete segment, or the open one where there is none. */
static SegNo newest_of(const Branch *branch)
{
    SegNo newest = 0;
    for (size_t i = 0; i < branch->count; i++) {
        if (!branch->spans[i].partial || i == 0)
            newest = branch->spans[i].last;
    }
    return newest;
}

/* The timeline that was received last may not be the newest (a standby was promoted for a while):
 * then a receiver that starts may go on with either. One that runs has told. */
static bool find_newest(Planning *planning, Error *err)
{
    const PruneWish *wish = planning->wish;
    Branch other;
    planning->newest = newest_of(&planning->branch);
    if (wish->timeline == 0 || wish->limit != UINT64_MAX)
        return true;
    bool ok = branch_make(planning->archive, &planning->listing, 0, &other, err);
    SegNo newest = ok ? newest_of(&other) : 0;
    branch_free(&other);
    if (newest < planning->newest)
        planning->newest = newest;
    return ok;
}

/* Every pg_wal has an archive_status (xlogarchive.c, PostgreSQL 15), no archive has. There even the
 * newest names are of recycled segments, and what the server needs for a crash lies before them. */
static bool is_archive(const Archive *archive, Error *err)
{
    bool exists;
    uint64_t size;
    if (!archive->bound)
        return error_set(err, ERROR_ARCHIVE, "there is no WAL in \"%s\"", archive->dir.path);
    if (!file_status(&archive->dir, "archive_status", &exists, &size, err))
        return false;
    return !exists || error_set(err, ERROR_ARCHIVE, "\"%s\" is the WAL directory of a server",
                                archive->dir.path);
}

static bool look(Planning *planning, Error *err)
{
    const Archive *archive = planning->archive;
    Branch laid;
    if (!is_archive(archive, err))
        return error_hint(err, "Name the directory of an archive.");
    bool ok = listing_survey(archive, true, &planning->files, &planning->listing, &laid, err);
    branch_free(&laid);
    if (!ok)
        return false;
    if (planning->listing.timeline_count == 0) /* nothing has arrived yet */
        return backups_read(archive, &planning->plan->backups, err);
    Timeline target = planning->wish->timeline;
    if (target != 0 && listing_timeline(&planning->listing, target) == NULL)
        target = 0; /* a receiver that has nothing of it yet */
    return branch_make(archive, &planning->listing, target, &planning->branch, err) &&
           find_newest(planning, err) && backups_read(archive, &planning->plan->backups, err);
}

static int by_segment(const void *left, const void *right)
{
    const PruneFile *a = left;
    const PruneFile *b = right;
    if (a->segno != b->segno)
        return a->segno < b->segno ? -1 : 1;
    if (a->timeline != b->timeline)
        return a->timeline < b->timeline ? -1 : 1;
    if (a->partial != b->partial)
        return a->partial ? 1 : -1;
    return (int)a->form - (int)b->form;
}

/* All files of segments, for the moment also those that stay. */
static bool take_files(Planning *planning, Error *err)
{
    PrunePlan *plan = planning->plan;
    size_t count = planning->files.count;
    plan->files = calloc(count + 1, sizeof(plan->files[0]));
    if (plan->files == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while planning what to remove");
    for (size_t i = 0; i < count; i++) {
        const ListedFile *file = &planning->files.items[i];
        plan->files[i] = (PruneFile){.segno = file->segno,
                                     .disk_bytes = file->disk_bytes,
                                     .timeline = file->timeline,
                                     .form = file->form,
                                     .partial = file->partial};
        plan->kept_bytes += file->disk_bytes;
    }
    plan->count = count;
    plan->kept_files = count;
    if (count > 0)
        qsort(plan->files, count, sizeof(plan->files[0]), by_segment);
    return true;
}

/* The first segment from which on all files take no more than `size`. After a recovery to an
 * earlier point a timeline that was left may go on behind the newest WAL: none of that can go yet,
 * and counted it would drive out what is needed. */
static SegNo find_fitting(const Planning *planning, uint64_t size)
{
    const PrunePlan *plan = planning->plan;
    uint64_t bytes = 0;
    SegNo fits = UINT64_MAX;
    for (size_t i = plan->count; i > 0; i--) {
        const PruneFile *file = &plan->files[i - 1];
        if (file->segno > planning->facts.newest && file->timeline != planning->branch.target)
            continue;
        if (file->disk_bytes > size - bytes)
            break;
        bytes += file->disk_bytes;
        if (i == 1 || plan->files[i - 2].segno != file->segno)
            fits = file->segno;
    }
    return fits;
}

/* Was the backup consistent before the time that is to be kept? Its stop must lie before the first
 * recent commit, and an old commit behind it proves that it is not just one after which nothing
 * happened. */
static bool is_aged(const BackupLabel *backup, const PruneTimes *times, uint32_t size)
{
    if (backup->stop == LSN_INVALID)
        return false;
    SegNo stop = segment_of(backup->stop - 1, size);
    return stop < times->recent && stop < times->last_old;
}

static bool learn_times(Planning *planning, PruneMemory *memory, Error *err)
{
    PrunePlan *plan = planning->plan;
    PruneMemory own = {.timeline = 0};
    PruneTimes times;
    if (!planning->wish->by_time)
        return true;
    if (!prune_times(planning->archive, &planning->branch, planning->wish, planning->facts.newest,
                     memory != NULL ? memory : &own, &times, err))
        return false;
    planning->facts.by_time = true;
    planning->facts.recent =
        times.recent < planning->facts.newest ? times.recent : planning->facts.newest;
    plan->timed = times.timed;
    plan->newest = times.newest;
    plan->since = times.since;
    plan->unread = times.unread;
    plan->damage = times.damage;
    for (size_t i = 0; i < plan->backups.count; i++)
        planning->marks[i].aged =
            is_aged(&plan->backups.items[i], &times, planning->archive->segment_size);
    return true;
}

static bool learn(Planning *planning, PruneMemory *memory, Error *err)
{
    const PruneWish *wish = planning->wish;
    const Backups *backups = &planning->plan->backups;
    uint32_t size = planning->archive->segment_size;
    PruneFacts *facts = &planning->facts;
    planning->marks = calloc(backups->count + 1, sizeof(planning->marks[0]));
    if (planning->marks == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while planning what to remove");
    for (size_t i = 0; i < backups->count; i++)
        planning->marks[i].start = segment_of(backups->items[i].start, size);
    *facts = (PruneFacts){
        .backups = planning->marks,
        .backup_count = backups->count,
        .newest = planning->newest,
        .limit = wish->limit == UINT64_MAX ? UINT64_MAX : segment_of(wish->limit, size),
        .by_from = wish->by_from,
        .from = segment_of(wish->from, size),
        .by_size = wish->by_size,
    };
    facts->fits = find_fitting(planning, wish->size);
    return learn_times(planning, memory, err);
}

static void cut_files(PrunePlan *plan)
{
    size_t count = 0;
    while (count < plan->count && plan->files[count].segno < plan->horizon.segno) {
        plan->disk_bytes += plan->files[count].disk_bytes;
        count++;
    }
    plan->count = count;
    plan->kept_files -= count;
    plan->kept_bytes -= plan->disk_bytes;
}

/* The files of the listing are by timeline and segment. */
static bool note_ranges(Planning *planning, Error *err)
{
    PrunePlan *plan = planning->plan;
    size_t capacity = 0;
    for (size_t i = 0; i < planning->files.count; i++) {
        const ListedFile *file = &planning->files.items[i];
        PruneRange *range = plan->range_count > 0 ? &plan->ranges[plan->range_count - 1] : NULL;
        if (file->segno >= plan->horizon.segno)
            continue;
        if (range == NULL || range->timeline != file->timeline || file->segno > range->last + 1) {
            void *items = plan->ranges;
            if (!listing_grow(&items, &capacity, plan->range_count, sizeof(*range), err))
                return false;
            plan->ranges = items;
            range = &plan->ranges[plan->range_count++];
            *range = (PruneRange){.timeline = file->timeline, .first = file->segno};
        }
        range->last = file->segno;
        range->files++;
        range->disk_bytes += file->disk_bytes;
    }
    return true;
}

bool prune_plan(const Archive *archive, const PruneWish *wish, PruneMemory *memory, PrunePlan *ret,
                Error *err)
{
    Planning planning = {.archive = archive, .wish = wish, .plan = ret};
    *ret = (PrunePlan){.files = NULL};
    bool ok = look(&planning, err) && take_files(&planning, err) && learn(&planning, memory, err);
    if (ok) {
        prune_choose(&planning.facts, &ret->horizon);
        cut_files(ret);
        ok = note_ranges(&planning, err);
    }
    free(planning.marks);
    free(planning.files.items);
    branch_free(&planning.branch);
    listing_free(&planning.listing);
    return ok;
}

void prune_plan_free(PrunePlan *plan)
{
    backups_free(&plan->backups);
    free(plan->files);
    free(plan->ranges);
    plan->files = NULL;
    plan->ranges = NULL;
}

static bool position_of_label(const Archive *archive, const char *text, Lsn *ret, Error *err)
{
    Backups backups;
    bool ok = backups_read(archive, &backups, err);
    const BackupLabel *found = ok ? backups_find(archive, &backups, text, err) : NULL;
    ok = found != NULL;
    if (ok)
        *ret = found->start;
    backups_free(&backups);
    return ok ||
           error_hint(err, "A position is an LSN (16/B374D848), the name of a segment or of a "
                           "backup history file, or the label of a registered base backup.");
}

bool prune_position(const Archive *archive, const char *text, Lsn *ret, Error *err)
{
    WalFileName file;
    SegNo segno;
    Lsn lsn;
    if (lsn_parse(text, &lsn) && lsn <= LSN_LAST) {
        *ret = lsn;
        return true;
    }
    if (!wal_file_parse(text, &file) || file.kind == WAL_FILE_HISTORY)
        return position_of_label(archive, text, ret, err);
    if (!archive->bound || !wal_file_segno(&file, archive->segment_size, &segno))
        return error_set(err, ERROR_USAGE,
                         "\"%s\" is no file of an archive with segments of %u bytes", text,
                         archive->segment_size);
    *ret = segment_start(segno, archive->segment_size);
    return true;
}
