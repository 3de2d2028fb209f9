/* SPDX-License-Identifier: PostgreSQL
 *
 * How --memory is divided between the ring and the compression workers. Pure arithmetic.
 */
#pragma once

#include "walrx/codec/codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct MemoryPlan {
    size_t ring;           /* bytes */
    unsigned workers;      /* 0 without compression */
    size_t codec;          /* bytes for the codec of each worker: see encoder_new */
    bool short_of_memory;  /* the level would use more: its output is larger, or it is slower */
    bool compresses_whole; /* the ring holds segments to be compressed from it */
} MemoryPlan;

/* `workers`: how many are wanted, at least 1. More of them than the ring holds segments would have
 * nothing to do, and so do not come. What compression needs at least it gets, also where `memory`
 * is too small for it. */
MemoryPlan memory_plan(size_t memory, uint32_t segment_size, CompressSpec spec, unsigned workers);
