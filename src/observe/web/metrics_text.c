/* SPDX-License-Identifier: PostgreSQL
 *
 * See metrics_text.h. Families whose only sample is a member of the snapshot stand in one table;
 * those with labels have a function each. Figures stay integers up to the decimal point, so that
 * none loses a digit here.
 */
#include "walrx/observe/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define US_PER_SECOND UINT64_C(1000000)
#define MS_PER_SECOND UINT64_C(1000)

typedef enum ValueKind {
    COUNTER,  /* uint64_t */
    NUMBER,   /* uint64_t; SNAPSHOT_UNKNOWN has no sample */
    NANOS,    /* the same, in nanoseconds */
    MILLIS,   /* the same, in milliseconds */
    MOMENT,   /* PgTime; PG_TIME_NONE has no sample */
    POSITION, /* Lsn; LSN_INVALID has no sample */
    WHOLE32,  /* uint32_t; 0 has no sample */
} ValueKind;

typedef struct Family {
    const char *name;
    const char *help;
    ValueKind kind;
    size_t offset;
} Family;

#define AT(member) offsetof(Snapshot, member)

static const Family families[] = {
    {"walrx_start_time_seconds", "When the receiver started, Unix time.", MOMENT, AT(started)},
    {"walrx_state_start_time_seconds", "Since when walrx_state is what it is, Unix time.", MOMENT,
     AT(state_since)},
    {"walrx_timeline", "Timeline that is received.", WHOLE32, AT(timeline)},
    {"walrx_server_end_position_bytes",
     "Newest known end of the server's WAL, as a number of bytes since LSN 0/0.", POSITION,
     AT(server_end)},
    {"walrx_last_message_age_seconds", "Since the server's newest message of any kind.", NANOS,
     AT(last_message_age_ns)},
    {"walrx_catch_up_seconds",
     "Until everything is received, at the rates of the last minute; no sample: the distance does "
     "not shrink.",
     MILLIS, AT(rates.catch_up_ms)},
    {"walrx_received_bytes_total", "WAL received.", COUNTER, AT(bytes)},
    {"walrx_written_bytes_total", "WAL written to raw files.", COUNTER, AT(bytes_written)},
    {"walrx_messages_total", "Messages with WAL received.", COUNTER, AT(messages)},
    {"walrx_statuses_sent_total", "Status messages sent to the server.", COUNTER, AT(statuses)},
    {"walrx_streams_total", "Streams begun: at the start, after a reconnect, on a new timeline.",
     COUNTER, AT(streams)},
    {"walrx_failures_total", "Failures of connections and streams.", COUNTER, AT(failures)},
    {"walrx_segments_completed_total", "Segments that got their final name.", COUNTER,
     AT(segments_completed)},
    {"walrx_segments_compressed_total", "Segments compressed.", COUNTER, AT(segments_compressed)},
    {"walrx_compression_input_bytes_total", "WAL in compressed segments.", COUNTER,
     AT(compressed_in)},
    {"walrx_compression_output_bytes_total", "Bytes of the files of compressed segments.", COUNTER,
     AT(compressed_out)},
    {"walrx_compression_waiting_segments", "Segments that wait for a worker or are with one.",
     NUMBER, AT(queued_segments)},
    {"walrx_verified_records_total", "WAL records checked as they arrived.", COUNTER,
     AT(checks.records)},
    {"walrx_verification_errors_total", "Damaged places found in arriving WAL.", COUNTER,
     AT(checks.faults)},
    {"walrx_archive_gaps", "Gaps recorded in the archive over its whole life.", NUMBER, AT(gaps)},
    {"walrx_archive_quarantined_files", "Files in the archive's quarantine.", NUMBER,
     AT(quarantined)},
    {"walrx_archive_free_bytes", "Bytes the receiver can still use on the archive's filesystem.",
     NUMBER, AT(free_bytes)},
    {"walrx_archive_min_free_bytes",
     "That the receiver leaves free: it pauses before; 0: it takes all.", NUMBER,
     AT(min_free_bytes)},
    {"walrx_retention_removed_bytes_total", "Old WAL removed, in bytes of its files.", COUNTER,
     AT(retention.removed_bytes)},
    {"walrx_retention_removed_files_total", "Files of old WAL removed.", COUNTER,
     AT(retention.removed_files)},
    {"walrx_retention_horizon_lsn", "WAL stays from this position on, in bytes; 0: not known.",
     NUMBER, AT(retention.horizon)},
    {"walrx_retention_failing", "1 when old WAL could not be removed at the last try.", NUMBER,
     AT(retention.failing)},
};
#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

static const char *const stage_names[LAG_STAGE_COUNT] = {"received", "written", "flushed",
                                                         "archived"};
