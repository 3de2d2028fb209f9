/* SPDX-License-Identifier: PostgreSQL
 *
 * The loop of a measurement: as the receiver's (stream.c) in what it asks of the server and the
 * store, with a clock beside it. The clock is read once a message and twice a sleep; everything
 * else is derived from that.
 *
 * What comes before the position to measure from is received and not counted: the store wants whole
 * segments.
 */
#include "bench_internal.h"

#include "walrx/base/ring.h"
#include "walrx/os/clock.h"
#include "walrx/proto/command.h"
#include "walrx/proto/copydata.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define NS_PER_MS UINT64_C(1000000)
#define BURST_MESSAGES 256
#define STATUS_INTERVAL_MS 10000
#define FLUSH_INTERVAL_MS 1000
#define PROGRESS_INTERVAL_MS 500
/* While something is on its way to the kernel, which rings no bell: so often it is looked at. */
#define WRITE_LOOK_MS 2

typedef struct BenchStream {
    Bench *bench;
    BenchResult *result;
    Lsn position;
    Lsn server_end;
    Feedback feedback;
    const uint8_t *pending; /* rest of a message the sink had no room for */
    size_t pending_length;
    bool ended;
    bool measuring;
    uint64_t now_ns; /* read lately */
    uint64_t began_ns;
    uint64_t counted_ns; /* up to here time is in the shares */
    int64_t wall_offset_us;
    uint64_t deadline_ms; /* UINT64_MAX: none */
    uint64_t next_progress_ms;
    BenchProgress progress; /* as last told */
    Lsn flushed;            /* as last seen */
    BenchCpu process_before;
    BenchCpu thread_before;
} BenchStream;

static Lsn later(Lsn a, Lsn b)
{
    return a > b ? a : b;
}

static uint64_t tick(BenchStream *stream)
{
    stream->now_ns = clock_monotonic_ns();
    return stream->now_ns;
}

static BenchCpu cpu_of(int who)
{
    struct rusage usage = {0};
    (void)getrusage(who, &usage);
    return (BenchCpu){
        .user_us = (uint64_t)usage.ru_utime.tv_sec * 1000000 + (uint64_t)usage.ru_utime.tv_usec,
        .system_us = (uint64_t)usage.ru_stime.tv_sec * 1000000 + (uint64_t)usage.ru_stime.tv_usec,
    };
}

static BenchCpu cpu_since(int who, const BenchCpu *before)
{
    BenchCpu now = cpu_of(who);
    return (BenchCpu){.user_us = now.user_us - before->user_us,
                      .system_us = now.system_us - before->system_us};
}

static uint64_t elapsed_ms(const BenchStream *stream)
{
    return (stream->now_ns - stream->began_ns) / NS_PER_MS;
}

/* Everything before the position to measure from is here. */
static void begin_measuring(BenchStream *stream)
{
    Bench *bench = stream->bench;
    const BenchOptions *options = bench->options;
    uint64_t now = tick(stream);
    stream->measuring = true;
    stream->began_ns = now;
    stream->counted_ns = now;
    stream->wall_offset_us = clock_pg_time() - (int64_t)(now / 1000);
    stream->deadline_ms =
        options->duration_ms > 0 ? now / NS_PER_MS + options->duration_ms : UINT64_MAX;
    stream->next_progress_ms =
        options->progress != NULL ? now / NS_PER_MS + PROGRESS_INTERVAL_MS : UINT64_MAX;
    stream->process_before = cpu_of(RUSAGE_SELF);
    stream->thread_before = cpu_of(RUSAGE_THREAD);
    stream->result->measured = true;
    stream->result->from = bench->from;
    stream->result->server_end_first = stream->server_end;
    bench_probe_start(&bench->probe, &options->connect, connection_backend_pid(bench->connection));
}

static void end_measuring(BenchStream *stream)
{
    BenchResult *result = stream->result;
    uint64_t now = tick(stream);
    if (!stream->measuring)
        return;
    result->to = stream->position;
    result->server_end_last = stream->server_end;
    result->stream_ns = now - stream->began_ns;
    bench_series_add(&result->series, elapsed_ms(stream), 0);
    result->process_cpu = cpu_since(RUSAGE_SELF, &stream->process_before);
    result->stream_thread_cpu = cpu_since(RUSAGE_THREAD, &stream->thread_before);
}

/* ---- messages ---- */

