/* SPDX-License-Identifier: PostgreSQL
 *
 * A receiver seen from outside, by its archive alone: does one run, and what did it last tell of
 * itself? Changes nothing, needs no server.
 */
#pragma once

#include "walrx/observe/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Look {
    bool running;
    uint64_t pid;    /* of the one that runs; 0: not known */
    bool has_state;  /* the snapshot holds something */
    bool is_its_own; /* of the one that runs, not of one before */
    bool stale;      /* it runs and should have told a newer one */
    uint64_t age_ns; /* of the state */
    Error unusable;  /* class ERROR_NONE, or why the state file could not be used */
    Snapshot snapshot;
} Look;

/* ERROR_USAGE: no such directory. */
bool look_at(const char *directory, Look *ret, Error *err) MUST_CHECK;

/* How far the archive's WAL is durable for certain: by a state that is not of another timeline
 * than the archive's newest, and by complete segments. LSN_INVALID: not known. */
bool look_durable(const char *directory, const Look *look, Lsn *ret, Error *err) MUST_CHECK;
