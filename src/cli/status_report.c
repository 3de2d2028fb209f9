/* SPDX-License-Identifier: PostgreSQL
 *
 * See status_report.h: a column of names with the figures beside it, and two tables. kB, MB and GB
 * are powers of 1024, as PostgreSQL counts.
 */
#include "status_report.h"

#include "walrx/observe/status_json.h"
#include "walrx/os/clock.h"

#include <inttypes.h>
#include <string.h>

#define LABEL_WIDTH 20
#define NS_PER_US 1000
#define NS_PER_SECOND UINT64_C(1000000000)

typedef struct Page {
    FILE *out;
    const char *end;
} Page;

static void begin(const Page *page, const char *label)
{
    (void)fprintf(page->out, "%-*s", LABEL_WIDTH, label);
}

static void end(const Page *page)
{
    (void)fputs(page->end, page->out);
}

/* Of a control character, also of those that UTF-8 has in two bytes; 0: it is none. */
static size_t control_length(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    unsigned char second = (unsigned char)text[1];
    if (first == 0xC2 && second >= 0x80 && second < 0xA0)
        return 2;
    return first < 0x20 || first == 0x7F ? 1 : 0;
}

/* Servers and whoever may write the state file choose these: nothing in it reaches a terminal as a
 * command, and lines stay lines. */
static void put_text(const Page *page, const char *text)
{
    bool blank = false;
    while (*text != '\0') {
        size_t length = control_length(text);
        if (length == 0 || !blank)
            (void)fputc(length > 0 ? ' ' : *text, page->out);
        blank = length > 0;
        text += length > 0 ? length : 1;
    }
}

static const char *lsn_text(Lsn lsn, char buffer[LSN_TEXT_SIZE])
{
    return lsn == LSN_INVALID ? "-" : lsn_format(lsn, buffer);
}

static const char *since_text(PgTime time, char buffer[STATUS_SIZE_TEXT])
{
    PgTime now = clock_pg_time();
    return status_time(time != PG_TIME_NONE && now > time ? (uint64_t)(now - time) * NS_PER_US : 0,
                       buffer);
}

static const char *state_word(ReceiverState state)
{
    switch (state) {
    case RECEIVER_STARTING:
        return "starting";
    case RECEIVER_STREAMING:
        return "streaming";
    case RECEIVER_RESTARTING:
        return "restarting: waits for the server, or connects";
    case RECEIVER_STOPPING:
        return "stopping";
    case RECEIVER_STOPPED:
        return "stopped";
    }
    return "-";
}

static void print_running(const Page *page, const Look *look)
{
    const Snapshot *snapshot = &look->snapshot;
    char time[CLOCK_TEXT_SIZE];
    char text[STATUS_SIZE_TEXT];
    begin(page, "receiver");
    (void)fputs("running", page->out);
    if (look->pid != 0)
        (void)fprintf(page->out, ", process %" PRIu64, look->pid);
    if (!look->is_its_own) {
        (void)fputs("; it has not told its state yet", page->out);
        end(page);
        return;
    }
    (void)fputs(", walrx ", page->out);
    put_text(page, snapshot->version);
    (void)fprintf(page->out, ", since %s (%s)", status_moment(snapshot->started, time),
                  since_text(snapshot->started, text));
    end(page);
    if (!look->stale)
        return;
    begin(page, "WARNING");
    (void)fprintf(page->out, "the receiver has not written its state for %s",
                  status_time(look->age_ns / NS_PER_SECOND * NS_PER_SECOND, text));
    end(page);
}

