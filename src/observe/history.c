/* SPDX-License-Identifier: PostgreSQL
 *
 * See history.h.
 */
#include "history.h"

#define STEP ((PgTime)HISTORY_STEP_SECONDS * 1000000)
#define US_PER_SECOND 1000000.0

void history_init(History *history)
{
    history->first = history->count = 0;
    history->since = PG_TIME_NONE;
}

static void begin(History *history, const Snapshot *snapshot, bool connected)
{
    history->next = (HistoryPoint){.at = snapshot->at};
    history->since = snapshot->at;
    history->bytes = snapshot->bytes;
    history->server_end = connected ? snapshot->server_end : LSN_INVALID;
}

static void note_lag(HistoryPoint *point, const Snapshot *snapshot)
{
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++) {
        const StageLag *now = &snapshot->lag[stage];
        StageLag *most = &point->lag[stage];
        most->lsn = now->lsn;
        if (now->bytes != SNAPSHOT_UNKNOWN && now->bytes > most->bytes)
            most->bytes = now->bytes;
        if (now->ns != SNAPSHOT_UNKNOWN && now->ns > most->ns)
            most->ns = now->ns;
    }
}

static void push(History *history)
{
    if (history->count == HISTORY_POINTS) {
        history->first = (history->first + 1) % HISTORY_POINTS;
        history->count--;
    }
    history->points[(history->first + history->count) % HISTORY_POINTS] = history->next;
    history->count++;
}

static uint64_t per_second(uint64_t bytes, PgTime us)
{
    return (uint64_t)((double)bytes * US_PER_SECOND / (double)us + 0.5);
}

void history_add(History *history, const Snapshot *snapshot, bool connected)
{
    /* A clock that was set back begins a new point, too. */
    if (history->since == PG_TIME_NONE || snapshot->at < history->since) {
        begin(history, snapshot, connected);
        note_lag(&history->next, snapshot);
        return;
    }
    PgTime passed = snapshot->at - history->since;
    note_lag(&history->next, snapshot);
    if (passed < STEP - STEP / 20)
        return;
    Lsn end = connected ? snapshot->server_end : LSN_INVALID;
    bool known = end != LSN_INVALID && history->server_end != LSN_INVALID;
    Lsn before = history->server_end;
    history->next.at = snapshot->at;
    history->next.received_rate = per_second(snapshot->bytes - history->bytes, passed);
    history->next.generated_rate =
        known ? per_second(end > before ? end - before : 0, passed) : SNAPSHOT_UNKNOWN;
    push(history);
    begin(history, snapshot, connected);
}

size_t history_copy(const History *history, HistoryPoint *ret, size_t capacity)
{
    size_t count = history->count < capacity ? history->count : capacity;
    size_t skipped = history->count - count;
    for (size_t i = 0; i < count; i++)
        ret[i] = history->points[(history->first + skipped + i) % HISTORY_POINTS];
    return count;
}
