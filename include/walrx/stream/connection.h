/* SPDX-License-Identifier: PostgreSQL
 *
 * A session with a server: libpq behind calls that never wait without a deadline and always notice
 * a stop. Replication connections (replication=true) or, for views, plain ones.
 *
 * Failures are classed by SQLSTATE and connection state, never by message text. Passwords never
 * appear in an error. A Connection belongs to one thread.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/result.h"
#include "walrx/stream/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As pg_receivewal's options; NULL = not given. Strings are borrowed. */
typedef struct ConnectOptions {
    const char *conninfo; /* -d: connection string or URI */
    const char *host;
    const char *hostaddr; /* NULL: as conninfo says */
    const char *port;
    const char *user;
    const char *program;       /* fallback_application_name */
    bool force_password;       /* -W */
    bool never_password;       /* -w */
    bool ask_without_terminal; /* a password that is wanted may come from standard input */
    bool forget_typed;         /* the password somebody typed before is for another account */
} ConnectOptions;

typedef struct ConnectMerge {
    char *conninfo; /* for free() */
    bool other_server;
    bool other_user;
} ConnectMerge;

/* The settings of `base`, with those of the connection string `over` in place of the same ones.
 * Where `over` names a host or a service, it is about another server and nothing of `base` counts;
 * where it names a user, the password of `base` does not. */
bool connect_options_merge(const ConnectOptions *base, const char *over, ConnectMerge *ret,
                           Error *err) MUST_CHECK;

/* ERROR_USAGE when conninfo is no connection string. */
bool connect_options_check(const ConnectOptions *options, Error *err) MUST_CHECK;

/* The connection settings as text for logs, with every secret as ********; cut to fit. */
const char *connect_options_text(const ConnectOptions *options, char *buffer, size_t capacity);

typedef struct Connection Connection;

typedef enum ConnectionKind {
    CONNECTION_REPLICATION,
    CONNECTION_PLAIN, /* to the database of conninfo, else "postgres" */
} ConnectionKind;

/* Connects within timeout_ms (0: no limit), host after host as libpq does. ERROR_STOPPED on a stop.
 */
bool connection_open(const ConnectOptions *options, ConnectionKind kind, Control *control,
                     uint64_t timeout_ms, Connection **ret, Error *err) MUST_CHECK;
void connection_close(Connection *connection); /* NULL is fine */
/* Is an attempt to connect that was given up still inside of a library, in a thread of its own? */
bool connection_attempts_left(void);

/* 150018 for 15.18. */
int connection_server_version(const Connection *connection);
/* The process on the server's side, as pg_stat_activity shows it. */
int connection_backend_pid(const Connection *connection);
/* Is the server a standby? */
bool connection_in_recovery(Connection *connection, bool *ret, Error *err) MUST_CHECK;
/* The limit for each answer: the one given to connection_open, or set since (0: none). */
uint64_t connection_timeout(const Connection *connection);
void connection_set_timeout(Connection *connection, uint64_t timeout_ms);
/* "db1:5432" or a socket directory: the host in use. */
const char *connection_peer(const Connection *connection);

/* Host name, address or socket directory, and port: of the server in use; NULL: not known. */
const char *connection_host(const Connection *connection);
const char *connection_port(const Connection *connection);

/* Makes options lead to the host, address and port of the connection, whatever lists they have. The
 * strings are the connection's. */
void connection_pin(const Connection *connection, ConnectOptions *options);

/* Runs a command that answers with one row; *ret is valid until the next call on the connection. No
 * row at all: *ret has count 0. */
bool connection_query(Connection *connection, const char *command, ResultRow *ret,
                      Error *err) MUST_CHECK;
/* START_REPLICATION. *ret_copying false: the timeline had nothing to stream; then and after the
 * end of COPY, connection_end_of_stream reads what follows. */
bool connection_start_copy(Connection *connection, const char *command, bool *ret_copying,
                           Error *err) MUST_CHECK;

typedef enum CopyRead {
    COPY_READ_DATA,  /* *ret_data holds one message, until connection_release */
    COPY_READ_EMPTY, /* nothing there: poll connection_fd for reading */
    COPY_READ_END,   /* the server ended COPY */
    COPY_READ_FAILED,
} CopyRead;

CopyRead connection_read(Connection *connection, const void **ret_data, size_t *ret_length,
                         Error *err);
void connection_release(Connection *connection);

/* Queues one CopyData message and sends what the socket takes. connection_wants_write tells whether
 * some is left: then poll for writing and call connection_flush. */
bool connection_send(Connection *connection, const void *data, size_t length,
                     Error *err) MUST_CHECK;
bool connection_flush(Connection *connection, Error *err) MUST_CHECK;
bool connection_wants_write(const Connection *connection);
int connection_fd(const Connection *connection);

/* Sends CopyDone. Messages still arrive until COPY_READ_END. */
bool connection_end_copy(Connection *connection, Error *err) MUST_CHECK;

/* After the end of COPY. *ret_row has count 0 when the server just stopped streaming. */
bool connection_end_of_stream(Connection *connection, ResultRow *ret_row, Error *err) MUST_CHECK;
