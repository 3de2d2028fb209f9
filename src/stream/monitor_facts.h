/* SPDX-License-Identifier: PostgreSQL
 *
 * What the server's answers to the monitor mean: from rows to facts. Pure; private to src/stream.
 *
 * Who is no member of pg_read_all_stats (pg_monitor holds it) sees of a walsender that it is there,
 * and nothing else (pg_stat_get_wal_senders in walsender.c, PostgreSQL 15), and cannot tell whose
 * connections the server has.
 */
#pragma once

#include "walrx/proto/result.h"
#include "walrx/stream/monitor_view.h"
#include "walrx/stream/slot.h"

typedef struct MonitorFacts {
    MonitorView view;         /* but for enabled, reachable, at and problem */
    bool sender_known;        /* our walsender is there, and what it does is shown */
    bool sender_hidden;       /* that it is there is all that is shown */
    bool streaming;           /* it has caught up */
    bool listed;              /* synchronous_standby_names holds our application_name */
    bool flush_seen;          /* the server has heard of a flush position of ours */
    bool others_remote_apply; /* a role or a database has synchronous_commit = remote_apply */
    uint64_t reserved;        /* of max_connections: not for everybody */
} MonitorFacts;

void monitor_facts_clear(MonitorFacts *ret);

void monitor_take_slot(const SlotStatus *slot, MonitorFacts *facts);

/* Does a value of synchronous_standby_names hold the name, or a star? */
bool monitor_names_hold(const char *names, size_t length, const char *name);

/* pid, state, sync_state, flush_lsn, application_name (all null: no such walsender),
 * synchronous_standby_names, synchronous_commit, others_remote_apply. While no flush position is
 * known sync_state is async and sync_priority 0, whatever the names (pg_stat_get_wal_senders). */
#define MONITOR_SENDER_COLUMNS 8
bool monitor_take_sender(const ResultRow *row, MonitorFacts *facts, Error *err) MUST_CHECK;

/* Connections (null: hidden), max_connections, how many of them are reserved, walsenders,
 * max_wal_senders. */
#define MONITOR_LOAD_COLUMNS 5
bool monitor_take_load(const ResultRow *row, MonitorFacts *facts, Error *err) MUST_CHECK;