static const char *const state_names[] = {"starting", "streaming", "restarting", "stopping",
                                          "stopped"};
static const char *const hold_names[HOLD_CAUSE_COUNT] = {"none", "disk", "compression", "room"};

static void begin(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_fraction(FILE *out, uint64_t value, uint64_t per_unit)
{
    int digits = per_unit == NS_PER_SECOND ? 9 : per_unit == US_PER_SECOND ? 6 : 3;
    (void)fprintf(out, " %" PRIu64 ".%0*" PRIu64 "\n", value / per_unit, digits, value % per_unit);
}

/* A moment as Unix time. */
static void put_moment(FILE *out, PgTime time)
{
    int64_t unix_us = time + PG_EPOCH_UNIX_SECONDS * (int64_t)US_PER_SECOND;
    put_fraction(out, unix_us > 0 ? (uint64_t)unix_us : 0, US_PER_SECOND);
}

/* A label's value: backslash, quote and newline are escaped; other control characters, which can
 * only be damage, are shown as a question mark. */
static void put_label(FILE *out, const char *name, const char *value)
{
    (void)fprintf(out, "%s=\"", name);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\\' || *c == '"')
            (void)fprintf(out, "\\%c", *c);
        else if (*c == '\n')
            (void)fputs("\\n", out);
        else
            (void)fputc((unsigned char)*c < ' ' ? '?' : *c, out);
    }
    (void)fputc('"', out);
}

static void put_family(FILE *out, const Family *family, const Snapshot *snapshot)
{
    const void *value = (const char *)snapshot + family->offset;
    uint64_t number = family->kind == WHOLE32 ? *(const uint32_t *)value : *(const uint64_t *)value;
    PgTime moment = *(const PgTime *)(family->kind == MOMENT ? value : &snapshot->at);
    bool known = true;
    if (family->kind == NUMBER || family->kind == NANOS || family->kind == MILLIS)
        known = number != SNAPSHOT_UNKNOWN;
    else if (family->kind == MOMENT)
        known = moment != PG_TIME_NONE;
    else if (family->kind == POSITION)
        known = number != LSN_INVALID;
    else if (family->kind == WHOLE32)
        known = number != 0;
    if (!known)
        return;
    begin(out, family->name, family->kind == COUNTER ? "counter" : "gauge", family->help);
    (void)fputs(family->name, out);
    if (family->kind == NANOS)
        put_fraction(out, number, NS_PER_SECOND);
    else if (family->kind == MILLIS)
        put_fraction(out, number, MS_PER_SECOND);
    else if (family->kind == MOMENT)
        put_moment(out, moment);
    else
        (void)fprintf(out, " %" PRIu64 "\n", number);
}

static void put_identity(FILE *out, const Snapshot *snapshot)
{
    const TelemetrySession *session = &snapshot->session;
    char identifier[24];
    char version[24];
    begin(out, "walrx_build_info", "gauge", "1; the label tells the version.");
    (void)fputs("walrx_build_info{", out);
    put_label(out, "version", snapshot->version);
    (void)fputs("} 1\n", out);
    begin(out, "walrx_receiver_info", "gauge", "1; the labels tell what is received from where.");
    (void)snprintf(identifier, sizeof(identifier), "%" PRIu64, session->system_identifier);
    (void)snprintf(version, sizeof(version), "%d", session->server_version);
    const char *const labels[][2] = {
        {"directory", snapshot->directory}, {"slot", session->slot},
        {"sender_host", session->host},     {"sender_port", session->port},
        {"system_identifier", identifier},  {"server_version", version},
    };
    (void)fputs("walrx_receiver_info{", out);
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        (void)fputs(i > 0 ? "," : "", out);
        put_label(out, labels[i][0], labels[i][1]);
    }
    (void)fputs("} 1\n", out);
}

/* One sample per name, 1 for the one that is. */
static void put_choice(FILE *out, const char *family, const char *help, const char *label,
                       const char *const *names, size_t count, size_t chosen)
{
    begin(out, family, "gauge", help);
    for (size_t i = 0; i < count; i++)
        (void)fprintf(out, "%s{%s=\"%s\"} %d\n", family, label, names[i], i == chosen ? 1 : 0);
}

static void put_state(FILE *out, const Snapshot *snapshot)
{
    begin(out, "walrx_up", "gauge", "1 while WAL streams, otherwise 0.");
    (void)fprintf(out, "walrx_up %d\n", snapshot->state == RECEIVER_STREAMING ? 1 : 0);
    put_choice(out, "walrx_state", "1 for the state the receiver is in.", "state", state_names,
               sizeof(state_names) / sizeof(state_names[0]), (size_t)snapshot->state);
    put_choice(out, "walrx_held_up", "1 for what receiving waits for.", "cause", hold_names,
               sizeof(hold_names) / sizeof(hold_names[0]), (size_t)snapshot->held_by);
}

