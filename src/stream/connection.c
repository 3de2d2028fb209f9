/* SPDX-License-Identifier: PostgreSQL
 *
 * See connection.h. libpq's asynchronous calls throughout (libpq-async, libpq-connect in the
 * documentation of PostgreSQL 15): the socket is polled here, together with the signals.
 */
#include "walrx/stream/connection.h"

#include "connection_internal.h"

#include "walrx/os/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies a message of libpq or the server without its final newline. */
static void copy_line(char *buffer, size_t capacity, const char *text)
{
    (void)snprintf(buffer, capacity, "%s", text != NULL ? text : "");
    size_t length = strlen(buffer);
    while (length > 0 && (buffer[length - 1] == '\n' || buffer[length - 1] == ' '))
        buffer[--length] = '\0';
}

static bool lost(Connection *connection, const char *doing, Error *err)
{
    char text[ERROR_MESSAGE_SIZE / 2];
    copy_line(text, sizeof(text), PQerrorMessage(connection->pg));
    return error_set(err, ERROR_RETRY, "%s: %s", doing, text[0] != '\0' ? text : "connection lost");
}

static uint64_t deadline_of(const Connection *connection)
{
    return connection->timeout_ms == 0 ? UINT64_MAX : clock_monotonic_ms() + connection->timeout_ms;
}

static bool wait_for(Connection *connection, short events, uint64_t deadline, const char *doing,
                     Error *err)
{
    switch (control_wait(connection->control, PQsocket(connection->pg), events, deadline)) {
    case CONTROL_READY:
        if (clock_monotonic_ms() < deadline)
            return true;
        break; /* data keeps coming, but no end of it */
    case CONTROL_STOP:
        return error_set(err, ERROR_STOPPED, "stopped while %s", doing);
    case CONTROL_TIMEOUT:
        break;
    }
    return error_set(err, ERROR_RETRY, "no answer from the server within %llu ms while %s",
                     (unsigned long long)connection->timeout_ms, doing);
}

/* The error the server sent with a result, in pg_receivewal's words. */
static bool server_error(const PGresult *result, const char *command, Error *err)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    char text[ERROR_MESSAGE_SIZE / 2];
    copy_line(text, sizeof(text), PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    if (text[0] == '\0')
        copy_line(text, sizeof(text), PQresultErrorMessage(result));
    ErrorClass class = sqlstate != NULL ? sqlstate_class(sqlstate) : ERROR_RETRY;
    if (severity == NULL)
        severity = "ERROR";
    if (command == NULL)
        error_set(err, class, "unexpected termination of replication stream: %s:  %s", severity,
                  text);
    else
        error_set(err, class, "could not send replication command \"%s\": %s:  %s", command,
                  severity, text);
    if (sqlstate != NULL)
        (void)snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
    if (detail != NULL)
        error_detail(err, "%s", detail);
    if (hint != NULL)
        error_hint(err, "%s", hint);
    return false;
}

static void drop_result(Connection *connection)
{
    PQclear(connection->result);
    connection->result = NULL;
}

static bool lost_while(Connection *connection, const char *doing, Error *err)
{
    char what[64];
    (void)snprintf(what, sizeof(what), "connection lost while %s", doing);
    return lost(connection, what, err);
}

/* Waits for the next result; *ret NULL when the command is over. */
static bool next_result(Connection *connection, const char *doing, PGresult **ret, Error *err)
{
    uint64_t deadline = deadline_of(connection);
    while (PQisBusy(connection->pg)) {
        if (!wait_for(connection, POLLIN, deadline, doing, err))
            return false;
        if (!PQconsumeInput(connection->pg))
            return lost_while(connection, doing, err);
    }
    *ret = PQgetResult(connection->pg);
    return true;
}

