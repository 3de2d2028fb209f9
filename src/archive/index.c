/* SPDX-License-Identifier: PostgreSQL
 *
 * See index.h. What the index does not have is walked in one piece, as long as it goes on.
 *
 * Whether an entry belongs to the file that has its segment's name today is told by the time of the
 * file's last change: nothing changes a segment under its final name, compression hands the time
 * on, and whoever puts another file there gives it another time (docs/decisions/0018).
 */
#include "index_internal.h"

#include <stdlib.h>
#include <string.h>

bool index_file_date(const Archive *archive, Timeline timeline, SegNo segno, int *hint,
                     bool *ret_exists, int64_t *ret_ns, Error *err)
{
    for (int i = 0; i < WAL_COMPRESSION_COUNT; i++) {
        char name[WAL_FILE_NAME_SIZE];
        int form = (*hint + i) % WAL_COMPRESSION_COUNT;
        wal_segment_name(timeline, segno, archive->segment_size, (WalCompression)form, false, name);
        if (!file_modified(&archive->dir, name, ret_exists, ret_ns, err))
            return false;
        if (*ret_exists) {
            *hint = form;
            return true;
        }
    }
    return true;
}

bool index_date(const Archive *archive, IndexEntry *entry, bool *ret_exists, Error *err)
{
    int hint = WAL_RAW;
    return index_file_date(archive, entry->timeline, entry->segno, &hint, ret_exists,
                           &entry->modified, err);
}

bool index_find(IndexFile *file, const Archive *archive, const Branch *branch, Timeline timeline,
                SegNo segno, IndexEntry *ret)
{
    bool exists;
    int64_t modified;
    Error unreadable;
    if (!index_file_find(file, archive, timeline, segno, ret) ||
        (ret->head_unknown && segno > 0 && branch_find(branch, segno - 1) != NULL))
        return false;
    return index_file_date(archive, timeline, segno, &file->form, &exists, &modified,
                           &unreadable) &&
           exists && modified == ret->modified;
}

typedef struct Visit {
    const Archive *archive;
    Archive own; /* the same, for adding to its index */
    bool keep;
    const Branch *branch;
    bool (*visit)(void *context, const IndexEntry *entry);
    void *context;
    bool ended;
    bool begun; /* the builder's segment is under way */
    IndexUse use;
    IndexFile file;
    IndexBuilder builder;
    IndexEntry found; /* in the index, to be visited */
    IndexEntry held;  /* in the index, but not believed */
} Visit;

static bool take_record(void *context, const WalkRecord *record)
{
    Visit *visit = context;
    if (!visit->begun)
        index_begin(&visit->builder, record->timeline, record->segno);
    visit->begun = true;
    index_record(&visit->builder, record);
    return true;
}

/* Is that what the index holds already? Then the segment is read each time, whatever is added. */
static bool is_held(Visit *visit, const IndexEntry *entry)
{
    uint8_t mine[INDEX_ENTRY_MAX];
    uint8_t held[INDEX_ENTRY_MAX];
    if (!index_file_find(&visit->file, visit->archive, entry->timeline, entry->segno, &visit->held))
        return false;
    size_t length = index_encode(visit->archive, entry, mine);
    return index_encode(visit->archive, &visit->held, held) == length &&
           memcmp(mine, held, length) == 0;
}

static void keep_entry(Visit *visit, IndexEntry *entry)
{
    bool exists;
    Error refused; /* then the next one who asks reads the WAL again */
    if (!visit->keep || branch_find(visit->branch, entry->segno)->partial ||
        !index_date(visit->archive, entry, &exists, &refused) || !exists || is_held(visit, entry))
        return;
    visit->keep = index_append(&visit->own, entry, &refused);
    if (visit->keep)
        visit->use.kept++;
}

static bool take_segment(void *context, Timeline timeline, SegNo segno, bool head_unknown)
{
    Visit *visit = context;
    IndexEntry *entry = &visit->builder.entry;
    if (!visit->begun)
        index_begin(&visit->builder, timeline, segno);
    visit->begun = false;
    entry->head_unknown = head_unknown;
    visit->use.from_wal++;
    keep_entry(visit, entry);
    visit->ended = !visit->visit(visit->context, entry);
    return !visit->ended;
}

static bool read_wal(Visit *visit, SegNo from, SegNo to, Error *err)
{
    const WalkVisit walk = {
        .wants = index_wants, .record = take_record, .segment = take_segment, .context = visit};
    Lsn end;
    visit->begun = false;
    return walk_branch(visit->archive, visit->branch, from, to, &walk, &end, err);
}

/* Where the walk has to begin for the segments that the index lacks. */
typedef struct Missing {
    bool any;
    SegNo from;
    SegNo to;
} Missing;

static bool read_missing(Visit *visit, Missing *missing, Error *err)
{
    bool ok = !missing->any || read_wal(visit, missing->from, missing->to, err);
    missing->any = false;
    return ok;
}

static bool visit_segment(Visit *visit, const BranchSpan *span, SegNo segno, Missing *missing,
                          Error *err)
{
    if (!span->partial && index_find(&visit->file, visit->archive, visit->branch, span->timeline,
                                     segno, &visit->found)) {
        if (!read_missing(visit, missing, err) || visit->ended)
            return visit->ended;
        visit->use.from_index++;
        visit->ended = !visit->visit(visit->context, &visit->found);
        return true;
    }
    if (!missing->any)
        missing->from = segno;
    missing->any = true;
    missing->to = segno;
    return true;
}

static bool visit_all(Visit *visit, SegNo from, SegNo to, Error *err)
{
    const Branch *branch = visit->branch;
    Missing missing = {.any = false};
    bool ok = true;
    for (size_t i = 0; ok && !visit->ended && i < branch->count; i++) {
        const BranchSpan *span = &branch->spans[i];
        SegNo last = span->last < to ? span->last : to;
        for (SegNo segno = span->first > from ? span->first : from;
             ok && !visit->ended && segno <= last; segno++)
            ok = visit_segment(visit, span, segno, &missing, err);
    }
    return ok && (visit->ended || read_missing(visit, &missing, err));
}

bool index_visit(const Archive *archive, const Branch *branch, SegNo from, SegNo to,
                 bool (*visit)(void *context, const IndexEntry *entry), void *context,
                 IndexUse *ret_use, Error *err)
{
    Visit *all = calloc(1, sizeof(*all));
    if (all == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the segment index");
    all->archive = archive;
    all->own = *archive;
    all->keep = archive->private.fd >= 0 && dir_is_own(&all->own.private);
    all->branch = branch;
    all->visit = visit;
    all->context = context;
    bool ok = visit_all(all, from, to, err);
    *ret_use = all->use;
    index_file_free(&all->file);
    free(all);
    return ok;
}
