/* SPDX-License-Identifier: PostgreSQL
 *
 * See inventory.h.
 */
#include "walrx/archive/inventory.h"

#include <stdlib.h>
#include <string.h>

/* More timelines than a cluster's history may have lines are no archive of one cluster. */
#define MAX_TIMELINES 8192

typedef struct Scan {
    const Dir *dir;
    uint32_t segment_size;
    Inventory *inventory;
    bool ok;
    Error *err;
} Scan;

/* Index of the first timeline that is not below `timeline`. */
static size_t lower_bound(const Inventory *inventory, Timeline timeline)
{
    size_t low = 0;
    size_t high = inventory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (inventory->timelines[middle].timeline < timeline)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool grow(Inventory *inventory, Error *err)
{
    if (inventory->count < inventory->capacity)
        return true;
    if (inventory->capacity >= MAX_TIMELINES)
        return error_set(err, ERROR_ARCHIVE, "the archive holds more than %d timelines",
                         MAX_TIMELINES);
    size_t capacity = inventory->capacity == 0 ? 8 : inventory->capacity * 2;
    TimelineInventory *timelines =
        realloc(inventory->timelines, capacity * sizeof(inventory->timelines[0]));
    if (timelines == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading the archive directory");
    inventory->timelines = timelines;
    inventory->capacity = capacity;
    return true;
}

static TimelineInventory *timeline_slot(Inventory *inventory, Timeline timeline, Error *err)
{
    size_t at = lower_bound(inventory, timeline);
    if (at < inventory->count && inventory->timelines[at].timeline == timeline)
        return &inventory->timelines[at];
    if (!grow(inventory, err))
        return NULL;
    memmove(&inventory->timelines[at + 1], &inventory->timelines[at],
            (inventory->count - at) * sizeof(inventory->timelines[0]));
    inventory->timelines[at] = (TimelineInventory){.timeline = timeline};
    inventory->count++;
    return &inventory->timelines[at];
}

static bool take_name(void *context, const char *name)
{
    Scan *scan = context;
    WalFileName file;
    SegNo segno;
    if (!wal_file_parse(name, &file) || file.kind != WAL_FILE_SEGMENT)
        return true;
    if (!wal_file_segno(&file, scan->segment_size, &segno)) {
        error_set(scan->err, ERROR_ARCHIVE,
                  "file \"%s/%s\" is no segment name of a cluster with %u-byte segments",
                  scan->dir->path, name, scan->segment_size);
        error_hint(scan->err, "It belongs to a cluster with smaller segments: move it away, or "
                              "receive into another directory.");
        scan->ok = false;
        return false;
    }
    TimelineInventory *timeline = timeline_slot(scan->inventory, file.timeline, scan->err);
    if (timeline == NULL) {
        scan->ok = false;
        return false;
    }
    if (file.partial) {
        if (!timeline->any_partial || segno < timeline->oldest_partial)
            timeline->oldest_partial = segno;
        timeline->any_partial = true;
        return true;
    }
    InventoryNewest *newest = &timeline->complete[file.compression];
    if (!newest->any || segno > newest->segno)
        *newest = (InventoryNewest){.any = true, .segno = segno};
    return true;
}

bool inventory_scan(const Dir *dir, uint32_t segment_size, Inventory *ret, Error *err)
{
    Inventory inventory = {.timelines = NULL};
    Scan scan = {
        .dir = dir, .segment_size = segment_size, .inventory = &inventory, .ok = true, .err = err};
    if (!dir_visit(dir, take_name, &scan, err) || !scan.ok) {
        inventory_free(&inventory);
        return false;
    }
    *ret = inventory;
    return true;
}

void inventory_free(Inventory *inventory)
{
    free(inventory->timelines);
    *inventory = (Inventory){.timelines = NULL};
}

const TimelineInventory *inventory_timeline(const Inventory *inventory, Timeline timeline)
{
    size_t at = lower_bound(inventory, timeline);
    if (at < inventory->count && inventory->timelines[at].timeline == timeline)
        return &inventory->timelines[at];
    return NULL;
}

InventoryNewest inventory_newest_complete(const TimelineInventory *timeline)
{
    const InventoryNewest *forms = timeline->complete;
    InventoryNewest newest = {.any = false};
    for (int i = 0; i < WAL_COMPRESSION_COUNT; i++) {
        if (forms[i].any && (!newest.any || forms[i].segno > newest.segno))
            newest = forms[i];
    }
    return newest;
}

SegNo inventory_next(const TimelineInventory *timeline, uint32_t segment_size)
{
    InventoryNewest complete = inventory_newest_complete(timeline);
    SegNo last = segment_last(segment_size); /* a name may say so, but no WAL gets there */
    if (timeline->resumed != 0)
        return timeline->resumed;
    if (!complete.any)
        return timeline->oldest_partial;
    return complete.segno < last ? complete.segno + 1 : last;
}
