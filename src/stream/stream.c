/* SPDX-License-Identifier: PostgreSQL
 *
 * One timeline's stream: the loop of the stream thread. It reads messages, copies WAL into the
 * ring, and asks feedback.c what to tell the server; it sleeps in one poll over the socket, the
 * store's bell and the signals, and never waits for the disk. A full ring is a state: the socket is
 * left alone until the bell rings.
 */
#include "end_copy.h"
#include "receiver_internal.h"

#include "walrx/os/clock.h"
#include "walrx/os/log.h"
#include "walrx/os/notify.h"
#include "walrx/proto/command.h"
#include "walrx/proto/copydata.h"
#include "walrx/stream/feedback.h"
#include "walrx/stream/holdup.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* Messages taken before time and signals are looked at again: at most 32 MB. */
#define BURST_MESSAGES 256
/* A connection that lasted so long was a good one, even without new WAL. */
#define GOOD_CONNECTION_MS 30000
#define NS_PER_MS UINT64_C(1000000)

typedef struct Stream {
    Receiver *receiver;
    Timeline timeline;
    Lsn start;      /* where it began */
    Lsn durable;    /* all below was durable before it began */
    Lsn position;   /* next byte expected from the server */
    Lsn server_end; /* newest known end of the server's WAL */
    Feedback feedback;
    HoldUp holdup;
    const uint8_t *pending; /* rest of a message the ring had no room for */
    size_t pending_length;
    Lsn told_segment; /* segments below were logged as finished */
    uint64_t next_watchdog_ms;
    uint64_t watchdog_interval_ms;
    uint64_t began_ms;
    bool rested; /* has slept with everything flushed since the latest flush was decided on */
    bool ended;  /* the server ended COPY */
} Stream;

static FeedbackConfig feedback_config(const Receiver *receiver, Lsn floor)
{
    const ReceiverTunables *tunables = &receiver->tunables;
    return (FeedbackConfig){
        .status_interval_ms = tunables->status_interval_ms,
        .flush_interval_ms = tunables->flush_interval_ms,
        .receive_timeout_ms = tunables->receive_timeout_ms,
        .synchronous = receiver_is_prompt(receiver),
        .report_flush = receiver_reports_flush(receiver),
        .report_apply = tunables->report_apply,
        .floor = floor,
    };
}

static FeedbackPositions positions_now(const Stream *stream)
{
    StorePositions store = store_positions(stream->receiver->store);
    return (FeedbackPositions){
        .received = store.received, .written = store.written, .flushed = store.flushed};
}

/* Moves what it can of the message at hand into the ring. False: the ring is full. */
static bool copy_pending(Stream *stream)
{
    while (stream->pending_length > 0) {
        size_t room;
        uint8_t *place = store_reserve(stream->receiver->store, &room);
        if (place == NULL)
            return false;
        size_t count = stream->pending_length < room ? stream->pending_length : room;
        memcpy(place, stream->pending, count);
        store_publish(stream->receiver->store, count);
        stream->pending += count;
        stream->pending_length -= count;
        stream->position += count;
    }
    connection_release(stream->receiver->connection);
    return true;
}

static void saw_server_end(Stream *stream, Lsn lsn)
{
    if (lsn > stream->server_end)
        stream->server_end = lsn;
}

static void note_wal(Stream *stream, const WalDataMessage *wal, uint64_t now_ns)
{
    const TelemetryMessage message = {.server_end = wal->server_end,
                                      .sent = wal->send_time,
                                      .received = wal->start + wal->length,
                                      .length = wal->length};
    telemetry_message(stream->receiver->options->telemetry, &message, now_ns);
}

static void note_keepalive(Stream *stream, const KeepaliveMessage *keepalive, uint64_t now_ns)
{
    const TelemetryMessage message = {.server_end = keepalive->server_end,
                                      .sent = keepalive->send_time,
                                      .reply = !keepalive->reply_requested};
    telemetry_message(stream->receiver->options->telemetry, &message, now_ns);
}

