/* SPDX-License-Identifier: PostgreSQL
 *
 * See store.h. The store thread sleeps until somebody pokes it: a full extent is in the ring, a
 * flush is asked for, a worker is done. It works in one of two ways:
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
#include "walrx/archive/store.h"

#include "packing.h"

#include "walrx/archive/leftover.h"
#include "walrx/archive/segment_writer.h"
#include "walrx/base/ring.h"
#include "walrx/os/clock.h"
#include "walrx/os/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* How long finishing waits for the workers when somebody waits for it. */
#define STORE_PATIENCE_MS 4000
/* What store_flush_here takes on. */
#define HERE_LENGTH ((size_t)64 << 10)
#define HERE_QUICK_NS (5 * UINT64_C(1000000))

struct Store {
    /* set once */
    const Archive *archive;
    Compressor *compressor;
    const Bell *bell;
    uint8_t *memory;
    size_t capacity;
    bool lazy_allowed; /* compression, and room for two whole segments */
    VerifyMode verify;
    Checker *checker; /* NULL with VERIFY_OFF */
    pthread_t thread;
    /* shared without a lock */
    Ring ring;
    _Atomic Lsn written;
    _Atomic Lsn flushed;        /* moved by store_advance_flush only; set by store_start at rest */
    _Atomic Lsn flush_goal;     /* moved by the stream thread only */
    _Atomic Lsn write_goal;     /* the same */
    atomic_bool producer_waits; /* the ring was full: ring the bell when an extent is free */
    atomic_bool failed;
    atomic_bool packing_now; /* segments are with the workers, or wait for a place there */
    /* store thread only, and the stream thread while at rest or borrowed */
    SegmentWriter writer;
    Packing packing; /* with `lazy_allowed` */
    bool lazy;       /* nothing of the segment at the writer's position has been written */
    bool raw_only;   /* until the next start: the workers were not waited for */
    bool damaged;    /* VERIFY_STOP: what was received is right up to checker_safe only */
    Lsn durable;  /* all below is on the disk; flushed is behind it where it waits for the check */
    Lsn unneeded; /* all below may leave the ring as far as the writer and the workers go */
    Lsn released; /* all below has left it */
    uint64_t sync_ns; /* how long the latest sync took */
    /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t rest;
    bool poked;     /* something happened since the thread last looked */
    bool asleep;    /* the thread waits for work */
    bool borrowed;  /* by the stream thread: the store thread must not go on */
    bool at_rest;   /* nothing started, or finished, or failed: the thread waits */
    bool finishing; /* write everything, close the segment, then rest */
    bool closing;
    Error error; /* with failed */
};

static Lsn extent_floor(Lsn lsn)
{
    return lsn - lsn % RING_EXTENT;
}

static Lsn earlier(Lsn a, Lsn b)
{
    return a < b ? a : b;
}

/* The only place that moves `flushed`. The caller has just made every byte below `lsn` durable, and
 * the name of the file that holds it. */
static void store_advance_flush(Store *store, Lsn lsn)
{
    if (lsn > store->durable)
        store->durable = lsn;
    Lsn flushed = store->durable;
    if (store->verify == VERIFY_STOP) {
        checker_reach(store->checker, earlier(lsn, ring_published(&store->ring)));
        flushed = earlier(flushed, checker_safe(store->checker));
    }
    if (flushed > atomic_load(&store->flushed))
        atomic_store(&store->flushed, flushed);
    bell_ring(store->bell);
}

static Lsn next_segment(const Store *store, Lsn lsn)
{
    uint32_t size = store->archive->segment_size;
    return segment_floor(lsn, size) + size;
}

/* Gives the ring's memory back as far as nobody needs it. */
static void release_unneeded(Store *store)
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
    release_unneeded(store);
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
    if (!writer_complete(&store->writer, &is_new, err))
        return false;
    store_advance_flush(store, store->writer.position);
    return pack_raw(store, is_new, err);
}

