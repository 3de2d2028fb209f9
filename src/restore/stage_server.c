/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: the server is a child of this process, so that its end is noticed at once; it has a
 * session of its own and goes on when this process ends. How far it is, it is asked through its
 * socket, which answers once it is consistent. What it tells when it dies is in its log; the text
 * is only shown, nothing is decided by it.
 */
#include "stage_internal.h"

#include "walrx/base/parse.h"
#include "walrx/os/clock.h"
#include "walrx/stream/connection.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define LOOK_MS 200
#define ANSWER_MS 10000
#define STOP_FAST_MS 5000
#define STOP_MS 20000
#define PATH_SIZE (DIR_PATH_SIZE + 32)
#define USERS 2

/* lsn, last commit, at its end?, timeline, locks of transactions that are open in the WAL, which
 * recovery holds as the primary did, and only recovery can on a standby: text so that no formats
 * are to be read. Up to 13 a pause is one as soon as it was asked for, and only a target asks for
 * one here. */
#define QUESTION                                                                                   \
    "SELECT pg_catalog.pg_last_wal_replay_lsn(), "                                                 \
    "pg_catalog.to_char(pg_catalog.pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', "           \
    "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "                                                       \
    "CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN 'promoted' WHEN %s THEN 'paused' "          \
    "ELSE 'recovering' END, "                                                                      \
    "CASE WHEN NOT pg_catalog.pg_is_in_recovery() "                                                \
    "THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END, "                       \
    "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks WHERE locktype = 'relation' "            \
    "AND mode = 'AccessExclusiveLock' AND granted)"
#define PAUSED_14 "pg_catalog.pg_get_wal_replay_pause_state() = 'paused'"
#define PAUSED_OLD "pg_catalog.pg_is_wal_replay_paused()"

typedef struct Server {
    const StageRequest *request;
    const Stage *stage;
    char log[PATH_SIZE];
    pid_t pid;
    bool ended;
    int status; /* once ended */
    const char *users[USERS];
    size_t user; /* the one that is tried */
    Connection *connection;
    StageReached reached;
    char last_told[LSN_TEXT_SIZE];
    Error *err;
} Server;

/* ---- its end ---- */

static bool has_ended(Server *server)
{
    if (!server->ended)
        server->ended = process_ended(server->pid, &server->status);
    return server->ended;
}

static bool wait_for_end(Server *server, uint64_t ms)
{
    Control nobody = {.signal_fd = -1};
    uint64_t deadline = clock_monotonic_ms() + ms;
    while (!has_ended(server)) {
        uint64_t now = clock_monotonic_ms();
        if (now >= deadline)
            return false;
        (void)control_wait(&nobody, -1, 0, now + LOOK_MS / 4);
    }
    return true;
}

/* Recovery begins anew with the next start, so that nothing is lost by the hard way. */
static void stop(Server *server)
{
    process_signal(server->pid, SIGINT);
    if (wait_for_end(server, STOP_FAST_MS))
        return;
    process_signal(server->pid, SIGQUIT);
    (void)wait_for_end(server, STOP_MS);
}

/* The last lines of the log. */
static void read_log(const Server *server, char log[STAGE_LOG_TAIL_SIZE])
{
    Dir dir;
    bool exists = false;
    uint64_t size = 0;
    size_t length = 0;
    int fd;
    Error ignored;
    log[0] = '\0';
    if (!dir_open(server->stage->into, false, server->request->files, &dir, &ignored))
        return;
    if (file_status(&dir, STAGE_LOG, &exists, &size, &ignored) && exists &&
        file_open(&dir, STAGE_LOG, FILE_READ, &fd, &ignored)) {
        uint64_t from = size >= STAGE_LOG_TAIL_SIZE ? size - STAGE_LOG_TAIL_SIZE + 1 : 0;
        if (!file_read_at(&dir, STAGE_LOG, fd, log, STAGE_LOG_TAIL_SIZE - 1, from, &length,
                          &ignored))
            length = 0;
        file_close(&dir, fd);
        log[length] = '\0';
        const char *begin = from > 0 ? strchr(log, '\n') : NULL;
        if (begin != NULL)
            memmove(log, begin + 1, strlen(begin + 1) + 1);
    }
    dir_close(&dir);
}

/* What to do about the usual reasons; the log is in English, for the copy's configuration says so.
 */
