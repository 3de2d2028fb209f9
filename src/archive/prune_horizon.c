/* SPDX-License-Identifier: PostgreSQL
 *
 * Which segment is the first that stays. Pure.
 *
 * By time: to reach a moment, recovery needs a base backup that was consistent before it, and all
 * WAL from that backup's start. So the newest backup that is old enough is what counts. Without one
 * the WAL is kept as long as its commits are recent, for a backup that nobody registered; and one
 * segment more, in which the record of the first recent commit may begin.
 */
#include "walrx/archive/prune.h"

static SegNo by_time(const PruneFacts *facts, size_t *ret_base)
{
    *ret_base = SIZE_MAX;
    for (size_t i = facts->backup_count; i > 0; i--) {
        if (facts->backups[i - 1].aged) {
            *ret_base = i - 1;
            return facts->backups[i - 1].start;
        }
    }
    return facts->recent > 0 ? facts->recent - 1 : 0;
}

static void ask(PruneHorizon *horizon, SegNo segno, PruneCause cause)
{
    if (horizon->asked != PRUNE_CAUSE_NONE && segno >= horizon->segno)
        return;
    horizon->segno = segno;
    horizon->asked = cause;
}

static void hold(PruneHorizon *horizon, SegNo segno, PruneCause cause, size_t holder)
{
    if (segno >= horizon->segno)
        return;
    horizon->segno = segno;
    horizon->held_by = cause;
    horizon->holder = holder;
}

void prune_choose(const PruneFacts *facts, PruneHorizon *ret)
{
    PruneHorizon horizon = {
        .from = UINT64_MAX, .time = UINT64_MAX, .size = UINT64_MAX, .base = SIZE_MAX};
    if (facts->by_from) {
        horizon.from = facts->from;
        ask(&horizon, facts->from, PRUNE_CAUSE_FROM);
    }
    if (facts->by_time) {
        horizon.time = by_time(facts, &horizon.base);
        ask(&horizon, horizon.time, PRUNE_CAUSE_TIME);
    }
    if (facts->by_size) {
        horizon.size = facts->fits;
        ask(&horizon, facts->fits, PRUNE_CAUSE_SIZE);
    }
    hold(&horizon, facts->newest, PRUNE_CAUSE_NEWEST, 0);
    hold(&horizon, facts->limit, PRUNE_CAUSE_RECEIVER, 0);
    if (facts->backup_count > 0)
        hold(&horizon, facts->backups[0].start, PRUNE_CAUSE_BACKUP, 0);
    *ret = horizon;
}
