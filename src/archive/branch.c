/* SPDX-License-Identifier: PostgreSQL
 *
 * See branch.h. The ranges of each timeline on the history, clipped to where it began and where it
 * was left, from the oldest timeline to the newest.
 */
#include "branch_internal.h"
#include "listing_internal.h"

#include "walrx/archive/segment_file.h"

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

bool branch_history(const Archive *archive, Timeline timeline, TimelineSwitch *switches,
                    TimelineHistory *ret, bool *ret_known, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    WalCompression form;
    bool found;
    *ret = (TimelineHistory){.target = timeline, .switches = switches};
    *ret_known = timeline == 1;
    if (timeline == 1)
        return true;
    if (!find_history(archive, timeline, name, &form, &found, err))
        return false;
    if (!found)
        return true;
    HistoryText text = {.bytes = malloc(TIMELINE_HISTORY_MAX_BYTES)};
    if (text.bytes == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    bool ok = segment_file_read(&archive->dir, name, form, take_history, &text, err);
    if (ok && !timeline_history_parse(text.bytes, text.length, timeline, switches,
                                      TIMELINE_MAX_SWITCHES, ret, err))
        ok = error_set(err, ERROR_ARCHIVE, "could not understand history file \"%s/%s\": %s",
                       archive->dir.path, wal_history_name(timeline, name), err->message);
    free(text.bytes);
    *ret_known = ok;
    return ok;
}

typedef struct Laying {
    const Listing *listing;
    Branch *branch;
    size_t capacity;
    Error *err;
} Laying;

static bool add_span(Laying *laying, Timeline timeline, SegNo first, SegNo last, bool partial)
{
    Branch *branch = laying->branch;
    const BranchSpan *before = branch->count > 0 ? &branch->spans[branch->count - 1] : NULL;
    bool joined = before != NULL && first == before->last + 1;
    void *items = branch->spans;
    if (!listing_grow(&items, &laying->capacity, branch->count, sizeof(BranchSpan), laying->err))
        return false;
    branch->spans = items;
    branch->spans[branch->count++] = (BranchSpan){
        .timeline = timeline, .first = first, .last = last, .joined = joined, .partial = partial};
    return true;
}

/* The segments from `from` on and before `to` belong to the branch. */
static bool lay_timeline(Laying *laying, const ListingTimeline *timeline, SegNo from, SegNo to)
{
    const ListingRange *ranges = laying->listing->ranges + timeline->first_range;
    for (size_t i = 0; i < timeline->range_count; i++) {
        SegNo first = ranges[i].first > from ? ranges[i].first : from;
        SegNo last = ranges[i].last < to ? ranges[i].last : to - 1;
        if (first <= last && last < to && !add_span(laying, timeline->timeline, first, last, false))
            return false;
    }
    return true;
}

bool branch_lay(const Listing *listing, const TimelineHistory *history, Branch *ret, Error *err)
{
    Laying laying = {.listing = listing, .branch = ret, .err = err};
    uint32_t size = listing->segment_size;
    *ret = (Branch){.target = history->target};
    for (size_t i = 0; i < listing->timeline_count; i++) {
        const ListingTimeline *timeline = &listing->timelines[i];
        const ListingOpen *open = &timeline->open;
        Lsn begin;
        Lsn end;
        Timeline next;
        if (!timeline_history_begin(history, timeline->timeline, &begin) ||
            !timeline_history_find(history, timeline->timeline, &end, &next))
            continue;
        SegNo from = segment_of(begin, size);
        SegNo to = next == 0 ? segment_last(size) : segment_of(end, size);
        if (!lay_timeline(&laying, timeline, from, to))
            return false;
        if (next == 0 && open->exists && open->segno >= from &&
            !add_span(&laying, timeline->timeline, open->segno, open->segno, true))
            return false;
    }
    return true;
}

static bool lay_target(const Archive *archive, const Listing *listing, Timeline target,
                       TimelineSwitch *switches, Branch *ret, Error *err)
{
    TimelineHistory history;
    bool known;
    char name[WAL_FILE_NAME_SIZE];
    if (!branch_history(archive, target, switches, &history, &known, err))
        return false;
    if (!known) {
        error_set(err, ERROR_ARCHIVE,
                  "the archive \"%s\" has WAL of timeline %" PRIu32 " but not its history file, %s",
                  archive->dir.path, target, wal_history_name(target, name));
        return error_hint(err, "Copy it from the server's pg_wal into the archive: it tells which "
                               "timeline this one continues, and where.");
    }
    return branch_lay(listing, &history, ret, err);
}

bool branch_make(const Archive *archive, const Listing *listing, Timeline target, Branch *ret,
                 Error *err)
{
    *ret = (Branch){.target = target};
    if (listing->timeline_count == 0)
        return error_set(err, ERROR_USAGE, "there is no WAL in \"%s\"", archive->dir.path);
    if (target == 0)
        target = listing->timelines[listing->timeline_count - 1].timeline;
    if (listing_timeline(listing, target) == NULL)
        return error_set(err, ERROR_USAGE, "the archive \"%s\" has no WAL of timeline %" PRIu32,
                         archive->dir.path, target);
    TimelineSwitch *switches = calloc(TIMELINE_MAX_SWITCHES, sizeof(*switches));
    if (switches == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading history files");
    bool ok = lay_target(archive, listing, target, switches, ret, err);
    free(switches);
    return ok;
}

void branch_free(Branch *branch)
{
    free(branch->spans);
    branch->spans = NULL;
    branch->count = 0;
}

const BranchSpan *branch_find(const Branch *branch, SegNo segno)
{
    size_t low = 0;
    size_t high = branch->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const BranchSpan *span = &branch->spans[middle];
        if (segno >= span->first && segno <= span->last)
            return span;
        if (segno < span->first)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
