/* SPDX-License-Identifier: PostgreSQL
 *
 * See slot.h.
 */
#include "walrx/stream/slot.h"

#include "identify.h"

#include "walrx/proto/command.h"
#include "walrx/stream/sqlstate.h"

#include <stdio.h>
#include <string.h>

static void set_name(ReplicationCommand *command, const char *name)
{
    (void)snprintf(command->name, sizeof(command->name), "%s", name); /* slot_name_check: fits */
}

/* The columns in the order of READ_REPLICATION_SLOT; the view does not know the timeline. The name
 * holds nothing but a-z, 0-9 and _, so it can stand in the text. */
static bool read_from_view(const ConnectOptions *options, Control *control, uint64_t timeout_ms,
                           const char *name, ReadSlotResult *ret, Error *err)
{
    char query[COMMAND_TEXT_SIZE];
    Connection *plain;
    ResultRow row;
    if (!connection_open(options, CONNECTION_PLAIN, control, timeout_ms, &plain, err)) {
        error_detail(err,
                     "The slot's position was wanted; servers before PostgreSQL 15 show it only "
                     "to a connection with a database.");
        return false;
    }
    (void)snprintf(query, sizeof(query),
                   "SELECT slot_type, restart_lsn::text, NULL::int FROM "
                   "pg_catalog.pg_replication_slots WHERE slot_name = '%s'",
                   name);
    bool ok = connection_query(plain, query, &row, err);
    if (ok && row.count == 0)
        *ret = (ReadSlotResult){.exists = false};
    else if (ok && row.values[1] == NULL)
        *ret = (ReadSlotResult){.exists = true,
                                .physical = row.lengths[0] == 8 &&
                                            memcmp(row.values[0], "physical", 8) == 0};
    else if (ok) {
        ResultRow with_timeline = row;
        with_timeline.values[2] = "1"; /* replaced below: not known */
        with_timeline.lengths[2] = 1;
        ok = result_read_slot(&with_timeline, ret, err);
        ret->restart_timeline = 0;
    }
    connection_close(plain);
    return ok;
}

bool slot_read(Connection *connection, const ConnectOptions *options, Control *control,
               const char *name, ReadSlotResult *ret, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_READ_SLOT};
    ResultRow row;
    if (!slot_name_check(name, err))
        return false;
    if (connection_server_version(connection) < 150000)
        return read_from_view(options, control, connection_timeout(connection), name, ret, err);
    set_name(&command, name);
    return identify_ask(connection, &command, &row, err) && result_read_slot(&row, ret, err);
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
