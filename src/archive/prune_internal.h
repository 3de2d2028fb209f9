/* SPDX-License-Identifier: PostgreSQL
 *
 * The parts of a prune: times (prune_time.c), the plan (prune_plan.c), and the record of how far
 * the WAL was given up (pruned.c). Private to src/archive.
 */
#pragma once

#include "listing_internal.h"

#include "walrx/archive/prune.h"

/* What commit times tell. */
typedef struct PruneTimes {
    bool timed;     /* there are commits; otherwise nothing below is known */
    PgTime newest;  /* of the newest complete segment that has any */
    PgTime since;   /* what is to be kept begins here, */
    SegNo recent;   /* and this is the first segment with the end of a transaction at or after that;
                       UINT64_MAX: those before the newest complete one have none */
    SegNo last_old; /* the newest before it that has any; 0: none has */
    uint64_t unread;
    Error damage;
} PruneTimes;

/* Reads on from where `memory` ended; `newest` is the newest complete segment. Segments that are
 * damaged are passed over: no recovery gets past them. ERROR_STOPPED: wish->go_on said so; what was
 * learned is in the memory. */
bool prune_times(const Archive *archive, const Branch *branch, const PruneWish *wish, SegNo newest,
                 PruneMemory *memory, PruneTimes *ret, Error *err) MUST_CHECK;
