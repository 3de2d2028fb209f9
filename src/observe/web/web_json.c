/* SPDX-License-Identifier: PostgreSQL
 *
 * See web_json.h. jansson passes a NULL on from call to call, so only the end is looked at.
 */
#include "web_json.h"

#include "walrx/os/clock.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_SECOND 1e9
#define US_PER_MS 1000
#define MS_PER_SECOND 1000

static const char *const columns[] = {
    "at",
    "streaming",
    "lag_received_bytes",
    "lag_received_seconds",
    "lag_flushed_bytes",
    "lag_flushed_seconds",
    "lag_archived_bytes",
    "lag_archived_seconds",
    "received_bytes_per_second",
    "generated_bytes_per_second",
};
static const LagStage stages[] = {LAG_RECEIVED, LAG_FLUSHED, LAG_ARCHIVED};
static const char *const level_names[] = {"ok", "note", "warn", "bad"};

static json_t *number(uint64_t value)
{
    return value == SNAPSHOT_UNKNOWN ? json_null() : json_integer((json_int_t)value);
}

static json_t *seconds(uint64_t ns)
{
    return ns == SNAPSHOT_UNKNOWN ? json_null() : json_real((double)ns / NS_PER_SECOND);
}

static json_t *row_of(const HistoryPoint *point)
{
    json_t *row = json_array();
    int64_t unix_ms = point->at / US_PER_MS + PG_EPOCH_UNIX_SECONDS * MS_PER_SECOND;
    int failed = json_array_append_new(row, json_integer(unix_ms));
    failed |= json_array_append_new(row, json_boolean(point->generated_rate != SNAPSHOT_UNKNOWN));
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        failed |= json_array_append_new(row, number(point->lag[stages[i]].bytes));
        failed |= json_array_append_new(row, seconds(point->lag[stages[i]].ns));
    }
    failed |= json_array_append_new(row, number(point->received_rate));
    failed |= json_array_append_new(row, number(point->generated_rate));
    if (failed == 0)
        return row;
    json_decref(row);
    return NULL;
}

/* Takes the reference. */
static char *text_of(json_t *object, bool whole, size_t *ret_length)
{
    char *text =
        whole && object != NULL ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    *ret_length = text != NULL ? strlen(text) : 0;
    return text;
}

char *web_history_json(const HistoryPoint *points, size_t count, size_t *ret_length)
{
    json_t *names = json_array();
    json_t *rows = json_array();
    int failed = 0;
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        failed |= json_array_append_new(names, json_string(columns[i]));
    for (size_t i = 0; i < count; i++)
        failed |= json_array_append_new(rows, row_of(&points[i]));
    return text_of(json_pack("{s:o, s:o}", "columns", names, "rows", rows), failed == 0,
                   ret_length);
}

char *web_events_json(const EventLog *log, size_t *ret_length)
{
    char at[CLOCK_TEXT_SIZE];
    json_t *list = json_array();
    int failed = 0;
    for (size_t i = 0; i < log->count; i++) {
        const Event *event = events_at(log, i);
        /* Text that is no UTF-8 (a server's message in another encoding) cannot be shown. */
        json_t *text = json_string(event->text);
        failed |= json_array_append_new(
            list, json_pack("{s:s, s:s, s:o}", "at", clock_pg_text(event->at, at), "level",
                            level_names[event->level], "text",
                            text != NULL ? text : json_string("(not readable)")));
    }
    return text_of(json_pack("{s:o}", "events", list), failed == 0, ret_length);
}
