/* SPDX-License-Identifier: PostgreSQL
 *
 * What the receiver is doing, for others to look at while it runs: positions, how far each stage is
 * behind the server in bytes and in time, how long the ways from one stage to the next take, and
 * what the receiver last ran into.
 *
 * The stream thread feeds it and publishes; it takes no lock and allocates nothing while WAL
 * streams. Any thread reads. Memory is fixed (about 400 kB).
 *
 * Lag in time of a stage is the age, on our monotonic clock, of the first byte that the server is
 * known to have and the stage has not: 0 when it has all of it. When the server got a byte is known
 * from the end of WAL and the time in its messages; what it had before the first message of a
 * stream counts as got then. While the connection is gone nothing newer is known: the lag goes on
 * growing where a byte was missing, and last_message_ns tells how old the knowledge is.
 */
#pragma once

#include "walrx/archive/metrics.h"
#include "walrx/base/error.h"
#include "walrx/base/histogram.h"
#include "walrx/base/seqcell.h"
#include "walrx/os/wakeup.h"
#include "walrx/proto/copydata.h"
#include "walrx/proto/lsn.h"
#include "walrx/proto/segment.h"
#include "walrx/stream/clock_offset.h"
#include "walrx/stream/holdup.h"
#include "walrx/stream/lag_track.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* As pg_stat_wal_receiver.status has them, as far as both know them. */
typedef enum ReceiverState {
    RECEIVER_STARTING, /* opening the archive, connecting, finding out where to start */
    RECEIVER_STREAMING,
    RECEIVER_RESTARTING, /* the connection was lost: waits for the next try */
    RECEIVER_STOPPING,
    RECEIVER_STOPPED,
} ReceiverState;

typedef enum LagStage {
    LAG_RECEIVED, /* in memory */
    LAG_WRITTEN,  /* handed to the kernel */
    LAG_FLUSHED,  /* durable */
    LAG_ARCHIVED, /* nothing durable waits for a worker: as LAG_FLUSHED; otherwise up to the oldest
                     segment that does */
} LagStage;
#define LAG_STAGE_COUNT (LAG_ARCHIVED + 1)

/* One consistent view. Times: *_ns on CLOCK_MONOTONIC, 0 where it has not happened. */
typedef struct TelemetryMoment {
    uint64_t at_ns;
    uint64_t state; /* ReceiverState */
    uint64_t state_since_ns;
    uint64_t held_by; /* HoldCause */
    uint64_t start_timeline;
    Lsn start;         /* where this stream began */
    uint64_t timeline; /* of this stream */
    Lsn position[LAG_STAGE_COUNT];
    Lsn server_end;                            /* newest known */
    uint64_t behind_since_ns[LAG_STAGE_COUNT]; /* when the server got the first byte the stage
                                                  lacks; 0: it lacks none */
    Lsn reported_write;
    Lsn reported_flush;
    uint64_t last_message_ns; /* the server's last sign of life */
    PgTime last_message_sent; /* its time, on the server's clock */
    uint64_t server_end_ns;   /* when server_end was first told */
    PgTime server_end_sent;
    ClockEstimate clock;
    uint64_t bytes;    /* received over all connections */
    uint64_t messages; /* of WAL */
    uint64_t statuses; /* sent */
    uint64_t streams;  /* begun */
    uint64_t failures; /* of connections and streams */
} TelemetryMoment;
_Static_assert(sizeof(TelemetryMoment) <= SEQCELL_MAX_SIZE, "a moment fits its cell");

#define TELEMETRY_TEXT_SIZE 256

/* What rarely changes: told under a lock, outside streaming. */
typedef struct TelemetrySession {
    char slot[64];
    char host[TELEMETRY_TEXT_SIZE]; /* as pg_stat_wal_receiver.sender_host */
    char port[16];
    char conninfo[1024]; /* secrets hidden */
    uint64_t system_identifier;
    int server_version; /* 150018; 0: not known */
    uint32_t segment_size;
    bool flush_reported; /* a slot or --synchronous */
    bool synchronous;
} TelemetrySession;

