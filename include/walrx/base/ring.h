/* SPDX-License-Identifier: PostgreSQL
 *
 * A ring of bytes addressed by position: byte `p` of an endless stream lives at memory[p %
 * capacity] from the moment it is published until its extent is released. One thread produces, one
 * consumes; the two positions are the only things they share.
 *
 * An extent is RING_EXTENT bytes aligned in position and in memory. A piece handed to the producer
 * never crosses an extent's edge.
 *
 *   released <= published <= released + capacity
 *
 * The caller owns the memory: capacity bytes, a multiple of RING_EXTENT, aligned as its I/O needs.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RING_EXTENT ((size_t)1 << 20)

typedef struct Ring {
    uint8_t *memory;
    size_t capacity;
    _Atomic uint64_t published; /* moved by the producer only */
    _Atomic uint64_t released;  /* moved by the consumer only, to extent edges */
} Ring;

/* Starts empty at `position`. Neither thread may be using the ring. */
void ring_reset(Ring *ring, uint8_t *memory, size_t capacity, uint64_t position);

/* Producer: where the next bytes go and how many fit there without a gap; NULL when the ring is
 * full. */
uint8_t *ring_reserve(Ring *ring, size_t *ret_length);
/* Producer: `length` bytes (at most what was reserved) are in place; returns the new published. */
uint64_t ring_publish(Ring *ring, size_t length);

/* Consumer: the bytes at `position`, which must be held. The view is valid for ring_run bytes, as
 * far as they are published. */
const uint8_t *ring_at(const Ring *ring, uint64_t position);
/* How many bytes from `position` on lie in one piece. */
size_t ring_run(const Ring *ring, uint64_t position);
/* Consumer: everything before `position`'s extent is no longer needed. */
void ring_release(Ring *ring, uint64_t position);

uint64_t ring_published(const Ring *ring);
