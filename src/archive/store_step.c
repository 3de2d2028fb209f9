/* SPDX-License-Identifier: PostgreSQL
 *
 * What the store thread does next, one step at a time, in one of two ways:
 *
 * raw: full extents are written as they come; the tail, smaller than an extent, only for a flush. A
 * flush that the position already covers is done before more extents are written, so a waiting
 * commit pays for at most one write.
 *
 * lazy (with compression, where the ring holds whole segments): nothing is written until a flush is
 * asked for or the segment is whole. A whole one goes from memory to the workers and is stored
 * compressed only; a flush turns the segment at hand to raw, after everything before it is durable.
 * So while catching up no byte is written twice, and a trickle is as durable as without
 * compression.
 */
#include "store_internal.h"

#include "walrx/archive/leftover.h"
#include "walrx/os/clock.h"

static Lsn extent_floor(Lsn lsn)
{
    return lsn - lsn % RING_EXTENT;
}

static Lsn earlier(Lsn a, Lsn b)
{
    return a < b ? a : b;
}

/* What is durable up to a segment's end has its name. */
static void tell_names(Store *store)
{
    Lsn named = segment_floor(store->durable, store->archive->segment_size);
    if (store->indexer == NULL || named <= store->named)
        return;
    store->named = named;
    indexer_named(store->indexer, named);
}

void store_advance_flush(Store *store, Lsn lsn)
{
    if (lsn > store->durable)
        store->durable = lsn;
    tell_names(store);
    Lsn flushed = store->durable;
    if (store->verify == VERIFY_STOP) {
        checker_reach(store->checker, earlier(lsn, ring_published(&store->ring)));
        flushed = earlier(flushed, checker_safe(store->checker));
    }
    if (flushed > atomic_load(&store->flushed))
        atomic_store(&store->flushed, flushed);
    bell_ring(store->bell);
}

Lsn store_next_segment(const Store *store, Lsn lsn)
{
    uint32_t size = store->archive->segment_size;
    return segment_floor(lsn, size) + size;
}

void store_release_unneeded(Store *store)
{
    Lsn end = store->unneeded;
    if (store->checker != NULL)
        end = earlier(end, checker_position(store->checker));
    end = extent_floor(end);
    if (end <= store->released)
        return;
    store->released = end;
    ring_release(&store->ring, end);
    if (atomic_exchange(&store->producer_waits, false))
        bell_ring(store->bell);
}

static void release(Store *store, Lsn end)
{
    store->unneeded = end;
    store_release_unneeded(store);
}

static bool hand_over(Store *store, SegNo segno, bool has_raw, Error *err)
{
    Lsn start = segment_start(segno, store->archive->segment_size);
    atomic_store(&store->packing_now, true);
    return packing_add(&store->packing, store->writer.timeline, segno, ring_at(&store->ring, start),
                       has_raw, err);
}

/* Without memory: the queue may be full. */
static bool submit_raw(Store *store, Error *err)
{
    const SegmentWriter *writer = &store->writer;
    CompressJob job = {.timeline = writer->timeline, .segno = writer->segno, .has_raw = true};
    atomic_store(&store->packing_now, true);
    bool submitted = compressor_submit(store->compressor, &job);
    atomic_store(&store->packing_now, false);
    if (submitted)
        return true;
    return !compressor_error(store->compressor, err) &&
           error_set(err, ERROR_STOPPED, "compression was interrupted");
}

/* A raw segment got its final name: what is left to do about it. */
static bool pack_raw(Store *store, bool is_new, Error *err)
{
    const SegmentWriter *writer = &store->writer;
    if (store->raw_only)
        release(store, writer->position);
    if (store->lazy_allowed && !store->raw_only) {
        store->lazy = true;
        if (is_new)
            return hand_over(store, writer->segno, true, err);
        if (store->packing.count == 0)
            release(store, writer->position);
        return true;
    }
    return !is_new || store->compressor == NULL || submit_raw(store, err);
}

/* With VERIFY_STOP a segment with damage is not completed: a later start would go on behind it. The
 * next step then sees the damage. */
static bool segment_is_right(Store *store, Lsn end)
{
    Error ignored;
    if (store->verify != VERIFY_STOP)
        return true;
    checker_reach(store->checker, end);
    return !checker_fault(store->checker, &ignored) || checker_safe(store->checker) >= end;
}

/* What may be written: with VERIFY_STOP nothing from the damage on, once it is known. */
static Lsn usable(const Store *store)
{
    Lsn published = ring_published(&store->ring);
    return store->damaged ? earlier(published, checker_safe(store->checker)) : published;
}

static bool end_segment(Store *store, Error *err)
{
    bool is_new;
    store->unnamed = true;
    if (!writer_complete(&store->writer, &is_new, err))
        return false;
    store->unnamed = false;
    store_advance_flush(store, store->writer.position);
    return pack_raw(store, is_new, err);
}

/* A full disk would not let it have its name. */
static bool end_segment_again(Store *store, bool *ret_worked, Error *err)
{
    *ret_worked = store_may_take(store, 0);
    if (*ret_worked && !end_segment(store, err))
        return false;
    store_took(store);
    return true;
}

