/* SPDX-License-Identifier: PostgreSQL
 *
 * How timelines follow each other, by the history files, and what is missing on the way.
 *
 * The current branch is the history of the newest timeline that has WAL. Of each timeline on it the
 * segments before the one in which it was left belong to the branch: the next timeline begins with
 * a copy of that segment (branch.h). The holes of the branch lie between its spans; holes
 * elsewhere, on dead branches, between two ranges of one timeline.
 */
#include "branch_internal.h"
#include "listing_internal.h"

#include "walrx/archive/gap.h"

#include <stdlib.h>

typedef struct History {
    TimelineSwitch *switches; /* room for TIMELINE_MAX_SWITCHES, owned by the caller */
    TimelineHistory view;
    bool known;
} History;

/* One that cannot be read or understood is told, and counts as missing. */
static bool load_history(const Archive *archive, Listing *listing, Timeline timeline,
                         History *history, Error *err)
{
    Error why;
    if (branch_history(archive, timeline, history->switches, &history->view, &history->known, &why))
        return true;
    if (why.class == ERROR_MEMORY) {
        *err = why;
        return false;
    }
    listing_unreadable(listing, &why);
    return true;
}

/* Who left whom, by one history; what is known already stays. */
static void note_ends(Listing *listing, const TimelineHistory *history)
{
    for (size_t i = 0; i < listing->timeline_count; i++) {
        ListingTimeline *timeline = &listing->timelines[i];
        Lsn end;
        Timeline next;
        if (timeline->next == 0 &&
            timeline_history_find(history, timeline->timeline, &end, &next) && next != 0) {
            timeline->next = next;
            timeline->left_at = end;
        }
    }
}

static void note_branch(Listing *listing, const History *newest)
{
    for (size_t i = 0; i < listing->timeline_count; i++) {
        ListingTimeline *timeline = &listing->timelines[i];
        if (timeline_history_find(&newest->view, timeline->timeline, NULL, NULL))
            timeline->branch = LISTING_BRANCH_CURRENT;
        else if (newest->known)
            timeline->branch = LISTING_BRANCH_DEAD;
    }
}

/* Gaps ------------------------------------------------------------------------------------------
 */

typedef struct Gaps {
    Listing *listing;
    size_t capacity;
    Error *err;
} Gaps;

static bool add_gap(Gaps *gaps, Timeline timeline, SegNo from, Timeline behind, SegNo to)
{
    Listing *listing = gaps->listing;
    uint32_t size = listing->segment_size;
    void *items = listing->gaps;
    if (!listing_grow(&items, &gaps->capacity, listing->gap_count, sizeof(ListingGap), gaps->err))
        return false;
    listing->gaps = items;
    listing->gaps[listing->gap_count++] = (ListingGap){.timeline = timeline,
                                                       .behind = behind,
                                                       .begin = segment_start(from, size),
                                                       .end = segment_start(to, size)};
    return true;
}

/* Those between the spans of the current branch. */
static bool add_branch_gaps(Gaps *gaps, const Branch *branch)
{
    for (size_t i = 1; i < branch->count; i++) {
        const BranchSpan *before = &branch->spans[i - 1];
        const BranchSpan *span = &branch->spans[i];
        if (!span->joined &&
            !add_gap(gaps, before->timeline, before->last + 1, span->timeline, span->first))
            return false;
    }
    return true;
}

/* Holes of a timeline that are not of the current branch: all of a dead branch, and those behind
 * the place where a timeline of the current one was left. */
static bool add_other_gaps(Gaps *gaps, const ListingTimeline *timeline, bool on_history)
{
    const ListingRange *ranges = gaps->listing->ranges + timeline->first_range;
    uint32_t size = gaps->listing->segment_size;
    SegNo seen = 0;
    if (on_history)
        seen = timeline->next == 0 ? segment_last(size) : segment_of(timeline->left_at, size);
    for (size_t i = 1; i <= timeline->range_count; i++) {
        SegNo from = ranges[i - 1].last + 1;
        SegNo to = from;
        if (i < timeline->range_count)
            to = ranges[i].first;
        else if (timeline->open.exists)
            to = timeline->open.segno;
        if (from >= seen && to > from &&
            !add_gap(gaps, timeline->timeline, from, timeline->timeline, to))
            return false;
    }
    return true;
}

static int compare_gaps(const void *left, const void *right)
{
    const ListingGap *a = left;
    const ListingGap *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->timeline < b->timeline ? -1 : a->timeline > b->timeline;
}