/* Writes from the ring up to `goal`, or as far as one write goes. */
static bool write_piece(Store *store, Lsn goal, Error *err)
{
    SegmentWriter *writer = &store->writer;
    Lsn block = writer->position - writer->position % WRITER_BLOCK;
    Lsn end = earlier(goal, next_segment(store, writer->position));
    end = earlier(end, block + WRITER_MAX);
    end = earlier(end, block + ring_run(&store->ring, block));
    bool ends = segment_offset(end, store->archive->segment_size) == 0;
    if (ends && !segment_is_right(store, end))
        return true;
    if (!writer_write(writer, ring_at(&store->ring, block), end, err))
        return false;
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

/* Gives segments whose job is over their final name, in order, and their memory back. */
static bool retire(Store *store, bool *ret_worked, Error *err)
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
    if (!segment_is_right(store, next_segment(store, writer->position)))
        return true;
    if (!hand_over(store, segno, false, err))
        return false;
    writer_skip_segment(writer);
    return true;
}

/* The segment at hand is still only in memory. */
static bool work_lazily(Store *store, bool flush, bool *ret_worked, Error *err)
{
    SegmentWriter *writer = &store->writer;
    Lsn position = writer->position;
    Lsn published = usable(store);
    Lsn end = next_segment(store, position);
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
        return write_piece(store, flush ? published : extent_floor(published), err);
    if (published > position && (flush || atomic_load(&store->write_goal) > position))
        return write_piece(store, published, err);
    *ret_worked = false;
    return true;
}

/* One step; *ret_worked false when there is nothing to do. Damage that ends the stream fails the
 * store when everything before it is durable. */
static bool work_once(Store *store, bool *ret_worked, Error *err)
{
    bool retired;
    bool worked = true;
    Error damage;
    store->damaged = store->verify == VERIFY_STOP && checker_fault(store->checker, &damage);
    if (!retire(store, &retired, err))
        return false;
    release_unneeded(store);
    Lsn goal = store->damaged ? usable(store) : atomic_load(&store->flush_goal);
    bool flush = goal > store->durable;
    bool ok = store->lazy ? work_lazily(store, flush, &worked, err)
                          : work_raw(store, flush, goal, &worked, err);
    *ret_worked = worked || retired;
    if (!ok || !store->damaged || *ret_worked || store->packing.count > 0)
        return ok;
    *err = damage;
    return false;
}

/* Sleeps until somebody pokes the thread, or the deadline. False: it must end. */
static bool wait_for_poke(Store *store, uint64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                             .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    int rc = 0;
    (void)pthread_mutex_lock(&store->mutex);
    while (!store->closing && !store->poked && rc == 0)
        rc = deadline_ms == UINT64_MAX
                 ? pthread_cond_wait(&store->work, &store->mutex)
                 : pthread_cond_clockwait(&store->work, &store->mutex, CLOCK_MONOTONIC, &until);
    store->poked = false;
    bool go_on = !store->closing;
    (void)pthread_mutex_unlock(&store->mutex);
    return go_on;
}

/* The workers took too long, and somebody waits. The segments that are only in memory are written
 * raw; compressing them from there is then a job like any other. */
static bool turn_raw(Store *store, Error *err)
{
    store->lazy = false;
    store->raw_only = true;
    atomic_store(&store->packing_now, false);
    return packing_drop(&store->packing, &store->writer.position, err);
}

/* Everything received becomes durable: whole segments by way of the workers, in a hurry only for a
 * while, the rest as it is. The ring's memory is free on return. */
