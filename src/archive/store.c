/* SPDX-License-Identifier: PostgreSQL
 *
 * See store.h. The store thread sleeps on a condition until a full extent is in the ring or a flush
 * is asked for. It writes full extents as they come; the tail, smaller than an extent, is written
 * only for a flush. A flush that its position already covers is done before more extents are
 * written, so a waiting commit pays for at most one write.
 */
#include "walrx/archive/store.h"

#include "walrx/archive/segment_writer.h"
#include "walrx/base/ring.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct Store {
    /* set once */
    const Archive *archive;
    Compressor *compressor;
    const Bell *bell;
    uint8_t *memory;
    size_t capacity;
    pthread_t thread;
    /* shared without a lock */
    Ring ring;
    _Atomic Lsn written;
    _Atomic Lsn flushed;        /* moved by store_advance_flush only; set by store_start at rest */
    _Atomic Lsn flush_goal;     /* moved by the stream thread only */
    _Atomic Lsn write_goal;     /* the same */
    atomic_bool producer_waits; /* the ring was full: ring the bell when an extent is free */
    atomic_bool failed;
    /* store thread only, and the stream thread while at rest */
    SegmentWriter writer;
    /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    pthread_cond_t rest;
    bool at_rest;   /* nothing started, or finished, or failed: the thread waits */
    bool finishing; /* write everything, close the segment, then rest */
    bool closing;
    Error error; /* with failed */
};

static Lsn extent_floor(Lsn lsn)
{
    return lsn - lsn % RING_EXTENT;
}

/* The only place that moves `flushed`. The caller has just made every byte below `lsn` durable, and
 * the name of the file that holds it. */
static void store_advance_flush(Store *store, Lsn lsn)
{
    if (lsn > atomic_load(&store->flushed))
        atomic_store(&store->flushed, lsn);
    bell_ring(store->bell);
}

static bool end_segment(Store *store, Error *err)
{
    SegmentWriter *writer = &store->writer;
    bool is_new;
    if (!writer_complete(writer, &is_new, err))
        return false;
    store_advance_flush(store, writer->position);
    if (is_new && store->compressor != NULL &&
        !compressor_submit(store->compressor, writer->timeline, writer->segno) &&
        !compressor_error(store->compressor, err))
        return error_set(err, ERROR_STOPPED, "compression was interrupted");
    return store->compressor == NULL || !compressor_error(store->compressor, err);
}

/* Writes from the ring up to `end`, which lies in the extent of the writer's position or at its
 * edge. */
static bool write_piece(Store *store, Lsn end, Error *err)
{
    SegmentWriter *writer = &store->writer;
    Lsn block = writer->position - writer->position % WRITER_BLOCK;
    if (!writer_write(writer, ring_at(&store->ring, block), end, err))
        return false;
    atomic_store(&store->written, end);
    if (end % RING_EXTENT == 0) {
        ring_release(&store->ring, end);
        if (atomic_exchange(&store->producer_waits, false))
            bell_ring(store->bell);
    }
    return segment_offset(end, store->archive->segment_size) != 0 || end_segment(store, err);
}

static bool flush_position(Store *store, Error *err)
{
    if (!writer_sync(&store->writer, err))
        return false;
    store_advance_flush(store, store->writer.position);
    return true;
}

/* One step; *ret_worked false when there is nothing to do. */
static bool work_once(Store *store, bool *ret_worked, Error *err)
{
    Lsn goal = atomic_load(&store->flush_goal);
    Lsn published = ring_published(&store->ring);
    Lsn position = store->writer.position;
    bool flush = goal > atomic_load(&store->flushed);
    *ret_worked = true;
    if (flush && position >= goal)
        return flush_position(store, err);
    if (extent_floor(published) > position)
        return write_piece(store, extent_floor(position) + RING_EXTENT, err);
    if (published > position && (flush || atomic_load(&store->write_goal) > position))
        return write_piece(store, published, err);
    *ret_worked = false;
    return true;
}

static bool has_work(const Store *store)
{
    return atomic_load(&store->flush_goal) > atomic_load(&store->flushed) ||
           atomic_load(&store->write_goal) > atomic_load(&store->written) ||
           extent_floor(ring_published(&store->ring)) > atomic_load(&store->written);
}

/* Everything received, then the segment stays open on disk only. */
static bool finish(Store *store, Error *err)
{
    Lsn published = ring_published(&store->ring);
    while (store->writer.position < published) {
        Lsn edge = extent_floor(store->writer.position) + RING_EXTENT;
        if (!write_piece(store, edge < published ? edge : published, err))
            return false;
    }
    if (!writer_close(&store->writer, err))
        return false;
    store_advance_flush(store, store->writer.position);
    return true;
}

