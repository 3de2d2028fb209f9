/* SPDX-License-Identifier: PostgreSQL
 *
 * What kept a measured stream from being faster, from figures of both ends. Pure.
 *
 * The stream thread's time falls into four parts. It waited although the server had more to send,
 * it waited because the server had nothing more, it waited for room in the ring, or it worked. A
 * thread that works three quarters of its time or more is the limit itself; else the limit is what
 * it waited for most.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of the stream thread. */
typedef struct BenchShares {
    uint64_t behind_ns; /* waited for the socket, the server had more */
    uint64_t idle_ns;   /* waited for the socket, everything the server had was here */
    uint64_t stall_ns;  /* waited for the disk: the ring was full, or the end became durable */
    uint64_t busy_ns;
} BenchShares;

/* What the walsender was seen doing. */
typedef enum BenchSenderState {
    BENCH_SENDER_RUNNING, /* no wait event: it has the CPU, or wants it */
    BENCH_SENDER_READING, /* waits for its disk */
    BENCH_SENDER_SENDING, /* waits for the socket to take more */
    BENCH_SENDER_IDLE,    /* waits for new WAL */
    BENCH_SENDER_OTHER,
} BenchSenderState;
#define BENCH_SENDER_STATES 5

/* wait_event_type and wait_event of pg_stat_activity ("" for NULL), and how much WAL it had not
 * sent yet. A physical walsender waits in one place for both WAL and socket (WalSndLoop in
 * walsender.c, PostgreSQL 15), so that is told apart by what is left to send. */
BenchSenderState bench_sender_state(const char *type, const char *event, uint64_t unsent_bytes);

typedef enum BenchLimit {
    BENCH_LIMIT_UNKNOWN, /* nothing was measured */
    BENCH_LIMIT_PRIMARY, /* it generates no more WAL */
    BENCH_LIMIT_WALSENDER,
    BENCH_LIMIT_NETWORK,
    BENCH_LIMIT_WALSENDER_OR_NETWORK, /* without samples of the walsender */
    BENCH_LIMIT_RECEIVER,
    BENCH_LIMIT_DISK,
    BENCH_LIMIT_COMPRESSION,
} BenchLimit;

typedef struct BenchEvidence {
    BenchShares shares;
    uint64_t samples[BENCH_SENDER_STATES]; /* of the walsender, by BenchSenderState */
    bool local;                            /* server and receiver share a machine: no network */
    unsigned workers;                      /* cores that compress; 0: none */
    uint64_t worker_cpu_ns;                /* CPU time of all threads but the stream thread */
} BenchEvidence;

BenchLimit bench_verdict(const BenchEvidence *evidence);
/* "primary", "walsender-or-network", ...: for machines. */
const char *bench_limit_name(BenchLimit limit);