/* A message in which measuring begins counts from there on. */
static void count_wal(BenchStream *stream, const WalDataMessage *wal)
{
    BenchResult *result = stream->result;
    Lsn end = wal->start + wal->length;
    uint64_t length = end - later(wal->start, result->from);
    int64_t age_us =
        (int64_t)(stream->now_ns / 1000) + stream->wall_offset_us - (int64_t)wal->send_time;
    result->messages++;
    result->bytes += length;
    bench_series_add(&result->series, elapsed_ms(stream), length);
    histogram_record(&result->message_bytes, length);
    histogram_record(&result->age_ns, age_us > 0 ? (uint64_t)age_us * 1000 : 0);
    if (age_us < 0)
        result->ages_from_the_future++;
    if (stream->bench->sink.disk) {
        lag_track_add(&stream->bench->write_lag, end, stream->now_ns, stream->now_ns);
        lag_track_add(&stream->bench->flush_lag, end, stream->now_ns, stream->now_ns);
    }
}

static void saw_server_end(BenchStream *stream, Lsn lsn)
{
    if (lsn > stream->server_end)
        stream->server_end = lsn;
}

static bool take_message(BenchStream *stream, const void *data, size_t length, Error *err)
{
    CopyMessage message;
    char got[LSN_TEXT_SIZE];
    char expected[LSN_TEXT_SIZE];
    if (!copy_message_decode(data, length, &message, err))
        return false;
    uint64_t now_ms = tick(stream) / NS_PER_MS;
    switch (message.type) {
    case COPY_WAL_DATA:
        feedback_on_wal(&stream->feedback, now_ms);
        saw_server_end(stream, message.as.wal.server_end);
        if (message.as.wal.start != stream->position)
            return error_set(err, ERROR_PROTOCOL, "got WAL data for %s, expected %s",
                             lsn_format(message.as.wal.start, got),
                             lsn_format(stream->position, expected));
        if (!stream->measuring && stream->position + message.as.wal.length > stream->bench->from)
            begin_measuring(stream);
        if (stream->measuring)
            count_wal(stream, &message.as.wal);
        stream->pending = message.as.wal.data;
        stream->pending_length = message.as.wal.length;
        return true;
    case COPY_KEEPALIVE:
        saw_server_end(stream, message.as.keepalive.server_end);
        feedback_on_keepalive(&stream->feedback, message.as.keepalive.reply_requested,
                              stream->position, now_ms);
        return true;
    case COPY_STANDBY_STATUS:
    case COPY_HOT_STANDBY_FEEDBACK:
        break;
    }
    return error_set(err, ERROR_PROTOCOL,
                     "the server sent a message of type \"%c\", which only a standby sends",
                     (char)message.type);
}

/* Moves what it can of the message at hand into the sink. False: the sink is full. */
static bool copy_pending(BenchStream *stream)
{
    size_t taken = bench_sink_take(&stream->bench->sink, stream->pending, stream->pending_length);
    stream->pending += taken;
    stream->pending_length -= taken;
    stream->position += taken;
    if (stream->pending_length > 0)
        return false;
    connection_release(stream->bench->connection);
    return true;
}

static bool at_end_position(const BenchStream *stream)
{
    Lsn end = stream->bench->options->end_position;
    return end != LSN_INVALID && stream->position >= end;
}

/* Reads until the socket is empty, the sink full, the stream over, or enough was read for now. */
static bool read_burst(BenchStream *stream, bool *ret_empty, Error *err)
{
    *ret_empty = false;
    for (int i = 0; i < BURST_MESSAGES; i++) {
        const void *data;
        size_t length;
        if (stream->pending_length > 0 && !copy_pending(stream))
            return true;
        if (at_end_position(stream))
            return true;
        if (!stream->measuring && stream->position >= stream->bench->from)
            begin_measuring(stream);
        switch (connection_read(stream->bench->connection, &data, &length, err)) {
        case COPY_READ_DATA:
            if (!take_message(stream, data, length, err))
                return false;
            if (!copy_pending(stream))
                return true;
            break;
        case COPY_READ_EMPTY:
            feedback_on_drained(&stream->feedback);
            *ret_empty = true;
            return true;
        case COPY_READ_END:
            stream->ended = true;
            return true;
        case COPY_READ_FAILED:
            return false;
        }
    }
    return true;
}

/* ---- what the sink and the server are told ---- */

static bool send_status(BenchStream *stream, const FeedbackPositions *positions, bool ask_reply,
                        Error *err)
{
    Bench *bench = stream->bench;
    CopyMessage message = {.type = COPY_STANDBY_STATUS};
    uint8_t bytes[COPY_STATUS_SIZE];
    message.as.status = feedback_message(&stream->feedback, positions, ask_reply, clock_pg_time(),
                                         stream->now_ns / NS_PER_MS);
    size_t length = copy_message_encode(&message, bytes, sizeof(bytes));
    if (!connection_send(bench->connection, bytes, length, err))
        return false;
    lag_track_settle(&bench->report_lag, stream->feedback.reported_flush, tick(stream),
                     &stream->result->report_ns);
    return true;
}

