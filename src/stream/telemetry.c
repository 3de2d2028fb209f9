/* SPDX-License-Identifier: PostgreSQL
 *
 * See telemetry.h.
 */
#include "walrx/stream/telemetry.h"

#include <stdlib.h>
#include <string.h>

bool telemetry_open(Telemetry **ret, Error *err)
{
    Telemetry *telemetry = calloc(1, sizeof(*telemetry));
    if (telemetry == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the receiver's figures");
    int error = pthread_mutex_init(&telemetry->lock, NULL);
    if (error != 0) {
        free(telemetry);
        return error_set_errno(err, ERROR_MEMORY, error, "could not make a lock");
    }
    if (!bell_open(&telemetry->bell, err)) {
        (void)pthread_mutex_destroy(&telemetry->lock);
        free(telemetry);
        return false;
    }
    histogram_reset(&telemetry->receive_to_flush_ns);
    histogram_reset(&telemetry->flush_to_report_ns);
    archive_metrics_reset(&telemetry->archive);
    *ret = telemetry;
    return true;
}

void telemetry_close(Telemetry *telemetry)
{
    if (telemetry == NULL)
        return;
    bell_close(&telemetry->bell);
    (void)pthread_mutex_destroy(&telemetry->lock);
    free(telemetry);
}

static void publish(Telemetry *telemetry, TelemetryNews news, uint64_t now_ns)
{
    telemetry->now.at_ns = now_ns;
    seqcell_write(&telemetry->cell, &telemetry->now, sizeof(telemetry->now));
    /* Not a mere load: who asks after this sees what was published, who asked before is seen. */
    int wanted = atomic_fetch_or(&telemetry->wanted, NEWS_NONE);
    if (wanted != NEWS_NONE && (int)news >= wanted) {
        atomic_store(&telemetry->wanted, NEWS_NONE);
        bell_ring(&telemetry->bell);
    }
}

void telemetry_want(Telemetry *telemetry, TelemetryNews news)
{
    (void)atomic_exchange(&telemetry->wanted, (int)news);
}

void telemetry_session(Telemetry *telemetry, const TelemetrySession *session)
{
    (void)pthread_mutex_lock(&telemetry->lock);
    telemetry->session = *session;
    (void)pthread_mutex_unlock(&telemetry->lock);
}

void telemetry_state(Telemetry *telemetry, ReceiverState state, uint64_t now_ns)
{
    TelemetryMoment *now = &telemetry->now;
    if (now->state != (uint64_t)state || now->state_since_ns == 0)
        now->state_since_ns = now_ns;
    now->state = (uint64_t)state;
    publish(telemetry, NEWS_OF_REST, now_ns);
}

void telemetry_failure(Telemetry *telemetry, const Error *error, PgTime at)
{
    (void)pthread_mutex_lock(&telemetry->lock);
    telemetry->failure = (TelemetryFailure){.any = true, .at = at, .error = *error};
    (void)pthread_mutex_unlock(&telemetry->lock);
    telemetry->now.failures++;
}

void telemetry_stream(Telemetry *telemetry, Timeline timeline, Lsn start, Lsn durable,
                      uint64_t now_ns)
{
    TelemetryMoment *now = &telemetry->now;
    if (now->streams == 0 || now->timeline != timeline) {
        lag_track_reset(&telemetry->server, start);
        now->server_end = start;
        now->server_end_ns = 0;
        /* Those of another timeline, which may lie behind the fork, say nothing about this one. */
        for (int stage = 0; stage < LAG_STAGE_COUNT; stage++) {
            now->position[stage] = durable;
            now->behind_since_ns[stage] = 0;
        }
    }
    /* What comes again of the open segment is on its way to nowhere. */
    lag_track_reset(&telemetry->received, durable);
    lag_track_reset(&telemetry->flushed, durable);
    clock_offset_reset(&telemetry->clock);
    telemetry->fresh = true;
    if (now->streams == 0)
        now->start_timeline = timeline;
    now->streams++;
    now->timeline = timeline;
    now->start = start;
    telemetry_state(telemetry, RECEIVER_STREAMING, now_ns);
}

/* The server's end of WAL has moved: the bytes came between its last news and this. Where we had
 * everything until then, they came just now; over a break between two connections, since the last
 * sign of life before it. */
static uint64_t came_first_ns(const Telemetry *telemetry, uint64_t came_ns)
{
    const TelemetryMoment *now = &telemetry->now;
    if (now->server_end_ns == 0)
        return came_ns;
    if (now->position[LAG_RECEIVED] < now->server_end)
        return 0;
    return telemetry->fresh ? now->last_message_ns : came_ns;
}

static void saw_server_end(Telemetry *telemetry, const TelemetryMessage *message, uint64_t now_ns)
{
    TelemetryMoment *now = &telemetry->now;
    if (message->server_end <= now->server_end)
        return;
    uint64_t came_ns = clock_offset_to_local(&now->clock, message->sent, now_ns);
    lag_track_add(&telemetry->server, message->server_end, came_first_ns(telemetry, came_ns),
                  came_ns);
    now->server_end = message->server_end;
    now->server_end_ns = now_ns;
    now->server_end_sent = message->sent;
}

void telemetry_message(Telemetry *telemetry, const TelemetryMessage *message, uint64_t now_ns)
{
    TelemetryMoment *now = &telemetry->now;
    clock_offset_message(&telemetry->clock, message->sent, message->reply, now_ns);
    now->clock = clock_offset_estimate(&telemetry->clock, now_ns);
    saw_server_end(telemetry, message, now_ns);
    telemetry->fresh = false;
    now->last_message_ns = now_ns;
    now->last_message_sent = message->sent;
    if (message->length == 0)
        return;
    now->messages++;
    now->bytes += message->length;
    now->position[LAG_RECEIVED] = message->received;
    lag_track_add(&telemetry->received, message->received, now_ns, now_ns);
}

void telemetry_reported(Telemetry *telemetry, Lsn write, Lsn flush, bool asked, uint64_t now_ns)
{
    TelemetryMoment *now = &telemetry->now;
    now->statuses++;
    now->reported_write = write;
    if (flush > now->reported_flush)
        now->reported_flush = flush;
    lag_track_settle(&telemetry->flushed, flush, now_ns, &telemetry->flush_to_report_ns);
    if (asked)
        clock_offset_ask(&telemetry->clock, now_ns);
    publish(telemetry, NEWS_OF_ANY, now_ns);
}

static TelemetryNews news_of_positions(Telemetry *telemetry)
{
    const TelemetryMoment *now = &telemetry->now;
    if (now->server_end == telemetry->told_end &&
        memcmp(now->position, telemetry->told, sizeof(telemetry->told)) == 0)
        return NEWS_NONE;
    memcpy(telemetry->told, now->position, sizeof(telemetry->told));
    telemetry->told_end = now->server_end;
    return now->position[LAG_FLUSHED] == now->position[LAG_RECEIVED] ? NEWS_OF_REST : NEWS_OF_ANY;
}

/* A whole segment that is durable may yet wait for a worker: the archived position then goes back
 * to its start. */
static Lsn nobody_asks_below(const Telemetry *telemetry)
{
    uint32_t size = telemetry->session.segment_size;
    Lsn archived = telemetry->now.position[LAG_ARCHIVED];
    if (size == 0)
        return archived;
    Lsn start = segment_floor(archived, size);
    return start > size ? start - size : 0;
}

void telemetry_positions(Telemetry *telemetry, const Lsn position[LAG_STAGE_COUNT], HoldCause held,
                         uint64_t now_ns)
{
    TelemetryMoment *now = &telemetry->now;
    Lsn reached = 0;
    lag_track_settle(&telemetry->received, position[LAG_FLUSHED], now_ns,
                     &telemetry->receive_to_flush_ns);
    if (telemetry->session.flush_reported)
        lag_track_add(&telemetry->flushed, position[LAG_FLUSHED], now_ns, now_ns);
    for (int stage = LAG_STAGE_COUNT - 1; stage >= 0; stage--) {
        reached = position[stage] > reached ? position[stage] : reached;
        bool behind = reached < lag_track_newest(&telemetry->server);
        now->position[stage] = reached;
        now->behind_since_ns[stage] =
            behind ? now_ns - lag_track_age(&telemetry->server, reached, now_ns) : 0;
    }
    lag_track_forget(&telemetry->server, nobody_asks_below(telemetry));
    now->held_by = (uint64_t)held;
    publish(telemetry, news_of_positions(telemetry), now_ns);
}

void telemetry_read(const Telemetry *telemetry, TelemetryMoment *ret)
{
    seqcell_read(&telemetry->cell, ret, sizeof(*ret));
}

void telemetry_read_session(Telemetry *telemetry, TelemetrySession *ret,
                            TelemetryFailure *ret_failure)
{
    (void)pthread_mutex_lock(&telemetry->lock);
    *ret = telemetry->session;
    *ret_failure = telemetry->failure;
    (void)pthread_mutex_unlock(&telemetry->lock);
}

uint64_t telemetry_lag_ns(const TelemetryMoment *moment, LagStage stage, uint64_t now_ns)
{
    uint64_t since_ns = moment->behind_since_ns[stage];
    return since_ns != 0 && now_ns > since_ns ? now_ns - since_ns : 0;
}

uint64_t telemetry_lag_bytes(const TelemetryMoment *moment, LagStage stage)
{
    Lsn position = moment->position[stage];
    return moment->server_end > position ? moment->server_end - position : 0;
}