static bool send_query(Connection *connection, const char *command, Error *err)
{
    drop_result(connection);
    if (!PQsendQuery(connection->pg, command))
        return lost(connection, "could not send a replication command", err);
    uint64_t deadline = deadline_of(connection);
    for (;;) {
        int left = PQflush(connection->pg);
        if (left == 0)
            return true;
        if (left < 0)
            return lost(connection, "could not send a replication command", err);
        if (!wait_for(connection, POLLOUT | POLLIN, deadline, "sending a command", err))
            return false;
        if (!PQconsumeInput(connection->pg))
            return lost(connection, "could not send a replication command", err);
    }
}

/* A walsender answers a command with one to three results. */
#define MAX_RESULTS 16

/* What one result means for collect: false ends it with *err. */
static bool take_result(Connection *connection, PGresult *result, const char *command, Error *err)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK && connection->result == NULL) {
        connection->result = result; /* freed with the next command */
        return true;
    }
    bool ok = true;
    if (status == PGRES_COPY_IN)
        ok = connection_end_copy(connection, err); /* the server ended COPY first: so do we */
    else if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
        ok = error_set(err, ERROR_PROTOCOL, "the server started COPY where none was asked for");
    else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        ok = server_error(result, command, err);
    PQclear(result);
    return ok;
}

/* Reads results up to the end of the command (NULL: of streaming); keeps the first row set. After
 * the server's error the rest is read too, so that the connection stays usable. A server that shuts
 * down completes the command and closes the connection at once (WalSndDone in walsender.c): the
 * command counts. */
static bool collect(Connection *connection, const char *command, Error *err)
{
    bool ok = true;
    bool complete = false;
    for (int i = 0; i < MAX_RESULTS; i++) {
        PGresult *result = NULL;
        Error later = {.class = ERROR_NONE}; /* what follows the first error is not told */
        Error *into = ok ? err : &later;
        if (!next_result(connection, "waiting for an answer", &result, into))
            return ok && complete && into->class == ERROR_RETRY;
        if (result == NULL)
            return ok;
        complete = complete || PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!take_result(connection, result, command, into)) {
            if (into->class == ERROR_PROTOCOL)
                return false;
            ok = false;
        }
        if (PQstatus(connection->pg) == CONNECTION_BAD && !complete)
            return ok ? lost_while(connection, "waiting for an answer", err) : false;
    }
    return error_set(err, ERROR_PROTOCOL, "the server's answer to \"%s\" does not end",
                     command != NULL ? command : "START_REPLICATION");
}

static void first_row(const PGresult *result, ResultRow *ret)
{
    *ret = (ResultRow){.count = 0};
    if (result == NULL || PQntuples(result) == 0)
        return;
    int fields = PQnfields(result);
    for (int i = 0; i < fields && i < RESULT_MAX_COLUMNS; i++) {
        bool null = PQgetisnull(result, 0, i);
        ret->values[i] = null ? NULL : PQgetvalue(result, 0, i);
        ret->lengths[i] = null ? 0 : (size_t)PQgetlength(result, 0, i);
        ret->count++;
    }
}

bool connection_query(Connection *connection, const char *command, ResultRow *ret, Error *err)
{
    if (!send_query(connection, command, err) || !collect(connection, command, err))
        return false;
    first_row(connection->result, ret);
    return true;
}

bool connection_start_copy(Connection *connection, const char *command, bool *ret_copying,
                           Error *err)
{
    PGresult *result = NULL;
    if (!send_query(connection, command, err) ||
        !next_result(connection, "starting to stream", &result, err))
        return false;
    if (result == NULL)
        return lost(connection, "no answer to START_REPLICATION", err);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COPY_BOTH) {
        PQclear(result);
        *ret_copying = true;
        return true;
    }
    if (status == PGRES_TUPLES_OK) {
        connection->result = result;
        *ret_copying = false;
        return true;
    }
    (void)server_error(result, command, err);
    PQclear(result);
    if (PQstatus(connection->pg) != CONNECTION_BAD) {
        Error later;
        (void)!collect(connection, command, &later); /* the first error is the one to tell */
    }
    return false;
}