static void put_stages(FILE *out, const Snapshot *snapshot)
{
    begin(out, "walrx_position_bytes", "gauge",
          "How far each stage is, as a number of bytes since LSN 0/0.");
    for (size_t i = 0; i < LAG_STAGE_COUNT; i++) {
        if (snapshot->lag[i].lsn != LSN_INVALID)
            (void)fprintf(out, "walrx_position_bytes{stage=\"%s\"} %" PRIu64 "\n", stage_names[i],
                          snapshot->lag[i].lsn);
    }
    begin(out, "walrx_reported_position_bytes", "gauge",
          "What the server was told, as a number of bytes since LSN 0/0.");
    if (snapshot->reported_write != LSN_INVALID)
        (void)fprintf(out, "walrx_reported_position_bytes{kind=\"write\"} %" PRIu64 "\n",
                      snapshot->reported_write);
    if (snapshot->reported_flush != LSN_INVALID)
        (void)fprintf(out, "walrx_reported_position_bytes{kind=\"flush\"} %" PRIu64 "\n",
                      snapshot->reported_flush);
    begin(out, "walrx_lag_bytes", "gauge", "How far each stage is behind the server.");
    for (size_t i = 0; i < LAG_STAGE_COUNT; i++) {
        if (snapshot->lag[i].bytes != SNAPSHOT_UNKNOWN)
            (void)fprintf(out, "walrx_lag_bytes{stage=\"%s\"} %" PRIu64 "\n", stage_names[i],
                          snapshot->lag[i].bytes);
    }
    begin(out, "walrx_lag_seconds", "gauge",
          "How long ago the server got the first byte that the stage has not; 0: it has all.");
    for (size_t i = 0; i < LAG_STAGE_COUNT; i++) {
        if (snapshot->lag[i].ns == SNAPSHOT_UNKNOWN)
            continue;
        (void)fprintf(out, "walrx_lag_seconds{stage=\"%s\"}", stage_names[i]);
        put_fraction(out, snapshot->lag[i].ns, NS_PER_SECOND);
    }
}

static void put_clock(FILE *out, const Snapshot *snapshot)
{
    if (snapshot->clock_known) {
        bool negative = snapshot->clock_offset_us < 0;
        uint64_t size = (uint64_t)snapshot->clock_offset_us;
        begin(out, "walrx_clock_offset_seconds", "gauge", "The server's clock minus ours.");
        (void)fprintf(out, "walrx_clock_offset_seconds %s%" PRIu64 ".%06" PRIu64 "\n",
                      negative ? "-" : "", (negative ? 0 - size : size) / US_PER_SECOND,
                      (negative ? 0 - size : size) % US_PER_SECOND);
    }
    if (snapshot->clock_bounded) {
        begin(out, "walrx_clock_error_seconds", "gauge",
              "How wrong walrx_clock_offset_seconds can be, either way.");
        (void)fputs("walrx_clock_error_seconds", out);
        put_fraction(out, snapshot->clock_error_us, US_PER_SECOND);
    }
}

/* ---- histograms ---- */

typedef struct Bucket {
    uint64_t ns;
    const char *le;
} Bucket;

static const Bucket buckets[] = {
    {UINT64_C(10000), "0.00001"},    {UINT64_C(25000), "0.000025"}, {UINT64_C(50000), "0.00005"},
    {UINT64_C(100000), "0.0001"},    {UINT64_C(250000), "0.00025"}, {UINT64_C(500000), "0.0005"},
    {UINT64_C(1000000), "0.001"},    {UINT64_C(2500000), "0.0025"}, {UINT64_C(5000000), "0.005"},
    {UINT64_C(10000000), "0.01"},    {UINT64_C(25000000), "0.025"}, {UINT64_C(50000000), "0.05"},
    {UINT64_C(100000000), "0.1"},    {UINT64_C(250000000), "0.25"}, {UINT64_C(500000000), "0.5"},
    {UINT64_C(1000000000), "1"},     {UINT64_C(2500000000), "2.5"}, {UINT64_C(5000000000), "5"},
    {UINT64_C(10000000000), "10"},   {UINT64_C(25000000000), "25"}, {UINT64_C(50000000000), "50"},
    {UINT64_C(100000000000), "100"},
};
#define BUCKET_COUNT (sizeof(buckets) / sizeof(buckets[0]))