static void print_dead(const Page *page, const Look *look)
{
    const Snapshot *snapshot = &look->snapshot;
    char time[CLOCK_TEXT_SIZE];
    char text[STATUS_SIZE_TEXT];
    begin(page, "receiver");
    (void)fputs("NOT RUNNING", page->out);
    if (look->has_state && snapshot->stopped != PG_TIME_NONE)
        (void)fprintf(page->out, ": ended %s (%s ago) with exit status %d",
                      status_moment(snapshot->stopped, time), since_text(snapshot->stopped, text),
                      snapshot->exit_status);
    else if (look->has_state)
        (void)fprintf(page->out, ": it was killed; last seen %s (%s ago)",
                      status_moment(snapshot->at, time), since_text(snapshot->at, text));
    end(page);
}

static void print_state(const Page *page, const Snapshot *snapshot)
{
    char time[CLOCK_TEXT_SIZE];
    char text[STATUS_SIZE_TEXT];
    begin(page, "state");
    (void)fprintf(page->out, "%s, since %s (%s)", state_word(snapshot->state),
                  status_moment(snapshot->state_since, time),
                  since_text(snapshot->state_since, text));
    if (snapshot->held_by != HOLD_NONE)
        (void)fprintf(page->out, ", %s",
                      snapshot->held_by == HOLD_ROOM   ? "PAUSED until there is room on the disk"
                      : snapshot->held_by == HOLD_DISK ? "held up by the disk"
                                                       : "held up by compression");
    end(page);
}

static void print_server(const Page *page, const Snapshot *snapshot)
{
    const TelemetrySession *session = &snapshot->session;
    char lsn[LSN_TEXT_SIZE];
    char text[STATUS_SIZE_TEXT];
    begin(page, "server");
    put_text(page, session->host[0] != '\0' ? session->host : "not connected yet");
    if (session->host[0] != '\0') {
        (void)fputc(':', page->out);
        put_text(page, session->port);
        (void)fprintf(page->out, ", PostgreSQL %d.%d, system identifier %" PRIu64,
                      session->server_version / 10000, session->server_version % 10000,
                      session->system_identifier);
    }
    end(page);
    begin(page, "slot");
    put_text(page, session->slot[0] != '\0' ? session->slot : "none");
    if (session->synchronous)
        (void)fputs(", synchronous", page->out);
    else if (!session->flush_reported)
        (void)fputs("; durable WAL is not reported", page->out);
    end(page);
    begin(page, "server's end");
    (void)fprintf(page->out, "%s on timeline %" PRIu32 ", newest message %s ago",
                  lsn_text(snapshot->server_end, lsn), snapshot->timeline,
                  snapshot->last_message_at == PG_TIME_NONE
                      ? "-"
                      : since_text(snapshot->last_message_at, text));
    end(page);
}

static void print_kept(const Page *page, const MonitorView *monitor)
{
    char text[STATUS_SIZE_TEXT];
    if (monitor->wal_status[0] == '\0' && monitor->retained_bytes == MONITOR_UNKNOWN)
        return;
    begin(page, "  WAL it keeps");
    (void)fputs(status_bytes(monitor->retained_bytes, text), page->out);
    if (monitor->wal_status[0] != '\0') {
        (void)fputs(", ", page->out);
        put_text(page, monitor->wal_status);
    }
    if (monitor->safe_wal_size != MONITOR_UNKNOWN)
        (void)fprintf(page->out, ", %s until it is in danger",
                      status_bytes(monitor->safe_wal_size, text));
    end(page);
}

static void print_used(const Page *page, const char *what, uint64_t used, uint64_t most)
{
    if (used == MONITOR_UNKNOWN || most == MONITOR_UNKNOWN)
        return;
    (void)fprintf(page->out, ", %" PRIu64 " of %" PRIu64 " %s in use", used, most, what);
}

/* What the server says of us, where it is asked. */
static void print_monitor(const Page *page, const MonitorView *monitor)
{
    if (!monitor->enabled)
        return;
    if (!monitor->reachable) {
        begin(page, "seen by the server");
        (void)fputs("not known: ", page->out);
        put_text(page, monitor->problem[0] != '\0' ? monitor->problem : "no answer yet");
        end(page);
        return;
    }
    print_kept(page, monitor);
    begin(page, "seen by the server");
    put_text(page, monitor->sync_state[0] != '\0' ? monitor->sync_state : "sync_state not shown");
    print_used(page, "connections", monitor->connections, monitor->max_connections);
    print_used(page, "walsenders", monitor->walsenders, monitor->max_walsenders);
    end(page);
}

