/* SPDX-License-Identifier: PostgreSQL
 *
 * The times of the oldest and the newest commit: forwards from the oldest segment until a commit is
 * seen; backwards from the newest, segment by segment, for the last commit of one. What the segment
 * index knows costs nothing, however long a load without a commit was. Elsewhere WAL is read, and
 * that search is bounded: it says how far it looked. Nothing is written.
 */
#include "index_internal.h"
#include "listing_internal.h"

#include "walrx/archive/walk.h"

#include <stdlib.h>

#define SEARCH_MAX_BYTES ((uint64_t)256 << 20)
#define SEARCH_MAX_SEGMENTS 1024
#define SEARCH_MIN_SEGMENTS 2
/* Timelines whose open segment is examined: the newest ones. */
#define EXAMINE_MAX 16

typedef struct Search {
    const Archive *archive;
    const Branch *branch;
    Listing *listing;
    bool first;     /* the first commit is wanted, not the last */
    uint64_t read;  /* segments of which WAL was read, */
    uint64_t bytes; /* and how much there was in them */
    SegNo segno;    /* the one behind those that were read */
    ListingCommit commit;
    IndexFile file;
    IndexEntry entry;
} Search;

static bool take_record(void *context, const WalkRecord *record)
{
    Search *search = context;
    WalEvent event;
    Error unknown; /* not a record of a PostgreSQL that we know: it tells no time */
    search->bytes += record->header->total_length;
    if (record->body == NULL ||
        !wal_record_event(record->header, record->body, record->length, record->major, &event,
                          &unknown) ||
        event.kind != WAL_EVENT_COMMIT)
        return true;
    search->commit.found = true;
    search->commit.time = event.time;
    search->commit.lsn = record->lsn;
    search->commit.timeline = record->timeline;
    return !search->first;
}

static bool may_go_on(const Search *search)
{
    return search->read < SEARCH_MIN_SEGMENTS ||
           (search->read < SEARCH_MAX_SEGMENTS && search->bytes < SEARCH_MAX_BYTES);
}

/* A segment was read in vain. Goes on while the next one has to be read too. */
static bool take_segment(void *context, Timeline timeline, SegNo segno, bool head_unknown)
{
    Search *search = context;
    const BranchSpan *next = branch_find(search->branch, segno + 1);
    (void)timeline;
    (void)head_unknown;
    search->read++;
    search->commit.searched++;
    search->segno = segno + 1;
    return next != NULL && may_go_on(search) &&
           (next->partial || !index_find(&search->file, search->archive, search->branch,
                                         next->timeline, segno + 1, &search->entry));
}

/* Reads WAL from a segment on; what cannot be read is told, and counts as searched. False only
 * without memory. */
static bool read_wal(Search *search, SegNo from, SegNo to, Error *err)
{
    const WalkVisit visit = {.wants = wal_record_may_be_event,
                             .record = take_record,
                             .segment = take_segment,
                             .context = search};
    Lsn end;
    Error why;
    search->segno = from;
    if (walk_branch(search->archive, search->branch, from, to, &visit, &end, &why)) {
        if (search->first && search->commit.found)
            search->commit.searched++; /* the segment it is in was not read to its end */
        return true;
    }
    if (why.class == ERROR_MEMORY) {
        *err = why;
        return false;
    }
    listing_unreadable(search->listing, &why);
    search->read++;
    search->commit.searched++;
    search->segno++;
    return true;
}

/* Does the index know the segment? Then its commits are known too. */
static bool look_up(Search *search, const BranchSpan *span, SegNo segno)
{
    const IndexEntry *entry = &search->entry;
    if (span->partial || !index_find(&search->file, search->archive, search->branch, span->timeline,
                                     segno, &search->entry))
        return false;
    const IndexEnd *end = search->first ? &entry->first_commit : &entry->last_commit;
    search->commit.searched++;
    if (entry->commits > 0) {
        search->commit.found = true;
        search->commit.time = end->time;
        search->commit.lsn = end->lsn;
        search->commit.timeline = span->timeline;
    }
    return true;
}

