/* SPDX-License-Identifier: PostgreSQL
 *
 * The last hour in points of ten seconds. Private to src/observe; under the observer's lock.
 */
#pragma once

#include "walrx/observe/observer.h"

typedef struct History {
    HistoryPoint points[HISTORY_POINTS]; /* a ring */
    size_t first;
    size_t count;
    /* of the point that is being made */
    HistoryPoint next;
    PgTime since;   /* PG_TIME_NONE: none is */
    uint64_t bytes; /* received by then */
    Lsn server_end; /* by then; LSN_INVALID: not known */
} History;

void history_init(History *history);
/* `connected`: the server's end of WAL is known as of now. */
void history_add(History *history, const Snapshot *snapshot, bool connected);
size_t history_copy(const History *history, HistoryPoint *ret, size_t capacity);
