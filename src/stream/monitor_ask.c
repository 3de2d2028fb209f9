/* SPDX-License-Identifier: PostgreSQL
 *
 * See monitor_ask.h. Works on servers from 10 on, on standbys, and for users without any privilege.
 */
#include "monitor_ask.h"

#include <stdio.h>

#define QUERY_SIZE 1024
/* Before 12 walsenders are among max_connections, since then beside them. */
#define SENDERS_APART 120000
#define HAS_IDLE_TIMEOUT 140000 /* idle_session_timeout */

bool monitor_prepare(Connection *plain, Error *err)
{
    ResultRow row;
    char query[QUERY_SIZE];
    (void)snprintf(query, sizeof(query),
                   "SET application_name = 'walrx monitor'; SET search_path = ''; "
                   "SET statement_timeout = '3s'; SET lock_timeout = '1s'; "
                   "SET default_transaction_read_only = on%s",
                   connection_server_version(plain) >= HAS_IDLE_TIMEOUT
                       ? "; SET idle_session_timeout = 0"
                       : "");
    return connection_query(plain, query, &row, err);
}

/* On a standby synchronous_standby_names means nothing (SyncRepInitConfig in syncrep.c, PostgreSQL
 * 15). What other sessions have as synchronous_commit stands where roles and databases have
 * settings. */
static bool ask_sender(Connection *plain, int sender_pid, MonitorFacts *facts, Error *err)
{
    ResultRow row;
    char query[QUERY_SIZE];
    (void)snprintf(
        query, sizeof(query),
        "SELECT r.pid, r.state, r.sync_state, r.flush_lsn, r.application_name, "
        "CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' "
        "ELSE pg_catalog.current_setting('synchronous_standby_names') END, "
        "pg_catalog.current_setting('synchronous_commit'), "
        "EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c "
        "WHERE pg_catalog.lower(c) = 'synchronous_commit=remote_apply') "
        "FROM (SELECT) one LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = %d",
        sender_pid);
    return connection_query(plain, query, &row, err) && monitor_take_sender(&row, facts, err);
}

static bool ask_load(Connection *plain, MonitorFacts *facts, Error *err)
{
    ResultRow row;
    char query[QUERY_SIZE];
    (void)snprintf(
        query, sizeof(query),
        "SELECT CASE WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN "
        "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity "
        "WHERE backend_type IN ('client backend'%s)) END, "
        "pg_catalog.current_setting('max_connections'), "
        "pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4 + "
        "coalesce(pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int4, 0), "
        "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_wal_senders()), "
        "pg_catalog.current_setting('max_wal_senders')",
        connection_server_version(plain) < SENDERS_APART ? ", 'walsender'" : "");
    return connection_query(plain, query, &row, err) && monitor_take_load(&row, facts, err);
}

bool monitor_ask(Connection *plain, const char *slot, int sender_pid, MonitorFacts *ret, Error *err)
{
    MonitorFacts facts;
    SlotStatus status;
    monitor_facts_clear(&facts);
    if (slot != NULL) {
        if (!slot_status_plain(plain, slot, &status, err))
            return false;
        monitor_take_slot(&status, &facts);
    }
    if (!ask_sender(plain, sender_pid, &facts, err) || !ask_load(plain, &facts, err))
        return false;
    *ret = facts;
    return true;
}