static bool take_message(Stream *stream, const void *data, size_t length, Error *err)
{
    CopyMessage message;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t now = now_ns / NS_PER_MS;
    if (!copy_message_decode(data, length, &message, err))
        return false;
    switch (message.type) {
    case COPY_WAL_DATA:
        feedback_on_wal(&stream->feedback, now);
        saw_server_end(stream, message.as.wal.server_end);
        if (message.as.wal.start != stream->position) {
            char got[LSN_TEXT_SIZE];
            char expected[LSN_TEXT_SIZE];
            return error_set(err, ERROR_PROTOCOL, "got WAL data for %s, expected %s",
                             lsn_format(message.as.wal.start, got),
                             lsn_format(stream->position, expected));
        }
        if (stream->receiver->joint.active &&
            !joint_feed(&stream->receiver->joint, message.as.wal.data, message.as.wal.length, err))
            return false;
        note_wal(stream, &message.as.wal, now_ns);
        stream->pending = message.as.wal.data;
        stream->pending_length = message.as.wal.length;
        return true;
    case COPY_KEEPALIVE:
        note_keepalive(stream, &message.as.keepalive, now_ns);
        saw_server_end(stream, message.as.keepalive.server_end);
        feedback_on_keepalive(&stream->feedback, message.as.keepalive.reply_requested,
                              stream->position, now);
        return true;
    case COPY_STANDBY_STATUS:
    case COPY_HOT_STANDBY_FEEDBACK:
        break;
    }
    return error_set(err, ERROR_PROTOCOL,
                     "the server sent a message of type \"%c\", which only a "
                     "standby sends",
                     (char)message.type);
}

static bool at_end_position(const Stream *stream)
{
    const ReceiverOptions *options = stream->receiver->options;
    Lsn end = options->end_position;
    /* pg_receivewal goes on until something beyond has come, which on an idle server never does. */
    return end != LSN_INVALID &&
           (options->as_pg_receivewal ? end < stream->position : end <= stream->position);
}

/* Reads until the socket is empty, the ring full, the stream over, or enough was read for now.
 * *ret_empty: the socket had nothing more. */