typedef struct TelemetryFailure {
    bool any;
    PgTime at;
    Error error;
} TelemetryFailure;

/* What is worth waking somebody who sleeps; who wants the lesser is woken by the greater, too. */
typedef enum TelemetryNews {
    NEWS_NONE,
    NEWS_OF_ANY,  /* something moved, or a status went out */
    NEWS_OF_REST, /* something moved, and all that was received is durable; or the state changed */
} TelemetryNews;

typedef struct Telemetry {
    SeqCell cell;
    atomic_int wanted; /* TelemetryNews; rings the bell once */
    Bell bell;
    Histogram receive_to_flush_ns;
    Histogram flush_to_report_ns;
    ArchiveMetrics archive;
    /* under the lock */
    pthread_mutex_t lock;
    TelemetrySession session;
    TelemetryFailure failure;
    /* the stream thread's own */
    TelemetryMoment now;
    ClockOffset clock;
    bool fresh;                /* the stream has just begun, the server has said nothing in it */
    LagTrack server;           /* what the server has, by our clock */
    LagTrack received;         /* what we have */
    LagTrack flushed;          /* what is durable, and not reported yet */
    Lsn told[LAG_STAGE_COUNT]; /* positions with the latest news of them */
    Lsn told_end;              /* and the server's end */
} Telemetry;

bool telemetry_open(Telemetry **ret, Error *err) MUST_CHECK;
void telemetry_close(Telemetry *telemetry); /* NULL is fine */

/* ---- by the stream thread ---- */

void telemetry_session(Telemetry *telemetry, const TelemetrySession *session);
void telemetry_state(Telemetry *telemetry, ReceiverState state, uint64_t now_ns);
/* Something failed that the receiver lives on with, or ends by. */
void telemetry_failure(Telemetry *telemetry, const Error *error, PgTime at);

/* A stream of `timeline` begins at `start`, all below `durable` is durable already. What is known
 * of the server's WAL and of the stages stays where the timeline is the one of before. */
void telemetry_stream(Telemetry *telemetry, Timeline timeline, Lsn start, Lsn durable,
                      uint64_t now_ns);

typedef struct TelemetryMessage {
    Lsn server_end;
    PgTime sent;
    Lsn received;    /* behind its last byte of WAL: where it holds none, LSN_INVALID */
    uint64_t length; /* of its WAL */
    bool reply;      /* a keepalive that asks for nothing: the answer to a question of ours */
} TelemetryMessage;

void telemetry_message(Telemetry *telemetry, const TelemetryMessage *message, uint64_t now_ns);

/* A status went out: what it reported, and whether it asks for a reply. */
void telemetry_reported(Telemetry *telemetry, Lsn write, Lsn flush, bool asked, uint64_t now_ns);

/* Where the stages are; publishes. A segment that arrives a second time is behind what is durable
 * of it: an earlier stage counts as no less far than a later one. */
void telemetry_positions(Telemetry *telemetry, const Lsn position[LAG_STAGE_COUNT], HoldCause held,
                         uint64_t now_ns);

/* ---- by any thread ---- */

void telemetry_read(const Telemetry *telemetry, TelemetryMoment *ret);
void telemetry_read_session(Telemetry *telemetry, TelemetrySession *ret,
                            TelemetryFailure *ret_failure);

/* Rings telemetry->bell at the next news of that kind, once. By one thread, which then looks again
 * before it sleeps: what was published before does not ring. */
void telemetry_want(Telemetry *telemetry, TelemetryNews news);

/* How long ago the server got the first byte the stage lacks. */
uint64_t telemetry_lag_ns(const TelemetryMoment *moment, LagStage stage, uint64_t now_ns);
uint64_t telemetry_lag_bytes(const TelemetryMoment *moment, LagStage stage);