/* Writes from the ring up to `goal`, or as far as one write goes. */
static bool write_piece(Store *store, Lsn goal, bool *ret_worked, Error *err)
{
    SegmentWriter *writer = &store->writer;
    uint64_t needed;
    Lsn block = writer->position - writer->position % WRITER_BLOCK;
    Lsn end = earlier(goal, store_next_segment(store, writer->position));
    end = earlier(end, block + WRITER_MAX);
    end = earlier(end, block + ring_run(&store->ring, block));
    bool ends = segment_offset(end, store->archive->segment_size) == 0;
    if (ends && !segment_is_right(store, end))
        return true;
    if (!writer_needs(writer, &needed, err))
        return false;
    *ret_worked = store_may_take(store, needed);
    if (!*ret_worked)
        return true;
    if (!writer_write(writer, ring_at(&store->ring, block), end, err))
        return false;
    store_took(store);
    atomic_store(&store->written, end);
    if (!store->lazy_allowed)
        release(store, end);
    return !ends || end_segment(store, err);
}

static bool flush_position(Store *store, Error *err)
{
    uint64_t began = clock_monotonic_ns();
    if (!writer_sync(&store->writer, err))
        return false;
    store->sync_ns = clock_monotonic_ns() - began;
    store_advance_flush(store, store->writer.position);
    return true;
}

bool store_retire(Store *store, bool *ret_worked, Error *err)
{
    bool retired = store->lazy_allowed;
    *ret_worked = false;
    while (retired) {
        Lsn end;
        if (!packing_retire(&store->packing, &retired, &end, err))
            return false;
        if (!retired)
            break;
        *ret_worked = true;
        if (end > atomic_load(&store->written))
            atomic_store(&store->written, end);
        store_advance_flush(store, end);
        /* Behind the last one there may be a duplicate, which nobody compresses. */
        release(store, store->packing.count > 0
                           ? end
                           : segment_floor(store->writer.position, store->archive->segment_size));
    }
    if (store->packing.count == 0 && *ret_worked)
        atomic_store(&store->packing_now, false);
    return true;
}

/* A whole segment in memory goes to the workers; but what an earlier run left of it must be
 * compared, so then it turns raw. */
static bool take_whole(Store *store, bool *ret_worked, Error *err)
{
    SegmentWriter *writer = &store->writer;
    SegNo segno = segment_of(writer->position, store->archive->segment_size);
    bool leftover;
    if (!leftover_exists(store->archive, writer->timeline, segno, &leftover, err))
        return false;
    if (leftover) {
        /* First what comes before; a worker that is done wakes us. */
        *ret_worked = store->packing.without_raw == 0;
        store->lazy = !*ret_worked;
        return true;
    }
    if (!segment_is_right(store, store_next_segment(store, writer->position)))
        return true;
    *ret_worked = store_may_take(store, store->archive->segment_size);
    if (!*ret_worked)
        return true;
    if (!hand_over(store, segno, false, err))
        return false;
    store_took(store);
    writer_skip_segment(writer);
    return true;
}

/* The segment at hand is still only in memory. */
static bool work_lazily(Store *store, bool flush, bool *ret_worked, Error *err)
{
    SegmentWriter *writer = &store->writer;
    Lsn position = writer->position;
    Lsn published = usable(store);
    Lsn end = store_next_segment(store, position);
    bool write = atomic_load(&store->write_goal) > position;
    if (published >= end && !store->packing.withdrawn)
        return take_whole(store, ret_worked, err);
    /* What comes before is made durable by the workers; then this segment turns raw. */
    *ret_worked = (flush || write) && store->packing.without_raw == 0;
    if (!*ret_worked)
        return true;
    if (published == position)
        return flush_position(store, err);
    store->lazy = false;
    return true;
}

static bool work_raw(Store *store, bool flush, Lsn goal, bool *ret_worked, Error *err)
{
    Lsn published = usable(store);
    Lsn position = store->writer.position;
    if (flush && position >= goal)
        return flush_position(store, err);
    if (extent_floor(published) > position)
        return write_piece(store, flush ? published : extent_floor(published), ret_worked, err);
    if (published > position && (flush || atomic_load(&store->write_goal) > position))
        return write_piece(store, published, ret_worked, err);
    *ret_worked = false;
    return true;
}

bool store_step(Store *store, bool *ret_worked, Error *err)
{
    bool retired;
    bool worked = true;
    bool ok;
    Error damage;
    store->damaged = store->verify == VERIFY_STOP && checker_fault(store->checker, &damage);
    if (!store_retire(store, &retired, err)) {
        *ret_worked = retired;
        return store_refused(store, ROOM_NAME, err);
    }
    store_found_room(store, ROOM_NAME);
    store_note_copies(store);
    store_release_unneeded(store);
    Lsn goal = store->damaged ? usable(store) : atomic_load(&store->flush_goal);
    bool flush = goal > store->durable;
    if (store->unnamed)
        ok = end_segment_again(store, &worked, err);
    else
        ok = store->lazy ? work_lazily(store, flush, &worked, err)
                         : work_raw(store, flush, goal, &worked, err);
    *ret_worked = (ok && worked) || retired;
    if (!ok)
        return store_refused(store, ROOM_SEGMENT, err);
    if (!store->damaged || *ret_worked || store->packing.count > 0 || store->room.blocked != 0)
        return true;
    *err = damage;
    return false;
}
