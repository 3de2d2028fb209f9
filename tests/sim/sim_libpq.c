/* SPDX-License-Identifier: PostgreSQL
 *
 * libpq in the simulated world: connecting, commands and results. A new connection is held against
 * when it may be tried, the end of one against why.
 */
#include "sim_connection.h"

#include "../../src/stream/connect_step.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_RETRY_MS 30000
#define SHORTEST_RETRY_MS 125
#define FIRST_RETRY_MS 250
#define RETRY_AS_PG_RECEIVEWAL_MS 5000

/* --- connecting --- */

static void check_retry(void)
{
    uint64_t waited = world.now_ms - sim_process.failed_ms;
    uint64_t longest =
        world.options.as_pg_receivewal ? RETRY_AS_PG_RECEIVEWAL_MS : LONGEST_RETRY_MS;
    SIM_CHECK(!world.must_end, "another try after a failure that must end the run");
    if (!sim_process.failed)
        return;
    SIM_CHECK(waited - sim_process.paused_ms <= longest, "the next try comes after %llu ms",
              (unsigned long long)waited);
    SIM_CHECK(waited >= SHORTEST_RETRY_MS, "the next try comes after %llu ms only",
              (unsigned long long)waited);
    SIM_CHECK(!sim_process.progress || waited - sim_process.paused_ms <= FIRST_RETRY_MS ||
                  world.options.as_pg_receivewal,
              "a good connection is followed by a pause of %llu ms", (unsigned long long)waited);
}

static bool given(const char *const *keywords, const char *const *values, const char *keyword,
                  const char *value)
{
    for (; *keywords != NULL; keywords++, values++) {
        if (strcmp(*keywords, keyword) == 0 && strcmp(*values, value) == 0)
            return true;
    }
    return false;
}

/* The server lets nobody into a database: pg_replication_slots is out of reach. */
static PGconn *refuse_plain(void)
{
    PGconn *conn = &sim_connections[PLAIN_CONNECTION];
    *conn = (PGconn){.phase = PHASE_FREE, .bad = true};
    (void)snprintf(conn->message, sizeof(conn->message),
                   "connection to server at \"sim\", port 5432 failed: FATAL:  28000: not here");
    return conn;
}

PGconn *PQconnectStartParams(const char *const *keywords, const char *const *values, int expand)
{
    PGconn *conn = &sim_connections[0];
    (void)expand;
    sim_step();
    if (given(keywords, values, "sslmode", "none of them"))
        return NULL; /* it only asks for the settings (read_lists in connect.c) */
    if (!given(keywords, values, "replication", "true"))
        return refuse_plain();
    check_retry();
    SIM_CHECK(conn->phase == PHASE_FREE, "a second connection beside the first");
    *conn = (PGconn){.phase = PHASE_CONNECTING, .due_ms = world.now_ms + sim_random(50)};
    if (world.now_ms < server.up_at_ms)
        sqlstate_set(conn->sqlstate, "57P03");
    if (sim_process.refusals > 0) {
        sim_process.refusals--;
        conn->silent = sim_process.refusal == 1;
        conn->dropped = sim_process.refusal == 0;
        if (sim_process.refusal >= 2)
            sqlstate_set(conn->sqlstate, sqlstate_some());
    }
    return conn;
}

ConnStatusType PQstatus(const PGconn *conn)
{
    return conn->bad ? CONNECTION_BAD : CONNECTION_OK;
}

PostgresPollingStatusType PQconnectPoll(PGconn *conn)
{
    sim_step();
    if (conn->silent || world.now_ms < conn->due_ms)
        return PGRES_POLLING_READING;
    if (!conn->dropped && conn->sqlstate[0] == '\0') {
        conn->phase = PHASE_IDLE;
        return PGRES_POLLING_OK;
    }
    conn->bad = true;
    (void)snprintf(conn->message, sizeof(conn->message),
                   "connection to server at \"sim\", port 5432 failed: %s%s%s",
                   conn->dropped ? "Connection refused" : "FATAL:  ", conn->sqlstate,
                   conn->dropped ? "" : ": not now");
    sim_met(conn->dropped ? ERROR_RETRY : sqlstate_meaning(conn->sqlstate));
    return PGRES_POLLING_FAILED;
}

bool connection_attempts_left(void)
{
    return false;
}

/* Without the thread: nothing blocks in here. */
ControlWait connect_step(const ConnectStep *step, PGconn **pg, ConnectStepResult *ret, Error *err)
{
    (void)err;
    *ret = (ConnectStepResult){.state = PGRES_POLLING_WRITING};
    if (step->parameters == NULL) {
        ret->state = PQconnectPoll(*pg);
        return CONTROL_READY;
    }
    *pg = PQconnectStartParams(step->parameters->keywords, step->parameters->values, 0);
    if (PQstatus(*pg) == CONNECTION_BAD)
        ret->state = PGRES_POLLING_FAILED;
    return CONTROL_READY;
}

static bool in_order_to_leave(const PGconn *conn)
{
    return conn->phase != PHASE_COPY || conn->gap || conn->faulty || conn->over ||
           conn->client_done || world.stop_asked || world.must_end || world.short_of_memory ||
           store_dropped();
}

void PQfinish(PGconn *conn)
{
    if (conn == NULL || conn == &sim_connections[PLAIN_CONNECTION])
        return;
    SIM_CHECK(in_order_to_leave(conn), "a healthy connection is given up");
    sim_process.failed = true;
    sim_process.failed_ms = world.now_ms;
    sim_process.paused_ms = 0;
    sim_process.progress = conn->progress;
    for (Timeline at = 1; at < SIM_TIMELINES; at++) {
        if (disk.lines[at].durable > sim_process.durable)
            sim_process.durable = disk.lines[at].durable;
    }
    *conn = (PGconn){.phase = PHASE_FREE};
}

