/* SPDX-License-Identifier: PostgreSQL
 *
 * Making a connection: libpq's asynchronous calls under our own deadline, host after host, and the
 * password prompt.
 *
 * libpq goes on to the next host when one refuses, but applies connect_timeout only in its blocking
 * calls (connectDBComplete in fe-connect.c, PostgreSQL 15). So a host that stays silent is given up
 * here, and libpq starts again with the hosts behind it. What libpq does without waiting for its
 * socket may take long too (name lookup): connect_step.c.
 */
#include "connect_failure.h"
#include "connect_step.h"
#include "connection_internal.h"
#include "host_list.h"
#include "parameters.h"

#include "walrx/base/parse.h"
#include "walrx/os/clock.h"
#include "walrx/os/terminal.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_SIZE 1024
#define HOSTS_SIZE 2048      /* a list of hosts, addresses or ports */
#define SHORTEST_TIMEOUT_S 2 /* libpq takes connect_timeout=1 for 2 */
#define LONGEST_TIMEOUT_S 86400
#define STARTUP_MAX_BYTES (256 * 1024) /* real servers send 1 kB, with certificates some more */

/* The settings libpq works with, from every source (string, service file, environment). */
typedef struct HostLists {
    char host[HOSTS_SIZE];
    char hostaddr[HOSTS_SIZE];
    char port[HOSTS_SIZE];
    uint64_t connect_timeout_s; /* 0: none */
} HostLists;

typedef struct Attempt {
    Control *control;
    ReceiveMeter *meter;
    uint64_t timeout_ms; /* for all hosts together; 0: none */
    size_t host;         /* which is tried, in the lists as they are now */
    uint64_t deadline;   /* for it; UINT64_MAX: none */
    bool passed_over;    /* a silent host was, and this is what there is to tell about it: */
    Error silent;
} Attempt;

static bool copy_list(char *buffer, const char *value)
{
    size_t length = strlen(value);
    if (length >= HOSTS_SIZE)
        return false;
    memcpy(buffer, value, length + 1);
    return true;
}

/* libpq tells what it would use only of a connection, and a connection looks names up. A mode that
 * does not exist makes it end before that (connectOptions2 in fe-connect.c, PostgreSQL 15); a
 * password, before it reads a password file and complains of it. */
static PQconninfoOption *settings(const Parameters *parameters)
{
    Parameters unusable = *parameters;
    parameters_add(&unusable, "sslmode", "none of them");
    parameters_add(&unusable, "password", "-");
    PGconn *pg = PQconnectStartParams(unusable.keywords, unusable.values, 0);
    PQconninfoOption *options = PQconninfo(pg);
    PQfinish(pg);
    return options;
}

