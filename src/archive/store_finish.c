/* SPDX-License-Identifier: PostgreSQL
 *
 * The end of a stream: everything received becomes durable, with the workers, or without them when
 * they take too long and somebody waits.
 */
#include "store_internal.h"

#include "walrx/os/clock.h"

/* How long finishing waits for the workers when somebody waits for it. */
#define STORE_PATIENCE_MS 4000
/* How long for room: what a moment can mend, not a full disk. */
#define ROOM_PATIENCE_MS 1000

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
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

static bool out_of_room(const Store *store)
{
    return store->room.blocked != 0 &&
           clock_monotonic_ms() >= store->room.since_ms + ROOM_PATIENCE_MS;
}

/* There is no room: keeps what is durable, or is with one more sync, and drops the rest. */
static bool give_up(Store *store, Error *err)
{
    char text[LSN_TEXT_SIZE];
    bool worked;
    if (store->lazy_allowed) {
        packing_withdraw(&store->packing);
        while (packing_busy(&store->packing)) {
            if (!wait_for_poke(store, UINT64_MAX))
                return error_set(err, ERROR_STOPPED, "the store was closed");
        }
        if (!store_retire(store, &worked, err) && err->class != ERROR_NO_ROOM)
            return false;
        atomic_store(&store->packing_now, false);
        if (!packing_drop(&store->packing, &store->writer.position, err))
            return false;
    }
    if (!writer_close(&store->writer, err))
        return false;
    /* A segment without its name stays a partial: it is asked for again. */
    if (!store->unnamed)
        store_advance_flush(store, store->writer.position);
    error_set(err, ERROR_NO_ROOM,
              "there is no room on the filesystem of \"%s\" for the WAL from %s on",
              store->archive->dir.path, lsn_format(store->writer.position, text));
    return error_hint(err,
                      "Make room there: nothing that was acknowledged is lost, and the rest is "
                      "received again.");
}

bool store_finish_all(Store *store, Error *err)
{
    Lsn published = ring_published(&store->ring);
    uint64_t deadline_ms = UINT64_MAX;
    if (store->lazy_allowed && compressor_in_hurry(store->compressor))
        deadline_ms = clock_monotonic_ms() + STORE_PATIENCE_MS;
    atomic_store(&store->flush_goal, published);
    /* Bytes that arrive again below what was durable before ask for no flush, but must get out. */
    atomic_store(&store->write_goal, published);
    while (store->writer.position < published || store->packing.count > 0 || store->unnamed) {
        bool worked;
        /* Asked for before the step: what a worker has just done is taken out first. */
        bool given_up = store->packing.withdrawn && !packing_busy(&store->packing);
        if (!store_step(store, &worked, err))
            return false;
        if (!worked && out_of_room(store))
            return give_up(store, err);
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
        } else if (!wait_for_poke(store, earlier(store_next_look(store), deadline_ms))) {
            return error_set(err, ERROR_STOPPED, "the store was closed");
        }
    }
    if (!writer_close(&store->writer, err))
        return false;
    if (store->checker != NULL)
        checker_reach(store->checker, published);
    store_advance_flush(store, store->writer.position);
    store_release_unneeded(store);
    return store->checker == NULL || !checker_fault(store->checker, err);
}
