/* SPDX-License-Identifier: PostgreSQL
 *
 * The end of a stream: everything received becomes durable, with the workers, or without them when
 * they take too long and somebody waits.
 */
#include "store_internal.h"

#include "walrx/os/clock.h"

/* How long finishing waits for the workers when somebody waits for it. */
#define STORE_PATIENCE_MS 4000

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

bool store_finish_all(Store *store, Error *err)
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
        if (!store_step(store, &worked, err))
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
    store_release_unneeded(store);
    return store->checker == NULL || !checker_fault(store->checker, err);
}
