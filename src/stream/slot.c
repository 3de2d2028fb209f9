/* SPDX-License-Identifier: PostgreSQL
 *
 * See slot.h. The view is asked for one row at a time, for connection_query reads one; slot_name is
 * of type "name", whose order is that of its bytes or of the server's locale, the same in each
 * query.
 */
#include "walrx/stream/slot.h"

#include "identify.h"

#include "walrx/proto/command.h"
#include "walrx/stream/sqlstate.h"

#include <stdio.h>
#include <string.h>

/* The view is a help: a host that lets nobody in must not hold up streaming. */
#define VIEW_TIMEOUT_MS 10000

static void set_name(ReplicationCommand *command, const char *name)
{
    (void)snprintf(command->name, sizeof(command->name), "%s", name); /* slot_name_check: fits */
}

bool slot_read(Connection *connection, const char *name, ReadSlotResult *ret, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_READ_SLOT};
    ResultRow row;
    if (!slot_name_check(name, err))
        return false;
    set_name(&command, name);
    return identify_ask(connection, &command, &row, err) && result_read_slot(&row, ret, err);
}

/* The first row of the view that fulfils a condition on the name. The name holds nothing but a-z,
 * 0-9 and _, so it can stand in the text. */
static bool query_view(Connection *plain, const char *condition, const char *name, bool *ret_exists,
                       SlotViewResult *ret, Error *err)
{
    char query[COMMAND_TEXT_SIZE];
    ResultRow row;
    bool has_status = connection_server_version(plain) >= 130000;
    (void)snprintf(query, sizeof(query),
                   "SELECT slot_name, slot_type, restart_lsn::text, active_pid, %s FROM "
                   "pg_catalog.pg_replication_slots WHERE %s '%s' ORDER BY slot_name LIMIT 1",
                   has_status ? "wal_status, safe_wal_size" : "NULL, NULL", condition, name);
    if (!connection_query(plain, query, &row, err))
        return false;
    *ret_exists = row.count > 0;
    return row.count == 0 || result_slot_view(&row, ret, err);
}

static bool open_plain(const Connection *connection, const ConnectOptions *options,
                       Control *control, Connection **ret, Error *err)
{
    ConnectOptions plain = *options;
    uint64_t timeout = connection_timeout(connection);
    plain.force_password = false;
    plain.never_password = true;
    connection_pin(connection, &plain); /* a list of hosts must not lead to another server */
    if (timeout == 0 || timeout > VIEW_TIMEOUT_MS)
        timeout = VIEW_TIMEOUT_MS;
    return connection_open(&plain, CONNECTION_PLAIN, control, timeout, ret, err);
}

bool slot_view(const Connection *connection, const ConnectOptions *options, Control *control,
               const char *name, bool *ret_exists, SlotViewResult *ret, Error *err)
{
    Connection *plain;
    if (!slot_name_check(name, err) || !open_plain(connection, options, control, &plain, err))
        return false;
    bool ok = query_view(plain, "slot_name =", name, ret_exists, ret, err);
    connection_close(plain);
    return ok;
}

static void take_view(SlotStatus *status)
{
    status->viewed = true;
    status->physical = status->view.physical;
    status->restart_lsn = status->view.restart_lsn;
}

bool slot_status(Connection *connection, const ConnectOptions *options, Control *control,
                 const char *name, SlotStatus *ret, Error *err)
{
    SlotStatus status = {.exists = false};
    ReplicationCommand command = {.kind = COMMAND_IDENTIFY_SYSTEM};
    IdentifySystemResult server;
    ResultRow row;
    ReadSlotResult read = {.exists = false};
    bool can_read = connection_server_version(connection) >= SLOT_READ_VERSION;
    if (can_read && !slot_read(connection, name, &read, err))
        return false;
    bool viewed = slot_view(connection, options, control, name, &status.exists, &status.view,
                            &status.refusal);
    if (viewed && status.exists) {
        take_view(&status);
    } else if (!viewed && (!can_read || status.refusal.class == ERROR_STOPPED)) {
        *err = status.refusal;
        return false;
    } else if (!viewed) {
        status.exists = read.exists;
        status.physical = read.physical;
        status.restart_lsn = read.restart_lsn;
    }
    if (read.restart_lsn == status.restart_lsn)
        status.restart_timeline = read.restart_timeline;
    if (!identify_ask(connection, &command, &row, err) ||
        !result_identify_system(&row, &server, err))
        return false;
    status.server_lsn = server.flush_lsn;
    *ret = status;
    return true;
}

/* pg_last_wal_receive_lsn is null where a standby streams from nobody. */
static bool server_end(Connection *plain, Lsn *ret, Error *err)
{
    ResultRow row;
    char text[LSN_TEXT_SIZE];
    if (!connection_query(plain,
                          "SELECT CASE WHEN pg_is_in_recovery() THEN "
                          "greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) "
                          "ELSE pg_current_wal_flush_lsn() END::text",
                          &row, err))
        return false;
    *ret = LSN_INVALID;
    if (row.count == 1 && row.values[0] != NULL && row.lengths[0] < sizeof(text)) {
        (void)snprintf(text, sizeof(text), "%.*s", (int)row.lengths[0], row.values[0]);
        if (lsn_parse(text, ret))
            return true;
    }
    return error_set(err, ERROR_PROTOCOL, "the server does not tell the end of its WAL");
}

static bool status_where(Connection *plain, const char *condition, const char *name,
                         SlotStatus *ret, Error *err)
{
    SlotStatus status = {.exists = false};
    if (!server_end(plain, &status.server_lsn, err) ||
        !query_view(plain, condition, name, &status.exists, &status.view, err))
        return false;
    if (status.exists)
        take_view(&status);
    *ret = status;
    return true;
}

bool slot_status_next(Connection *plain, const char *after, SlotStatus *ret, Error *err)
{
    return status_where(plain, "slot_type = 'physical' AND slot_name >", after, ret, err);
}

bool slot_status_plain(Connection *plain, const char *name, SlotStatus *ret, Error *err)
{
    return slot_name_check(name, err) && status_where(plain, "slot_name =", name, ret, err);
}

bool slot_create(Connection *connection, const char *name, bool reserve_wal, bool if_not_exists,
                 Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_CREATE_PHYSICAL_SLOT, .reserve_wal = reserve_wal};
    ResultRow row;
    if (!slot_name_check(name, err))
        return false;
    set_name(&command, name);
    if (identify_ask(connection, &command, &row, err))
        return true;
    return if_not_exists && strcmp(err->sqlstate, SQLSTATE_DUPLICATE_OBJECT) == 0;
}

bool slot_create_temporary(Connection *connection, const char *name, Error *err)
{
    ReplicationCommand command = {
        .kind = COMMAND_CREATE_PHYSICAL_SLOT, .reserve_wal = true, .temporary = true};
    ResultRow row;
    if (!slot_name_check(name, err))
        return false;
    set_name(&command, name);
    return identify_ask(connection, &command, &row, err);
}

bool slot_drop(Connection *connection, const char *name, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_DROP_SLOT};
    ResultRow row;
    if (!slot_name_check(name, err))
        return false;
    set_name(&command, name);
    return identify_ask(connection, &command, &row, err);
}