static bool read_burst(Stream *stream, bool *ret_empty, Error *err)
{
    *ret_empty = false;
    for (int i = 0; i < BURST_MESSAGES; i++) {
        const void *data;
        size_t length;
        if (stream->pending_length > 0 && !copy_pending(stream))
            return true;
        if (at_end_position(stream))
            return true;
        switch (connection_read(stream->receiver->connection, &data, &length, err)) {
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

static bool send_status(Stream *stream, bool ask_reply, Error *err)
{
    FeedbackPositions positions = positions_now(stream);
    CopyMessage message = {.type = COPY_STANDBY_STATUS};
    uint8_t bytes[COPY_STATUS_SIZE];
    uint64_t now_ns = clock_monotonic_ns();
    message.as.status = feedback_message(&stream->feedback, &positions, ask_reply, clock_pg_time(),
                                         now_ns / NS_PER_MS);
    size_t length = copy_message_encode(&message, bytes, sizeof(bytes));
    telemetry_reported(stream->receiver->options->telemetry, message.as.status.write,
                       message.as.status.flush, ask_reply, now_ns);
    return connection_send(stream->receiver->connection, bytes, length, err);
}

static void tell_finished_segments(Stream *stream, Lsn flushed)
{
    uint32_t size = stream->receiver->archive.segment_size;
    LogLevel level = stream->receiver->options->as_pg_receivewal ? LOG_INFO : LOG_DEBUG;
    while (flushed >= stream->told_segment && flushed - stream->told_segment >= size) {
        char text[LSN_TEXT_SIZE];
        stream->told_segment += size;
        log_line(level, NULL, "finished segment at %s (timeline %u)",
                 lsn_format(stream->told_segment, text), stream->timeline);
    }
}

/* A connection counts as good once new WAL is durable, or it has lasted: a server that takes us and
 * fails at once is met with growing pauses. */
static void note_progress(Stream *stream, Lsn flushed, uint64_t now)
{
    Receiver *receiver = stream->receiver;
    if (flushed <= receiver->progress_lsn && now - stream->began_ms < GOOD_CONNECTION_MS)
        return;
    machine_on_streaming(&receiver->machine);
    if (flushed > receiver->progress_lsn)
        receiver->progress_lsn = flushed;
}

/* Settings have changed. */
static void configure(Stream *stream)
{
    Receiver *receiver = stream->receiver;
    FeedbackConfig config = feedback_config(receiver, stream->feedback.config.floor);
    feedback_configure(&stream->feedback, &config);
    note_session(receiver);
}

static void reload(Stream *stream)
{
    Receiver *receiver = stream->receiver;
    receiver->control->reload = false;
    if (receiver->options->reload == NULL)
        return;
    notify_reloading();
    if (receiver->options->reload(receiver->options->reload_context, &receiver->tunables)) {
        configure(stream);
        connection_set_timeout(receiver->connection, receiver->tunables.receive_timeout_ms);
        note_stream(receiver);
    }
    notify_ready();
}

static void set_status(const Stream *stream)
{
    const Receiver *receiver = stream->receiver;
    char text[LSN_TEXT_SIZE];
    if (receiver->no_room_since_ms != 0)
        notify_status("paused, no room on the filesystem of \"%s\"", receiver->archive.dir.path);
    else
        notify_status("streaming timeline %u from %s", stream->timeline,
                      lsn_format(stream->position, text));
}

/* A full disk is told once, over reconnects, and once when it is over. */
static void tell_room(Stream *stream, bool no_room, uint64_t now)
{
    Receiver *receiver = stream->receiver;
    bool told = receiver->no_room_since_ms != 0;
    Error why;
    if (no_room == told)
        return;
    if (no_room) {
        receiver->no_room_since_ms = now;
        store_error(receiver->store, &why);
        error_hint(&why,
                   "Receiving pauses, the connection stays, and it goes on by itself when "
                   "there is room. Meanwhile a slot keeps the WAL on the server.%s",
                   receiver->options->as_pg_receivewal ? "" : " --min-free sets the limit.");
        log_error(LOG_WARNING, NULL, &why);
    } else {
        const LogField fields[] = {LOG_NUM("seconds", (now - receiver->no_room_since_ms) / 1000),
                                   LOG_END};
        receiver->no_room_since_ms = 0;
        log_line(LOG_NOTICE, fields, "there is room again: receiving goes on");
    }
    set_status(stream);
}

static HoldCause hold_cause(const Stream *stream, const StorePositions *store)
{
    if (stream->pending_length == 0)
        return HOLD_NONE;
    if (store->no_room)
        return HOLD_ROOM;
    return store->packing ? HOLD_COMPRESSION : HOLD_DISK;
}

static void tell_holdup(Stream *stream, const StorePositions *store, uint64_t now)
{
    HoldNews news = holdup_note(&stream->holdup, hold_cause(stream, store), now);
    if (!news.any || stream->receiver->options->as_pg_receivewal)
        return;
    if (news.cause == HOLD_NONE && news.before == HOLD_ROOM)
        return; /* told by tell_room */
    const LogField fields[] = {LOG_NUM("seconds", news.duration_ms / 1000), LOG_END};
    switch (news.cause) {
    case HOLD_NONE:
        log_line(LOG_INFO, fields, "receiving is no longer held up");
        break;
    case HOLD_DISK:
        log_line(LOG_INFO, NULL, "receiving is held up by the disk: the server sends faster");
        break;
    case HOLD_COMPRESSION:
        log_line(LOG_WARNING, NULL,
                 "receiving is held up by compression: the server sends faster (a lower level or "
                 "more --compress-workers help)");
        break;
    case HOLD_ROOM:
        break; /* told by tell_room */
    }
}

/* A flush that one commit waits for is made here if it is a small one, and told at once. Where the
 * next commit is there before the flush of the one before is, receiving goes on beside the flush
 * instead. */
static FeedbackDecision decide(Stream *stream, const FeedbackPositions *positions)
{
    Receiver *receiver = stream->receiver;
    bool stalled = stream->pending_length > 0;
    FeedbackDecision first =
        feedback_decide(&stream->feedback, positions, stalled, clock_monotonic_ms());
    if (!first.request_flush)
        return first;
    bool alone = stream->rested && stream->feedback.config.synchronous;
    stream->rested = false;
    if (!alone || !store_flush_here(receiver->store))
        return first;
    FeedbackPositions after = positions_now(stream);
    FeedbackDecision second =
        feedback_decide(&stream->feedback, &after, stalled, clock_monotonic_ms());
    second.send_status |= first.send_status;
    second.ask_reply |= first.ask_reply;
    second.peer_dead = first.peer_dead; /* what came meanwhile has not been read yet */
    return second;
}

/* Decides and acts; *ret_wait_until: when to come back at the latest. */
static bool keep_up(Stream *stream, uint64_t *ret_wait_until, Error *err)
{
    Receiver *receiver = stream->receiver;
    StorePositions store = store_positions(receiver->store);
    if (store.failed) {
        store_error(receiver->store, err);
        return false;
    }
    if (receiver->compressor != NULL && compressor_error(receiver->compressor, err))
        return false;
    if (receiver->control->reload)
        reload(stream);
    if (stream->feedback.config.synchronous != receiver_is_prompt(receiver))
        configure(stream);
    uint64_t now = clock_monotonic_ms();
    FeedbackPositions positions = {
        .received = store.received, .written = store.written, .flushed = store.flushed};
    tell_finished_segments(stream, positions.flushed);
    note_progress(stream, positions.flushed, now);
    tell_room(stream, store.no_room, now);
    tell_holdup(stream, &store, now);
    FeedbackDecision decision = decide(stream, &positions);
    /* A full disk is told at once, also while the ring has room for what comes. */
    note_positions(receiver, stream->durable,
                   receiver->no_room_since_ms != 0 ? HOLD_ROOM : stream->holdup.told,
                   clock_monotonic_ns());
    if (decision.peer_dead)
        return error_set(err, ERROR_RETRY, "no message from the server for %llu ms",
                         (unsigned long long)receiver->tunables.receive_timeout_ms);
    if (decision.request_flush)
        store_request_flush(receiver->store);
    if (decision.request_write)
        store_request_write(receiver->store);
    /* While the server does not read, feedback does not pile up: the next one says it all. */
    if (decision.send_status && !connection_wants_write(receiver->connection) &&
        !send_status(stream, decision.ask_reply, err))
        return false;
    *ret_wait_until = decision.wait_until_ms;
    if (stream->watchdog_interval_ms > 0) {
        if (now >= stream->next_watchdog_ms) {
            notify_watchdog();
            stream->next_watchdog_ms = now + stream->watchdog_interval_ms;
        }
        if (stream->next_watchdog_ms < *ret_wait_until)
            *ret_wait_until = stream->next_watchdog_ms;
    }
    return true;
}

static int poll_timeout(uint64_t until_ms)
{
    uint64_t now = clock_monotonic_ms();
    if (until_ms == UINT64_MAX)
        return -1;
    if (until_ms <= now)
        return 0;
    return until_ms - now < INT_MAX ? (int)(until_ms - now) : INT_MAX;
}

static bool sleep_until(Stream *stream, uint64_t until_ms, Error *err)
{
    Receiver *receiver = stream->receiver;
    short events = 0;
    StorePositions positions = store_positions(receiver->store);
    stream->rested = stream->rested || positions.flushed == positions.received;
    if (stream->pending_length == 0)
        events |= POLLIN;
    if (connection_wants_write(receiver->connection))
        events |= POLLOUT;
    /* A full ring: poll reports a hang-up even without events, so the socket is left out then. */
    struct pollfd polled[3] = {
        {.fd = receiver->bell.fd, .events = POLLIN},
        {.fd = receiver->control->signal_fd, .events = POLLIN},
        {.fd = events != 0 ? connection_fd(receiver->connection) : -1, .events = events},
    };
    (void)poll(polled, 3, poll_timeout(until_ms));
    if (polled[0].revents != 0)
        bell_silence(&receiver->bell);
    if ((polled[2].revents & POLLOUT) != 0)
        return connection_flush(receiver->connection, err);
    return true;
}

/* Until a stop, the end position, the server's end of COPY, or a failure. */
static bool run_loop(Stream *stream, Error *err)
{
    while (control_running(stream->receiver->control)) {
        bool empty;
        uint64_t wait_until = 0;
        if (!read_burst(stream, &empty, err))
            return false;
        if (stream->ended || at_end_position(stream))
            return true;
        if (!keep_up(stream, &wait_until, err))
            return false;
        if ((empty || stream->pending_length > 0) && !sleep_until(stream, wait_until, err))
            return false;
    }
    return true;
}

/* What had no room on the disk was not acknowledged and comes again: it holds up no stop. */
static bool finish_store(Receiver *receiver, Error *err)
{
    if (store_finish(receiver->store, err))
        return true;
    if (err->class != ERROR_NO_ROOM)
        return false;
    receiver->dropped_wal = true;
    return receiver->control->stop_count > 0;
}

/* The last report is a courtesy: without it the server only keeps a little more WAL. */
static void say_goodbye(Stream *stream)
{
    Error ignored;
    if (send_status(stream, false, &ignored))
        end_copy(stream->receiver->connection, stream->receiver->control);
}

/* Then what came before the damage counts, and the server learns it. */
static bool stopped_at_damage(const Receiver *receiver)
{
    return receiver->options->verify == VERIFY_STOP && store_checks(receiver->store).faults > 0;
}

static bool stop_stream(Stream *stream, Error *err)
{
    Receiver *receiver = stream->receiver;
    char text[LSN_TEXT_SIZE];
    if (at_end_position(stream))
        log_line(LOG_INFO, NULL, "stopped log streaming at %s (timeline %u)",
                 lsn_format(stream->position, text), stream->timeline);
    else
        log_line(LOG_INFO, NULL, "received interrupt signal, exiting");
    notify_stopping();
    note_state(receiver, RECEIVER_STOPPING);
    if (receiver->compressor != NULL && receiver->control->stop_count > 0)
        compressor_hurry(receiver->compressor, true);
    if (!finish_store(receiver, err))
        return false;
    note_positions(receiver, stream->durable, HOLD_NONE, clock_monotonic_ns());
    say_goodbye(stream);
    return true;
}

/* What the server says after COPY: another timeline follows, or it is shutting down. */
static bool read_end(Stream *stream, StreamEnd *ret_end, EndOfTimelineResult *ret_next, Error *err)
{
    ResultRow row;
    char text[2][LSN_TEXT_SIZE];
    if (!connection_end_of_stream(stream->receiver->connection, &row, err))
        return false;
    if (row.count == 0)
        return error_set(err, ERROR_RETRY, "replication stream was terminated before stop point");
    if (!result_end_of_timeline(&row, ret_next, err))
        return false;
    if (ret_next->next_timeline <= stream->timeline)
        return error_set(err, ERROR_PROTOCOL,
                         "server reported unexpected next timeline %u, following timeline %u",
                         ret_next->next_timeline, stream->timeline);
    if (ret_next->next_start > stream->position)
        return error_set(err, ERROR_PROTOCOL,
                         "server stopped streaming timeline %u at %s, but reported next timeline "
                         "%u to begin at %s",
                         stream->timeline, lsn_format(stream->position, text[0]),
                         ret_next->next_timeline, lsn_format(ret_next->next_start, text[1]));
    *ret_end = STREAM_NEXT_TIMELINE;
    return true;
}

static bool begin(Stream *stream, Lsn floor, bool *ret_copying, Error *err)
{
    Receiver *receiver = stream->receiver;
    ReplicationCommand command = {
        .kind = COMMAND_START_PHYSICAL, .start = stream->position, .timeline = stream->timeline};
    char text[COMMAND_TEXT_SIZE];
    char lsn[LSN_TEXT_SIZE];
    if (receiver->options->slot != NULL)
        (void)snprintf(command.name, sizeof(command.name), "%s", receiver->options->slot);
    if (!command_format(&command, text, sizeof(text), err) ||
        !connection_start_copy(receiver->connection, text, ret_copying, err))
        return false;
    const LogField fields[] = {LOG_STR("peer", connection_peer(receiver->connection)),
                               LOG_STR("slot", receiver->options->slot), LOG_END};
    log_line(LOG_INFO, fields, "starting log streaming at %s (timeline %u)",
             lsn_format(stream->position, lsn), stream->timeline);
    FeedbackConfig config = feedback_config(receiver, floor);
    feedback_start(&stream->feedback, &config, clock_monotonic_ms());
    note_session(receiver);
    note_stream(receiver);
    telemetry_stream(receiver->options->telemetry, stream->timeline, stream->start, stream->durable,
                     clock_monotonic_ns());
    holdup_start(&stream->holdup, clock_monotonic_ms());
    set_status(stream);
    return true;
}

static bool run_stream(Stream *stream, Lsn floor, StreamEnd *ret_end, EndOfTimelineResult *ret_next,
                       Error *err)
{
    bool copying;
    if (!begin(stream, floor, &copying, err))
        return false;
    if (!copying)
        return read_end(stream, ret_end, ret_next, err);
    /* Asks for a reply, which bounds the server's clock. */
    if (!send_status(stream, true, err) || !run_loop(stream, err))
        return false;
    if (stream->ended)
        return read_end(stream, ret_end, ret_next, err);
    *ret_end = STREAM_DONE;
    return stop_stream(stream, err);
}

/* What lies before a stream is in the archive, and so is what this very process made durable of the
 * segment that comes again: it is not behind with that, although the store counts it anew. */
static Lsn durable_before(const Receiver *receiver, Timeline timeline, Lsn start)
{
    bool same = receiver->durable_timeline == timeline;
    return same && receiver->durable_lsn > start ? receiver->durable_lsn : start;
}

bool stream_timeline(Receiver *receiver, Timeline timeline, Lsn lsn, Lsn floor, StreamEnd *ret_end,
                     EndOfTimelineResult *ret_next, Error *err)
{
    Stream stream = {
        .receiver = receiver,
        .timeline = timeline,
        .start = lsn,
        .durable = durable_before(receiver, timeline, lsn),
        .position = lsn,
        .told_segment = lsn,
        .began_ms = clock_monotonic_ms(),
        .watchdog_interval_ms = notify_watchdog_interval_ms(),
    };
    bool ok = run_stream(&stream, floor, ret_end, ret_next, err);
    Error store_failed = {.class = ERROR_NONE};
    /* Whatever ended the stream: what was received becomes durable. Where that fails too, the
     * disk's error is the one that matters. A disk that is only full comes behind a lost
     * connection; what the server had to say is met again once there is room. */
    receiver->dropped_wal = false;
    if (receiver->compressor != NULL)
        compressor_hurry(receiver->compressor, true);
    bool finished = finish_store(receiver, &store_failed);
    if (receiver->compressor != NULL)
        compressor_hurry(receiver->compressor, false);
    bool keep = !ok && store_failed.class == ERROR_NO_ROOM && err->sqlstate[0] == '\0';
    if (!finished && !keep)
        *err = store_failed;
    ok = ok && finished;
    if (!ok && stopped_at_damage(receiver))
        say_goodbye(&stream);
    StorePositions positions = store_positions(receiver->store);
    note_positions(receiver, stream.durable, HOLD_NONE, clock_monotonic_ns());
    tell_finished_segments(&stream, positions.flushed);
    receiver->open_timeline = timeline;
    receiver->open_lsn = receiver->dropped_wal ? LSN_INVALID : stream.position;
    session_note_durable(receiver, timeline, positions.flushed);
    return ok;
}
