/* SPDX-License-Identifier: PostgreSQL
 *
 * What of the monitor's facts is news, and whether the receiver has to flush promptly. Pure;
 * private to src/stream.
 */
#pragma once

#include "monitor_facts.h"

/* Of the receiver, as it is now. */
typedef struct MonitorSelf {
    bool synchronous;   /* asked for: nothing is to be told of it */
    bool reports_flush; /* a slot or --synchronous */
    bool reports_apply;
} MonitorSelf;

typedef enum MonitorNews {
    MONITOR_SYNC = 1 << 0,         /* we are a synchronous standby now */
    MONITOR_ASYNC = 1 << 1,        /* no longer */
    MONITOR_HIDDEN = 1 << 2,       /* whether we are is hidden, and it could be */
    MONITOR_NOT_CHOSEN = 1 << 3,   /* listed, but nothing is reported that makes us one */
    MONITOR_REMOTE_APPLY = 1 << 4, /* commits would wait for an apply that is not reported */
    MONITOR_SLOT_AT_RISK = 1 << 5,
    MONITOR_SLOT_LOST = 1 << 6,
    MONITOR_SLOT_SAFE = 1 << 7, /* again */
    MONITOR_CONNECTIONS_FULL = 1 << 8,
    MONITOR_CONNECTIONS_FREE = 1 << 9, /* again */
    MONITOR_SENDERS_FULL = 1 << 10,
    MONITOR_SENDERS_FREE = 1 << 11,
} MonitorNews;

/* What was told and holds. Zero at the start. */
typedef struct MonitorTold {
    bool prompt; /* WAL must be flushed as it arrives */
    bool sync;
    unsigned states; /* MonitorNews that say how it is, not that it is over */
} MonitorTold;

/* Returns MonitorNews: each is told once, and again when it was over in between. */
unsigned monitor_judge(MonitorTold *told, const MonitorFacts *facts, const MonitorSelf *self);