static bool finish(Store *store, Error *err)
{
    Lsn published = ring_published(&store->ring);
    uint64_t deadline_ms = UINT64_MAX;
    if (store->lazy_allowed && compressor_in_hurry(store->compressor))
        deadline_ms = clock_monotonic_ms() + STORE_PATIENCE_MS;
    atomic_store(&store->flush_goal, published);
    /* Bytes that arrive again below what was durable before ask for no flush, but must get out. */
    atomic_store(&store->write_goal, published);
    while (store->writer.position < published || store->packing.count > 0) {
        bool worked;
        /* Asked for before the step: what a worker has just done is taken out first. */
        bool given_up = store->packing.withdrawn && !packing_busy(&store->packing);
        if (!work_once(store, &worked, err))
            return false;
        if (clock_monotonic_ms() >= deadline_ms) {
            deadline_ms = UINT64_MAX;
            packing_withdraw(&store->packing);
            continue;
        }
        if (worked)
            continue;
        if (given_up) {
            if (!turn_raw(store, err))
                return false;
        } else if (!wait_for_poke(store, deadline_ms)) {
            return error_set(err, ERROR_STOPPED, "the store was closed");
        }
    }
    if (!writer_close(&store->writer, err))
        return false;
    if (store->checker != NULL)
        checker_reach(store->checker, published);
    store_advance_flush(store, store->writer.position);
    release_unneeded(store);
    return store->checker == NULL || !checker_fault(store->checker, err);
}

/* Sleeps until there is something to do. False: the thread must end. */
static bool wait_for_work(Store *store, bool *ret_finish)
{
    (void)pthread_mutex_lock(&store->mutex);
    store->asleep = true;
    while (!store->closing && !store->finishing &&
           (store->at_rest || store->borrowed || !store->poked))
        (void)pthread_cond_wait(&store->work, &store->mutex);
    store->asleep = false;
    bool go_on = !store->closing;
    *ret_finish = store->finishing;
    store->poked = false;
    (void)pthread_mutex_unlock(&store->mutex);
    return go_on;
}

static void come_to_rest(Store *store, const Error *error)
{
    if (store->checker != NULL)
        checker_rest(store->checker);
    (void)pthread_mutex_lock(&store->mutex);
    store->at_rest = true;
    store->finishing = false;
    if (error != NULL) {
        store->error = *error;
        atomic_store(&store->failed, true);
    }
    (void)pthread_cond_broadcast(&store->rest);
    (void)pthread_mutex_unlock(&store->mutex);
    bell_ring(store->bell);
}

/* Somebody waits for the thread to finish or end: then nothing is prepared. */
static bool is_awaited(Store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    bool awaited = store->finishing || store->closing;
    (void)pthread_mutex_unlock(&store->mutex);
    return awaited;
}

static void *store_main(void *argument)
{
    Store *store = argument;
    bool finishing;
    while (wait_for_work(store, &finishing)) {
        Error error;
        bool ok = true;
        bool worked = true;
        if (finishing) {
            if (!atomic_load(&store->failed))
                ok = finish(store, &error);
            come_to_rest(store, ok ? NULL : &error);
            continue;
        }
        while (ok && worked) {
            ok = work_once(store, &worked, &error);
            if (ok && !worked && !is_awaited(store))
                ok = writer_prepare(&store->writer, &worked, &error);
        }
        if (!ok)
            come_to_rest(store, &error);
    }
    return NULL;
}

static void poke(Store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    store->poked = true;
    (void)pthread_mutex_unlock(&store->mutex);
    /* Not under the mutex: the thread that wakes up takes it first. */
    (void)pthread_cond_signal(&store->work);
}

static void poke_from_worker(void *context)
{
    poke(context);
}

/* The checker has come further. */
static void checker_moved(void *context)
{
    Store *store = context;
    if (atomic_load(&store->producer_waits) || store->verify == VERIFY_STOP)
        poke(store);
}

/* The ring's size: whole segments where they are compressed from memory, so that each one lies in
 * one piece; else whole extents. */
static void choose_capacity(Store *store, size_t memory)
{
    size_t segment = store->archive->segment_size;
    store->lazy_allowed = store->compressor != NULL && memory / segment >= 2;
    store->capacity = memory - memory % (store->lazy_allowed ? segment : RING_EXTENT);
    assert(store->capacity >= 2 * RING_EXTENT);
}

