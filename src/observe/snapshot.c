/* SPDX-License-Identifier: PostgreSQL
 *
 * See snapshot.h.
 */
#include "walrx/observe/snapshot.h"

#include "walrx/os/clock.h"

#include <stdio.h>

#define NS_PER_US 1000

/* Now, on both clocks. */
typedef struct Now {
    PgTime wall;
    uint64_t ns;
} Now;

void snapshot_clear(Snapshot *ret)
{
    *ret = (Snapshot){
        .at = PG_TIME_NONE,
        .started = PG_TIME_NONE,
        .stopped = PG_TIME_NONE,
        .exit_status = EXIT_STATUS_NONE,
        .state_since = PG_TIME_NONE,
        .failure = {.at = PG_TIME_NONE},
        .server_end_at = PG_TIME_NONE,
        .server_end_sent = PG_TIME_NONE,
        .last_message_at = PG_TIME_NONE,
        .last_message_sent = PG_TIME_NONE,
        .last_message_age_ns = SNAPSHOT_UNKNOWN,
        .free_bytes = SNAPSHOT_UNKNOWN,
        .min_free_bytes = SNAPSHOT_UNKNOWN,
        .monitor = MONITOR_VIEW_EMPTY,
        .retention = {.at = PG_TIME_NONE},
    };
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++)
        ret->lag[stage] = (StageLag){.bytes = SNAPSHOT_UNKNOWN, .ns = SNAPSHOT_UNKNOWN};
    for (int window = 0; window < RATE_WINDOW_COUNT; window++) {
        ret->rates.received[window] = SNAPSHOT_UNKNOWN;
        ret->rates.generated[window] = SNAPSHOT_UNKNOWN;
    }
    ret->rates.catch_up_ms = SNAPSHOT_UNKNOWN;
}

static PgTime wall_time(const Now *now, uint64_t ns)
{
    if (ns == 0)
        return PG_TIME_NONE;
    return ns > now->ns ? now->wall : now->wall - (PgTime)((now->ns - ns) / NS_PER_US);
}

static LatencySummary summary_of(const Histogram *histogram)
{
    return (LatencySummary){
        .count = histogram_count(histogram),
        .sum_ns = histogram_sum(histogram),
        .p50_ns = histogram_percentile(histogram, 500),
        .p90_ns = histogram_percentile(histogram, 900),
        .p99_ns = histogram_percentile(histogram, 990),
        .p999_ns = histogram_percentile(histogram, 999),
        .max_ns = histogram_max(histogram),
    };
}

static void take_process(const SnapshotSource *source, const TelemetryMoment *moment,
                         const Now *now, Snapshot *ret)
{
    ret->at = now->wall;
    (void)snprintf(ret->version, sizeof(ret->version), "%s", source->version);
    (void)snprintf(ret->directory, sizeof(ret->directory), "%s", source->directory);
    ret->pid = source->pid;
    ret->started = source->started;
    ret->state = (ReceiverState)moment->state;
    ret->state_since = wall_time(now, moment->state_since_ns);
    ret->held_by = (HoldCause)moment->held_by;
    ret->state_interval_ns = source->state_interval_ns;
    ret->verify = source->verify;
}

static void take_stream(const TelemetryMoment *moment, const Now *now, Snapshot *ret)
{
    ret->start_timeline = (Timeline)moment->start_timeline;
    ret->start = moment->start;
    ret->timeline = (Timeline)moment->timeline;
    if (moment->server_end_ns != 0) {
        ret->server_end = moment->server_end;
        ret->server_end_at = wall_time(now, moment->server_end_ns);
        ret->server_end_sent = moment->server_end_sent;
    }
    if (moment->last_message_ns != 0) {
        ret->last_message_at = wall_time(now, moment->last_message_ns);
        ret->last_message_sent = moment->last_message_sent;
        ret->last_message_age_ns =
            now->ns > moment->last_message_ns ? now->ns - moment->last_message_ns : 0;
    }
    ret->reported_write = moment->reported_write;
    ret->reported_flush = moment->reported_flush;
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++) {
        ret->lag[stage].lsn = moment->position[stage];
        if (moment->server_end_ns == 0)
            continue;
        ret->lag[stage].bytes = telemetry_lag_bytes(moment, (LagStage)stage);
        ret->lag[stage].ns = telemetry_lag_ns(moment, (LagStage)stage, now->ns);
    }
    ret->bytes = moment->bytes;
    ret->messages = moment->messages;
    ret->statuses = moment->statuses;
    ret->streams = moment->streams;
    ret->failures = moment->failures;
}

/* Telemetry knows the server's clock against our monotonic one. */
static void take_clock(const ClockEstimate *clock, const Now *now, Snapshot *ret)
{
    int64_t ours = now->wall - (int64_t)(now->ns / NS_PER_US);
    ret->clock_known =
        clock->known && !__builtin_sub_overflow(clock->offset_us, ours, &ret->clock_offset_us);
    ret->clock_bounded = ret->clock_known && clock->bounded;
    ret->clock_error_us = clock->error_us;
}

static void take_archive(const Telemetry *telemetry, Snapshot *ret)
{
    const ArchiveMetrics *metrics = &telemetry->archive;
    ret->latency[LATENCY_SYNC] = summary_of(&metrics->sync_ns);
    ret->latency[LATENCY_WRITE] = summary_of(&metrics->write_ns);
    ret->latency[LATENCY_RECEIVE_TO_FLUSH] = summary_of(&telemetry->receive_to_flush_ns);
    ret->latency[LATENCY_FLUSH_TO_REPORT] = summary_of(&telemetry->flush_to_report_ns);
    ret->latency[LATENCY_COMPRESS] = summary_of(&metrics->compress_ns);
    ret->bytes_written = atomic_load(&metrics->bytes_written);
    ret->segments_completed = atomic_load(&metrics->segments_completed);
    ret->segments_compressed = atomic_load(&metrics->segments_compressed);
    ret->compressed_in = atomic_load(&metrics->compressed_in);
    ret->compressed_out = atomic_load(&metrics->compressed_out);
    ret->queued_segments = atomic_load(&metrics->queued_segments);
}

void snapshot_take(const SnapshotSource *source, Snapshot *ret)
{
    TelemetryMoment moment;
    snapshot_clear(ret);
    telemetry_read(source->telemetry, &moment);
    telemetry_read_session(source->telemetry, &ret->session, &ret->failure);
    Now now = {.wall = clock_pg_time(), .ns = clock_monotonic_ns()};
    take_process(source, &moment, &now, ret);
    take_stream(&moment, &now, ret);
    take_clock(&moment.clock, &now, ret);
    take_archive(source->telemetry, ret);
}