static void add_hint(const Server *server, const char *log, Error *err)
{
    static const struct {
        const char *text;
        const char *hint;
    } known[] = {
        {"could not restore file", "restore_command met trouble, which it tells in the log: "
                                   "walrx verify checks the archive."},
        {"insufficient parameter settings",
         "The primary raised a setting after the backup: stage again, with "
         "--set=NAME=VALUE for the one that the log names."},
        {"could not access file",
         "A library that the primary loads is not installed here: install it, or stage "
         "again with --set=shared_preload_libraries= and a list without it."},
        {"before configured recovery target was reached",
         "The archive ended before the target: did its contents change meanwhile?"},
        {"before consistent recovery point", "The target is too early for this backup."},
        {"Create this directory for the tablespace",
         "Make the directory that the log names, for the user who runs the server, and start "
         "again."},
    };
    const StageTexts *settings = &server->request->settings;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strstr(log, known[i].text) != NULL) {
            error_hint(err, "%s", known[i].hint);
            return;
        }
    }
    error_hint(err, settings->count > 0 ? "Its log says why; the settings of --set count, too."
                                        : "Its log says why.");
}

static bool fail_ended(Server *server, char log[STAGE_LOG_TAIL_SIZE])
{
    read_log(server, log);
    if (WIFSIGNALED(server->status))
        error_set(server->err, ERROR_OPERATOR, "the server of \"%s\" was ended by signal %d",
                  server->stage->into, WTERMSIG(server->status));
    else
        error_set(server->err, ERROR_OPERATOR,
                  "the server of \"%s\" ended before it reached the target", server->stage->into);
    error_detail(server->err, "Its log is \"%s\".", server->log);
    add_hint(server, log, server->err);
    return false;
}

/* ---- questions ---- */

static void disconnect(Server *server)
{
    connection_close(server->connection);
    server->connection = NULL;
}

/* *ret_open false: not yet. A failure is one that waiting does not mend. */
static bool connect_to(Server *server, bool *ret_open)
{
    char port[8];
    *ret_open = server->connection != NULL;
    if (*ret_open)
        return true;
    (void)snprintf(port, sizeof(port), "%u", (unsigned)server->stage->port);
    while (server->user < USERS) {
        const ConnectOptions options = {.conninfo = "dbname=template1",
                                        .host = server->stage->into,
                                        .port = port,
                                        .user = server->users[server->user],
                                        .program = "walrx stage",
                                        .never_password = true};
        if (connection_open(&options, CONNECTION_PLAIN, server->request->control, ANSWER_MS,
                            &server->connection, server->err)) {
            *ret_open = true;
            return true;
        }
        server->connection = NULL;
        if (server->err->class != ERROR_OPERATOR)
            return server->err->class != ERROR_STOPPED;
        server->user++; /* there is no such role */
    }
    Error cause = *server->err;
    error_set(server->err, ERROR_OPERATOR, "could not ask the server of \"%s\" how far it is: %s",
              server->stage->into, cause.message);
    return error_hint(server->err, "Name a role of the primary: --username=NAME.");
}

static void take_column(const ResultRow *row, size_t i, char *buffer, size_t capacity)
{
    (void)snprintf(buffer, capacity, "%.*s", row->values[i] != NULL ? (int)row->lengths[i] : 0,
                   row->values[i] != NULL ? row->values[i] : "");
}

/* *ret_at_end: it paused or is out of recovery. */
static bool ask(Server *server, bool *ret_at_end)
{
    char question[sizeof(QUESTION) + sizeof(PAUSED_14)];
    char state[16];
    char file[WAL_FILE_NAME_SIZE];
    char locks[32];
    ResultRow row;
    StageReached *reached = &server->reached;
    bool old = connection_server_version(server->connection) < 140000;
    *ret_at_end = false;
    (void)snprintf(question, sizeof(question), QUESTION, old ? PAUSED_OLD : PAUSED_14);
    if (!connection_query(server->connection, question, &row, server->err) || row.count != 5) {
        bool stopped = server->err->class == ERROR_STOPPED;
        disconnect(server); /* it may be on its way to another state: asked again */
        return !stopped;
    }
    take_column(&row, 0, reached->lsn, sizeof(reached->lsn));
    take_column(&row, 1, reached->last_commit, sizeof(reached->last_commit));
    take_column(&row, 2, state, sizeof(state));
    take_column(&row, 3, file, sizeof(file));
    take_column(&row, 4, locks, sizeof(locks));
    if (strcmp(reached->lsn, server->last_told) != 0 && server->request->replayed != NULL)
        server->request->replayed(server->request->context, reached->lsn, reached->last_commit);
    (void)snprintf(server->last_told, sizeof(server->last_told), "%s", reached->lsn);
    WalFileName name;
    reached->timeline = wal_file_parse(file, &name) ? name.timeline : server->stage->found.timeline;
    if (!parse_u64(locks, 0, UINT64_MAX, &reached->locked))
        reached->locked = 0;
    reached->end = strcmp(state, "promoted") == 0 ? STAGE_PROMOTED : STAGE_PAUSED;
    *ret_at_end = strcmp(state, "recovering") != 0;
    return true;
}

/* What the environment would tell libpq besides: with PGHOSTADDR, or PGSERVICE, it would ask
 * another server than the copy's, and others would make the copy's refuse to answer. */
