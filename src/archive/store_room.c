/* SPDX-License-Identifier: PostgreSQL
 *
 * The store before a full disk: what takes space waits while too little is free, or after the disk
 * refused. Nothing is lost by waiting: the bytes are in the ring, and what was acknowledged is
 * durable. room.h decides; here the disk is asked and the stream thread told.
 */
#include "store_internal.h"

#include "walrx/base/parse.h"
#include "walrx/os/clock.h"

#include <inttypes.h>

#define MEGABYTE (UINT64_C(1) << 20)

/* A copy takes ten milliseconds or some hundred. */
#define CROWDED_LOOK_MS 20

static void block(Store *store, RoomBlock what, bool refused, const Error *why)
{
    if (!room_block(&store->room, what, refused, clock_monotonic_ms()))
        return;
    (void)pthread_mutex_lock(&store->mutex);
    store->error = *why;
    (void)pthread_mutex_unlock(&store->mutex);
    atomic_store(&store->no_room, true);
    bell_ring(store->bell);
}

static void unblock(Store *store, RoomBlock what)
{
    if (!room_unblock(&store->room, what))
        return;
    atomic_store(&store->no_room, false);
    bell_ring(store->bell);
}

static void describe(const Store *store, uint64_t free_bytes, uint64_t needed, Error *ret)
{
    char limit[PARSE_TEXT_SIZE];
    char step[PARSE_TEXT_SIZE];
    uint64_t goal = store->room.min_free + needed + store->room.margin;
    error_set(ret, ERROR_NO_ROOM, "only %" PRIu64 " MB are free on the filesystem of \"%s\"",
              free_bytes / MEGABYTE, store->archive->dir.path);
    error_detail(ret,
                 "The next segment, and what is being compressed, may take %s, and %s are to stay "
                 "free. It goes on with %" PRIu64 " MB.",
                 format_size(needed, step), format_size(store->room.min_free, limit),
                 (goal + MEGABYTE - 1) / MEGABYTE);
}

/* Compressed copies that are being written, or will be, before they free anything. */
static uint64_t copies_need(const Store *store)
{
    if (store->compressor == NULL)
        return 0;
    return (uint64_t)compressor_copies(store->compressor) * store->archive->segment_size;
}

bool store_may_take(Store *store, uint64_t needed)
{
    Room *room = &store->room;
    bool waits = (room->blocked & ROOM_SEGMENT) != 0;
    uint64_t free_bytes;
    uint64_t copies = 0;
    Error error;
    store->crowded = false;
    if (!waits && (needed == 0 || room->min_free == 0))
        return true;
    if (waits && clock_monotonic_ms() < room->look_ms)
        return needed == 0 && !room->refused;
    if (needed > 0)
        copies = copies_need(store);
    /* Where nobody can tell, trying does. */
    if (!file_space_left(&store->archive->dir, &free_bytes, &error))
        free_bytes = UINT64_MAX;
    if (!waits && copies > 0 && room_enough(room, free_bytes, needed) &&
        !room_enough(room, free_bytes, needed + copies)) {
        store->crowded = true; /* not for long: each copy that is done makes room */
        return false;
    }
    needed += copies;
    if (!room_enough(room, free_bytes, needed)) {
        describe(store, free_bytes, needed, &error);
        block(store, ROOM_SEGMENT, false, &error);
        return false;
    }
    store->room_was_awaited = waits && (needed > 0 || room->refused);
    return true;
}

uint64_t store_next_look(const Store *store)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t look_ms = room_next_look(&store->room, now_ms);
    if (store->crowded && look_ms > now_ms + CROWDED_LOOK_MS)
        return now_ms + CROWDED_LOOK_MS;
    return look_ms;
}

void store_took(Store *store)
{
    if (store->room_was_awaited)
        unblock(store, ROOM_SEGMENT);
    store->room_was_awaited = false;
}

bool store_refused(Store *store, RoomBlock what, const Error *err)
{
    store->room_was_awaited = false;
    if (err->class != ERROR_NO_ROOM)
        return false;
    block(store, what, true, err);
    return true;
}

void store_found_room(Store *store, RoomBlock what)
{
    unblock(store, what);
}

void store_note_copies(Store *store)
{
    Error why;
    if (!store->lazy_allowed)
        return;
    if (store->packing.count > 0 && compressor_short_of_room(store->compressor, true, &why)) {
        if ((store->room.blocked & ROOM_COPY) == 0)
            block(store, ROOM_COPY, true, &why);
    } else {
        unblock(store, ROOM_COPY);
    }
}