/* Records ---------------------------------------------------------------------------------------
 */

/* All records of .walrx/gaps. */
typedef struct Records {
    Gap *items;
    size_t count;
    size_t capacity;
    bool ok;
    Error *err;
} Records;

static bool take_record(void *context, const Gap *gap)
{
    Records *records = context;
    void *items = records->items;
    records->ok =
        listing_grow(&items, &records->capacity, records->count, sizeof(Gap), records->err);
    records->items = items;
    if (records->ok)
        records->items[records->count++] = *gap;
    return records->ok;
}

/* Several records may cover a gap together: the server removed more before anything had come. */
static bool is_covered(const Records *records, const ListingGap *gap)
{
    Lsn covered = gap->begin;
    bool moved = true;
    while (covered < gap->end && moved) {
        moved = false;
        for (size_t i = 0; i < records->count; i++) {
            const Gap *record = &records->items[i];
            if ((record->timeline == gap->timeline || record->timeline == gap->behind) &&
                record->begin <= covered && record->end > covered) {
                covered = record->end;
                moved = true;
            }
        }
    }
    return covered >= gap->end;
}

/* A gap at the archive's end, of which only the record tells. */
static bool is_ahead(const Listing *listing, const Gap *record)
{
    const ListingTimeline *timeline = listing_timeline(listing, record->timeline);
    if (timeline == NULL || timeline->range_count == 0 || timeline->next != 0)
        return false;
    const ListingRange *last = &listing->ranges[timeline->first_range + timeline->range_count - 1];
    Lsn end = segment_start(last->last + 1, listing->segment_size);
    for (size_t i = 0; i < listing->gap_count; i++) {
        if (listing->gaps[i].timeline == record->timeline && listing->gaps[i].begin >= end)
            return false;
    }
    return record->begin == end && record->end > end;
}

static bool apply_records(const Archive *archive, Gaps *gaps)
{
    Listing *listing = gaps->listing;
    Records records = {.ok = true, .err = gaps->err};
    if (archive->private.fd < 0)
        return true;
    bool ok = gap_visit(archive, take_record, &records, gaps->err) && records.ok;
    for (size_t i = 0; ok && i < listing->gap_count; i++) {
        if (is_covered(&records, &listing->gaps[i]))
            listing->gaps[i].state = LISTING_GAP_RECORDED;
    }
    /* The newest record counts: the one that the next start goes by. */
    for (size_t i = records.count; ok && i > 0; i--) {
        const Gap *record = &records.items[i - 1];
        if (!is_ahead(listing, record))
            continue;
        ok = add_gap(gaps, record->timeline, segment_of(record->begin, listing->segment_size),
                     record->timeline, segment_of(record->end, listing->segment_size));
        if (ok)
            listing->gaps[listing->gap_count - 1].state = LISTING_GAP_AHEAD;
    }
    free(records.items);
    return ok;
}

/* Everything of the current branch, then other histories, then gaps and their records. */
static bool explore(const Archive *archive, Listing *listing, Gaps *gaps, History *history,
                    Branch *branch, Error *err)
{
    size_t count = listing->timeline_count;
    for (size_t i = count; i > 0; i--) {
        ListingTimeline *timeline = &listing->timelines[i - 1];
        if (!load_history(archive, listing, timeline->timeline, history, err))
            return false;
        timeline->has_history = history->known && timeline->timeline > 1;
        note_ends(listing, &history->view);
        if (i == count) {
            note_branch(listing, history);
            if (!branch_lay(listing, &history->view, branch, err) || !add_branch_gaps(gaps, branch))
                return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const ListingTimeline *timeline = &listing->timelines[i];
        if (!add_other_gaps(gaps, timeline, timeline->branch == LISTING_BRANCH_CURRENT))
            return false;
    }
    if (!apply_records(archive, gaps))
        return false;
    if (listing->gap_count > 0)
        qsort(listing->gaps, listing->gap_count, sizeof(ListingGap), compare_gaps);
    return true;
}

bool listing_branches(const Archive *archive, Listing *listing, Branch *ret, Error *err)
{
    Gaps gaps = {.listing = listing, .err = err};
    History history = {.known = false};
    *ret = (Branch){.spans = NULL};
    if (listing->timeline_count == 0)
        return true;
    history.switches = calloc(TIMELINE_MAX_SWITCHES, sizeof(TimelineSwitch));
    if (history.switches == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading history files");
    bool ok = explore(archive, listing, &gaps, &history, ret, err);
    free(history.switches);
    return ok;
}
