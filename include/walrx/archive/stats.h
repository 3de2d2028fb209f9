/* SPDX-License-Identifier: PostgreSQL
 *
 * What a range of segments holds, summed up from the segment index: what pg_waldump --stats counts,
 * and transactions.
 *
 * Whole segments: a record counts in the segment in which it ends.
 */
#pragma once

#include "walrx/archive/index.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Stats {
    Timeline timeline; /* whose history it is along */
    uint64_t segments;
    uint64_t missing; /* in between: holes */
    SegNo first;
    SegNo last;
    Timeline first_timeline;
    Timeline last_timeline;
    bool last_open;         /* the last one is the open segment */
    uint64_t heads_unknown; /* segments whose first record is not counted: its beginning is missing
                             */
    int major;              /* of the server, by the last segment; 0: unknown */
    Lsn begin;              /* of the first segment */
    Lsn end;                /* behind the last record */
    IndexCounts rmgrs[INDEX_RMGRS];
    IndexCounts total;
    uint64_t commits;
    uint64_t aborts;
    uint64_t points; /* restore points */
    IndexEnd first_commit;
    IndexEnd last_commit;
    IndexUse use;
} Stats;

/* The segments `from` to `to` that the branch has. ERROR_USAGE: it has none of them. ERROR_ARCHIVE:
 * damage. */
bool stats_make(const Archive *archive, const Branch *branch, SegNo from, SegNo to, Stats *ret,
                Error *err) MUST_CHECK;

/* Seconds between the first and the last commit; 0 where they do not tell. */
double stats_seconds(const Stats *stats);