static bool read_lists(const Parameters *parameters, HostLists *lists, Error *err)
{
    PQconninfoOption *options = settings(parameters);
    bool ok = true;
    if (options == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while connecting");
    *lists = (HostLists){.connect_timeout_s = 0};
    for (const PQconninfoOption *option = options; ok && option->keyword != NULL; option++) {
        if (option->val == NULL)
            continue;
        if (strcmp(option->keyword, "host") == 0)
            ok = copy_list(lists->host, option->val);
        else if (strcmp(option->keyword, "hostaddr") == 0)
            ok = copy_list(lists->hostaddr, option->val);
        else if (strcmp(option->keyword, "port") == 0)
            ok = copy_list(lists->port, option->val);
        else if (strcmp(option->keyword, "connect_timeout") == 0)
            (void)parse_u64(option->val, 1, LONGEST_TIMEOUT_S, &lists->connect_timeout_s);
    }
    PQconninfoFree(options);
    return ok || error_set(err, ERROR_USAGE, "the list of hosts is longer than %d characters",
                           HOSTS_SIZE - 1);
}

static size_t host_count(const HostLists *lists)
{
    size_t hosts = host_list_count(lists->host);
    size_t addresses = host_list_count(lists->hostaddr);
    return hosts > addresses ? hosts : addresses;
}

static uint64_t patience_ms(const Attempt *attempt, const HostLists *lists)
{
    if (lists->connect_timeout_s > 0)
        return (lists->connect_timeout_s < SHORTEST_TIMEOUT_S ? SHORTEST_TIMEOUT_S
                                                              : lists->connect_timeout_s) *
               1000;
    uint64_t share = attempt->timeout_ms / host_count(lists);
    return attempt->timeout_ms > 0 && share == 0 ? 1 : share;
}

/* Which entry libpq is at: it tells host and port, and goes through the list in order. */
static size_t current_host(PGconn *pg, const HostLists *lists)
{
    const char *host = PQhost(pg);
    const char *port = PQport(pg);
    const char *names = lists->host[0] != '\0' ? lists->host : lists->hostaddr;
    size_t count = host_count(lists);
    for (size_t i = 0; i < count; i++) {
        if (host != NULL && port != NULL && host_list_is(names, i, host) &&
            host_list_is(lists->port, i, port))
            return i;
    }
    return count - 1;
}

typedef enum Poll {
    POLL_CONNECTED,
    POLL_SILENT, /* the host at hand did not answer in time */
    POLL_FAILED, /* with *err */
} Poll;

static Poll silent(PGconn *pg, const Attempt *attempt, const HostLists *lists, Error *err)
{
    const char *names = lists->host[0] != '\0' ? lists->host : lists->hostaddr;
    char name[HOSTS_SIZE];
    char port[HOSTS_SIZE];
    host_list_entry(names, attempt->host, name);
    host_list_entry(lists->port, attempt->host, port);
    (void)error_set(err, ERROR_RETRY,
                    "connection to server at \"%s\", port %s failed: no answer within %llu ms",
                    pg != NULL ? PQhost(pg) : name, pg != NULL ? PQport(pg) : port,
                    (unsigned long long)patience_ms(attempt, lists));
    return POLL_SILENT;
}

static void watch_host(Attempt *attempt, size_t host, const HostLists *lists)
{
    uint64_t patience = patience_ms(attempt, lists);
    if (attempt->host == host || patience == 0)
        return;
    attempt->host = host;
    attempt->deadline = clock_monotonic_ms() + patience;
}

/* PQconnectStartParams (parameters not NULL) or PQconnectPoll. */
static Poll take_step(const Parameters *parameters, PGconn **pg, Attempt *attempt,
                      const HostLists *lists, PostgresPollingStatusType *ret, Error *err)
{
    ConnectStep step = {.parameters = parameters,
                        .control = attempt->control,
                        .meter = attempt->meter,
                        .deadline_ms = attempt->deadline};
    ConnectStepResult result;
    switch (connect_step(&step, pg, &result, err)) {
    case CONTROL_READY:
        break;
    case CONTROL_TIMEOUT:
        return silent(NULL, attempt, lists, err);
    case CONTROL_STOP:
        return POLL_FAILED;
    }
    if (*pg == NULL) {
        (void)error_set(err, ERROR_MEMORY, "out of memory while connecting");
        return POLL_FAILED;
    }
    *ret = result.state;
    if (result.state == PGRES_POLLING_FAILED) {
        ConnectFailedWhen when = CONNECT_FAILED_LATER;
        if (parameters != NULL)
            when = result.name_unknown ? CONNECT_FAILED_BY_NAME : CONNECT_FAILED_AT_ONCE;
        (void)connect_failed(*pg, when, err);
        return POLL_FAILED;
    }
    if (receive_meter_used_up(attempt->meter)) {
        (void)error_set(err, ERROR_PROTOCOL, "the server sends more than %d kB before it is ready",
                        STARTUP_MAX_BYTES / 1024);
        return POLL_FAILED;
    }
    watch_host(attempt, current_host(*pg, lists), lists);
    return POLL_CONNECTED;
}

static Poll poll_connection(const Parameters *parameters, PGconn **pg, Attempt *attempt,
                            const HostLists *lists, Error *err)
{
    PostgresPollingStatusType state;
    attempt->host = SIZE_MAX;
    attempt->deadline = UINT64_MAX;
    watch_host(attempt, 0, lists);
    receive_meter_allow(attempt->meter, STARTUP_MAX_BYTES);
    Poll result = take_step(parameters, pg, attempt, lists, &state, err);
    while (result == POLL_CONNECTED && state != PGRES_POLLING_OK) {
        short events = state == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
        switch (control_wait(attempt->control, PQsocket(*pg), events, attempt->deadline)) {
        case CONTROL_READY:
            break;
        case CONTROL_STOP:
            (void)error_set(err, ERROR_STOPPED, "stopped while connecting");
            return POLL_FAILED;
        case CONTROL_TIMEOUT:
            return silent(*pg, attempt, lists, err);
        }
        if (clock_monotonic_ms() >= attempt->deadline)
            return silent(*pg, attempt, lists, err); /* bytes keep coming, but no end of it */
        result = take_step(NULL, pg, attempt, lists, &state, err);
    }
    return result;
}

/* Cuts the lists to what stands behind the silent host. False when nothing does. */
static bool pass_over(size_t index, HostLists *lists)
{
    char *all[] = {lists->host, lists->hostaddr, lists->port};
    if (index + 1 >= host_count(lists))
        return false;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const char *rest = host_list_rest(all[i], index);
        if (rest != NULL && rest != all[i])
            memmove(all[i], rest, strlen(rest) + 1);
    }
    return true;
}

static bool finish(PGconn *pg, Error *err)
{
    (void)PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
    return PQsetnonblocking(pg, 1) == 0 ||
           error_set(err, ERROR_RETRY, "could not make the connection non-blocking");
}

