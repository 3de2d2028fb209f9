/* SPDX-License-Identifier: PostgreSQL
 *
 * The list of what to have ready. No files and no time: what happened comes in as calls. A worker
 * may still be making something that is no longer in the list, and nobody begins it again before
 * that worker is done.
 */
#include "prefetch_internal.h"

#include <stdio.h>
#include <string.h>

#define MEGABYTE ((uint64_t)1 << 20)
#define DEFAULT_MIN (64 * MEGABYTE)
#define DEFAULT_MAX (256 * MEGABYTE)
#define DEFAULT_PART_OF_MEMORY 64

PrefetchExtent prefetch_extent(uint64_t bytes, uint32_t segment_size, unsigned cores,
                               uint64_t machine_memory)
{
    PrefetchExtent extent;
    if (bytes == GET_PREFETCH_AUTO) {
        bytes = machine_memory / DEFAULT_PART_OF_MEMORY;
        bytes = bytes < DEFAULT_MIN ? DEFAULT_MIN : bytes;
        bytes = bytes > DEFAULT_MAX ? DEFAULT_MAX : bytes;
    }
    uint64_t ahead = bytes / segment_size;
    ahead = ahead < 1 ? 1 : ahead;
    extent.ahead = ahead > PREFETCH_MAX_AHEAD ? PREFETCH_MAX_AHEAD : (size_t)ahead;
    extent.workers = cores > 1 ? cores - 1 : 1; /* the server replays on one */
    if (extent.workers > extent.ahead)
        extent.workers = (unsigned)extent.ahead;
    if (extent.workers > PREFETCH_MAX_WORKERS)
        extent.workers = PREFETCH_MAX_WORKERS;
    return extent;
}

PlanItem *plan_find(Plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (strcmp(plan->items[i].name, name) == 0)
            return &plan->items[i];
    }
    return NULL;
}

bool plan_is_busy(const Plan *plan, const char *name)
{
    for (size_t i = 0; i < PREFETCH_MAX_WORKERS; i++) {
        if (strcmp(plan->busy[i], name) == 0)
            return true;
    }
    return false;
}

static bool anybody_is_busy(const Plan *plan)
{
    for (size_t i = 0; i < PREFETCH_MAX_WORKERS; i++) {
        if (plan->busy[i][0] != '\0')
            return true;
    }
    return false;
}

PlanItem *plan_next(Plan *plan)
{
    for (size_t i = 0; i < plan->count && plan->items[i].state != PLAN_BAD; i++) {
        if (plan->items[i].state == PLAN_WANTED && !plan_is_busy(plan, plan->items[i].name))
            return &plan->items[i];
    }
    return NULL;
}

static void take_away(Plan *plan, size_t first, size_t count,
                      void (*drop)(void *context, const char *name), void *context)
{
    for (size_t i = first; i < first + count; i++) {
        if (plan->items[i].state == PLAN_READY)
            drop(context, plan->items[i].name);
    }
    memmove(&plan->items[first], &plan->items[first + count],
            (plan->count - first - count) * sizeof(plan->items[0]));
    plan->count -= count;
}

bool plan_pass(Plan *plan, Timeline timeline, SegNo segno,
               void (*drop)(void *context, const char *name), void *context)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->items[i].step.timeline == timeline && plan->items[i].step.segno == segno) {
            take_away(plan, 0, i + 1, drop, context);
            return true;
        }
    }
    take_away(plan, 0, plan->count, drop, context);
    return false;
}

void plan_cut(Plan *plan, void (*drop)(void *context, const char *name), void *context)
{
    size_t keep = 0;
    while (keep < plan->count &&
           (plan->items[keep].state == PLAN_READY || plan_is_busy(plan, plan->items[keep].name)))
        keep++;
    take_away(plan, keep, plan->count - keep, drop, context);
}

bool plan_add(Plan *plan, const PrefetchStep *step, const char *name)
{
    if (plan->count == PREFETCH_MAX_AHEAD)
        return false;
    PlanItem *item = &plan->items[plan->count++];
    *item = (PlanItem){.step = *step, .state = PLAN_WANTED};
    (void)snprintf(item->name, sizeof(item->name), "%s", name);
    return true;
}

bool plan_is_done(Plan *plan, bool full)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->items[i].state == PLAN_READY)
            return false;
    }
    return !anybody_is_busy(plan) && (full || plan_next(plan) == NULL);
}
