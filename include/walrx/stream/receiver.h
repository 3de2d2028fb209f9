/* SPDX-License-Identifier: PostgreSQL
 *
 * The receiver as a whole: connects, streams, follows timelines, reconnects, until it is told to
 * stop, reaches the end position, or meets something that another try cannot mend. Runs in the
 * calling thread (the stream thread); the store and the compression workers have their own.
 *
 * This is a driver: it logs, and what it decides it asks the pure modules (start.h, machine.h,
 * feedback.h).
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/checker.h"
#include "walrx/archive/store.h"
#include "walrx/base/error.h"
#include "walrx/codec/codec.h"
#include "walrx/proto/lsn.h"
#include "walrx/stream/connection.h"
#include "walrx/stream/control.h"
#include "walrx/stream/monitor_view.h"
#include "walrx/stream/telemetry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What SIGHUP may change while WAL streams. */
typedef struct ReceiverTunables {
    uint64_t status_interval_ms;
    uint64_t flush_interval_ms;
    uint64_t receive_timeout_ms;
    bool synchronous;
    bool report_apply;
} ReceiverTunables;

#define MIN_FREE_DEFAULT UINT64_MAX

/* Somebody beside the receiver who shows what it does. Called by the stream thread, but for
 * `monitor`. */
typedef struct ReceiverWatch {
    void *context;
    /* The archive can be written to: first as it was found (store NULL), where the server is away;
     * then bound, with the store; at the end again without it: then nothing uses the store any
     * more. The archive stays until `ended` returns. */
    void (*archive)(void *context, const Archive *archive, Store *store);
    /* The run is over. Not called when `archive` never was. */
    void (*ended)(void *context, int status);
    /* What the primary says is news. By the monitor's thread, until `ended` is called. */
    void (*monitor)(void *context, const MonitorView *view);
} ReceiverWatch;

/* Strings are borrowed for the whole run. */
typedef struct ReceiverOptions {
    ConnectOptions connect;
    MonitorOptions monitor;
    const char *directory;
    const char *slot; /* NULL: none */
    Lsn end_position; /* LSN_INVALID: none */
    bool no_loop;
    bool no_sync;
    bool continue_on_gap;
    bool create_slot_if_missing;
    VerifyMode verify;
    CompressSpec compress;
    unsigned compress_workers;
    size_t memory;     /* bytes for buffers */
    uint64_t min_free; /* bytes of the disk that stay free; MIN_FREE_DEFAULT: two segments */
    bool as_pg_receivewal;
    bool verbose; /* as pg_receivewal's -v */
    ReceiverTunables tunables;
    /* Called after SIGHUP: reads the file of options again and fills *tunables. False keeps the old
     * ones; the callback has logged why. NULL: SIGHUP changes nothing. */
    bool (*reload)(void *context, ReceiverTunables *tunables);
    void *reload_context;
    Telemetry *telemetry; /* borrowed; never NULL */
    ReceiverWatch watch;  /* functions may be NULL */
} ReceiverOptions;

/* Returns the process exit status: 0 clean, 1 usage/connection/server, 2 archive, 3 storage. What
 * went wrong has been logged. */
int receiver_run(const ReceiverOptions *options, Control *control);