static void forget_environment(void)
{
    static const char *const names[] = {"PGHOSTADDR",   "PGSERVICE",        "PGTARGETSESSIONATTRS",
                                        "PGOPTIONS",    "PGREQUIREPEER",    "PGREQUIREAUTH",
                                        "PGREQUIRESSL", "PGCHANNELBINDING", "PGSSLNEGOTIATION",
                                        "PGGSSENCMODE", "PGCLIENTENCODING"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unsetenv(names[i]);
}

/* ---- waiting ---- */

static StageEnd wanted_end(const StageRequest *request)
{
    if (request->target.kind == FIND_LATEST || request->action == STAGE_PROMOTE)
        return STAGE_PROMOTED;
    return request->action == STAGE_PAUSE ? STAGE_PAUSED : STAGE_SHUT_DOWN;
}

/* From 14 on a standby whose settings are too small pauses as well, and up to 12 a recovery that
 * runs out of WAL ends as if it had been at its target. */
static bool check_end(Server *server, char log[STAGE_LOG_TAIL_SIZE])
{
    StageReached *reached = &server->reached;
    char text[LSN_TEXT_SIZE];
    Lsn lsn = LSN_INVALID;
    reached->expected = lsn_parse(reached->lsn, &lsn) && lsn == server->stage->found.replayed;
    if (reached->end == wanted_end(server->request) &&
        (reached->expected || lsn >= server->stage->found.last.end))
        return true;
    read_log(server, log);
    error_set(server->err, ERROR_OPERATOR, "the server of \"%s\" did not get to the target",
              server->stage->into);
    error_detail(server->err, "It %s at %s; %s was to be expected.",
                 reached->end == STAGE_PAUSED ? "paused" : "ended recovery", reached->lsn,
                 lsn_format(server->stage->found.replayed, text));
    add_hint(server, log, server->err);
    return false;
}

static bool refuse_late(Server *server, char log[STAGE_LOG_TAIL_SIZE])
{
    read_log(server, log);
    error_set(server->err, ERROR_OPERATOR, "the server of \"%s\" did not reach the target in time",
              server->stage->into);
    if (server->reached.lsn[0] != '\0')
        error_detail(server->err, "It has replayed up to %s.", server->reached.lsn);
    return error_hint(server->err, "It was stopped. Started again, it goes on from its last "
                                   "restartpoint; --timeout=0 waits for as long as it takes.");
}

static bool is_shut_down(const Server *server)
{
    return wanted_end(server->request) == STAGE_SHUT_DOWN && WIFEXITED(server->status) &&
           WEXITSTATUS(server->status) == 0;
}

static bool wait_for_target(Server *server, uint64_t timeout_ms, char log[STAGE_LOG_TAIL_SIZE])
{
    uint64_t began = clock_monotonic_ms();
    for (;;) {
        bool open;
        bool at_end = false;
        if (control_wait(server->request->control, -1, 0, clock_monotonic_ms() + LOOK_MS) ==
            CONTROL_STOP)
            return error_set(server->err, ERROR_STOPPED, "stopped while the server recovered");
        if (has_ended(server)) {
            if (!is_shut_down(server))
                return fail_ended(server, log);
            server->reached.end = STAGE_SHUT_DOWN;
            server->reached.timeline = server->stage->found.timeline;
            return true;
        }
        if (!connect_to(server, &open) || (open && !ask(server, &at_end)))
            return false;
        if (at_end)
            return check_end(server, log);
        if (timeout_ms > 0 && clock_monotonic_ms() - began >= timeout_ms)
            return refuse_late(server, log);
    }
}

bool stage_start(const StageRequest *request, const Stage *stage, uint64_t timeout_ms,
                 StageReached *ret, char log[STAGE_LOG_TAIL_SIZE], Error *err)
{
    Server server = {.request = request, .stage = stage, .err = err};
    char program[PATH_SIZE];
    const char *argv[] = {program, "-D", stage->into, NULL};
    log[0] = '\0';
    forget_environment();
    (void)snprintf(program, sizeof(program), "%s/postgres", stage->bindir);
    (void)snprintf(server.log, sizeof(server.log), "%s/" STAGE_LOG, stage->into);
    server.users[0] = request->username != NULL ? request->username : stage->user.name;
    server.users[1] = request->username != NULL ? request->username : "postgres";
    if (!process_start(argv, &stage->user, server.log, &server.pid, err))
        return false;
    bool ok = wait_for_target(&server, timeout_ms, log);
    disconnect(&server);
    if (!ok && !has_ended(&server))
        stop(&server);
    if (!ok)
        return false;
    server.reached.pid = server.pid;
    (void)snprintf(server.reached.username, sizeof(server.reached.username), "%s",
                   server.user < USERS ? server.users[server.user] : "");
    *ret = server.reached;
    return true;
}
