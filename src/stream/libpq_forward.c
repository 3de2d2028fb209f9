/* SPDX-License-Identifier: PostgreSQL
 *
 * libpq, loaded with the first connection: every function of it that is called anywhere.
 */
#include "walrx/os/library.h"

#include <libpq-fe.h>

#define LIBPQ "libpq.so.5"
#define FORWARD(type, name, params, arguments) LIBRARY_FORWARD(LIBPQ, type, name, params, arguments)
#define FORWARD_VOID(name, params, arguments) LIBRARY_FORWARD_VOID(LIBPQ, name, params, arguments)

/* Connecting */
FORWARD(PGconn *, PQconnectStartParams,
        (const char *const *keywords, const char *const *values, int expand),
        (keywords, values, expand))
FORWARD(PostgresPollingStatusType, PQconnectPoll, (PGconn * conn), (conn))
FORWARD(PQconninfoOption *, PQconninfo, (PGconn * conn), (conn))
FORWARD(PQconninfoOption *, PQconninfoParse, (const char *text, char **problem), (text, problem))
FORWARD_VOID(PQconninfoFree, (PQconninfoOption * options), (options))
FORWARD_VOID(PQfinish, (PGconn * conn), (conn))

/* What a connection is */
FORWARD(ConnStatusType, PQstatus, (const PGconn *conn), (conn))
FORWARD(char *, PQerrorMessage, (const PGconn *conn), (conn))
FORWARD(char *, PQhost, (const PGconn *conn), (conn))
FORWARD(char *, PQhostaddr, (const PGconn *conn), (conn))
FORWARD(char *, PQport, (const PGconn *conn), (conn))
FORWARD(int, PQsocket, (const PGconn *conn), (conn))
FORWARD(int, PQbackendPID, (const PGconn *conn), (conn))
FORWARD(int, PQserverVersion, (const PGconn *conn), (conn))
FORWARD(int, PQsslInUse, (PGconn * conn), (conn))
FORWARD(int, PQgssEncInUse, (PGconn * conn), (conn))
FORWARD(int, PQconnectionNeedsPassword, (const PGconn *conn), (conn))
FORWARD(const char *, PQparameterStatus, (const PGconn *conn, const char *name), (conn, name))
FORWARD(PGVerbosity, PQsetErrorVerbosity, (PGconn * conn, PGVerbosity verbosity), (conn, verbosity))
FORWARD(PQnoticeProcessor, PQsetNoticeProcessor,
        (PGconn * conn, PQnoticeProcessor processor, void *argument), (conn, processor, argument))
FORWARD(int, PQsetnonblocking, (PGconn * conn, int on), (conn, on))

/* Commands, copying */
FORWARD(int, PQsendQuery, (PGconn * conn, const char *query), (conn, query))
FORWARD(int, PQconsumeInput, (PGconn * conn), (conn))
FORWARD(int, PQisBusy, (PGconn * conn), (conn))
FORWARD(int, PQflush, (PGconn * conn), (conn))
FORWARD(PGresult *, PQgetResult, (PGconn * conn), (conn))
FORWARD(int, PQgetCopyData, (PGconn * conn, char **buffer, int async), (conn, buffer, async))
FORWARD(int, PQputCopyData, (PGconn * conn, const char *buffer, int length), (conn, buffer, length))
FORWARD(int, PQputCopyEnd, (PGconn * conn, const char *problem), (conn, problem))

/* Results */
FORWARD(ExecStatusType, PQresultStatus, (const PGresult *result), (result))
FORWARD(char *, PQresStatus, (ExecStatusType status), (status))
FORWARD(char *, PQresultErrorField, (const PGresult *result, int field), (result, field))
FORWARD(char *, PQresultErrorMessage, (const PGresult *result), (result))
FORWARD(int, PQntuples, (const PGresult *result), (result))
FORWARD(int, PQnfields, (const PGresult *result), (result))
FORWARD(char *, PQgetvalue, (const PGresult *result, int row, int field), (result, row, field))
FORWARD(int, PQgetlength, (const PGresult *result, int row, int field), (result, row, field))
FORWARD(int, PQgetisnull, (const PGresult *result, int row, int field), (result, row, field))
FORWARD_VOID(PQclear, (PGresult * result), (result))
FORWARD_VOID(PQfreemem, (void *memory), (memory))
