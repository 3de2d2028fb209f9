/* SPDX-License-Identifier: PostgreSQL
 *
 * Ten times a second: what is the walsender doing? Asked over a plain connection as the same user,
 * who may see its own backends. A server that does not allow that takes nothing from the
 * measurement but this one figure.
 */
#include "bench_internal.h"

#include "walrx/base/parse.h"
#include "walrx/os/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PROBE_INTERVAL_MS 100
#define PROBE_TIMEOUT_MS 2000
#define QUERY_SIZE 768

static void copy_text(const ResultRow *row, size_t column, char *buffer, size_t capacity)
{
    const char *value = row->values[column];
    (void)snprintf(buffer, capacity, "%.*s", value != NULL ? (int)row->lengths[column] : 0,
                   value != NULL ? value : "");
}

/* One look. False when there will be no more. */
static bool look(BenchProbe *probe, Connection *connection, const char *query, Error *err)
{
    ResultRow row;
    char type[32];
    char event[64];
    char digits[24];
    uint64_t unsent = 0;
    if (!connection_query(connection, query, &row, err))
        return false;
    if (row.count != 3)
        return error_set(err, ERROR_OPERATOR, "the server does not show its walsender");
    copy_text(&row, 0, type, sizeof(type));
    copy_text(&row, 1, event, sizeof(event));
    copy_text(&row, 2, digits, sizeof(digits));
    if (digits[0] != '\0' && !parse_u64(digits, 0, UINT64_MAX, &unsent))
        return error_set(err, ERROR_PROTOCOL, "the server's answer is no number: \"%s\"", digits);
    probe->samples[bench_sender_state(type, event, unsent)]++;
    return true;
}

static void look_until_stopped(BenchProbe *probe, Connection *connection)
{
    char query[QUERY_SIZE];
    (void)snprintf(query, sizeof(query),
                   "SELECT a.wait_event_type, a.wait_event, greatest(0, pg_catalog.pg_wal_lsn_diff("
                   "CASE WHEN pg_catalog.pg_is_in_recovery() THEN coalesce("
                   "pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) "
                   "ELSE pg_catalog.pg_current_wal_flush_lsn() END, r.sent_lsn))::pg_catalog.int8 "
                   "FROM pg_catalog.pg_stat_activity a LEFT JOIN pg_catalog.pg_stat_replication r "
                   "USING (pid) WHERE a.pid = %d",
                   probe->pid);
    while (!atomic_load(&probe->stopping)) {
        struct pollfd polled = {.fd = probe->stop.fd, .events = POLLIN};
        if (!look(probe, connection, query, &probe->problem))
            return;
        (void)poll(&polled, 1, PROBE_INTERVAL_MS);
    }
}

static void *probe_main(void *context)
{
    BenchProbe *probe = context;
    Connection *connection;
    if (!connection_open(&probe->connect, CONNECTION_PLAIN, &probe->control, PROBE_TIMEOUT_MS,
                         &connection, &probe->problem))
        return NULL;
    look_until_stopped(probe, connection);
    connection_close(connection);
    return NULL;
}

void bench_probe_start(BenchProbe *probe, const ConnectOptions *connect, int walsender_pid)
{
    probe->connect = *connect;
    /* What was asked for the first connection is remembered; nobody is asked again. */
    probe->connect.force_password = false;
    probe->connect.never_password = true;
    probe->pid = walsender_pid;
    /* Signals are the stream thread's: a look that takes long ends by its own time-out. */
    probe->control = (Control){.signal_fd = -1};
    error_clear(&probe->problem);
    if (!bell_open(&probe->stop, &probe->problem))
        return;
    int rc = pthread_create(&probe->thread, NULL, probe_main, probe);
    if (rc != 0)
        error_set_errno(&probe->problem, ERROR_MEMORY, rc, "could not start a thread");
    probe->started = rc == 0;
}

void bench_probe_end(BenchProbe *probe)
{
    if (!probe->started)
        return;
    atomic_store(&probe->stopping, true);
    bell_ring(&probe->stop);
}

void bench_probe_wait(BenchProbe *probe, BenchResult *ret)
{
    uint64_t sum = 0;
    if (probe->started)
        (void)pthread_join(probe->thread, NULL);
    probe->started = false;
    bell_close(&probe->stop);
    for (size_t i = 0; i < BENCH_SENDER_STATES; i++) {
        ret->samples[i] = probe->samples[i];
        sum += probe->samples[i];
    }
    if (sum == 0)
        (void)snprintf(ret->samples_problem, sizeof(ret->samples_problem), "%.*s",
                       (int)sizeof(ret->samples_problem) - 1,
                       probe->problem.message[0] != '\0' ? probe->problem.message
                                                         : "the run was too short");
}