/* Sleeps until there is something to do. False: the thread must end. */
static bool wait_for_work(Store *store, bool *ret_finish)
{
    (void)pthread_mutex_lock(&store->mutex);
    while (!store->closing && !store->finishing && (store->at_rest || !has_work(store)))
        (void)pthread_cond_wait(&store->work, &store->mutex);
    bool go_on = !store->closing;
    *ret_finish = store->finishing;
    (void)pthread_mutex_unlock(&store->mutex);
    return go_on;
}

static void come_to_rest(Store *store, const Error *error)
{
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
        while (ok && worked)
            ok = work_once(store, &worked, &error);
        if (!ok)
            come_to_rest(store, &error);
    }
    return NULL;
}

bool store_open(const Archive *archive, size_t memory, Compressor *compressor, const Bell *bell,
                Store **ret, Error *err)
{
    size_t capacity = memory - memory % RING_EXTENT;
    void *ring_memory = NULL;
    assert(capacity >= 2 * RING_EXTENT);
    Store *store = calloc(1, sizeof(*store));
    if (store == NULL || posix_memalign(&ring_memory, WRITER_BLOCK, capacity) != 0) {
        free(store);
        return error_set(err, ERROR_MEMORY, "out of memory for a ring of %zu bytes", capacity);
    }
    store->archive = archive;
    store->compressor = compressor;
    store->bell = bell;
    store->memory = ring_memory;
    store->capacity = capacity;
    store->at_rest = true;
    ring_reset(&store->ring, store->memory, capacity, 0);
    if (!writer_init(&store->writer, archive, err)) {
        free(store->memory);
        free(store);
        return false;
    }
    (void)pthread_mutex_init(&store->mutex, NULL);
    (void)pthread_cond_init(&store->work, NULL);
    (void)pthread_cond_init(&store->rest, NULL);
    int rc = pthread_create(&store->thread, NULL, store_main, store);
    if (rc != 0) {
        writer_deinit(&store->writer);
        free(store->memory);
        free(store);
        return error_set_errno(err, ERROR_MEMORY, rc, "could not start the store thread");
    }
    *ret = store;
    return true;
}

void store_start(Store *store, Timeline timeline, Lsn lsn, const PartialTrust *trust, Lsn flushed)
{
    (void)pthread_mutex_lock(&store->mutex);
    assert(store->at_rest && !atomic_load(&store->failed));
    ring_reset(&store->ring, store->memory, store->capacity, lsn);
    writer_start(&store->writer, timeline, lsn, trust);
    atomic_store(&store->written, lsn);
    atomic_store(&store->flushed, flushed);
    atomic_store(&store->flush_goal, LSN_INVALID);
    atomic_store(&store->write_goal, LSN_INVALID);
    atomic_store(&store->producer_waits, false);
    store->at_rest = false;
    (void)pthread_mutex_unlock(&store->mutex);
}

static void wake_store(Store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    (void)pthread_cond_signal(&store->work);
    (void)pthread_mutex_unlock(&store->mutex);
}

uint8_t *store_reserve(Store *store, size_t *ret_length)
{
    uint8_t *place = ring_reserve(&store->ring, ret_length);
    if (place != NULL)
        return place;
    /* Say that we wait, then look again: the extent may have come free in between. */
    atomic_store(&store->producer_waits, true);
    return ring_reserve(&store->ring, ret_length);
}

void store_publish(Store *store, size_t length)
{
    Lsn published = ring_publish(&store->ring, length);
    if (published % RING_EXTENT == 0)
        wake_store(store);
}

void store_request_flush(Store *store)
{
    Lsn published = ring_published(&store->ring);
    if (published == atomic_load(&store->flush_goal) || atomic_load(&store->failed))
        return;
    atomic_store(&store->flush_goal, published);
    wake_store(store);
}

void store_request_write(Store *store)
{
    if (atomic_load(&store->failed))
        return;
    atomic_store(&store->write_goal, ring_published(&store->ring));
    wake_store(store);
}

StorePositions store_positions(const Store *store)
{
    /* In this order: each one is at least the one read before it. */
    StorePositions positions = {.flushed = atomic_load(&store->flushed)};
    positions.written = atomic_load(&store->written);
    positions.received = ring_published(&store->ring);
    positions.failed = atomic_load(&store->failed);
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

void store_error(Store *store, Error *ret)
{
    (void)pthread_mutex_lock(&store->mutex);
    *ret = store->error;
    (void)pthread_mutex_unlock(&store->mutex);
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
    writer_deinit(&store->writer);
    (void)pthread_cond_destroy(&store->rest);
    (void)pthread_cond_destroy(&store->work);
    (void)pthread_mutex_destroy(&store->mutex);
    free(store->memory);
    free(store);
}
