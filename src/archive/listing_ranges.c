/* SPDX-License-Identifier: PostgreSQL
 *
 * What follows from the sorted list of files: ranges, open segments, totals.
 *
 * While a receiver works, a directory's names change as they are read, and a file that gets another
 * name may show under neither. So a small hole is looked at once more, name by name, before it is
 * believed.
 */
#include "listing_internal.h"

#include <stdlib.h>

/* A receiver has so many segments under way at the most: holes with more are no renames. */
#define LOOK_AGAIN_MAX 64
#define LOOK_AGAIN_TOTAL 4096

static void count_totals(const FileList *files, Listing *listing)
{
    const ListedFile *before = NULL;
    for (size_t i = 0; i < files->count; i++) {
        const ListedFile *file = &files->items[i];
        ListingFiles *form = file->partial ? &listing->partials : &listing->forms[file->form];
        bool again = before != NULL && before->timeline == file->timeline &&
                     before->segno == file->segno && !before->partial;
        form->files++;
        form->disk_bytes += file->disk_bytes;
        if (!file->partial) {
            listing->disk_bytes += file->disk_bytes;
            if (!again)
                listing->segments++;
        }
        if (again && !file->partial) {
            listing->duplicates.files++;
            listing->duplicates.disk_bytes += file->disk_bytes;
        }
        before = file;
    }
}

static ListingTimeline *add_timeline(Listing *listing, size_t *capacity, Timeline timeline,
                                     Error *err)
{
    void *items = listing->timelines;
    if (!listing_grow(&items, capacity, listing->timeline_count, sizeof(ListingTimeline), err))
        return NULL;
    listing->timelines = items;
    ListingTimeline *added = &listing->timelines[listing->timeline_count++];
    *added = (ListingTimeline){.timeline = timeline, .first_range = listing->range_count};
    return added;
}

static bool add_to_ranges(Listing *listing, size_t *capacity, ListingTimeline *timeline,
                          const ListedFile *file, Error *err)
{
    if (timeline->range_count > 0) {
        ListingRange *newest = &listing->ranges[listing->range_count - 1];
        if (file->segno <= newest->last + 1) {
            newest->last = file->segno;
            newest->disk_bytes += file->disk_bytes;
            return true;
        }
    }
    void *items = listing->ranges;
    if (!listing_grow(&items, capacity, listing->range_count, sizeof(ListingRange), err))
        return false;
    listing->ranges = items;
    listing->ranges[listing->range_count++] =
        (ListingRange){.first = file->segno, .last = file->segno, .disk_bytes = file->disk_bytes};
    timeline->range_count++;
    return true;
}

static bool build_ranges(const FileList *files, Listing *listing, Error *err)
{
    size_t timelines = 0;
    size_t ranges = 0;
    ListingTimeline *timeline = NULL;
    for (size_t i = 0; i < files->count; i++) {
        const ListedFile *file = &files->items[i];
        if (timeline == NULL || timeline->timeline != file->timeline)
            timeline = add_timeline(listing, &timelines, file->timeline, err);
        if (timeline == NULL ||
            (!file->partial && !add_to_ranges(listing, &ranges, timeline, file, err)))
            return false;
    }
    return true;
}

static ListingRange *last_range(const Listing *listing, const ListingTimeline *timeline)
{
    if (timeline->range_count == 0)
        return NULL;
    return &listing->ranges[timeline->first_range + timeline->range_count - 1];
}

/* Files are in order, so the first form of the last partial wins. */
static void find_open_segments(const FileList *files, Listing *listing)
{
    for (size_t i = 0, t = 0; i < files->count; i++) {
        const ListedFile *file = &files->items[i];
        while (listing->timelines[t].timeline != file->timeline)
            t++;
        ListingTimeline *timeline = &listing->timelines[t];
        const ListingRange *complete = last_range(listing, timeline);
        if (!file->partial || (complete != NULL && file->segno <= complete->last) ||
            (timeline->open.exists && timeline->open.segno == file->segno))
            continue;
        timeline->open = (ListingOpen){.exists = true,
                                       .form = (WalCompression)file->form,
                                       .segno = file->segno,
                                       .disk_bytes = file->disk_bytes};
    }
    listing->stale = listing->partials;
    for (size_t t = 0; t < listing->timeline_count; t++) {
        if (listing->timelines[t].open.exists) {
            listing->stale.files--;
            listing->stale.disk_bytes -= listing->timelines[t].open.disk_bytes;
        }
    }
}

/* Segments [from, to) of a hole; *ret_any when one of them is there after all. */
static bool look_at_hole(const Archive *archive, FileList *files, Timeline timeline, SegNo from,
                         SegNo to, unsigned *budget, bool *ret_any, Error *err)
{
    if (to - from > LOOK_AGAIN_MAX)
        return true;
    for (SegNo segno = from; segno<to && * budget> 0; segno++) {
        bool found;
        (*budget)--;
        if (!listing_look_again(archive, files, timeline, segno, &found, err))
            return false;
        *ret_any = *ret_any || found;
    }
    return true;
}

static bool look_at_holes(const Archive *archive, FileList *files, const Listing *listing,
                          bool *ret_any, Error *err)
{
    unsigned budget = LOOK_AGAIN_TOTAL;
    *ret_any = false;
    for (size_t t = 0; t < listing->timeline_count; t++) {
        const ListingTimeline *timeline = &listing->timelines[t];
        const ListingRange *ranges = listing->ranges + timeline->first_range;
        for (size_t i = 1; i < timeline->range_count; i++) {
            if (!look_at_hole(archive, files, timeline->timeline, ranges[i - 1].last + 1,
                              ranges[i].first, &budget, ret_any, err))
                return false;
        }
        const ListingRange *last = last_range(listing, timeline);
        if (last != NULL && timeline->open.exists &&
            !look_at_hole(archive, files, timeline->timeline, last->last + 1, timeline->open.segno,
                          &budget, ret_any, err))
            return false;
    }
    return true;
}

bool listing_ranges(const Archive *archive, FileList *files, Listing *listing, Error *err)
{
    bool any;
    file_list_sort(files);
    if (!build_ranges(files, listing, err))
        return false;
    if (files->count > 0) {
        find_open_segments(files, listing);
        if (!look_at_holes(archive, files, listing, &any, err))
            return false;
        if (any) {
            listing_free(listing);
            listing->timeline_count = 0;
            listing->range_count = 0;
            file_list_sort(files);
            if (!build_ranges(files, listing, err))
                return false;
        }
    }
    count_totals(files, listing);
    find_open_segments(files, listing);
    return true;
}