static void settle(BenchStream *stream, const FeedbackPositions *positions)
{
    Bench *bench = stream->bench;
    BenchResult *result = stream->result;
    if (!bench->sink.disk || !stream->measuring)
        return;
    lag_track_settle(&bench->write_lag, positions->written, stream->now_ns, &result->write_ns);
    lag_track_settle(&bench->flush_lag, positions->flushed, stream->now_ns, &result->flush_ns);
    if (positions->flushed > stream->flushed && result->flush_reported)
        lag_track_add(&bench->report_lag, positions->flushed, stream->now_ns, stream->now_ns);
    stream->flushed = positions->flushed;
}

static void tell_progress(BenchStream *stream)
{
    const BenchOptions *options = stream->bench->options;
    BenchProgress now = {
        .elapsed_ms = elapsed_ms(stream),
        .bytes = stream->result->bytes,
        .recent_bytes = stream->result->bytes - stream->progress.bytes,
        .recent_ms = elapsed_ms(stream) - stream->progress.elapsed_ms,
        .position = stream->position,
    };
    options->progress(options->progress_context, &now);
    stream->progress = now;
    stream->next_progress_ms = stream->now_ns / NS_PER_MS + PROGRESS_INTERVAL_MS;
}

/* How far the store writes by itself or was asked to, for which it rings no bell. */
static Lsn write_goal(const BenchStream *stream)
{
    Lsn goal = stream->position - stream->position % RING_EXTENT;
    return later(goal, later(stream->feedback.requested, stream->feedback.write_requested));
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Decides and acts; *ret_wait_until: when to come back at the latest. */
static bool keep_up(BenchStream *stream, uint64_t *ret_wait_until, Error *err)
{
    Bench *bench = stream->bench;
    FeedbackPositions positions = bench_sink_positions(&bench->sink);
    uint64_t now_ms = tick(stream) / NS_PER_MS;
    if (!bench_sink_check(&bench->sink, err))
        return false;
    settle(stream, &positions);
    FeedbackDecision decision =
        feedback_decide(&stream->feedback, &positions, stream->pending_length > 0, now_ms);
    if (decision.peer_dead)
        return error_set(err, ERROR_RETRY, "no message from the server for %llu ms",
                         (unsigned long long)bench->options->receive_timeout_ms);
    if (decision.request_flush)
        bench_sink_request_flush(&bench->sink);
    if (decision.request_write)
        bench_sink_request_write(&bench->sink);
    if (decision.send_status && !connection_wants_write(bench->connection) &&
        !send_status(stream, &positions, decision.ask_reply, err))
        return false;
    if (stream->measuring && now_ms >= stream->next_progress_ms)
        tell_progress(stream);
    *ret_wait_until = decision.wait_until_ms;
    if (bench->sink.disk && positions.written < write_goal(stream))
        *ret_wait_until = earlier(*ret_wait_until, now_ms + WRITE_LOOK_MS);
    if (!bench->sink.disk && decision.request_flush)
        *ret_wait_until = now_ms; /* granted already: decide again */
    *ret_wait_until =
        earlier(*ret_wait_until, earlier(stream->deadline_ms, stream->next_progress_ms));
    return true;
}

static int poll_timeout(const BenchStream *stream, uint64_t until_ms)
{
    uint64_t now_ms = stream->now_ns / NS_PER_MS;
    if (until_ms == UINT64_MAX)
        return -1;
    if (until_ms <= now_ms)
        return 0;
    return until_ms - now_ms < INT_MAX ? (int)(until_ms - now_ms) : INT_MAX;
}

/* What the time since it was last counted went into. */
static void count_time(BenchStream *stream, uint64_t slept_from)
{
    BenchShares *shares = &stream->result->shares;
    uint64_t slept = stream->now_ns - slept_from;
    if (!stream->measuring)
        return;
    shares->busy_ns += slept_from - stream->counted_ns;
    if (stream->pending_length > 0)
        shares->stall_ns += slept;
    else if (stream->position < stream->server_end)
        shares->behind_ns += slept;
    else
        shares->idle_ns += slept;
    stream->counted_ns = stream->now_ns;
}

static bool sleep_until(BenchStream *stream, uint64_t until_ms, Error *err)
{
    Bench *bench = stream->bench;
    short events = 0;
    if (stream->pending_length == 0)
        events |= POLLIN;
    if (connection_wants_write(bench->connection))
        events |= POLLOUT;
    struct pollfd polled[3] = {
        {.fd = bench->sink.bell.fd, .events = POLLIN},
        {.fd = bench->control->signal_fd, .events = POLLIN},
        {.fd = events != 0 ? connection_fd(bench->connection) : -1, .events = events},
    };
    uint64_t before = tick(stream);
    (void)poll(polled, 3, poll_timeout(stream, until_ms));
    (void)tick(stream);
    count_time(stream, before);
    if (polled[0].revents != 0)
        bell_silence(&bench->sink.bell);
    return (polled[2].revents & POLLOUT) == 0 || connection_flush(bench->connection, err);
}

static bool over(const BenchStream *stream)
{
    return stream->ended || at_end_position(stream) ||
           (stream->measuring && stream->now_ns / NS_PER_MS >= stream->deadline_ms);
}

static bool run_loop(BenchStream *stream, Error *err)
{
    while (control_running(stream->bench->control)) {
        bool empty;
        uint64_t wait_until = 0;
        if (!read_burst(stream, &empty, err))
            return false;
        if (over(stream))
            return true;
        if (!keep_up(stream, &wait_until, err))
            return false;
        if ((empty || stream->pending_length > 0) && !sleep_until(stream, wait_until, err))
            return false;
    }
    stream->result->interrupted = true;
    return true;
}

/* ---- the beginning and the end ---- */

static bool begin_copy(BenchStream *stream, bool *ret_copying, Error *err)
{
    Bench *bench = stream->bench;
    ReplicationCommand command = {
        .kind = COMMAND_START_PHYSICAL, .start = bench->start, .timeline = bench->timeline};
    char text[COMMAND_TEXT_SIZE];
    (void)snprintf(command.name, sizeof(command.name), "%s", bench->slot);
    if (!command_format(&command, text, sizeof(text), err) ||
        !connection_start_copy(bench->connection, text, ret_copying, err))
        return false;
    FeedbackConfig config = {
        .status_interval_ms = STATUS_INTERVAL_MS,
        .flush_interval_ms = FLUSH_INTERVAL_MS,
        .receive_timeout_ms = bench->options->receive_timeout_ms,
        .synchronous = bench->options->synchronous,
        .report_flush = stream->result->flush_reported,
        .floor = bench->start,
    };
    feedback_start(&stream->feedback, &config, clock_monotonic_ms());
    return true;
}

/* The server ended COPY by itself. */
static bool tell_end(BenchStream *stream, Error *err)
{
    ResultRow row;
    EndOfTimelineResult next;
    char text[2][LSN_TEXT_SIZE];
    if (!connection_end_of_stream(stream->bench->connection, &row, err))
        return false;
    if (row.count == 0)
        return error_set(err, ERROR_RETRY, "the server ended streaming at %s: it shuts down",
                         lsn_format(stream->position, text[0]));
    if (!result_end_of_timeline(&row, &next, err))
        return false;
    error_set(err, ERROR_RETRY, "timeline %u ended at %s; the server goes on with timeline %u",
              stream->bench->timeline, lsn_format(stream->position, text[0]), next.next_timeline);
    return error_hint(err, "Start again; --from=%s measures from there on.",
                      lsn_format(next.next_start, text[1]));
}

/* Until everything received is durable. */
static bool finish(BenchStream *stream, Error *err)
{
    Bench *bench = stream->bench;
    BenchResult *result = stream->result;
    uint64_t before = tick(stream);
    bool ok = bench_sink_finish(&bench->sink, bench->control, err);
    if (stream->measuring && bench->sink.disk) {
        FeedbackPositions positions = bench_sink_positions(&bench->sink);
        result->finish_ns = tick(stream) - before;
        result->shares.stall_ns += result->finish_ns;
        settle(stream, &positions);
        result->process_cpu = cpu_since(RUSAGE_SELF, &stream->process_before);
        result->stream_thread_cpu = cpu_since(RUSAGE_THREAD, &stream->thread_before);
    }
    return ok;
}

bool bench_stream(Bench *bench, Error *err)
{
    BenchStream stream = {
        .bench = bench,
        .result = bench->result,
        .position = bench->start,
        .server_end = bench->server_end,
        .deadline_ms = UINT64_MAX,
        .next_progress_ms = UINT64_MAX,
    };
    bool copying = false;
    Error sink_failed;
    if (!begin_copy(&stream, &copying, err))
        return false;
    stream.ended = !copying;
    bool ok = !copying || run_loop(&stream, err);
    end_measuring(&stream);
    if (stream.measuring)
        stream.result->shares.busy_ns += stream.now_ns - stream.counted_ns;
    if (ok && stream.ended)
        ok = tell_end(&stream, err);
    connection_release(bench->connection);
    if (ok && !stream.measuring)
        ok = error_set(err, ERROR_STOPPED, "stopped before there was anything to measure");
    bench_probe_end(&bench->probe);
    bool finished = finish(&stream, &sink_failed);
    bench_probe_wait(&bench->probe, bench->result);
    if (!finished) {
        /* Where the disk fails too, that is what matters. */
        *err = sink_failed;
        ok = false;
    }
    return ok;
}
