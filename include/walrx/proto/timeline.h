/* SPDX-License-Identifier: PostgreSQL
 *
 * Timeline history files: one line per ancestor, "parentTLI <blank> switchpoint <blank> reason",
 * '#' comments and blank lines allowed; timeline IDs ascend. The file TTTTTTTT.history describes
 * timeline TTTTTTTT; timeline 1 has none.
 * Source: src/backend/access/transam/timeline.c (readTimeLineHistory), PostgreSQL 15.
 *
 * Pure; the caller gives the memory.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stddef.h>

/* Largest history walrx accepts: every failover of a cluster's life adds one line. */
#define TIMELINE_MAX_SWITCHES 4096
#define TIMELINE_HISTORY_MAX_BYTES (1024 * 1024)

/* The WAL of `timeline` is part of the history up to `end` (exclusive). */
typedef struct TimelineSwitch {
    Timeline timeline;
    Lsn end;
} TimelineSwitch;

/* A borrowed view of the history of timeline `target`: its ancestors, oldest first. */
typedef struct TimelineHistory {
    Timeline target;
    size_t count;
    const TimelineSwitch *switches;
} TimelineHistory;

/* Reads the text of the history file of `target` into `switches` (room for `capacity`). Refuses,
 * ERROR_PROTOCOL: syntax, IDs not ascending or not below target, switchpoints that go backwards,
 * more than capacity lines, bytes that are no text. */
bool timeline_history_parse(const char *text, size_t length, Timeline target,
                            TimelineSwitch *switches, size_t capacity, TimelineHistory *ret,
                            Error *err) MUST_CHECK;

/* Writes the file's text, as PostgreSQL does; false when it does not fit. *ret_length without NUL.
 */
bool timeline_history_format(const TimelineHistory *history, char *buffer, size_t capacity,
                             size_t *ret_length);

/* Is `timeline` the target or one of its ancestors? Then *ret_end is where its WAL ends on this
 * history (UINT64_MAX for the target itself) and *ret_next the timeline that follows it (0 for the
 * target). Either ret may be NULL. */
bool timeline_history_find(const TimelineHistory *history, Timeline timeline, Lsn *ret_end,
                           Timeline *ret_next);

/* The timeline of this history that holds byte `lsn`: the first whose end is beyond it. */
Timeline timeline_history_at(const TimelineHistory *history, Lsn lsn);

/* Where the WAL of `timeline` begins on this history: the end of the one before it, 0 for the
 * first. False when it is not on the history. */
bool timeline_history_begin(const TimelineHistory *history, Timeline timeline, Lsn *ret_begin);
