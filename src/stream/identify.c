/* SPDX-License-Identifier: PostgreSQL
 *
 * See identify.h.
 */
#include "identify.h"

#include <stdio.h>

#define OLDEST_SERVER 100000

bool identify_ask(Connection *connection, const ReplicationCommand *command, ResultRow *ret,
                  Error *err)
{
    char text[COMMAND_TEXT_SIZE];
    return command_format(command, text, sizeof(text), err) &&
           connection_query(connection, text, ret, err);
}

bool identify_show(Connection *connection, const char *setting, ResultRow *ret, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_SHOW};
    (void)snprintf(command.name, sizeof(command.name), "%s", setting);
    return identify_ask(connection, &command, ret, err);
}

bool identify_server(Connection *connection, const char *slot, ServerIdentity *ret, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_IDENTIFY_SYSTEM};
    ServerIdentity identity;
    ResultRow row;
    unsigned mode = 0700;
    int version = connection_server_version(connection);
    if (version < OLDEST_SERVER)
        return error_set(err, ERROR_OPERATOR,
                         "server version %d.%d is older than PostgreSQL 10, which walrx needs",
                         version / 10000, version / 100 % 100);
    if (version >= 110000 && (!identify_show(connection, "data_directory_mode", &row, err) ||
                              !result_directory_mode(&row, &mode, err)))
        return false;
    /* In this order: a standby that is promoted in between seems to be one still, and is looked at
     * again. The other way round its old timeline and position would seem to be a primary's. */
    if (!connection_in_recovery(connection, &identity.in_recovery, err) ||
        !identify_ask(connection, &command, &row, err) ||
        !result_identify_system(&row, &identity.system, err))
        return false;
    if (identity.system.has_database)
        return error_set(
            err, ERROR_OPERATOR,
            "replication connection using slot \"%s\" is unexpectedly database specific",
            slot != NULL ? slot : "");
    identity.group_may_read = (mode & 0040) != 0;
    if (!identify_show(connection, "wal_segment_size", &row, err) ||
        !result_segment_size(&row, &identity.segment_size, err))
        return false;
    *ret = identity;
    return true;
}
