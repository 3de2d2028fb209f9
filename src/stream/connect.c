/* SPDX-License-Identifier: PostgreSQL
 *
 * Making a connection: options to libpq's parameters as pg_receivewal 15 does (GetConnection in
 * streamutil.c), the password prompt, and what a failed attempt means.
 */
#include "connection_internal.h"

#include "walrx/os/clock.h"
#include "walrx/os/terminal.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_PARAMETERS 96 /* libpq 15 knows 46 keywords */
#define PASSWORD_SIZE 1024

typedef struct Parameters {
    const char *keywords[MAX_PARAMETERS + 1];
    const char *values[MAX_PARAMETERS + 1];
    size_t count;
    bool user_timeout_given;
} Parameters;

static void add(Parameters *parameters, const char *keyword, const char *value)
{
    if (value == NULL || parameters->count == MAX_PARAMETERS)
        return;
    parameters->keywords[parameters->count] = keyword;
    parameters->values[parameters->count++] = value;
}

/* libpq's message about a bad connection string repeats pieces of it, with a password now and then
 * (conninfo_parse, conninfo_uri_parse_options and conninfo_uri_decode in fe-connect.c, PostgreSQL
 * 15). Of what it quotes, single characters and words that stand in front of a '=' stay; the text
 * is cut at anything else. */
static void hide_quoted(char *text, size_t capacity, const char *conninfo)
{
    for (char *open = strchr(text, '"'); open != NULL; open = strchr(open, '"')) {
        char *word = open + 1;
        size_t length = strcspn(word, "\"");
        bool keep = length == 1;
        for (const char *at = conninfo; !keep && length > 0 && *at != '\0'; at++)
            keep = strncmp(at, word, length) == 0 && at[length] == '=' &&
                   (at == conninfo || strchr(" &?", at[-1]) != NULL);
        if (!keep) {
            (void)snprintf(open, capacity - (size_t)(open - text), "\"********\"");
            return;
        }
        open = word + length + (word[length] == '"' ? 1 : 0);
    }
}

static PQconninfoOption *parse_conninfo(const ConnectOptions *options, Error *err)
{
    char *message = NULL;
    PQconninfoOption *parsed =
        PQconninfoParse(options->conninfo != NULL ? options->conninfo : "", &message);
    if (parsed == NULL) {
        char text[ERROR_MESSAGE_SIZE / 2];
        (void)snprintf(text, sizeof(text), "%s", message != NULL ? message : "out of memory");
        text[strcspn(text, "\n")] = '\0';
        hide_quoted(text, sizeof(text), options->conninfo != NULL ? options->conninfo : "");
        error_set(err, ERROR_USAGE, "invalid connection string: %s", text);
        error_hint(err, "Write \"host=db1 user=replicator\" or \"postgresql://replicator@db1\".");
        PQfreemem(message);
    }
    return parsed;
}

bool connect_options_check(const ConnectOptions *options, Error *err)
{
    PQconninfoOption *parsed = parse_conninfo(options, err);
    if (parsed == NULL)
        return false;
    PQconninfoFree(parsed);
    return true;
}

static bool is_secret(const PQconninfoOption *option)
{
    /* dispchar "*" marks passwords: PQconndefaults in the documentation of libpq. */
    return strchr(option->dispchar, '*') != NULL || strcmp(option->keyword, "password") == 0 ||
           strcmp(option->keyword, "sslpassword") == 0;
}

static size_t append(char *buffer, size_t capacity, size_t length, const char *keyword,
                     const char *value)
{
    int written = snprintf(buffer + length, capacity - length, "%s%s=%s", length > 0 ? " " : "",
                           keyword, value);
    size_t added = written > 0 ? (size_t)written : 0;
    return length + added < capacity ? length + added : capacity - 1;
}

const char *connect_options_text(const ConnectOptions *options, char *buffer, size_t capacity)
{
    Error error;
    size_t length = 0;
    buffer[0] = '\0';
    PQconninfoOption *parsed = parse_conninfo(options, &error);
    if (parsed == NULL)
        return buffer;
    for (const PQconninfoOption *option = parsed; option->keyword != NULL; option++) {
        if (option->val != NULL && option->val[0] != '\0')
            length = append(buffer, capacity, length, option->keyword,
                            is_secret(option) ? "********" : option->val);
    }
    PQconninfoFree(parsed);
    if (options->host != NULL)
        length = append(buffer, capacity, length, "host", options->host);
    if (options->port != NULL)
        length = append(buffer, capacity, length, "port", options->port);
    if (options->user != NULL)
        (void)append(buffer, capacity, length, "user", options->user);
    return buffer;
}

