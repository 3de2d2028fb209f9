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

/* What libpq reads counts, wherever it does: a full socket makes its writing calls read too. */
static bool consume(Connection *connection)
{
    receive_meter_use(&connection->meter);
    bool ok = PQconsumeInput(connection->pg) != 0;
    receive_meter_use(NULL);
    return ok;
}

static int flush(Connection *connection)
{
    receive_meter_use(&connection->meter);
    int left = PQflush(connection->pg);
    receive_meter_use(NULL);
    return left;
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

/* Longer ones are queries of ours, which would leave no room for what the server says. */
#define COMMAND_SHOWN_MAX 160

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
    if (text[0] == '\0')
        (void)snprintf(text, sizeof(text), "unexpected answer, %s",
                       PQresStatus(PQresultStatus(result)));
    ErrorClass class = sqlstate != NULL ? sqlstate_class(sqlstate) : ERROR_RETRY;
    if (severity == NULL)
        severity = "ERROR";
    if (command == NULL)
        error_set(err, class, "unexpected termination of replication stream: %s:  %s", severity,
                  text);
    else if (strlen(command) > COMMAND_SHOWN_MAX)
        error_set(err, class, "could not read the server's views: %s:  %s", severity, text);
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

/* The longest answer is a history file of TIMELINE_HISTORY_MAX_BYTES. */
#define ANSWER_MAX_BYTES (2 * 1024 * 1024)
#define CONNECTION_BESIDES_MAX_BYTES (64 * (uint64_t)1024 * 1024)
/* A message of WAL has at most 128 kB and 30 bytes (MAX_SEND_SIZE in walsender.c, PostgreSQL 15).
 * In front of it there is room for notices, and for what encryption adds. */
#define MESSAGE_MAX_BYTES (192 * 1024)
/* What may come besides messages over one stream, or be the beginning of one. libpq keeps every
 * setting the server reports, and looks through all of them for each one (pqSaveParameterStatus in
 * fe-exec.c, PostgreSQL 15): 400 kB of them take seconds. */
#define BESIDES_MAX_BYTES (192 * 1024)
#define COPY_HEADER_SIZE 5

/* Waits for the next result; *ret NULL when the command is over. */
static bool next_result(Connection *connection, const char *doing, PGresult **ret, Error *err)
{
    uint64_t deadline = deadline_of(connection);
    while (PQisBusy(connection->pg)) {
        if (!wait_for(connection, POLLIN, deadline, doing, err))
            return false;
        if (receive_meter_used_up(&connection->meter))
            return error_set(err, ERROR_PROTOCOL,
                             "the server's answer is longer than %d kB, while %s",
                             ANSWER_MAX_BYTES / 1024, doing);
        if (!consume(connection))
            return lost_while(connection, doing, err);
    }
    *ret = PQgetResult(connection->pg);
    return true;
}

/* Encryption adds to each record, which holds a message or a server's buffer of 8 kB. */
static uint64_t overhead(const Connection *connection)
{
    if (!PQsslInUse(connection->pg) && !PQgssEncInUse(connection->pg))
        return 0;
    return connection->copy_messages * 96 + connection->copy_bytes / 64;
}

/* What libpq keeps of all that was no streaming message, over the whole connection. */
static bool check_besides(const Connection *connection, Error *err)
{
    uint64_t received = connection->meter.received;
    uint64_t besides = received > connection->copy_bytes ? received - connection->copy_bytes : 0;
    return besides <= CONNECTION_BESIDES_MAX_BYTES + overhead(connection) ||
           error_set(err, ERROR_RETRY, "the server sent %llu MB besides streaming messages",
                     (unsigned long long)(besides >> 20));
}

static bool send_query(Connection *connection, const char *command, Error *err)
{
    drop_result(connection);
    if (!check_besides(connection, err))
        return false;
    receive_meter_allow(&connection->meter, ANSWER_MAX_BYTES);
    receive_meter_use(&connection->meter);
    bool sent = PQsendQuery(connection->pg, command) != 0;
    receive_meter_use(NULL);
    if (!sent)
        return lost(connection, "could not send a replication command", err);
    uint64_t deadline = deadline_of(connection);
    for (;;) {
        int left = flush(connection);
        if (left == 0)
            return true;
        if (left < 0)
            return lost(connection, "could not send a replication command", err);
        if (!wait_for(connection, POLLOUT | POLLIN, deadline, "sending a command", err))
            return false;
        if (!consume(connection))
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
        connection->copy_began = connection->meter.received - connection->copy_bytes;
        receive_meter_allow(&connection->meter, MESSAGE_MAX_BYTES);
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

/* libpq has no whole message. Did the server send more besides than it has a reason to? */
static bool too_much_besides(const Connection *connection, Error *err)
{
    /* Messages that came together with the answer to START_REPLICATION count as read before. */
    uint64_t accounted = connection->copy_began + connection->copy_bytes;
    uint64_t received = connection->meter.received;
    if (received <= accounted || received - accounted <= BESIDES_MAX_BYTES + overhead(connection))
        return false;
    (void)error_set(err, ERROR_RETRY, "the server sent %llu kB besides streaming messages",
                    (unsigned long long)((received - accounted) / 1024));
    return true;
}

static CopyRead nothing_whole(const Connection *connection, Error *err)
{
    if (!receive_meter_used_up(&connection->meter))
        return COPY_READ_EMPTY;
    (void)error_set(err, ERROR_PROTOCOL,
                    "the server sent %d kB that are no whole streaming message",
                    MESSAGE_MAX_BYTES / 1024);
    return COPY_READ_FAILED;
}

CopyRead connection_read(Connection *connection, const void **ret_data, size_t *ret_length,
                         Error *err)
{
    char *message = NULL;
    int length = PQgetCopyData(connection->pg, &message, 1);
    if (length == 0) {
        if (too_much_besides(connection, err))
            return COPY_READ_FAILED;
        /* Nothing whole in libpq's buffer: take what the socket has, without waiting. */
        if (!consume(connection)) {
            (void)lost(connection, "could not receive data from WAL stream", err);
            return COPY_READ_FAILED;
        }
        length = PQgetCopyData(connection->pg, &message, 1);
    }
    if (length > 0) {
        receive_meter_allow(&connection->meter, MESSAGE_MAX_BYTES);
        connection->copy_messages++;
        connection->copy_bytes += COPY_HEADER_SIZE + (uint64_t)length;
        connection->message = message;
        *ret_data = message;
        *ret_length = (size_t)length;
        return COPY_READ_DATA;
    }
    if (length == 0)
        return nothing_whole(connection, err);
    if (length == -1) {
        receive_meter_allow(&connection->meter, ANSWER_MAX_BYTES);
        return COPY_READ_END;
    }
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
    int left = flush(connection);
    if (left < 0)
        return lost(connection, "could not send feedback packet", err);
    connection->wants_write = left > 0;
    return true;
}

bool connection_send(Connection *connection, const void *data, size_t length, Error *err)
{
    if (length > MAX_SEND_BYTES)
        return error_set(err, ERROR_PROTOCOL, "feedback packet of %zu bytes", length);
    receive_meter_use(&connection->meter);
    int rc = PQputCopyData(connection->pg, data, (int)length);
    receive_meter_use(NULL);
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
    receive_meter_use(&connection->meter);
    int rc = PQputCopyEnd(connection->pg, NULL);
    receive_meter_use(NULL);
    if (rc < 0)
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

void connection_set_timeout(Connection *connection, uint64_t timeout_ms)
{
    connection->timeout_ms = timeout_ms;
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

void connection_pin(const Connection *connection, ConnectOptions *options)
{
    /* A host that is not in the list of addresses is refused (connectOptions2 in fe-connect.c,
     * PostgreSQL 15), so the address goes along; a socket has none. */
    const char *address = PQhostaddr(connection->pg);
    options->host = PQhost(connection->pg);
    options->port = PQport(connection->pg);
    if (address != NULL && address[0] != '\0')
        options->hostaddr = address;
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