static void print_stages(const Page *page, const Snapshot *snapshot)
{
    static const char *const names[LAG_STAGE_COUNT] = {"received", "written", "flushed",
                                                       "archived"};
    char lsn[LSN_TEXT_SIZE];
    char bytes[STATUS_SIZE_TEXT];
    char time[STATUS_SIZE_TEXT];
    end(page);
    begin(page, "");
    (void)fprintf(page->out, "%-18s %12s %14s", "position", "behind", "for");
    end(page);
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++) {
        const StageLag *lag = &snapshot->lag[stage];
        begin(page, names[stage]);
        (void)fprintf(page->out, "%-18s %12s %14s", lsn_text(lag->lsn, lsn),
                      status_bytes(lag->bytes, bytes), status_time(lag->ns, time));
        end(page);
    }
    begin(page, "reported durable");
    (void)fprintf(page->out, "%s", lsn_text(snapshot->reported_flush, lsn));
    end(page);
}

static const char *rate_text(uint64_t rate, char buffer[STATUS_SIZE_TEXT])
{
    char bytes[STATUS_SIZE_TEXT];
    if (rate == SNAPSHOT_UNKNOWN)
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "-");
    else
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "%.24s/s", status_bytes(rate, bytes));
    return buffer;
}

static void print_rates(const Page *page, const Rates *rates)
{
    static const char *const names[RATE_WINDOW_COUNT] = {"  last second", "  last minute",
                                                         "  last 10 minutes"};
    char text[2][STATUS_SIZE_TEXT];
    end(page);
    begin(page, "rate");
    (void)fprintf(page->out, "%-18s %12s", "received", "generated");
    end(page);
    for (int window = 0; window < RATE_WINDOW_COUNT; window++) {
        begin(page, names[window]);
        (void)fprintf(page->out, "%-18s %12s", rate_text(rates->received[window], text[0]),
                      rate_text(rates->generated[window], text[1]));
        end(page);
    }
    if (rates->catch_up_ms == SNAPSHOT_UNKNOWN || rates->catch_up_ms == 0)
        return;
    begin(page, "caught up in");
    (void)fputs(rates->catch_up_ms > UINT64_MAX / 1000000
                    ? "-"
                    : status_time(rates->catch_up_ms * 1000000, text[0]),
                page->out);
    end(page);
}

static void print_latencies(const Page *page, const Snapshot *snapshot)
{
    static const char *const names[LATENCY_KIND_COUNT] = {"  sync", "  write", "  receive to flush",
                                                          "  flush to report", "  compress"};
    char text[5][STATUS_SIZE_TEXT];
    end(page);
    begin(page, "time for");
    (void)fprintf(page->out, "%-10s %10s %10s %10s %10s %10s", "count", "p50", "p90", "p99",
                  "p99.9", "max");
    end(page);
    for (int kind = 0; kind < LATENCY_KIND_COUNT; kind++) {
        const LatencySummary *latency = &snapshot->latency[kind];
        if (latency->count == 0)
            continue;
        begin(page, names[kind]);
        (void)fprintf(page->out, "%-10" PRIu64 " %10s %10s %10s %10s %10s", latency->count,
                      status_time(latency->p50_ns, text[0]), status_time(latency->p90_ns, text[1]),
                      status_time(latency->p99_ns, text[2]), status_time(latency->p999_ns, text[3]),
                      status_time(latency->max_ns, text[4]));
        end(page);
    }
}

