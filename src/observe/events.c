/* SPDX-License-Identifier: PostgreSQL
 *
 * See events.h. Each function looks at one thing and tells its change.
 */
#include "walrx/observe/events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define BEHIND_NS (60 * NS_PER_SECOND)
#define CAUGHT_UP_NS (10 * NS_PER_SECOND) /* less than BEHIND_NS, so that it does not flap */

void events_init(EventLog *log)
{
    memset(log, 0, sizeof(*log));
}

static void add(EventLog *log, PgTime at, EventLevel level, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void add(EventLog *log, PgTime at, EventLevel level, const char *format, ...)
{
    Event *event = &log->events[(log->first + log->count) % EVENTS_KEPT];
    va_list arguments;
    if (log->count < EVENTS_KEPT)
        log->count++;
    else
        log->first = (log->first + 1) % EVENTS_KEPT;
    event->at = at;
    event->level = level;
    va_start(arguments, format);
    (void)vsnprintf(event->text, sizeof(event->text), format, arguments);
    va_end(arguments);
}

/* The same error of one try after the other is told once. */
static void note_error(EventLog *log, const Snapshot *before, const Snapshot *now)
{
    bool again = before->failure.any && before->state != RECEIVER_STREAMING &&
                 before->streams == now->streams &&
                 strcmp(before->failure.error.message, now->failure.error.message) == 0;
    if (now->failure.any && before->failure.at != now->failure.at && !again)
        add(log, now->failure.at, EVENT_BAD, "%s", now->failure.error.message);
}

static void note_stream(EventLog *log, const Snapshot *before, const Snapshot *now)
{
    bool began = now->state == RECEIVER_STREAMING &&
                 (before->state != RECEIVER_STREAMING || before->streams != now->streams);
    char start[LSN_TEXT_SIZE];
    if (began && before->timeline != 0 && before->timeline != now->timeline)
        add(log, now->state_since, EVENT_NOTE, "the server has a new timeline, %" PRIu32,
            now->timeline);
    if (began)
        add(log, now->state_since, EVENT_GOOD, "streaming timeline %" PRIu32 " from %s, from %s:%s",
            now->timeline, lsn_format(now->start, start), now->session.host, now->session.port);
    if (before->state == now->state)
        return;
    if (now->state == RECEIVER_STARTING)
        add(log, now->state_since, EVENT_NOTE, "walrx %s starts", now->version);
    else if (now->state == RECEIVER_RESTARTING)
        add(log, now->state_since, EVENT_WARN, "not receiving; will connect again");
    else if (now->state == RECEIVER_STOPPING)
        add(log, now->state_since, EVENT_NOTE, "stopping");
}

static void note_lag(EventLog *log, const Snapshot *now)
{
    const StageLag *lag = &now->lag[LAG_FLUSHED];
    if (lag->ns == SNAPSHOT_UNKNOWN)
        return;
    if (!log->behind && lag->ns > BEHIND_NS) {
        log->behind = true;
        add(log, now->at, EVENT_WARN, "more than a minute behind the server");
    } else if (log->behind && lag->ns < CAUGHT_UP_NS) {
        log->behind = false;
        add(log, now->at, EVENT_GOOD, "no longer behind");
    }
}

static void note_holdup(EventLog *log, const Snapshot *before, const Snapshot *now)
{
    if (before->held_by == now->held_by)
        return;
    if (now->held_by == HOLD_NONE)
        add(log, now->at, EVENT_GOOD, "nothing holds receiving up any more");
    else
        add(log, now->at, EVENT_WARN, "receiving waits for %s",
            now->held_by == HOLD_ROOM   ? "room on the disk"
            : now->held_by == HOLD_DISK ? "the disk"
                                        : "compression");
}

static void note_archive(EventLog *log, const Snapshot *before, const Snapshot *now)
{
    char from[LSN_TEXT_SIZE];
    char to[LSN_TEXT_SIZE];
    if (now->checks.faults > before->checks.faults)
        add(log, now->at, EVENT_BAD, "%" PRIu64 " damaged places in arriving WAL, the latest at %s",
            now->checks.faults, lsn_format(now->checks.latest_fault, from));
    if (now->gaps > before->gaps && now->newest_gap_start != LSN_INVALID)
        add(log, now->at, EVENT_WARN, "a gap was recorded, from %s to %s",
            lsn_format(now->newest_gap_start, from), lsn_format(now->newest_gap_end, to));
    if (now->quarantined > before->quarantined)
        add(log, now->at, EVENT_WARN, "a file was put into quarantine");
}

static void note_monitor(EventLog *log, const Snapshot *before, const Snapshot *now)
{
    const MonitorView *monitor = &now->monitor;
    if (!monitor->enabled)
        return;
    if (strcmp(before->monitor.wal_status, monitor->wal_status) != 0 &&
        monitor->wal_status[0] != '\0') {
        bool lost = strcmp(monitor->wal_status, "lost") == 0;
        bool risk = lost || strcmp(monitor->wal_status, "unreserved") == 0;
        add(log, now->at, risk ? EVENT_BAD : EVENT_NOTE, "the slot's WAL is %s",
            monitor->wal_status);
    }
    if (before->monitor.reachable && !monitor->reachable)
        add(log, now->at, EVENT_WARN, "the monitoring connection does not answer: %s",
            monitor->problem);
}

static void note_retention(EventLog *log, const Snapshot *before, const Snapshot *now)
{
    const char *problem = now->retention.problem;
    if (strcmp(before->retention.problem, problem) != 0 && problem[0] != '\0')
        add(log, now->at, EVENT_WARN, "old WAL was not removed: %s", problem);
}

void events_note(EventLog *log, const Snapshot *before, const Snapshot *now)
{
    if (before == NULL) {
        static const Snapshot nothing = {.state = RECEIVER_STOPPED};
        Snapshot first = nothing;
        first.gaps = now->gaps; /* of former runs */
        first.quarantined = now->quarantined;
        if (now->state != RECEIVER_STARTING)
            add(log, now->started, EVENT_NOTE, "walrx %s starts", now->version);
        events_note(log, &first, now);
        return;
    }
    note_error(log, before, now);
    note_stream(log, before, now);
    note_lag(log, now);
    note_holdup(log, before, now);
    note_archive(log, before, now);
    note_monitor(log, before, now);
    note_retention(log, before, now);
}

const Event *events_at(const EventLog *log, size_t index)
{
    return &log->events[(log->first + index) % EVENTS_KEPT];
}
