/* SPDX-License-Identifier: PostgreSQL
 *
 * A connection of the simulated world: what libpq's side (sim_libpq.c), the walsender's
 * (sim_walsender.c) and the world's (sim_connection.c) share.
 */
#pragma once

#include "sim.h"

#include "walrx/proto/command.h"
#include "walrx/proto/copydata.h"
#include "walrx/proto/result.h"

#include <libpq-fe.h>

#define CONNECTIONS 2
#define PLAIN_CONNECTION 1 /* to a database; it is never made */
#define RESULTS 4

struct pg_result {
    ExecStatusType status;
    char sqlstate[6];
    ResultRow row;
    char text[1024];
};

typedef enum Phase {
    PHASE_FREE = 0,
    PHASE_CONNECTING,
    PHASE_IDLE, /* or with an answer on its way */
    PHASE_COPY,
} Phase;

struct pg_conn {
    Phase phase;
    bool bad;
    bool silent;  /* nothing comes any more, in either direction, and nobody says so */
    bool dropped; /* reset */
    bool faulty;  /* something happened that is a reason to give it up */
    bool gap;     /* WAL was missing: trial streams may follow, which promise nothing */
    bool closing; /* the server shuts down */
    uint64_t due_ms;
    char sqlstate[6]; /* an error on its way */
    char message[160];
    struct pg_result results[RESULTS];
    unsigned result_count;
    unsigned result_next;
    /* COPY */
    Timeline timeline;
    Lsn sent;
    Lsn highest; /* sent in any stream */
    bool over;   /* the server ended COPY */
    bool client_done;
    uint64_t wal_at_ms;
    uint64_t keepalive_at_ms;
    bool keepalive_asks;
    uint64_t blocked_until_ms;
    char buffer[COPY_WAL_HEADER_SIZE + SIM_MESSAGE_MAX];
    /* what the receiver owes */
    uint64_t reply_due_ms;
    uint64_t last_status_ms;
    uint64_t last_read_ms;
    Lsn told_write;
    bool fresh;    /* something new was reported as flushed */
    bool rested;   /* the receiver has slept since, */
    bool progress; /* and gone on */
};

extern PGconn sim_connections[CONNECTIONS];

/* What the connections of one process of the receiver have in common. */
typedef struct Process {
    bool failed; /* a session has ended */
    bool progress;
    uint64_t failed_ms;
    uint64_t paused_ms; /* of the time since */
    Lsn durable;        /* the highest, when a session ended */
    unsigned refusals;  /* of the next attempts to connect */
    unsigned refusal;
} Process;
extern Process sim_process;

/* What a SQLSTATE means, written down apart from sqlstate.c. */
ErrorClass sqlstate_meaning(const char *sqlstate);
const char *sqlstate_some(void);
void sqlstate_set(char target[6], const char *sqlstate);

/* The answer to a command, as results. */
void walsender_answer(PGconn *conn, const ReplicationCommand *command);
void walsender_fail(PGconn *conn, const char *sqlstate);
/* The server has something else to say than WAL and keepalives. */
bool walsender_at_end(const PGconn *conn);
/* How far it can send. */
Lsn walsender_limit(const PGconn *conn);