char *PQerrorMessage(const PGconn *conn)
{
    static char text[160];
    (void)snprintf(text, sizeof(text), "%s", conn->message);
    return text;
}

PQconninfoOption *PQconninfoParse(const char *conninfo, char **message)
{
    static PQconninfoOption options[2];
    static char keyword[] = "host";
    static char value[] = "/sim";
    static char shown[] = "";
    (void)conninfo;
    (void)message;
    options[0] = (PQconninfoOption){.keyword = keyword, .val = value, .dispchar = shown};
    return options;
}

PQconninfoOption *PQconninfo(PGconn *conn)
{
    (void)conn;
    return PQconninfoParse("", NULL);
}

void PQconninfoFree(PQconninfoOption *options)
{
    (void)options;
}

/* --- small answers --- */

char *PQhost(const PGconn *conn)
{
    static char host[] = "/sim";
    (void)conn;
    return host;
}

char *PQhostaddr(const PGconn *conn)
{
    static char none[] = "";
    (void)conn;
    return none;
}

char *PQport(const PGconn *conn)
{
    static char port[] = "5432";
    (void)conn;
    return port;
}

int PQsocket(const PGconn *conn)
{
    return SIM_FD_SOCKET + (int)(conn - sim_connections);
}

int PQserverVersion(const PGconn *conn)
{
    (void)conn;
    return 150018;
}

const char *PQparameterStatus(const PGconn *conn, const char *name)
{
    (void)conn;
    (void)name;
    return server.standby ? "on" : "off";
}

int PQconnectionNeedsPassword(const PGconn *conn)
{
    (void)conn;
    return 0;
}

int PQbackendPID(const PGconn *conn)
{
    (void)conn;
    return 1;
}

PGVerbosity PQsetErrorVerbosity(PGconn *conn, PGVerbosity verbosity)
{
    (void)conn;
    return verbosity;
}

PQnoticeProcessor PQsetNoticeProcessor(PGconn *conn, PQnoticeProcessor processor, void *context)
{
    (void)conn;
    (void)context;
    return processor;
}

int PQsetnonblocking(PGconn *conn, int on)
{
    (void)conn;
    (void)on;
    return 0;
}

void PQfreemem(void *memory)
{
    (void)memory;
}

/* --- commands and results --- */

int PQsendQuery(PGconn *conn, const char *query)
{
    ReplicationCommand command;
    Error error;
    sim_step();
    SIM_CHECK(conn->result_next >= conn->result_count,
              "a command before the last one was answered");
    SIM_CHECK(command_parse(query, &command, &error), "sends \"%s\"", query);
    sim_note("receiver: %s", query);
    conn->result_count = conn->result_next = 0;
    conn->due_ms = world.now_ms + sim_random(20);
    if (conn->due_ms < conn->blocked_until_ms)
        conn->due_ms = conn->blocked_until_ms; /* it does not get there before */
    if (conn->sqlstate[0] != '\0') {
        walsender_fail(conn, conn->sqlstate);
        conn->sqlstate[0] = '\0';
        return 1;
    }
    walsender_answer(conn, &command);
    return 1;
}

int PQisBusy(PGconn *conn)
{
    sim_step();
    if (conn->bad || conn->dropped)
        return conn->bad ? 0 : 1; /* PQconsumeInput tells */
    return conn->silent || world.now_ms < conn->due_ms;
}

int PQconsumeInput(PGconn *conn)
{
    sim_step();
    if (!conn->dropped)
        return 1;
    conn->bad = true;
    (void)snprintf(conn->message, sizeof(conn->message), "server closed the connection");
    return 0;
}

static void begin_copy(PGconn *conn)
{
    conn->phase = PHASE_COPY;
    conn->last_status_ms = conn->last_read_ms = world.now_ms;
    conn->reply_due_ms = SIM_NEVER;
    sim_watchdog_fed();
}

PGresult *PQgetResult(PGconn *conn)
{
    sim_step();
    if (conn->result_next >= conn->result_count) {
        if (conn->closing)
            conn->dropped = true;
        return NULL;
    }
    PGresult *result = &conn->results[conn->result_next++];
    if (result->status == PGRES_COPY_BOTH)
        begin_copy(conn);
    else
        conn->phase = PHASE_IDLE;
    if (result->status == PGRES_FATAL_ERROR && strcmp(result->sqlstate, "58P01") != 0) {
        conn->faulty = true;
        sim_note("server: error %s", result->sqlstate);
        sim_met(sqlstate_meaning(result->sqlstate));
    }
    return result;
}

ExecStatusType PQresultStatus(const PGresult *result)
{
    return result->status;
}

char *PQresultErrorField(const PGresult *result, int field)
{
    static char sqlstate[6];
    static char text[] = "not now";
    if (field == PG_DIAG_MESSAGE_PRIMARY)
        return text;
    if (field != PG_DIAG_SQLSTATE)
        return NULL;
    memcpy(sqlstate, result->sqlstate, sizeof(sqlstate));
    return sqlstate;
}

char *PQresultErrorMessage(const PGresult *result)
{
    return PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
}

void PQclear(PGresult *result)
{
    (void)result;
}

int PQntuples(const PGresult *result)
{
    return result->row.count > 0;
}

int PQnfields(const PGresult *result)
{
    return (int)result->row.count;
}

int PQgetisnull(const PGresult *result, int row, int column)
{
    (void)row;
    return result->row.values[column] == NULL;
}

char *PQgetvalue(const PGresult *result, int row, int column)
{
    (void)row;
    return (char *)(uintptr_t)result->row.values[column];
}

int PQgetlength(const PGresult *result, int row, int column)
{
    (void)row;
    return (int)result->row.lengths[column];
}
