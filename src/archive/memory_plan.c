/* SPDX-License-Identifier: PostgreSQL
 *
 * See memory_plan.h. The ring gets three quarters. Where that leaves too little for what
 * the level would use, it gets a half: levels that want so much are slow, and a slow worker does
 * not need many segments ahead. What still does not fit costs workers, then all but a quarter of
 * the ring.
 */
#include "walrx/archive/memory_plan.h"

#include "compress_job.h"

#include "walrx/base/ring.h"

/* The segment writer's extent, and libpq's buffers: messages of 128 kB at most. */
#define PLAN_OTHERS (RING_EXTENT + (size_t)256 * 1024)
#define RING_LEAST (2 * RING_EXTENT)

static MemoryPlan plan_with(size_t memory, size_t ring, uint32_t segment_size, unsigned workers)
{
    MemoryPlan plan = {.ring = ring < RING_LEAST ? RING_LEAST : ring, .workers = workers};
    plan.compresses_whole = plan.ring / segment_size >= 2;
    if (plan.compresses_whole && plan.workers > plan.ring / segment_size)
        plan.workers = (unsigned)(plan.ring / segment_size);
    size_t used = plan.ring + PLAN_OTHERS + plan.workers * COMPRESS_JOB_BUFFERS;
    plan.codec = memory > used ? (memory - used) / plan.workers : 0;
    return plan;
}

static bool fits(const MemoryPlan *plan, CompressSpec spec, uint32_t segment_size)
{
    return codec_memory(spec, segment_size, plan->codec) <= plan->codec;
}

static MemoryPlan plan_codec(size_t memory, uint32_t segment_size, CompressSpec spec,
                             unsigned workers)
{
    MemoryPlan plan = plan_with(memory, memory / 4 * 3, segment_size, workers);
    if (fits(&plan, spec, segment_size) && !codec_is_limited(spec, segment_size, plan.codec))
        return plan;
    do
        plan = plan_with(memory, memory / 2, segment_size, workers);
    while (!fits(&plan, spec, segment_size) && --workers > 0);
    return workers > 0 ? plan : plan_with(memory, memory / 4, segment_size, 1);
}

MemoryPlan memory_plan(size_t memory, uint32_t segment_size, CompressSpec spec, unsigned workers)
{
    if (spec.method == WAL_RAW) {
        size_t ring = memory / 4 * 3;
        return (MemoryPlan){.ring = ring < RING_LEAST ? RING_LEAST : ring};
    }
    MemoryPlan plan = plan_codec(memory, segment_size, spec, workers);
    plan.short_of_memory = codec_is_limited(spec, segment_size, plan.codec);
    return plan;
}
