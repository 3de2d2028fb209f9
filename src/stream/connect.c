/* SPDX-License-Identifier: PostgreSQL
 *
 * Making a connection: libpq's asynchronous calls under our own deadline, host after host, and the
 * password prompt.
 *
 * libpq goes on to the next host when one refuses, but applies connect_timeout only in its blocking
 * calls (connectDBComplete in fe-connect.c, PostgreSQL 15). So a host that stays silent is given up
 * here, and libpq starts again with the hosts behind it.
 */
#include "connect_failure.h"
#include "connection_internal.h"
#include "host_list.h"
#include "parameters.h"

#include "walrx/base/parse.h"
#include "walrx/os/clock.h"
#include "walrx/os/terminal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_SIZE 1024
#define HOSTS_SIZE 2048      /* a list of hosts, addresses or ports */
#define SHORTEST_TIMEOUT_S 2 /* libpq takes connect_timeout=1 for 2 */
#define LONGEST_TIMEOUT_S 86400

/* The settings libpq works with, from every source (string, service file, environment). */
typedef struct HostLists {
    char host[HOSTS_SIZE];
    char hostaddr[HOSTS_SIZE];
    char port[HOSTS_SIZE];
    uint64_t connect_timeout_s; /* 0: none */
} HostLists;

typedef struct Attempt {
    Control *control;
    uint64_t timeout_ms; /* for all hosts together; 0: none */
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

static bool read_lists(PGconn *pg, HostLists *lists, Error *err)
{
    PQconninfoOption *options = PQconninfo(pg);
    bool ok = options != NULL;
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

static Poll poll_connection(PGconn *pg, Attempt *attempt, const HostLists *lists, Error *err)
{
    uint64_t patience = patience_ms(attempt, lists);
    uint64_t deadline = UINT64_MAX;
    size_t host = SIZE_MAX;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    for (;;) {
        if (state == PGRES_POLLING_OK)
            return POLL_CONNECTED;
        if (state == PGRES_POLLING_FAILED) {
            (void)connect_failed(pg, false, err);
            return POLL_FAILED;
        }
        if (current_host(pg, lists) != host && patience > 0) {
            host = current_host(pg, lists);
            deadline = clock_monotonic_ms() + patience;
        }
        short events = state == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
        ControlWait wait = control_wait(attempt->control, PQsocket(pg), events, deadline);
        if (wait == CONTROL_STOP) {
            (void)error_set(err, ERROR_STOPPED, "stopped while connecting");
            return POLL_FAILED;
        }
        if (wait == CONTROL_TIMEOUT) {
            (void)error_set(
                err, ERROR_RETRY,
                "connection to server at \"%s\", port %s failed: no answer within %llu ms",
                PQhost(pg), PQport(pg), (unsigned long long)patience);
            return POLL_SILENT;
        }
        state = PQconnectPoll(pg);
    }
}

/* Cuts the lists to what stands behind the silent host. False when nothing does. */
static bool pass_over(PGconn *pg, HostLists *lists)
{
    size_t index = current_host(pg, lists);
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

static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message; /* notices to a receiver carry nothing that an error does not say again */
}

static bool start(const Parameters *parameters, PGconn **ret, Error *err)
{
    PGconn *pg = PQconnectStartParams(parameters->keywords, parameters->values, 0);
    *ret = pg;
    if (pg == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while connecting");
    (void)PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
    (void)PQsetNoticeProcessor(pg, ignore_notice, NULL);
    return PQstatus(pg) != CONNECTION_BAD || connect_failed(pg, true, err);
}

static bool finish(PGconn *pg, Error *err)
{
    (void)PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
    return PQsetnonblocking(pg, 1) == 0 ||
           error_set(err, ERROR_RETRY, "could not make the connection non-blocking");
}

/* Goes through the hosts; *ret is the last connection tried, also on failure (NULL: out of memory).
 */
static bool try_hosts(const Parameters *parameters, Attempt *attempt, PGconn **ret, Error *err)
{
    HostLists lists;
    if (!start(parameters, ret, err) || !read_lists(*ret, &lists, err))
        return false;
    for (;;) {
        Poll result = poll_connection(*ret, attempt, &lists, err);
        if (result == POLL_CONNECTED)
            return finish(*ret, err);
        if (result == POLL_FAILED || !pass_over(*ret, &lists))
            return false;
        attempt->silent = *err;
        attempt->passed_over = true;
        Parameters rest = *parameters;
        parameters_add(&rest, "host", lists.host[0] != '\0' ? lists.host : NULL);
        parameters_add(&rest, "hostaddr", lists.hostaddr[0] != '\0' ? lists.hostaddr : NULL);
        parameters_add(&rest, "port", lists.port[0] != '\0' ? lists.port : NULL);
        PQfinish(*ret);
        if (!start(&rest, ret, err))
            return false;
    }
}

static bool open_once(const Parameters *parameters, Control *control, uint64_t timeout_ms,
                      PGconn **ret, Error *err)
{
    Attempt attempt = {.control = control, .timeout_ms = timeout_ms};
    if (try_hosts(parameters, &attempt, ret, err))
        return true;
    if (attempt.passed_over && err->class != ERROR_STOPPED) {
        /* A host that was silent may come back, whatever the others said. */
        Error last = *err;
        (void)error_set(err, ERROR_RETRY, "%s\n%s", attempt.silent.message, last.message);
        (void)error_hint(err, "%s", last.hint);
    }
    return false;
}

/* Connects, asking for a password where the server wants one (or -W was given), once. The password
 * is remembered for later connections of this process. Without a terminal pg_receivewal reads it
 * from standard input; natively only -W does. */
static bool open_with_password(Parameters *parameters, const ConnectOptions *options,
                               Control *control, uint64_t timeout_ms, PGconn **ret, Error *err)
{
    static char password[PASSWORD_SIZE];
    bool asked = password[0] != '\0';
    if (options->force_password && !asked) {
        if (!terminal_read_password("Password: ", control->signal_fd, password, sizeof(password),
                                    err))
            return false;
        asked = true;
    }
    if (asked)
        parameters_add(parameters, "password", password);
    if (open_once(parameters, control, timeout_ms, ret, err))
        return true;
    if (asked || *ret == NULL || options->never_password || !PQconnectionNeedsPassword(*ret) ||
        !(options->ask_without_terminal || terminal_is_there()))
        return false;
    Error refusal = *err;
    if (!terminal_read_password("Password: ", control->signal_fd, password, sizeof(password),
                                err)) {
        if (err->class == ERROR_OPERATOR)
            *err = refusal; /* nobody there: what the server said is what there is to tell */
        return false;
    }
    PQfinish(*ret);
    *ret = NULL;
    parameters_add(parameters, "password", password);
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