static bool open_parts(Store *store, Error *err)
{
    if (!writer_init(&store->writer, store->archive, err))
        return false;
    if (store->lazy_allowed && !packing_init(&store->packing, store->archive, store->compressor,
                                             store->capacity / store->archive->segment_size, err))
        return false;
    store->memory = memory_for_disk(store->capacity);
    if (store->memory == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for a ring of %zu bytes",
                         store->capacity);
    ring_reset(&store->ring, store->memory, store->capacity, 0);
    if (store->verify != VERIFY_OFF && !checker_open(store->archive, &store->ring, store->verify,
                                                     checker_moved, store, &store->checker, err))
        return false;
    int rc = pthread_create(&store->thread, NULL, store_main, store);
    return rc == 0 || error_set_errno(err, ERROR_MEMORY, rc, "could not start the store thread");
}

static void free_parts(Store *store)
{
    checker_close(store->checker);
    writer_deinit(&store->writer);
    packing_deinit(&store->packing);
    (void)pthread_cond_destroy(&store->rest);
    (void)pthread_cond_destroy(&store->work);
    (void)pthread_mutex_destroy(&store->mutex);
    free(store->memory);
    free(store);
}

bool store_open(const Archive *archive, size_t memory, Compressor *compressor, VerifyMode verify,
                const Bell *bell, Store **ret, Error *err)
{
    Store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the store");
    store->archive = archive;
    store->compressor = compressor;
    store->verify = verify;
    store->bell = bell;
    store->at_rest = true;
    choose_capacity(store, memory);
    (void)pthread_mutex_init(&store->mutex, NULL);
    (void)pthread_cond_init(&store->work, NULL);
    (void)pthread_cond_init(&store->rest, NULL);
    if (!open_parts(store, err)) {
        free_parts(store);
        return false;
    }
    if (store->lazy_allowed)
        compressor_on_done(store->compressor, poke_from_worker, store);
    *ret = store;
    return true;
}

void store_start(Store *store, Timeline timeline, Lsn lsn, const PartialTrust *trust, Lsn flushed)
{
    (void)pthread_mutex_lock(&store->mutex);
    assert(store->at_rest && !atomic_load(&store->failed));
    ring_reset(&store->ring, store->memory, store->capacity, lsn);
    writer_start(&store->writer, timeline, lsn, trust);
    /* What an earlier run left of this segment must be compared: it is not kept in memory only. */
    store->lazy = store->lazy_allowed && !trust->exists;
    store->raw_only = false;
    store->damaged = false;
    atomic_store(&store->written, lsn);
    store->packing.withdrawn = false; /* by a hurried finish whose workers were in time */
    atomic_store(&store->packing_now, false);
    store->durable = flushed;
    store->unneeded = lsn;
    store->released = lsn;
    if (store->checker != NULL)
        checker_start(store->checker, lsn);
    atomic_store(&store->flushed, flushed);
    atomic_store(&store->flush_goal, LSN_INVALID);
    atomic_store(&store->write_goal, LSN_INVALID);
    atomic_store(&store->producer_waits, false);
    atomic_store(&store->packing_now, false);
    store->at_rest = false;
    (void)pthread_mutex_unlock(&store->mutex);
}

uint8_t *store_reserve(Store *store, size_t *ret_length)
{
    uint8_t *place = ring_reserve(&store->ring, ret_length);
    if (place != NULL)
        return place;
    /* Say that we wait, then look again: the extent may have come free in between. */
    atomic_store(&store->producer_waits, true);
    place = ring_reserve(&store->ring, ret_length);
    /* The checker may have come further just before. */
    if (place == NULL && store->checker != NULL)
        poke(store);
    return place;
}

void store_publish(Store *store, size_t length)
{
    Lsn published = ring_publish(&store->ring, length);
    if (published % RING_EXTENT != 0)
        return;
    poke(store);
    if (store->checker != NULL)
        checker_poke(store->checker);
}

void store_request_flush(Store *store)
{
    Lsn published = ring_published(&store->ring);
    if (published == atomic_load(&store->flush_goal) || atomic_load(&store->failed))
        return;
    atomic_store(&store->flush_goal, published);
    poke(store);
}

