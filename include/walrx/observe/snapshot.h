/* SPDX-License-Identifier: PostgreSQL
 *
 * All that walrx shows of a receiver, at one moment: the one source of `walrx status`, `check`, the
 * state file, /status, /metrics and the page. Plain values, no pointers: it can be copied, kept and
 * read back from the state file. docs/status.md describes it as JSON, member by member.
 *
 * Times of day are PostgreSQL's (microseconds since 2000-01-01 UTC), PG_TIME_NONE where it has not
 * happened; durations are nanoseconds.
 */
#pragma once

#include "walrx/archive/checker.h"
#include "walrx/base/error.h"
#include "walrx/observe/retention_view.h"
#include "walrx/proto/copydata.h"
#include "walrx/proto/segment.h"
#include "walrx/stream/monitor_view.h"
#include "walrx/stream/telemetry.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_TIME_NONE INT64_MIN
#define SNAPSHOT_UNKNOWN UINT64_MAX /* of a number */
#define EXIT_STATUS_NONE (-1)

/* What a histogram held. All 0 while nothing was measured. */
typedef struct LatencySummary {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t p50_ns;
    uint64_t p90_ns;
    uint64_t p99_ns;
    uint64_t p999_ns;
    uint64_t max_ns;
} LatencySummary;

typedef enum LatencyKind {
    LATENCY_SYNC,
    LATENCY_WRITE,
    LATENCY_RECEIVE_TO_FLUSH,
    LATENCY_FLUSH_TO_REPORT,
    LATENCY_COMPRESS,
} LatencyKind;
#define LATENCY_KIND_COUNT (LATENCY_COMPRESS + 1)

typedef struct StageLag {
    Lsn lsn;
    uint64_t bytes; /* SNAPSHOT_UNKNOWN before the server told its end of WAL */
    uint64_t ns;    /* as of the snapshot's moment; the same */
} StageLag;

typedef enum RateWindow {
    RATE_SECOND,
    RATE_MINUTE,
    RATE_TEN_MINUTES,
} RateWindow;
#define RATE_WINDOW_COUNT (RATE_TEN_MINUTES + 1)

typedef struct Rates {
    uint64_t received[RATE_WINDOW_COUNT];  /* bytes a second */
    uint64_t generated[RATE_WINDOW_COUNT]; /* by the server */
    uint64_t catch_up_ms; /* until nothing is behind, as of the last minute; 0: it is not behind;
                             SNAPSHOT_UNKNOWN: it does not get nearer */
} Rates;

typedef struct Snapshot {
    PgTime at;
    /* the process */
    char version[32];
    uint64_t pid;
    PgTime started;
    PgTime stopped;  /* PG_TIME_NONE while it runs */
    int exit_status; /* EXIT_STATUS_NONE while it runs */
    char directory[1024];
    ReceiverState state;
    PgTime state_since;
    HoldCause held_by;
    uint64_t state_interval_ns; /* the state file is written at least so often */
    TelemetryFailure failure;
    /* the stream */
    TelemetrySession session;
    Timeline start_timeline;
    Lsn start;
    Timeline timeline;
    Lsn server_end;
    PgTime server_end_at;         /* our clock */
    PgTime server_end_sent;       /* the server's clock */
    PgTime last_message_at;       /* our clock */
    PgTime last_message_sent;     /* the server's clock */
    uint64_t last_message_age_ns; /* SNAPSHOT_UNKNOWN before the first one */
    Lsn reported_write;
    Lsn reported_flush;
    StageLag lag[LAG_STAGE_COUNT];
    bool clock_known;
    bool clock_bounded;
    int64_t clock_offset_us; /* the server's clock - our wall clock */
    uint64_t clock_error_us;
    Rates rates;
    LatencySummary latency[LATENCY_KIND_COUNT];
    /* counters since the start of the process */
    uint64_t bytes;
    uint64_t messages;
    uint64_t statuses;
    uint64_t streams;
    uint64_t failures;
    uint64_t bytes_written; /* of WAL, raw */
    uint64_t segments_completed;
    uint64_t segments_compressed;
    uint64_t compressed_in;
    uint64_t compressed_out;
    uint64_t queued_segments;
    /* the archive */
    VerifyMode verify;
    CheckCounts checks;
    uint64_t gaps; /* recorded in the archive */
    Lsn newest_gap_start;
    Lsn newest_gap_end;
    uint64_t quarantined;    /* files */
    uint64_t free_bytes;     /* of the archive's filesystem; SNAPSHOT_UNKNOWN */
    uint64_t min_free_bytes; /* --min-free; 0: off; SNAPSHOT_UNKNOWN before a stream */
    MonitorView monitor;
    RetentionView retention;
} Snapshot;

/* Nothing is known. */
void snapshot_clear(Snapshot *ret);

/* What does not change while the receiver runs. Strings are borrowed. */
typedef struct SnapshotSource {
    Telemetry *telemetry;
    const char *version;
    const char *directory;
    uint64_t pid;
    PgTime started;
    VerifyMode verify;
    uint64_t state_interval_ns;
} SnapshotSource;

/* All that telemetry and the archive's metrics tell, as of now; what lies in the archive, rates and
 * the monitor's view stay unknown. By any thread, without making the receiver wait. */
void snapshot_take(const SnapshotSource *source, Snapshot *ret);
