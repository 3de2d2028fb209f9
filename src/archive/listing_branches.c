/* SPDX-License-Identifier: PostgreSQL
 *
 * How timelines follow each other, by the history files, and what is missing on the way.
 *
 * The current branch is the history of the newest timeline that has WAL. Of each timeline on it the
 * segments before the one in which it was left belong to the branch: the next timeline begins with
 * a copy of that segment. Walking these from the oldest on finds the holes of the branch; holes
 * elsewhere, on dead branches, lie between two ranges of one timeline.
 */
#include "listing_internal.h"

#include "walrx/archive/gap.h"
#include "walrx/archive/segment_file.h"
#include "walrx/proto/timeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct HistoryText {
    char *bytes;
    size_t length;
} HistoryText;

static bool take_history(void *context, const void *data, size_t length, Error *err)
{
    HistoryText *text = context;
    if (length > TIMELINE_HISTORY_MAX_BYTES - text->length)
        return error_set(err, ERROR_ARCHIVE, "the history file has more than %d bytes",
                         TIMELINE_HISTORY_MAX_BYTES);
    memcpy(text->bytes + text->length, data, length);
    text->length += length;
    return true;
}

/* TTTTTTTT.history, or as pg_receivewal compresses it. */
static bool find_history(const Archive *archive, Timeline timeline, char name[WAL_FILE_NAME_SIZE],
                         WalCompression *ret_form, bool *ret_found, Error *err)
{
    uint64_t size;
    *ret_found = false;
    for (int form = 0; !*ret_found && form < WAL_COMPRESSION_COUNT; form++) {
        wal_history_name(timeline, name);
        size_t length = strlen(name);
        const char *suffix = wal_compression_suffix((WalCompression)form);
        memcpy(name + length, suffix, strlen(suffix) + 1);
        *ret_form = (WalCompression)form;
        if (!file_status(&archive->dir, name, ret_found, &size, err))
            return false;
    }
    return true;
}

