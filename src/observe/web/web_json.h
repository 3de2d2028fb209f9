/* SPDX-License-Identifier: PostgreSQL
 *
 * What only the page reads, as JSON. It belongs to the page: it changes with it.
 */
#pragma once

#include "walrx/observe/events.h"
#include "walrx/observe/observer.h"

#include <stddef.h>

/* {"columns": [NAME, ...], "rows": [[VALUE, ...], ...]}, the oldest row first, null where nothing
 * is known. free() it; NULL when out of memory. */
char *web_history_json(const HistoryPoint *points, size_t count, size_t *ret_length);

/* {"events": [{"at": TIME, "level": "ok|note|warn|bad", "text": TEXT}, ...]}, the oldest first. */
char *web_events_json(const EventLog *log, size_t *ret_length);
