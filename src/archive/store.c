/* SPDX-License-Identifier: PostgreSQL
 *
 * See store.h. The store thread sleeps until somebody pokes it: a full extent is in the ring, a
 * flush is asked for, a worker is done. Then it takes steps (store_step.c) until there is nothing
 * left to do. The rest of this file is what the stream thread calls.
 */
#include "walrx/archive/store.h"

#include "store_internal.h"

#include "walrx/os/clock.h"
#include "walrx/os/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* Under the mutex. False: it is time. */
static bool sleep_until(Store *store, uint64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    return pthread_cond_clockwait(&store->work, &store->mutex, CLOCK_MONOTONIC, &until) == 0;
}

/* Sleeps until there is something to do. False: the thread must end. */
static bool wait_for_work(Store *store, bool *ret_finish)
{
    (void)pthread_mutex_lock(&store->mutex);
    store->asleep = true;
    while (!store->closing && !store->finishing &&
           (store->at_rest || store->borrowed || !store->poked)) {
        /* What a borrower does with the room is his. */
        bool idle = store->at_rest || store->borrowed;
        uint64_t until_ms = idle ? UINT64_MAX : store_next_look(store);
        if (until_ms == UINT64_MAX)
            (void)pthread_cond_wait(&store->work, &store->mutex);
        else if (!sleep_until(store, until_ms) && !store->borrowed)
            break;
    }
    store->asleep = false;
    bool go_on = !store->closing;
    *ret_finish = store->finishing;
    store->poked = false;
    (void)pthread_mutex_unlock(&store->mutex);
    return go_on;
}

void store_rest(Store *store, const Error *error)
{
    if (store->checker != NULL)
        checker_rest(store->checker);
    (void)pthread_mutex_lock(&store->mutex);
    store->at_rest = true;
    store->finishing = false;
    if (error != NULL) {
        store->error = *error;
        store->unfinished = true;
        if (error->class != ERROR_NO_ROOM)
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

/* For what only saves time later nobody waits for room. */
static bool prepare(Store *store, bool *ret_worked, Error *err)
{
    if (writer_prepare(&store->writer, ret_worked, err))
        return true;
    *ret_worked = false;
    return err->class == ERROR_NO_ROOM;
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
                ok = store_finish_all(store, &error);
            store_rest(store, ok ? NULL : &error);
            continue;
        }
        while (ok && worked) {
            ok = store_step(store, &worked, &error);
            if (ok && !worked && !is_awaited(store))
                ok = prepare(store, &worked, &error);
        }
        if (!ok)
            store_rest(store, &error);
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
    if (store->verify != VERIFY_OFF && store->archive->keep_index &&
        !indexer_open(store->archive, &store->indexer, err))
        return false;
    if (store->verify != VERIFY_OFF &&
        !checker_open(store->archive, &store->ring, store->verify, store->indexer, checker_moved,
                      store, &store->checker, err))
        return false;
    int rc = pthread_create(&store->thread, NULL, store_main, store);
    return rc == 0 || error_set_errno(err, ERROR_MEMORY, rc, "could not start the store thread");
}

static void free_parts(Store *store)
{
    checker_close(store->checker);
    indexer_close(store->indexer);
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
    room_init(&store->room, archive->min_free, archive->segment_size);
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
    store->unfinished = false;
    store->unnamed = false;
    store->crowded = false;
    store->room_was_awaited = false;
    /* The pause goes on until something finds room again. */
    room_restart(&store->room, clock_monotonic_ms());
    atomic_store(&store->written, lsn);
    store->packing.withdrawn = false; /* by a hurried finish whose workers were in time */
    store->durable = flushed;
    store->unneeded = lsn;
    store->released = lsn;
    if (store->indexer != NULL)
        indexer_start(store->indexer, lsn);
    if (store->checker != NULL)
        checker_start(store->checker, timeline, lsn);
    store->named = lsn;
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
    positions.no_room = atomic_load(&store->no_room);
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
    bool ok = !atomic_load(&store->failed) && !store->unfinished;
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
