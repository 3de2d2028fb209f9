/* SPDX-License-Identifier: PostgreSQL
 *
 * See ring.h. publish is a release store and the consumer's read an acquire load, so bytes are
 * visible before their position is; the same the other way round for memory that is reused.
 */
#include "walrx/base/ring.h"

#include <assert.h>

void ring_reset(Ring *ring, uint8_t *memory, size_t capacity, uint64_t position)
{
    assert(capacity >= RING_EXTENT && capacity % RING_EXTENT == 0);
    ring->memory = memory;
    ring->capacity = capacity;
    atomic_store(&ring->published, position);
    atomic_store(&ring->released, position - position % RING_EXTENT);
}

uint8_t *ring_reserve(Ring *ring, size_t *ret_length)
{
    uint64_t published = atomic_load_explicit(&ring->published, memory_order_relaxed);
    uint64_t released = atomic_load_explicit(&ring->released, memory_order_acquire);
    size_t room = ring->capacity - (size_t)(published - released);
    size_t to_edge = RING_EXTENT - (size_t)(published % RING_EXTENT);
    *ret_length = room < to_edge ? room : to_edge;
    return room == 0 ? NULL : ring->memory + published % ring->capacity;
}

uint64_t ring_publish(Ring *ring, size_t length)
{
    uint64_t published = atomic_load_explicit(&ring->published, memory_order_relaxed) + length;
    atomic_store_explicit(&ring->published, published, memory_order_release);
    return published;
}

const uint8_t *ring_at(const Ring *ring, uint64_t position)
{
    return ring->memory + position % ring->capacity;
}

size_t ring_run(const Ring *ring, uint64_t position)
{
    return ring->capacity - (size_t)(position % ring->capacity);
}

void ring_release(Ring *ring, uint64_t position)
{
    atomic_store_explicit(&ring->released, position - position % RING_EXTENT, memory_order_release);
}

uint64_t ring_published(const Ring *ring)
{
    return atomic_load_explicit(&ring->published, memory_order_acquire);
}
