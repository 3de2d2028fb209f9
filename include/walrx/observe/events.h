/* SPDX-License-Identifier: PostgreSQL
 *
 * What happened to a receiver, in words, from comparing one snapshot with the next: states,
 * errors, timelines, hold-ups, damage, gaps, lag. The newest EVENTS_KEPT are kept. Pure: memory and
 * snapshots are the caller's.
 */
#pragma once

#include "walrx/observe/snapshot.h"

#include <stdbool.h>
#include <stddef.h>

#define EVENTS_KEPT 200
#define EVENT_TEXT_SIZE 320

typedef enum EventLevel {
    EVENT_GOOD,
    EVENT_NOTE,
    EVENT_WARN,
    EVENT_BAD,
} EventLevel;

typedef struct Event {
    PgTime at;
    EventLevel level;
    char text[EVENT_TEXT_SIZE];
} Event;

typedef struct EventLog {
    size_t first;
    size_t count;
    bool behind;               /* more than a minute was told */
    Event events[EVENTS_KEPT]; /* a ring */
} EventLog;

void events_init(EventLog *log);

/* `before` NULL: `now` is the first snapshot. */
void events_note(EventLog *log, const Snapshot *before, const Snapshot *now);

/* The one of that index, 0 being the oldest. */
const Event *events_at(const EventLog *log, size_t index);
