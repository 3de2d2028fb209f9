/* SPDX-License-Identifier: PostgreSQL
 *
 * What an archive holds, per timeline, from one pass over its names: no file is opened, memory
 * does not grow with the number of segments. Strangers' files are ignored.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"
#include "walrx/proto/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The newest file of one form on one timeline. */
typedef struct InventoryNewest {
    bool any;
    SegNo segno;
} InventoryNewest;

typedef struct TimelineInventory {
    Timeline timeline;
    InventoryNewest complete[WAL_COMPRESSION_COUNT]; /* by WalCompression */
    bool any_partial;                                /* of any form */
    SegNo oldest_partial;
    SegNo resumed; /* where receiving went on behind holes the user accepted (gap_resume); 0: none
                    */
} TimelineInventory;

typedef struct Inventory {
    TimelineInventory *timelines; /* ascending */
    size_t count;
    size_t capacity;
} Inventory;

/* ERROR_ARCHIVE when a name belongs to another segment size. Free with inventory_free. */
bool inventory_scan(const Dir *dir, uint32_t segment_size, Inventory *ret, Error *err) MUST_CHECK;
void inventory_free(Inventory *inventory);

/* NULL when the archive has no segment of that timeline. */
const TimelineInventory *inventory_timeline(const Inventory *inventory, Timeline timeline);

/* The newest complete segment of any form. */
InventoryNewest inventory_newest_complete(const TimelineInventory *timeline);
/* The first segment that is not there for good: the one behind the newest complete segment, whether
 * it is open or missing; without complete ones the oldest partial. A partial beyond it is reached
 * by receiving. */
SegNo inventory_next(const TimelineInventory *timeline, uint32_t segment_size);
