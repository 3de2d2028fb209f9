/* SPDX-License-Identifier: PostgreSQL
 *
 * What follows when a session has ended: another try, when, or the end with which exit status, and
 * whether that is news. Pure.
 *
 * A state is told once: a failure that repeats with the same class, SQLSTATE and message is not
 * logged again until something else happened in between, or ten minutes have passed.
 */
#pragma once

#include "walrx/base/backoff.h"
#include "walrx/base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct MachineConfig {
    bool no_loop;          /* -n: every end is final */
    bool as_pg_receivewal; /* fixed 5 s, the first connect is not retried, exit status 0 or 1 */
    uint64_t first_delay_ms;
    uint64_t max_delay_ms;
    uint64_t seed;
} MachineConfig;

typedef struct Machine {
    MachineConfig config;
    Backoff backoff;
    bool ever_connected;
    bool failing; /* the last session failed with `last` */
    Error last;
    uint64_t told_ms; /* when `last` was told */
} Machine;

typedef struct MachineNext {
    bool retry;
    uint64_t delay_ms; /* with retry */
    int exit_status;   /* without */
    bool tell;         /* the failure is news */
} MachineNext;

void machine_init(Machine *machine, const MachineConfig *config);

/* A connection was made and the server identified itself. */
void machine_on_connected(Machine *machine);
/* WAL flows: the next failure is news and the first delay is short again. */
void machine_on_streaming(Machine *machine);

/* The session failed with *error (class ERROR_STOPPED: the user ended it). */
MachineNext machine_after(Machine *machine, const Error *error, uint64_t now_ms);