/* From the start of span `from` on, to the next gap. */
static bool find_first(Search *search, size_t from, ListingCommit *ret, Error *err)
{
    const Branch *branch = search->branch;
    size_t to = from;
    while (to + 1 < branch->count && branch->spans[to + 1].joined)
        to++;
    SegNo segno = branch->spans[from].first;
    while (segno <= branch->spans[to].last && !search->commit.found && may_go_on(search)) {
        if (look_up(search, branch_find(branch, segno), segno)) {
            segno++;
            continue;
        }
        if (!read_wal(search, segno, branch->spans[to].last, err))
            return false;
        segno = search->segno;
    }
    *ret = search->commit;
    return true;
}

/* Back from the end of the newest span, to the last gap. */
static bool find_last(Search *search, ListingCommit *ret, Error *err)
{
    const Branch *branch = search->branch;
    size_t from = branch->count - 1;
    SegNo segno = branch->spans[from].last;
    while (branch->spans[from].joined)
        from--;
    for (;; segno--) {
        if (!look_up(search, branch_find(branch, segno), segno) &&
            !read_wal(search, segno, segno, err))
            return false;
        if (search->commit.found || segno == branch->spans[from].first || !may_go_on(search))
            break;
    }
    *ret = search->commit;
    return true;
}

/* Open segments --------------------------------------------------------------------------------
 */

typedef struct Examination {
    ListingOpen *open;
    bool any;
} Examination;

static bool take_first(void *context, const WalkRecord *record)
{
    Examination *examination = context;
    if (!examination->any)
        examination->open->proven_begin = record->lsn;
    examination->any = true;
    return true;
}

/* By itself, whatever branch it lies on. False only without memory. */
static bool examine(const Archive *archive, Listing *listing, ListingTimeline *timeline, Error *err)
{
    ListingOpen *open = &timeline->open;
    BranchSpan span = {
        .timeline = timeline->timeline, .first = open->segno, .last = open->segno, .partial = true};
    Branch alone = {.target = timeline->timeline, .spans = &span, .count = 1};
    Examination examination = {.open = open};
    const WalkVisit visit = {.record = take_first, .context = &examination};
    Lsn end;
    Error why;
    open->proven_begin = segment_start(open->segno, listing->segment_size);
    open->proven_end = open->proven_begin;
    open->examined = walk_branch(archive, &alone, open->segno, open->segno, &visit, &end, &why);
    if (open->examined && examination.any)
        open->proven_end = end;
    if (!open->examined && why.class == ERROR_MEMORY) {
        *err = why;
        return false;
    }
    if (!open->examined)
        listing_unreadable(listing, &why);
    return true;
}

static bool examine_open(const Archive *archive, Listing *listing, Error *err)
{
    size_t examined = 0;
    for (size_t i = listing->timeline_count; i > 0 && examined < EXAMINE_MAX; i--) {
        ListingTimeline *timeline = &listing->timelines[i - 1];
        if (timeline->open.exists) {
            if (!examine(archive, listing, timeline, err))
                return false;
            examined++;
        }
    }
    return true;
}

/* The whole -------------------------------------------------------------------------------------
 */

/* For the next search; what was read of the index stays. */
static void begin_search(Search *search, bool first)
{
    search->first = first;
    search->read = 0;
    search->bytes = 0;
    search->commit = (ListingCommit){.found = false};
}

static bool search_all(Search *search, Error *err)
{
    const Branch *branch = search->branch;
    Listing *listing = search->listing;
    size_t unbroken = branch->count - 1;
    while (branch->spans[unbroken].joined)
        unbroken--;
    listing->unbroken_timeline = branch->spans[unbroken].timeline;
    listing->unbroken_begin = segment_start(branch->spans[unbroken].first, listing->segment_size);
    begin_search(search, true);
    if (!find_first(search, 0, &listing->oldest, err))
        return false;
    listing->oldest_unbroken = listing->oldest;
    begin_search(search, true);
    if (unbroken > 0 && !find_first(search, unbroken, &listing->oldest_unbroken, err))
        return false;
    begin_search(search, false);
    return find_last(search, &listing->newest, err);
}

bool listing_commits(const Archive *archive, const Branch *branch, Listing *listing, Error *err)
{
    if (!examine_open(archive, listing, err))
        return false;
    if (branch->count == 0)
        return true;
    Search *search = calloc(1, sizeof(*search));
    if (search == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while looking for commits");
    search->archive = archive;
    search->branch = branch;
    search->listing = listing;
    bool ok = search_all(search, err);
    index_file_free(&search->file);
    free(search);
    return ok;
}