/* Goes through the hosts; *ret is the last connection tried, also on failure (NULL: there is none).
 */
static bool try_hosts(const Parameters *parameters, Attempt *attempt, PGconn **ret, Error *err)
{
    HostLists lists;
    Parameters rest = *parameters;
    if (!read_lists(parameters, &lists, err))
        return false;
    for (;;) {
        Poll result = poll_connection(&rest, ret, attempt, &lists, err);
        if (result == POLL_CONNECTED)
            return finish(*ret, err);
        if (result == POLL_FAILED || !pass_over(attempt->host, &lists))
            return false;
        attempt->silent = *err;
        attempt->passed_over = true;
        rest = *parameters;
        parameters_add(&rest, "host", lists.host[0] != '\0' ? lists.host : NULL);
        parameters_add(&rest, "hostaddr", lists.hostaddr[0] != '\0' ? lists.hostaddr : NULL);
        parameters_add(&rest, "port", lists.port[0] != '\0' ? lists.port : NULL);
        PQfinish(*ret);
        *ret = NULL;
    }
}

static bool open_once(const Parameters *parameters, Connection *connection, Error *err)
{
    Attempt attempt = {.control = connection->control,
                       .meter = &connection->meter,
                       .timeout_ms = connection->timeout_ms};
    if (try_hosts(parameters, &attempt, &connection->pg, err))
        return true;
    if (attempt.passed_over && err->class != ERROR_STOPPED) {
        /* A host that was silent may come back, whatever the others said. */
        Error last = *err;
        (void)error_set(err, ERROR_RETRY, "%s\n%s", attempt.silent.message, last.message);
        (void)error_hint(err, "%s", last.hint);
    }
    return false;
}

/* What was typed is remembered for later connections of this process, by whatever thread. */
static char typed[PASSWORD_SIZE];
static pthread_mutex_t typed_lock = PTHREAD_MUTEX_INITIALIZER;

/* The empty text when nothing was. */
static void recall_password(char password[PASSWORD_SIZE])
{
    (void)pthread_mutex_lock(&typed_lock);
    memcpy(password, typed, PASSWORD_SIZE);
    (void)pthread_mutex_unlock(&typed_lock);
}

static bool ask_password(const Connection *connection, char password[PASSWORD_SIZE], Error *err)
{
    if (!terminal_read_password("Password: ", connection->control->signal_fd, password,
                                PASSWORD_SIZE, err))
        return false;
    (void)pthread_mutex_lock(&typed_lock);
    memcpy(typed, password, PASSWORD_SIZE);
    (void)pthread_mutex_unlock(&typed_lock);
    return true;
}

/* Connects, asking for a password where the server wants one (or -W was given), once. Without a
 * terminal pg_receivewal reads it from standard input; natively only -W does. */
static bool open_with_password(Parameters *parameters, const ConnectOptions *options,
                               Connection *connection, Error *err)
{
    char password[PASSWORD_SIZE] = "";
    if (!options->forget_typed)
        recall_password(password);
    bool asked = password[0] != '\0';
    if (options->force_password && !asked) {
        if (!ask_password(connection, password, err))
            return false;
        asked = true;
    }
    if (asked)
        parameters_add(parameters, "password", password);
    if (open_once(parameters, connection, err))
        return true;
    if (asked || connection->pg == NULL || options->never_password ||
        !PQconnectionNeedsPassword(connection->pg) ||
        !(options->ask_without_terminal || terminal_is_there()))
        return false;
    Error refusal = *err;
    if (!ask_password(connection, password, err)) {
        if (err->class == ERROR_OPERATOR)
            *err = refusal; /* nobody there: what the server said is what there is to tell */
        return false;
    }
    PQfinish(connection->pg);
    connection->pg = NULL;
    parameters_add(parameters, "password", password);
    return open_once(parameters, connection, err);
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
    PQconninfoOption *parsed = parameters_parse(options, err);
    if (parsed == NULL) {
        free(connection);
        return false;
    }
    connection->control = control;
    connection->timeout_ms = timeout_ms;
    Parameters parameters = {.count = 0};
    char user_timeout[24];
    parameters_fill(&parameters, options, kind, parsed);
    if (!parameters.user_timeout_given && timeout_ms > 0) {
        /* A host that swallows packets must not use up the time of those behind it in the list, nor
         * keep unacknowledged feedback for ever. */
        (void)snprintf(user_timeout, sizeof(user_timeout), "%llu",
                       (unsigned long long)(timeout_ms / 3 + 1));
        parameters_add(&parameters, "tcp_user_timeout", user_timeout);
    }
    bool ok = open_with_password(&parameters, options, connection, err);
    PQconninfoFree(parsed);
    if (!ok) {
        connection_close(connection);
        return false;
    }
    set_peer(connection);
    *ret = connection;
    return true;
}
