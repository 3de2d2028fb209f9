/* SPDX-License-Identifier: PostgreSQL
 *
 * A small flush, made by the stream thread with the writer of the sleeping store thread
 * (docs/decisions/0010).
 */
#include "store_internal.h"

/* What is taken on. */
#define HERE_LENGTH ((size_t)64 << 10)
#define HERE_QUICK_NS (5 * UINT64_C(1000000))

/* Takes the writer from the sleeping store thread, if there is little for it to do. */
static bool borrow_writer(Store *store, Lsn published)
{
    const SegmentWriter *writer = &store->writer;
    (void)pthread_mutex_lock(&store->mutex);
    store->borrowed = store->asleep && !store->poked && !store->at_rest && !store->lazy &&
                      store->packing.count == 0 && store->room.blocked == 0 &&
                      store->sync_ns < HERE_QUICK_NS && writer->fd >= 0 &&
                      published - writer->position <= HERE_LENGTH &&
                      published < store_next_segment(store, writer->position);
    bool borrowed = store->borrowed;
    (void)pthread_mutex_unlock(&store->mutex);
    return borrowed;
}

static void give_writer_back(Store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    store->borrowed = false;
    store->poked =
        store->poked || writer_can_prepare(&store->writer) || store_next_look(store) != UINT64_MAX;
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
        ok = store_step(store, &worked, &error);
    if (!ok)
        store_rest(store, &error);
    give_writer_back(store);
    return true;
}