static void print_clock(const Page *page, const Snapshot *snapshot)
{
    char text[2][STATUS_SIZE_TEXT];
    if (!snapshot->clock_known)
        return;
    bool behind = snapshot->clock_offset_us < 0;
    uint64_t offset_us =
        behind ? 0 - (uint64_t)snapshot->clock_offset_us : (uint64_t)snapshot->clock_offset_us;
    begin(page, "server's clock");
    (void)fprintf(page->out, "%s %s ours", status_time(offset_us * NS_PER_US, text[0]),
                  behind ? "behind" : "ahead of");
    if (snapshot->clock_bounded)
        (void)fprintf(page->out, ", give or take %s",
                      status_time(snapshot->clock_error_us * NS_PER_US, text[1]));
    end(page);
}

static void print_retention(const Page *page, const RetentionView *retention)
{
    char text[STATUS_SIZE_TEXT];
    char lsn[LSN_TEXT_SIZE];
    if (!retention->enabled)
        return;
    begin(page, "old WAL");
    (void)fprintf(page->out, "%" PRIu64 " file%s removed, %s; stays from %s on",
                  retention->removed_files, retention->removed_files == 1 ? "" : "s",
                  status_bytes(retention->removed_bytes, text), lsn_text(retention->horizon, lsn));
    end(page);
    if (retention->held_by[0] != '\0') {
        begin(page, "  held by");
        put_text(page, retention->held_by);
        end(page);
    }
    if (retention->problem[0] != '\0') {
        begin(page, "  NOT REMOVED");
        put_text(page, retention->problem);
        end(page);
    }
}

static void print_archive(const Page *page, const Snapshot *snapshot)
{
    char text[3][STATUS_SIZE_TEXT];
    char lsn[2][LSN_TEXT_SIZE];
    end(page);
    begin(page, "segments");
    (void)fprintf(page->out, "%" PRIu64 " completed, %s of WAL received",
                  snapshot->segments_completed, status_bytes(snapshot->bytes, text[0]));
    end(page);
    if (snapshot->segments_compressed > 0 || snapshot->queued_segments > 0) {
        begin(page, "compressed");
        (void)fprintf(page->out, "%" PRIu64 ", %s to %s; %" PRIu64 " waiting",
                      snapshot->segments_compressed, status_bytes(snapshot->compressed_in, text[0]),
                      status_bytes(snapshot->compressed_out, text[1]), snapshot->queued_segments);
        end(page);
    }
    if (snapshot->verify != VERIFY_OFF) {
        begin(page, "verified");
        (void)fprintf(page->out, "%" PRIu64 " records, ", snapshot->checks.records);
        if (snapshot->checks.faults == 0)
            (void)fputs("no damage", page->out);
        else
            (void)fprintf(page->out, "DAMAGE at %" PRIu64 " place%s, the latest at %s",
                          snapshot->checks.faults, snapshot->checks.faults == 1 ? "" : "s",
                          lsn_text(snapshot->checks.latest_fault, lsn[0]));
        end(page);
    }
    if (snapshot->gaps > 0) {
        begin(page, "GAPS");
        (void)fprintf(page->out, "%" PRIu64 " recorded, the newest from %s to %s", snapshot->gaps,
                      lsn_text(snapshot->newest_gap_start, lsn[0]),
                      lsn_text(snapshot->newest_gap_end, lsn[1]));
        end(page);
    }
    if (snapshot->quarantined > 0) {
        begin(page, "QUARANTINE");
        (void)fprintf(page->out, "%" PRIu64 " file%s in .walrx/quarantine", snapshot->quarantined,
                      snapshot->quarantined == 1 ? "" : "s");
        end(page);
    }
    print_retention(page, &snapshot->retention);
    begin(page, "free disk space");
    (void)fputs(status_bytes(snapshot->free_bytes, text[2]), page->out);
    if (snapshot->min_free_bytes != SNAPSHOT_UNKNOWN && snapshot->min_free_bytes != 0)
        (void)fprintf(page->out, ", of which %s stay free",
                      status_bytes(snapshot->min_free_bytes, text[0]));
    end(page);
}

