/* SPDX-License-Identifier: PostgreSQL
 *
 * What the parts of the measuring share: bench_run.c (the whole), bench_stream.c (the loop),
 * bench_sink.c (where WAL goes), bench_probe.c (what the walsender does). Private to src/stream.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/compressor.h"
#include "walrx/archive/store.h"
#include "walrx/os/wakeup.h"
#include "walrx/stream/bench.h"
#include "walrx/stream/feedback.h"
#include "walrx/stream/lag_track.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- where WAL goes ---- */

#define BENCH_FOLDER_SIZE 32

/* Without a directory it discards: then only position and acknowledged count. */
typedef struct BenchSink {
    bool disk;
    Bell bell; /* rung by the store and the workers */
    /* discarding */
    Lsn received;
    Lsn acknowledged; /* what counts as written and flushed */
    /* disk */
    Dir parent;
    char folder[BENCH_FOLDER_SIZE]; /* inside parent; "": not made yet */
    Archive archive;
    Store *store;
    Compressor *compressor;
    WalCompression form;
    Timeline timeline;
    /* the thread that removes complete segments */
    pthread_t sweeper;
    bool sweeping;
    Bell stop_sweeping;
    atomic_bool swept_out;
    SegNo next_sweep;
    uint64_t packed_segments;
    uint64_t packed_bytes;
} BenchSink;

/* Makes the folder in options->directory, when there is one. */
bool bench_sink_open(BenchSink *sink, const BenchOptions *options, Error *err) MUST_CHECK;
/* Ready for WAL of the timeline from `lsn` on; with a disk that is a segment's start. */
bool bench_sink_start(BenchSink *sink, const BenchOptions *options, uint64_t system_identifier,
                      uint32_t segment_size, Timeline timeline, Lsn lsn, Error *err) MUST_CHECK;
/* Everything received is durable on return, and compressed. */
bool bench_sink_finish(BenchSink *sink, Control *control, Error *err) MUST_CHECK;
/* Ends the threads and removes everything that was made. */
bool bench_sink_close(BenchSink *sink, Error *err) MUST_CHECK;

FeedbackPositions bench_sink_positions(const BenchSink *sink);
/* Takes what it can of `length` bytes and returns how much; 0: full until the bell rings. */
size_t bench_sink_take(BenchSink *sink, const uint8_t *data, size_t length);
void bench_sink_request_flush(BenchSink *sink);
void bench_sink_request_write(BenchSink *sink);
/* False when the disk or a worker failed. */
bool bench_sink_check(BenchSink *sink, Error *err) MUST_CHECK;

/* ---- what the walsender does ---- */

typedef struct BenchProbe {
    ConnectOptions connect;
    int pid;
    uint64_t timeout_ms;
    Control control;
    Bell stop;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    /* the thread's own until it has ended */
    uint64_t samples[BENCH_SENDER_STATES];
    Error problem;
} BenchProbe;

/* Starts to look, in a thread and over a connection of its own. */
void bench_probe_start(BenchProbe *probe, const ConnectOptions *connect, int walsender_pid);
/* No more looks from now on; does not wait. */
void bench_probe_end(BenchProbe *probe);
/* Waits for the thread and tells what it saw, or what went wrong. */
void bench_probe_wait(BenchProbe *probe, BenchResult *ret);

/* ---- the loop ---- */

typedef struct Bench {
    const BenchOptions *options;
    Control *control;
    BenchResult *result;
    Connection *connection;
    BenchSink sink;
    BenchProbe probe;
    char slot[32];
    Timeline timeline;
    Lsn from;       /* measuring begins here */
    Lsn start;      /* streaming begins here: before, where the sink wants a whole segment */
    Lsn server_end; /* when connecting */
    LagTrack write_lag;
    LagTrack flush_lag;
    LagTrack report_lag;
} Bench;

/* Streams until the end asked for, a stop or a failure; fills what the loop sees into the result.
 */
bool bench_stream(Bench *bench, Error *err) MUST_CHECK;
