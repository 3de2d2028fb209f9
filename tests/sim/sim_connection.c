/* SPDX-License-Identifier: PostgreSQL
 *
 * The connection between receiver and server, as the world sees it: what is readable when, what
 * goes wrong, and what the receiver owes the server whenever it goes to sleep.
 */
#include "sim_connection.h"

#include <string.h>

PGconn sim_connections[CONNECTIONS];
Process sim_process;

/* What each SQLSTATE means, written down apart from sqlstate.c. */
static const struct {
    const char *sqlstate;
    ErrorClass class;
} errors[] = {
    {"57P01", ERROR_RETRY},    {"57P03", ERROR_RETRY},    {"53300", ERROR_RETRY},
    {"55006", ERROR_RETRY},    {"08006", ERROR_RETRY},    {"58030", ERROR_RETRY},
    {"XX000", ERROR_RETRY},    {"28000", ERROR_OPERATOR}, {"28P01", ERROR_OPERATOR},
    {"42501", ERROR_OPERATOR}, {"0A000", ERROR_OPERATOR}, {"22023", ERROR_OPERATOR},
};
#define ERRORS (sizeof(errors) / sizeof(errors[0]))

ErrorClass sqlstate_meaning(const char *sqlstate)
{
    for (size_t i = 0; i < ERRORS; i++) {
        if (strcmp(errors[i].sqlstate, sqlstate) == 0)
            return errors[i].class;
    }
    return ERROR_RETRY;
}

const char *sqlstate_some(void)
{
    /* Operator errors end the run: not too often. */
    return errors[sim_random(sim_chance(75) ? 7 : ERRORS)].sqlstate;
}

void sqlstate_set(char target[6], const char *sqlstate)
{
    memcpy(target, sqlstate, 6);
}

void libpq_forget(void)
{
    memset(sim_connections, 0, sizeof(sim_connections));
    memset(&sim_process, 0, sizeof(sim_process));
    /* Only a slot remembers; and of the open segment a new process proves whole records only. */
    if (world.options.slot == NULL)
        server.told_flush = LSN_INVALID;
}

static bool has_input(const PGconn *conn, uint64_t now)
{
    if (conn->phase == PHASE_FREE)
        return false;
    if (conn->dropped && conn->phase != PHASE_CONNECTING)
        return true;
    if (conn->silent)
        return false;
    if (conn->phase != PHASE_COPY || conn->over)
        return now >= conn->due_ms;
    return walsender_at_end(conn) || now >= conn->keepalive_at_ms ||
           (conn->sent < walsender_limit(conn) && now >= conn->wal_at_ms);
}

bool libpq_readable(int fd)
{
    return has_input(&sim_connections[fd - SIM_FD_SOCKET], world.now_ms);
}

bool libpq_writable(int fd)
{
    return world.now_ms >= sim_connections[fd - SIM_FD_SOCKET].blocked_until_ms;
}

uint64_t libpq_next_ms(void)
{
    uint64_t next = SIM_NEVER;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        const PGconn *conn = &sim_connections[i];
        const uint64_t times[] = {conn->due_ms, conn->wal_at_ms, conn->keepalive_at_ms,
                                  conn->blocked_until_ms};
        for (size_t t = 0; conn->phase != PHASE_FREE && t < sizeof(times) / sizeof(times[0]); t++) {
            if (times[t] > world.now_ms && times[t] < next)
                next = times[t];
        }
    }
    return next;
}

void libpq_check_promises(bool reading)
{
    PGconn *conn = &sim_connections[0];
    const ReceiverTunables *tunables = sim_tunables();
    uint64_t now = world.now_ms;
    if (!reading)
        conn->last_read_ms = now; /* silence says nothing while nobody listens */
    if (conn->phase != PHASE_COPY || conn->over || conn->client_done || conn->gap ||
        now < conn->blocked_until_ms)
        return;
    conn->progress = conn->progress || conn->rested;
    conn->rested = conn->fresh;
    sim_watchdog_check();
    SIM_CHECK(now <= conn->reply_due_ms, "no reply to a keepalive that asked for one");
    SIM_CHECK(tunables->status_interval_ms == 0 ||
                  now - conn->last_status_ms <= tunables->status_interval_ms,
              "no status for %llu ms", (unsigned long long)(now - conn->last_status_ms));
    SIM_CHECK(tunables->receive_timeout_ms == 0 ||
                  now - conn->last_read_ms < tunables->receive_timeout_ms,
              "a server that has been silent for %llu ms goes unnoticed",
              (unsigned long long)(now - conn->last_read_ms));
}

void libpq_shift(uint64_t ms)
{
    PGconn *conn = &sim_connections[0];
    conn->last_status_ms += ms;
    conn->last_read_ms += ms;
    if (conn->reply_due_ms != SIM_NEVER)
        conn->reply_due_ms += ms;
    sim_process.paused_ms += ms;
}

void libpq_reloaded(void)
{
    sim_connections[0].last_read_ms = world.now_ms; /* a shorter time-out begins now */
}

void libpq_fault(unsigned kind)
{
    static const char *const names[LIBPQ_FAULTS] = {"reset",   "silent", "error",
                                                    "blocked", "slow",   "refuses"};
    PGconn *conn = &sim_connections[0];
    sim_note("connection: %s", names[kind]);
    switch (kind) {
    case 0:
        conn->dropped = conn->faulty = true;
        break;
    case 1:
        conn->silent = conn->faulty = true;
        break;
    case 2:
        sqlstate_set(conn->sqlstate, sqlstate_some());
        conn->faulty = true;
        break;
    case 3:
        conn->blocked_until_ms = world.now_ms + sim_random(90000);
        if (conn->phase != PHASE_COPY)
            conn->due_ms = conn->blocked_until_ms;
        conn->faulty = true;
        break;
    case 4:
        conn->wal_at_ms = world.now_ms + sim_random(30000);
        break;
    default:
        sim_process.refusals = 1 + (unsigned)sim_random(6);
        sim_process.refusal = (unsigned)sim_random(4);
        break;
    }
}

void libpq_all_down(bool politely)
{
    PGconn *conn = &sim_connections[0];
    conn->faulty = true;
    conn->dropped = conn->dropped || !politely || conn->phase != PHASE_COPY;
    conn->closing = politely;
}

void libpq_calm(void)
{
    PGconn *conn = &sim_connections[0];
    sim_process.refusals = 0;
    if (sim_tunables()->receive_timeout_ms == 0 && conn->silent)
        conn->dropped = true; /* as TCP keepalives would */
    conn->silent = conn->silent && !conn->dropped;
}

bool libpq_sent_all(void)
{
    const PGconn *conn = &sim_connections[0];
    return conn->phase == PHASE_COPY && conn->timeline == server.timeline && !conn->silent &&
           conn->sent == server.end;
}

bool libpq_told_all(void)
{
    return server.told_flush == server.end;
}
