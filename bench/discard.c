/* SPDX-License-Identifier: PostgreSQL
 *
 * The walsender's ceiling: receives WAL through libpq and throws it away.
 *
 *   discard CONNINFO SLOT START END
 *
 * What any receiver that uses libpq has to do, and nothing else. It answers keepalives that ask for
 * it, without a flush position, and ends with the first message that passes END.
 */
#include "walrx/base/error.h"
#include "walrx/proto/copydata.h"
#include "walrx/proto/lsn.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

static bool fail(const PGconn *conn)
{
    fprintf(stderr, "discard: %s", PQerrorMessage(conn));
    return false;
}

static PGconn *open_connection(const char *conninfo)
{
    const char *const keys[] = {"dbname", "replication", NULL};
    const char *const values[] = {conninfo, "true", NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(conn) == CONNECTION_OK)
        return conn;
    (void)fail(conn);
    PQfinish(conn);
    return NULL;
}

static bool start_replication(PGconn *conn, const char *slot, Lsn start)
{
    char command[256];
    char text[LSN_TEXT_SIZE];
    char *quoted = PQescapeIdentifier(conn, slot, strlen(slot));
    if (quoted == NULL)
        return fail(conn);
    (void)snprintf(command, sizeof(command), "START_REPLICATION SLOT %s PHYSICAL %s", quoted,
                   lsn_format(start, text));
    PQfreemem(quoted);
    PGresult *result = PQexec(conn, command);
    bool ok = PQresultStatus(result) == PGRES_COPY_BOTH;
    PQclear(result);
    return ok || fail(conn);
}

static bool answer(PGconn *conn, Lsn position)
{
    char bytes[COPY_STATUS_SIZE];
    CopyMessage status = {.type = COPY_STANDBY_STATUS, .as.status = {.write = position}};
    size_t length = copy_message_encode(&status, bytes, sizeof(bytes));
    return (PQputCopyData(conn, bytes, (int)length) == 1 && PQflush(conn) == 0) || fail(conn);
}

static bool receive(PGconn *conn, Lsn end)
{
    Lsn position = LSN_INVALID;
    while (position <= end) {
        char *data;
        CopyMessage message;
        Error error;
        int length = PQgetCopyData(conn, &data, 0);
        if (length <= 0)
            return fail(conn);
        bool ok = copy_message_decode(data, (size_t)length, &message, &error);
        PQfreemem(data);
        if (!ok) {
            fprintf(stderr, "discard: %s\n", error.message);
            return false;
        }
        if (message.type == COPY_WAL_DATA)
            position = message.as.wal.start + message.as.wal.length;
        else if (message.as.keepalive.reply_requested && !answer(conn, position))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    Lsn start;
    Lsn end;
    if (argc != 5 || !lsn_parse(argv[3], &start) || !lsn_parse(argv[4], &end)) {
        fprintf(stderr, "usage: discard CONNINFO SLOT START END\n");
        return 1;
    }
    PGconn *conn = open_connection(argv[1]);
    if (conn == NULL)
        return 1;
    bool ok = start_replication(conn, argv[2], start) && receive(conn, end);
    PQfinish(conn);
    return ok ? 0 : 1;
}