/* `parsed` keeps the memory of what it lends to the parameters. */
static void fill_parameters(Parameters *parameters, const ConnectOptions *options,
                            ConnectionKind kind, const PQconninfoOption *parsed)
{
    const char *database = NULL;
    for (const PQconninfoOption *option = parsed; option->keyword != NULL; option++) {
        if (option->val == NULL || option->val[0] == '\0')
            continue;
        if (strcmp(option->keyword, "dbname") == 0) {
            database = option->val;
            continue;
        }
        if (strcmp(option->keyword, "replication") == 0)
            continue;
        if (strcmp(option->keyword, "tcp_user_timeout") == 0)
            parameters->user_timeout_given = true;
        add(parameters, option->keyword, option->val);
    }
    if (kind == CONNECTION_REPLICATION) {
        add(parameters, "dbname", "replication"); /* what .pgpass and pg_hba.conf call it */
        add(parameters, "replication", "true");
    } else {
        add(parameters, "dbname", database != NULL ? database : "postgres");
    }
    add(parameters, "fallback_application_name", options->program);
    add(parameters, "host", options->host);
    add(parameters, "user", options->user);
    add(parameters, "port", options->port);
}

/* libpq prints the SQLSTATE of a refusal in verbose errors as "SEVERITY:  28P01: text"; there is no
 * call that gives it while connecting. Finds the code at `text`, or NULL. */
static const char *find_sqlstate(const char *text)
{
    for (const char *at = strstr(text, ":  "); at != NULL; at = strstr(at + 3, ":  ")) {
        const char *code = at + 3;
        int i = 0;
        while (i < 5 && (isdigit((unsigned char)code[i]) || isupper((unsigned char)code[i])))
            i++;
        if (i == 5 && code[5] == ':' && code[6] == ' ')
            return code;
    }
    return NULL;
}

/* One line of libpq's message: its SQLSTATE is noted and cut out, the LOCATION line of verbose
 * errors dropped. */
static void take_line(char *line, char *text, size_t capacity, char sqlstate[6], bool *ret_retry)
{
    if (strncmp(line, "LOCATION:", 9) == 0)
        return;
    char *code = (char *)(uintptr_t)find_sqlstate(line);
    if (code != NULL) {
        memcpy(sqlstate, code, 5);
        sqlstate[5] = '\0';
        if (sqlstate_class(sqlstate) != ERROR_OPERATOR)
            *ret_retry = true;
        memmove(code, code + 7, strlen(code + 7) + 1);
    } else if (strstr(line, " failed: ") != NULL) {
        *ret_retry = true; /* a host that could not be reached at all may come back */
    }
    size_t length = strlen(text);
    (void)snprintf(text + length, capacity - length, "%s%s", length > 0 ? "\n" : "", line);
}

/* With several hosts there is one failure for each: worth another try unless a person must act for
 * all. */
static bool connect_failed(PGconn *pg, Error *err)
{
    char message[ERROR_MESSAGE_SIZE];
    char text[ERROR_MESSAGE_SIZE] = "";
    char sqlstate[6] = "";
    bool retry = false;
    (void)snprintf(message, sizeof(message), "%s", PQerrorMessage(pg));
    char *rest = message;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (*line != '\0')
            take_line(line, text, sizeof(text), sqlstate, &retry);
    }
    if (text[0] == '\0')
        (void)snprintf(text, sizeof(text), "could not connect to server");
    bool person = sqlstate[0] != '\0' ? !retry : PQconnectionNeedsPassword(pg) != 0;
    error_set(err, person ? ERROR_OPERATOR : ERROR_RETRY, "%s", text);
    (void)snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
    if (strncmp(sqlstate, "28", 2) == 0)
        error_hint(err, "Check the user's REPLICATION attribute and password, and pg_hba.conf for "
                        "a line with database \"replication\".");
    return false;
}

