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
    InventoryNewest partial[WAL_COMPRESSION_COUNT];
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
/* The newest partial, of any form, that is not below the newest complete segment. */
InventoryNewest inventory_open_partial(const TimelineInventory *timeline);
