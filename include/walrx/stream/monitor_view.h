/* SPDX-License-Identifier: PostgreSQL
 *
 * What the primary says of the receiver, of its slot and of itself (--monitor): asked over a
 * second, plain connection, now and then.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/copydata.h"
#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stdint.h>

#define MONITOR_UNKNOWN UINT64_MAX /* of a number */
#define MONITOR_NEVER INT64_MIN

typedef struct MonitorView {
    bool enabled; /* it was asked for, or the server lets us in */
    bool reachable;
    PgTime at;                        /* of the last answer */
    char problem[ERROR_MESSAGE_SIZE]; /* "" */
    /* of the slot; "" and MONITOR_UNKNOWN without one */
    char wal_status[16];
    uint64_t safe_wal_size;
    uint64_t retained_bytes;
    Lsn restart_lsn;
    /* of our walsender */
    char sync_state[16]; /* async, potential, sync, quorum; "": not known */
    char synchronous_standby_names[256];
    char synchronous_commit[16];
    uint64_t connections;
    uint64_t max_connections;
    uint64_t walsenders;
    uint64_t max_walsenders;
} MonitorView;

#define MONITOR_VIEW_EMPTY                                                                         \
    {                                                                                              \
        .at = MONITOR_NEVER, .safe_wal_size = MONITOR_UNKNOWN, .retained_bytes = MONITOR_UNKNOWN,  \
        .connections = MONITOR_UNKNOWN, .max_connections = MONITOR_UNKNOWN,                        \
        .walsenders = MONITOR_UNKNOWN, .max_walsenders = MONITOR_UNKNOWN,                          \
    }

/* How to ask. Strings are borrowed. */
typedef struct MonitorOptions {
    bool enabled;
    const char *conninfo; /* what differs from the receiver's own settings, or, where it names a
                             host, all of them; NULL: nothing does */
} MonitorOptions;
