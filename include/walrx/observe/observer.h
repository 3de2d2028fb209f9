/* SPDX-License-Identifier: PostgreSQL
 *
 * Looks at a running receiver from a thread of its own: once a second while something moves, with
 * each status message while nothing does. It keeps rates and an hour of history, and writes the
 * state file. Nothing it meets ends the receiver; that the state cannot be written is logged once.
 *
 * Everything but open and close may be called by any thread.
 */
#pragma once

#include "walrx/observe/events.h"
#include "walrx/observe/snapshot.h"
#include "walrx/stream/receiver.h"

#include <stddef.h>

/* An hour, a point for ten seconds. */
#define HISTORY_STEP_SECONDS 10
#define HISTORY_POINTS 360

/* What happened between the point before and `at`; no point is older than the process, and there
 * may be fewer while nothing moves. */
typedef struct HistoryPoint {
    PgTime at;
    StageLag lag[LAG_STAGE_COUNT]; /* the largest; lsn: at the end */
    uint64_t received_rate;        /* bytes a second, on average */
    uint64_t generated_rate;       /* SNAPSHOT_UNKNOWN while there was no connection */
} HistoryPoint;

typedef struct ObserverOptions {
    Telemetry *telemetry;  /* borrowed until observer_close */
    const char *version;   /* the same */
    const char *directory; /* the same */
    VerifyMode verify;
    uint64_t status_interval_ms;
} ObserverOptions;

typedef struct Observer Observer;

bool observer_open(const ObserverOptions *options, Observer **ret, Error *err) MUST_CHECK;
void observer_close(Observer *observer); /* NULL is fine */

/* For ReceiverOptions: tells the observer of the archive, and at the end the exit status, with
 * which it writes the last state. */
ReceiverWatch observer_watch(Observer *observer);

/* As of now; rates as of the last second. */
void observer_snapshot(Observer *observer, Snapshot *ret);
/* Oldest first; how many. */
size_t observer_history(Observer *observer, HistoryPoint *ret, size_t capacity);

/* What happened since the start. */
void observer_events(Observer *observer, EventLog *ret);

/* What the primary says, for all later snapshots. */
void observer_set_monitor(Observer *observer, const MonitorView *view);
/* How the removal of old WAL goes, the same. */
void observer_set_retention(Observer *observer, const RetentionView *view);