/* Takes the writer from the sleeping store thread, if there is little for it to do. */
static bool borrow_writer(Store *store, Lsn published)
{
    const SegmentWriter *writer = &store->writer;
    (void)pthread_mutex_lock(&store->mutex);
    store->borrowed = store->asleep && !store->poked && !store->at_rest && !store->lazy &&
                      store->packing.count == 0 && store->sync_ns < HERE_QUICK_NS &&
                      writer->fd >= 0 && published - writer->position <= HERE_LENGTH &&
                      published < next_segment(store, writer->position);
    bool borrowed = store->borrowed;
    (void)pthread_mutex_unlock(&store->mutex);
    return borrowed;
}

static void give_writer_back(Store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    store->borrowed = false;
    store->poked = store->poked || writer_can_prepare(&store->writer);
    bool wake = store->poked;
    (void)pthread_mutex_unlock(&store->mutex);
    if (wake)
        (void)pthread_cond_signal(&store->work);
}

bool store_flush_here(Store *store)
{
    Lsn published = ring_published(&store->ring);
    Error error;
    bool ok = true;
    bool worked = true;
    if (atomic_load(&store->failed) || !borrow_writer(store, published))
        return false;
    atomic_store(&store->flush_goal, published);
    while (ok && worked && store->durable < published)
        ok = work_once(store, &worked, &error);
    if (!ok)
        come_to_rest(store, &error);
    give_writer_back(store);
    return true;
}

void store_request_write(Store *store)
{
    if (atomic_load(&store->failed))
        return;
    atomic_store(&store->write_goal, ring_published(&store->ring));
    poke(store);
}

StorePositions store_positions(const Store *store)
{
    /* In this order: each one is at least the one read before it. */
    StorePositions positions = {.flushed = atomic_load(&store->flushed)};
    positions.written = atomic_load(&store->written);
    positions.received = ring_published(&store->ring);
    positions.failed = atomic_load(&store->failed);
    positions.packing = atomic_load(&store->packing_now);
    /* Bytes that arrive again are behind what was durable before. */
    if (positions.written < positions.flushed)
        positions.written = positions.flushed;
    if (positions.received < positions.written)
        positions.received = positions.written;
    return positions;
}

bool store_finish(Store *store, Error *err)
{
    (void)pthread_mutex_lock(&store->mutex);
    if (!store->at_rest) {
        store->finishing = true;
        (void)pthread_cond_signal(&store->work);
        while (store->finishing)
            (void)pthread_cond_wait(&store->rest, &store->mutex);
    }
    bool ok = !atomic_load(&store->failed);
    if (!ok)
        *err = store->error;
    (void)pthread_mutex_unlock(&store->mutex);
    return ok;
}

CheckCounts store_checks(Store *store)
{
    return store->checker != NULL ? checker_counts(store->checker) : (CheckCounts){.faults = 0};
}

void store_error(Store *store, Error *ret)
{
    (void)pthread_mutex_lock(&store->mutex);
    *ret = store->error;
    (void)pthread_mutex_unlock(&store->mutex);
}

/* After a failure workers may still read the ring; and the last one may just be telling us. */
static void wait_for_workers(Store *store)
{
    if (!store->lazy_allowed)
        return;
    if (store->packing.count > 0)
        compressor_abort(store->compressor);
    (void)pthread_mutex_lock(&store->mutex);
    while (packing_busy(&store->packing))
        (void)pthread_cond_wait(&store->work, &store->mutex);
    (void)pthread_mutex_unlock(&store->mutex);
    compressor_on_done(store->compressor, NULL, NULL);
}

void store_close(Store *store)
{
    if (store == NULL)
        return;
    (void)pthread_mutex_lock(&store->mutex);
    store->closing = true;
    (void)pthread_cond_signal(&store->work);
    (void)pthread_mutex_unlock(&store->mutex);
    (void)pthread_join(store->thread, NULL);
    wait_for_workers(store);
    free_parts(store);
}