/* *ret_content for free(), NULL: there is none, or it cannot be read, which is told. */
static bool read_history(const Archive *archive, Listing *listing, Timeline timeline,
                         char **ret_content, size_t *ret_length, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    WalCompression form;
    bool found;
    *ret_content = NULL;
    if (!find_history(archive, timeline, name, &form, &found, err))
        return false;
    if (!found)
        return true;
    HistoryText text = {.bytes = malloc(TIMELINE_HISTORY_MAX_BYTES)};
    if (text.bytes == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    if (segment_file_read(&archive->dir, name, form, take_history, &text, err)) {
        *ret_content = text.bytes;
        *ret_length = text.length;
        return true;
    }
    free(text.bytes);
    if (err->class == ERROR_MEMORY)
        return false;
    listing_unreadable(listing, err);
    return true;
}

typedef struct History {
    TimelineSwitch *switches; /* room for TIMELINE_MAX_SWITCHES, owned by the caller */
    TimelineHistory view;
    bool known;
} History;

static bool load_history(const Archive *archive, Listing *listing, Timeline timeline,
                         History *history, Error *err)
{
    char *content;
    size_t length;
    Error why;
    history->view = (TimelineHistory){.target = timeline, .switches = history->switches};
    history->known = timeline == 1;
    if (timeline == 1)
        return true;
    if (!read_history(archive, listing, timeline, &content, &length, err))
        return false;
    if (content == NULL)
        return true;
    history->known = timeline_history_parse(content, length, timeline, history->switches,
                                            TIMELINE_MAX_SWITCHES, &history->view, &why);
    if (!history->known) {
        char name[WAL_FILE_NAME_SIZE];
        Error told;
        error_set(&told, ERROR_ARCHIVE, "could not understand history file \"%s/%s\": %s",
                  archive->dir.path, wal_history_name(timeline, name), why.message);
        listing_unreadable(listing, &told);
    }
    free(content);
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

typedef struct Walk {
    Listing *listing;
    Branch *branch;
    size_t gaps;     /* capacity */
    Timeline before; /* 0: no WAL yet */
    SegNo next;      /* the segment that continues what was seen */
    Error *err;
} Walk;

static bool add_gap(Walk *walk, Timeline timeline, SegNo from, Timeline behind, SegNo to)
{
    Listing *listing = walk->listing;
    uint32_t size = listing->segment_size;
    void *items = listing->gaps;
    if (!listing_grow(&items, &walk->gaps, listing->gap_count, sizeof(ListingGap), walk->err))
        return false;
    listing->gaps = items;
    listing->gaps[listing->gap_count++] = (ListingGap){.timeline = timeline,
                                                       .behind = behind,
                                                       .begin = segment_start(from, size),
                                                       .end = segment_start(to, size)};
    return true;
}

static bool add_span(Walk *walk, Timeline timeline, SegNo first, SegNo last)
{
    Branch *branch = walk->branch;
    bool joined = walk->before != 0 && first == walk->next;
    void *items = branch->spans;
    if (walk->before != 0 && first > walk->next &&
        !add_gap(walk, walk->before, walk->next, timeline, first))
        return false;
    if (!listing_grow(&items, &branch->capacity, branch->count, sizeof(BranchSpan), walk->err))
        return false;
    branch->spans = items;
    branch->spans[branch->count++] =
        (BranchSpan){.timeline = timeline, .first = first, .last = last, .joined = joined};
    walk->before = timeline;
    walk->next = last + 1;
    return true;
}

/* The segments from `from` on and before `to` belong to the branch. */
static bool walk_timeline(Walk *walk, const ListingTimeline *timeline, SegNo from, SegNo to)
{
    const ListingRange *ranges = walk->listing->ranges + timeline->first_range;
    for (size_t i = 0; i < timeline->range_count; i++) {
        SegNo first = ranges[i].first > from ? ranges[i].first : from;
        SegNo last = ranges[i].last < to ? ranges[i].last : to - 1;
        if (first <= last && last < to && !add_span(walk, timeline->timeline, first, last))
            return false;
    }
    return true;
}

static bool walk_branch(Walk *walk, const TimelineHistory *history)
{
    Listing *listing = walk->listing;
    uint32_t size = listing->segment_size;
    for (size_t i = 0; i < listing->timeline_count; i++) {
        const ListingTimeline *timeline = &listing->timelines[i];
        Lsn begin;
        Lsn end;
        Timeline next;
        if (!timeline_history_begin(history, timeline->timeline, &begin) ||
            !timeline_history_find(history, timeline->timeline, &end, &next))
            continue;
        SegNo to = next == 0 ? segment_last(size) : segment_of(end, size);
        if (!walk_timeline(walk, timeline, segment_of(begin, size), to))
            return false;
        if (next == 0 && timeline->open.exists &&
            !add_span(walk, timeline->timeline, timeline->open.segno, timeline->open.segno))
            return false;
    }
    return true;
}

/* Holes of a timeline that the walk has not seen: all of a dead branch, and those behind the place
 * where a timeline of the current one was left. */
static bool add_other_gaps(Walk *walk, const ListingTimeline *timeline, bool on_history)
{
    const ListingRange *ranges = walk->listing->ranges + timeline->first_range;
    uint32_t size = walk->listing->segment_size;
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
            !add_gap(walk, timeline->timeline, from, timeline->timeline, to))
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

static bool apply_records(const Archive *archive, Walk *walk)
{
    Listing *listing = walk->listing;
    Records records = {.ok = true, .err = walk->err};
    if (archive->private.fd < 0)
        return true;
    bool ok = gap_visit(archive, take_record, &records, walk->err) && records.ok;
    for (size_t i = 0; ok && i < listing->gap_count; i++) {
        if (is_covered(&records, &listing->gaps[i]))
            listing->gaps[i].state = LISTING_GAP_RECORDED;
    }
    /* The newest record counts: the one that the next start goes by. */
    for (size_t i = records.count; ok && i > 0; i--) {
        const Gap *record = &records.items[i - 1];
        if (!is_ahead(listing, record))
            continue;
        ok = add_gap(walk, record->timeline, segment_of(record->begin, listing->segment_size),
                     record->timeline, segment_of(record->end, listing->segment_size));
        if (ok)
            listing->gaps[listing->gap_count - 1].state = LISTING_GAP_AHEAD;
    }
    free(records.items);
    return ok;
}

/* Everything of the current branch, then other histories, then gaps and their records. */
static bool explore(const Archive *archive, Listing *listing, Walk *walk, History *history,
                    Error *err)
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
            if (!walk_branch(walk, &history->view))
                return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const ListingTimeline *timeline = &listing->timelines[i];
        if (!add_other_gaps(walk, timeline, timeline->branch == LISTING_BRANCH_CURRENT))
            return false;
    }
    if (!apply_records(archive, walk))
        return false;
    if (listing->gap_count > 0)
        qsort(listing->gaps, listing->gap_count, sizeof(ListingGap), compare_gaps);
    return true;
}

bool listing_branches(const Archive *archive, Listing *listing, Branch *ret, Error *err)
{
    Walk walk = {.listing = listing, .branch = ret, .err = err};
    History history = {.known = false};
    *ret = (Branch){.spans = NULL};
    if (listing->timeline_count == 0)
        return true;
    history.switches = calloc(TIMELINE_MAX_SWITCHES, sizeof(TimelineSwitch));
    if (history.switches == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading history files");
    bool ok = explore(archive, listing, &walk, &history, err);
    free(history.switches);
    return ok;
}