CopyRead connection_read(Connection *connection, const void **ret_data, size_t *ret_length,
                         Error *err)
{
    char *message = NULL;
    int length = PQgetCopyData(connection->pg, &message, 1);
    if (length == 0) {
        /* Nothing whole in libpq's buffer: take what the socket has, without waiting. */
        if (!PQconsumeInput(connection->pg)) {
            (void)lost(connection, "could not receive data from WAL stream", err);
            return COPY_READ_FAILED;
        }
        length = PQgetCopyData(connection->pg, &message, 1);
    }
    if (length > 0) {
        connection->message = message;
        *ret_data = message;
        *ret_length = (size_t)length;
        return COPY_READ_DATA;
    }
    if (length == 0)
        return COPY_READ_EMPTY;
    if (length == -1)
        return COPY_READ_END;
    (void)lost(connection, "could not read COPY data", err);
    return COPY_READ_FAILED;
}

void connection_release(Connection *connection)
{
    PQfreemem(connection->message);
    connection->message = NULL;
}

bool connection_flush(Connection *connection, Error *err)
{
    int left = PQflush(connection->pg);
    if (left < 0)
        return lost(connection, "could not send feedback packet", err);
    connection->wants_write = left > 0;
    return true;
}

bool connection_send(Connection *connection, const void *data, size_t length, Error *err)
{
    if (length > MAX_SEND_BYTES)
        return error_set(err, ERROR_PROTOCOL, "feedback packet of %zu bytes", length);
    int rc = PQputCopyData(connection->pg, data, (int)length);
    if (rc < 0)
        return lost(connection, "could not send feedback packet", err);
    if (rc == 0) {
        /* libpq's buffer is full: the server has not read our feedback for long. A newer packet
         * replaces this one later. */
        connection->wants_write = true;
        return true;
    }
    return connection_flush(connection, err);
}

bool connection_wants_write(const Connection *connection)
{
    return connection->wants_write;
}

int connection_fd(const Connection *connection)
{
    return PQsocket(connection->pg);
}

bool connection_end_copy(Connection *connection, Error *err)
{
    if (PQputCopyEnd(connection->pg, NULL) < 0)
        return lost(connection, "could not send copy-end packet", err);
    return connection_flush(connection, err);
}

bool connection_end_of_stream(Connection *connection, ResultRow *ret_row, Error *err)
{
    /* Where the timeline had nothing to stream, its row was read by connection_start_copy. */
    if (!collect(connection, NULL, err))
        return false;
    first_row(connection->result, ret_row);
    return true;
}

int connection_server_version(const Connection *connection)
{
    return PQserverVersion(connection->pg);
}

bool connection_in_recovery(Connection *connection, bool *ret, Error *err)
{
    /* Reported by the server itself from 14 on; before, recovery shows as read-only transactions,
     * as libpq's target_session_attrs takes it (fe-connect.c, PostgreSQL 15). */
    const char *standby = PQparameterStatus(connection->pg, "in_hot_standby");
    if (standby != NULL) {
        *ret = strcmp(standby, "on") == 0;
        return true;
    }
    ResultRow row;
    if (!connection_query(connection, "SHOW transaction_read_only", &row, err))
        return false;
    *ret = row.count > 0 && row.lengths[0] == 2 && memcmp(row.values[0], "on", 2) == 0;
    return true;
}

int connection_backend_pid(const Connection *connection)
{
    return PQbackendPID(connection->pg);
}

uint64_t connection_timeout(const Connection *connection)
{
    return connection->timeout_ms;
}

const char *connection_peer(const Connection *connection)
{
    return connection->peer;
}

const char *connection_host(const Connection *connection)
{
    return PQhost(connection->pg);
}

const char *connection_port(const Connection *connection)
{
    return PQport(connection->pg);
}

void connection_close(Connection *connection)
{
    if (connection == NULL)
        return;
    connection_release(connection);
    drop_result(connection);
    PQfinish(connection->pg);
    free(connection);
}
