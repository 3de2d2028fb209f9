/* SPDX-License-Identifier: PostgreSQL
 *
 * What the receiver tells its telemetry outside the way of a WAL byte: whom it is connected to,
 * what it is doing, and what it ran into.
 */
#include "receiver_internal.h"

#include "walrx/os/clock.h"

#include <stdio.h>

void note_state(Receiver *receiver, ReceiverState state)
{
    telemetry_state(receiver->options->telemetry, state, clock_monotonic_ns());
}

void note_failure(Receiver *receiver, const Error *error)
{
    telemetry_failure(receiver->options->telemetry, error, clock_pg_time());
}

bool receiver_reports_flush(const Receiver *receiver)
{
    return receiver->options->slot != NULL || receiver->tunables.synchronous;
}

bool receiver_is_prompt(const Receiver *receiver)
{
    return receiver->tunables.synchronous || monitor_wants_prompt(receiver->monitor);
}

static void copy_text(char *to, size_t capacity, const char *from)
{
    (void)snprintf(to, capacity, "%s", from != NULL ? from : "");
}

void note_session(Receiver *receiver)
{
    const ReceiverOptions *options = receiver->options;
    TelemetrySession session = {
        .flush_reported = receiver_reports_flush(receiver),
        .synchronous = receiver_is_prompt(receiver),
    };
    copy_text(session.slot, sizeof(session.slot), options->slot);
    (void)connect_options_text(&options->connect, session.conninfo, sizeof(session.conninfo));
    if (receiver->connection != NULL) {
        copy_text(session.host, sizeof(session.host), connection_host(receiver->connection));
        copy_text(session.port, sizeof(session.port), connection_port(receiver->connection));
        session.server_version = connection_server_version(receiver->connection);
        session.system_identifier = receiver->server.system_identifier;
        session.segment_size = receiver->archive.segment_size;
    }
    telemetry_session(options->telemetry, &session);
}

void note_stream(Receiver *receiver)
{
    MonitorSession session = {
        .self = {.synchronous = receiver->tunables.synchronous,
                 .reports_flush = receiver_reports_flush(receiver),
                 .reports_apply = receiver->tunables.report_apply},
    };
    if (receiver->connection != NULL) {
        copy_text(session.host, sizeof(session.host), connection_host(receiver->connection));
        copy_text(session.port, sizeof(session.port), connection_port(receiver->connection));
        session.sender_pid = connection_backend_pid(receiver->connection);
    }
    monitor_follow(receiver->monitor, &session);
}

void note_positions(Receiver *receiver, Lsn durable, HoldCause held, uint64_t now_ns)
{
    StorePositions store = store_positions(receiver->store);
    /* Durable is durable, even while nothing of it is told as flushed. */
    Lsn flushed = store.flushed > durable ? store.flushed : durable;
    Lsn archived = flushed;
    if (receiver->compressor != NULL) {
        Lsn waiting = compressor_oldest_waiting(receiver->compressor);
        archived = waiting < flushed ? waiting : flushed;
    }
    const Lsn position[LAG_STAGE_COUNT] = {store.received, store.written, flushed, archived};
    telemetry_positions(receiver->options->telemetry, position, held, now_ns);
}

void receiver_show_archive(Receiver *receiver, Store *store)
{
    const ReceiverWatch *watch = &receiver->options->watch;
    receiver->shown = true;
    if (watch->archive != NULL)
        watch->archive(watch->context, &receiver->archive, store);
}
