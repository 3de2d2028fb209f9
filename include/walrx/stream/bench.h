/* SPDX-License-Identifier: PostgreSQL
 *
 * Measures how fast a server can replicate to here: streams WAL for a while, into nothing or
 * through the archive's own store into a directory of its own, and tells what was seen. Leaves
 * nothing behind, neither on the server (a temporary slot) nor on the disk.
 *
 * Runs in the calling thread (the stream thread). Does not print.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/base/histogram.h"
#include "walrx/codec/codec.h"
#include "walrx/proto/lsn.h"
#include "walrx/stream/bench_series.h"
#include "walrx/stream/bench_verdict.h"
#include "walrx/stream/connection.h"
#include "walrx/stream/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct BenchProgress {
    uint64_t elapsed_ms;
    uint64_t bytes;
    uint64_t recent_bytes; /* since the last call */
    uint64_t recent_ms;
    Lsn position;
} BenchProgress;

/* Strings are borrowed for the whole run. */
typedef struct BenchOptions {
    ConnectOptions connect;
    const char *directory; /* a new folder is made inside it; NULL: WAL goes nowhere */
    Lsn from;              /* LSN_INVALID: the server's end of WAL */
    Lsn end_position;      /* LSN_INVALID: none */
    uint64_t duration_ms;  /* 0: no limit */
    bool synchronous;
    CompressSpec compress;
    unsigned compress_workers;
    size_t memory;
    uint64_t receive_timeout_ms;
    /* Called twice a second while measuring; NULL: not. */
    void (*progress)(void *context, const BenchProgress *progress);
    void *progress_context;
} BenchOptions;

typedef struct BenchCpu {
    uint64_t user_us;
    uint64_t system_us;
} BenchCpu;

typedef struct BenchResult {
    bool measured; /* WAL was awaited: all that follows holds something */
    char peer[128];
    int server_version;
    bool unix_socket;
    bool local; /* same machine */
    Timeline timeline;
    Lsn from;
    Lsn to;
    Lsn server_end_first; /* the server's end of WAL when measuring began, and last known */
    Lsn server_end_last;
    uint64_t stream_ns; /* receiving */
    uint64_t finish_ns; /* then until everything received was durable; no sink: 0 */
    uint64_t messages;
    uint64_t bytes;
    BenchSeries series; /* while receiving */
    Histogram message_bytes;
    Histogram write_ns;  /* from arrival to handed to the kernel; these three: disk only */
    Histogram flush_ns;  /* from arrival to durable */
    Histogram report_ns; /* from durable to told the server */
    Histogram age_ns;    /* of data on arrival, by the server's clock and ours */
    uint64_t ages_from_the_future;
    BenchShares shares;
    uint64_t samples[BENCH_SENDER_STATES]; /* of the walsender */
    char samples_problem[256];             /* why there are none; "" when there are */
    BenchCpu process_cpu;                  /* while measuring */
    BenchCpu stream_thread_cpu;
    bool flush_reported;      /* false: the server kept all WAL of the run */
    uint64_t packed_segments; /* compressed ones, and how big they were */
    uint64_t packed_bytes;
    uint32_t segment_size;
    bool interrupted;
    BenchLimit limit;
} BenchResult;

/* True: the measurement ended as asked, or by a stop after it began. On failure *ret holds what was
 * measured before. *ret is large: not for the stack. */
bool bench_run(const BenchOptions *options, Control *control, BenchResult *ret,
               Error *err) MUST_CHECK;