static bool poll_connection(PGconn *pg, Control *control, uint64_t timeout_ms, Error *err)
{
    uint64_t deadline = timeout_ms == 0 ? UINT64_MAX : clock_monotonic_ms() + timeout_ms;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    for (;;) {
        if (state == PGRES_POLLING_OK)
            return true;
        if (state == PGRES_POLLING_FAILED)
            return connect_failed(pg, err);
        short events = state == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
        switch (control_wait(control, PQsocket(pg), events, deadline)) {
        case CONTROL_READY:
            break;
        case CONTROL_STOP:
            return error_set(err, ERROR_STOPPED, "stopped while connecting");
        case CONTROL_TIMEOUT:
            return error_set(err, ERROR_RETRY,
                             "could not connect to server \"%s\": no answer within %llu ms",
                             PQhost(pg) != NULL ? PQhost(pg) : "", (unsigned long long)timeout_ms);
        }
        state = PQconnectPoll(pg);
    }
}

static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message; /* notices to a receiver carry nothing that an error does not say again */
}

static bool open_once(const Parameters *parameters, Control *control, uint64_t timeout_ms,
                      PGconn **ret, Error *err)
{
    PGconn *pg = PQconnectStartParams(parameters->keywords, parameters->values, 0);
    *ret = pg;
    if (pg == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while connecting");
    (void)PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
    (void)PQsetNoticeProcessor(pg, ignore_notice, NULL);
    if (PQstatus(pg) == CONNECTION_BAD)
        return connect_failed(pg, err);
    if (!poll_connection(pg, control, timeout_ms, err))
        return false;
    (void)PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
    if (PQsetnonblocking(pg, 1) != 0)
        return error_set(err, ERROR_RETRY, "could not make the connection non-blocking");
    return true;
}

/* Connects, asking for a password where the server wants one (or -W was given), once. The password
 * is remembered for later connections of this process. */
static bool open_with_password(Parameters *parameters, const ConnectOptions *options,
                               Control *control, uint64_t timeout_ms, PGconn **ret, Error *err)
{
    static char password[PASSWORD_SIZE];
    bool asked = password[0] != '\0';
    if (options->force_password && !asked) {
        if (!terminal_read_password("Password: ", password, sizeof(password), err))
            return false;
        asked = true;
    }
    if (asked)
        add(parameters, "password", password);
    if (open_once(parameters, control, timeout_ms, ret, err))
        return true;
    if (asked || *ret == NULL || options->never_password || !PQconnectionNeedsPassword(*ret))
        return false;
    Error nobody_there; /* then the server's refusal is what there is to tell */
    if (!terminal_read_password("Password: ", password, sizeof(password), &nobody_there))
        return false;
    PQfinish(*ret);
    *ret = NULL;
    add(parameters, "password", password);
    return open_once(parameters, control, timeout_ms, ret, err);
}

static void set_peer(Connection *connection)
{
    const char *host = PQhost(connection->pg);
    const char *port = PQport(connection->pg);
    (void)snprintf(connection->peer, sizeof(connection->peer), "%s:%s", host != NULL ? host : "",
                   port != NULL ? port : "");
}

bool connection_open(const ConnectOptions *options, ConnectionKind kind, Control *control,
                     uint64_t timeout_ms, Connection **ret, Error *err)
{
    Connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while connecting");
    PQconninfoOption *parsed = parse_conninfo(options, err);
    if (parsed == NULL) {
        free(connection);
        return false;
    }
    connection->control = control;
    connection->timeout_ms = timeout_ms;
    Parameters parameters = {.count = 0};
    char user_timeout[24];
    fill_parameters(&parameters, options, kind, parsed);
    if (!parameters.user_timeout_given && timeout_ms > 0) {
        /* A host that swallows packets must not use up the time of those behind it in the list, nor
         * keep unacknowledged feedback for ever. */
        (void)snprintf(user_timeout, sizeof(user_timeout), "%llu",
                       (unsigned long long)(timeout_ms / 3 + 1));
        add(&parameters, "tcp_user_timeout", user_timeout);
    }
    bool ok = open_with_password(&parameters, options, control, timeout_ms, &connection->pg, err);
    PQconninfoFree(parsed);
    if (!ok) {
        connection_close(connection);
        return false;
    }
    set_peer(connection);
    *ret = connection;
    return true;
}