static void print_failure(const Page *page, const TelemetryFailure *failure)
{
    char time[CLOCK_TEXT_SIZE];
    if (!failure->any)
        return;
    end(page);
    begin(page, "last error");
    (void)fprintf(page->out, "%s: ", status_moment(failure->at, time));
    put_text(page, failure->error.message);
    end(page);
    if (failure->error.detail[0] != '\0') {
        begin(page, "  detail");
        put_text(page, failure->error.detail);
        end(page);
    }
    if (failure->error.hint[0] != '\0') {
        begin(page, "  hint");
        put_text(page, failure->error.hint);
        end(page);
    }
}

static void print_snapshot(const Page *page, const Snapshot *snapshot)
{
    print_state(page, snapshot);
    print_server(page, snapshot);
    print_monitor(page, &snapshot->monitor);
    print_stages(page, snapshot);
    print_rates(page, &snapshot->rates);
    print_latencies(page, snapshot);
    print_clock(page, snapshot);
    print_archive(page, snapshot);
}

void status_print(FILE *out, const char *directory, const Look *look, const char *line_end)
{
    Page page = {.out = out, .end = line_end};
    if (look->running)
        print_running(&page, look);
    else
        print_dead(&page, look);
    begin(&page, "archive");
    put_text(&page, directory);
    end(&page);
    if (look->unusable.class != ERROR_NONE) {
        begin(&page, "WARNING");
        put_text(&page, look->unusable.message);
        end(&page);
    }
    if (look->is_its_own)
        print_snapshot(&page, &look->snapshot);
    else if (look->has_state && !look->running)
        print_stages(&page, &look->snapshot);
    if (look->has_state && (look->is_its_own || !look->running))
        print_failure(&page, &look->snapshot.failure);
}

void status_print_line(FILE *out, const Look *look)
{
    const Snapshot *snapshot = &look->snapshot;
    char time[CLOCK_TEXT_SIZE];
    char lsn[LSN_TEXT_SIZE];
    char text[3][STATUS_SIZE_TEXT];
    (void)fprintf(out, "%s  ", status_moment(clock_pg_time(), time));
    if (!look->running)
        (void)fputs("NOT RUNNING", out);
    else if (!look->is_its_own)
        (void)fputs("starting", out);
    else
        (void)fprintf(out, "%s  flushed %s  behind %s  for %s  receiving %s",
                      look->stale                              ? "STALE"
                      : snapshot->state == RECEIVER_RESTARTING ? "restarting"
                                                               : state_word(snapshot->state),
                      lsn_text(snapshot->lag[LAG_FLUSHED].lsn, lsn),
                      status_bytes(snapshot->lag[LAG_FLUSHED].bytes, text[0]),
                      status_time(snapshot->lag[LAG_FLUSHED].ns, text[1]),
                      rate_text(snapshot->rates.received[RATE_SECOND], text[2]));
    (void)fputc('\n', out);
}

bool status_print_json(FILE *out, const Look *look, Error *err)
{
    json_t *object = json_pack(
        "{s:i, s:b, s:o, s:o, s:b, s:o}", "format_version", STATUS_FORMAT_VERSION, "running",
        look->running, "pid", look->pid != 0 ? json_integer((json_int_t)look->pid) : json_null(),
        "state_age_seconds", look->has_state ? json_real((double)look->age_ns / 1e9) : json_null(),
        "stale", look->stale, "receiver",
        look->has_state && (look->is_its_own || !look->running) ? status_json_make(&look->snapshot)
                                                                : json_null());
    if (object == NULL)
        return error_set(err, ERROR_MEMORY, "could not build the JSON of the state");
    (void)json_dumpf(object, out, STATUS_JSON_FLAGS);
    (void)fputc('\n', out);
    json_decref(object);
    return true;
}