static const struct {
    const char *name;
    const char *help;
} latencies[LATENCY_KIND_COUNT] = {
    [LATENCY_SYNC] = {"walrx_sync_duration_seconds",
                      "One fdatasync or fsync that a flush waits for."},
    [LATENCY_WRITE] = {"walrx_write_duration_seconds", "One write of the open segment."},
    [LATENCY_RECEIVE_TO_FLUSH] = {"walrx_receive_to_flush_duration_seconds",
                                  "From the arrival of WAL to its being durable."},
    [LATENCY_FLUSH_TO_REPORT] = {"walrx_flush_to_report_duration_seconds",
                                 "From being durable to the status message that says so."},
    [LATENCY_COMPRESS] = {"walrx_compress_duration_seconds", "Compressing one segment."},
};

static void put_histogram(FILE *out, const char *name, const char *help, const Histogram *histogram)
{
    uint64_t bounds[BUCKET_COUNT];
    uint64_t counts[BUCKET_COUNT + 1];
    for (size_t i = 0; i < BUCKET_COUNT; i++)
        bounds[i] = buckets[i].ns;
    /* The sum first: what is recorded meanwhile then counts with 0, instead of 0 values with a sum.
     */
    uint64_t sum = histogram_sum(histogram);
    histogram_cumulate(histogram, bounds, BUCKET_COUNT, counts);
    begin(out, name, "histogram", help);
    for (size_t i = 0; i < BUCKET_COUNT; i++)
        (void)fprintf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, buckets[i].le, counts[i]);
    (void)fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, counts[BUCKET_COUNT]);
    (void)fprintf(out, "%s_sum", name);
    put_fraction(out, sum, NS_PER_SECOND);
    (void)fprintf(out, "%s_count %" PRIu64 "\n", name, counts[BUCKET_COUNT]);
}

/* ---- what the primary says ---- */

#define MONITOR(member) offsetof(Snapshot, monitor.member)
static const Family monitor_families[] = {
    {"walrx_slot_retained_bytes", "WAL that the slot keeps on the primary.", NUMBER,
     MONITOR(retained_bytes)},
    {"walrx_slot_safe_bytes",
     "WAL that can be written on the primary before the slot is in danger of being lost.", NUMBER,
     MONITOR(safe_wal_size)},
    {"walrx_server_connections", "Connections in use on the primary.", NUMBER,
     MONITOR(connections)},
    {"walrx_server_max_connections", "Connections the primary takes at most.", NUMBER,
     MONITOR(max_connections)},
    {"walrx_server_walsenders", "Walsenders in use on the primary.", NUMBER, MONITOR(walsenders)},
    {"walrx_server_max_walsenders", "Walsenders the primary has at most.", NUMBER,
     MONITOR(max_walsenders)},
};

static void put_word(FILE *out, const char *family, const char *help, const char *label,
                     const char *word)
{
    if (word[0] == '\0')
        return;
    begin(out, family, "gauge", help);
    (void)fprintf(out, "%s{", family);
    put_label(out, label, word);
    (void)fputs("} 1\n", out);
}

static void put_monitor(FILE *out, const Snapshot *snapshot)
{
    const MonitorView *monitor = &snapshot->monitor;
    if (!monitor->enabled)
        return;
    begin(out, "walrx_monitor_up", "gauge", "1 if the primary answered the last question.");
    (void)fprintf(out, "walrx_monitor_up %d\n", monitor->reachable ? 1 : 0);
    if (!monitor->reachable)
        return; /* old answers are no samples of now */
    for (size_t i = 0; i < sizeof(monitor_families) / sizeof(monitor_families[0]); i++)
        put_family(out, &monitor_families[i], snapshot);
    put_word(out, "walrx_slot_wal_status_info", "1; the label is the slot's wal_status.", "status",
             monitor->wal_status);
    put_word(out, "walrx_sync_state_info", "1; the label is our sync_state on the primary.",
             "state", monitor->sync_state);
}

char *metrics_text(const Snapshot *snapshot, const Histogram *const latency[LATENCY_KIND_COUNT],
                   size_t *ret_length)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    put_identity(out, snapshot);
    put_state(out, snapshot);
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        put_family(out, &families[i], snapshot);
    put_stages(out, snapshot);
    put_clock(out, snapshot);
    for (size_t i = 0; i < LATENCY_KIND_COUNT; i++) {
        if (latency[i] != NULL)
            put_histogram(out, latencies[i].name, latencies[i].help, latency[i]);
    }
    put_monitor(out, snapshot);
    bool whole = ferror(out) == 0;
    if (fclose(out) != 0 || !whole) {
        free(text);
        return NULL;
    }
    *ret_length = length;
    return text;
}
