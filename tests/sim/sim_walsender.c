/* SPDX-License-Identifier: PostgreSQL
 *
 * The walsender of the simulated world: answers commands, sends WAL and keepalives, and takes
 * status messages, each of which is held against what the disk has.
 */
#include "sim_connection.h"

#include "walrx/proto/timeline.h"

#include <stdio.h>
#include <string.h>

#define REPLY_BOUND_MS 1000
#define SERVER_KEEPALIVE_MS 30000

static PGresult *add_result(PGconn *conn, ExecStatusType status)
{
    PGresult *result = &conn->results[conn->result_count++];
    *result = (PGresult){.status = status};
    return result;
}

void walsender_fail(PGconn *conn, const char *sqlstate)
{
    sqlstate_set(add_result(conn, PGRES_FATAL_ERROR)->sqlstate, sqlstate);
}

static void add_row(PGconn *conn, const ResultText *text)
{
    PGresult *result = add_result(conn, PGRES_TUPLES_OK);
    size_t used = 0;
    result->row.count = text->row.count;
    for (size_t i = 0; i < text->row.count; i++) {
        if (text->row.values[i] == NULL)
            continue;
        memcpy(result->text + used, text->row.values[i], text->row.lengths[i]);
        result->row.values[i] = result->text + used;
        result->row.lengths[i] = text->row.lengths[i];
        used += text->row.lengths[i] + 1;
    }
    (void)add_result(conn, PGRES_COMMAND_OK);
}

static void add_text(PGconn *conn, const char *text)
{
    ResultText row = {.row = {.count = 1, .values = {text}, .lengths = {strlen(text)}}};
    add_row(conn, &row);
}

static void answer_identify(PGconn *conn)
{
    IdentifySystemResult value = {
        .system_identifier = SIM_SYSTEM, .timeline = server.timeline, .flush_lsn = server.end};
    ResultText text;
    result_identify_system_encode(&value, &text);
    add_row(conn, &text);
}

static void answer_slot(PGconn *conn)
{
    ReadSlotResult value = {.exists = server.slot_exists,
                            .physical = true,
                            .restart_lsn = server.slot_restart,
                            .restart_timeline = 0};
    ResultText text;
    if (server.slot_restart != LSN_INVALID)
        value.restart_timeline = server_owner(server.timeline, server.slot_restart);
    result_read_slot_encode(&value, &text);
    add_row(conn, &text);
}

static void answer_history(PGconn *conn, Timeline timeline)
{
    TimelineSwitch switches[SIM_TIMELINES];
    TimelineHistory history = {.target = timeline, .switches = switches};
    char content[700];
    char name[32];
    ResultText text = {.row = {.count = 2}};
    for (Timeline at = 1; at < timeline; at++)
        switches[history.count++] =
            (TimelineSwitch){.timeline = at, .end = server.timelines[at].end};
    (void)snprintf(name, sizeof(name), "%08X.history", timeline);
    SIM_CHECK(timeline_history_format(&history, content, sizeof(content), &text.row.lengths[1]),
              "sim: a history file of more than %zu bytes", sizeof(content));
    text.row.values[0] = name;
    text.row.lengths[0] = strlen(name);
    text.row.values[1] = content;
    add_row(conn, &text);
}

static void add_next_timeline(PGconn *conn)
{
    EndOfTimelineResult next = {.next_timeline = conn->timeline + 1,
                                .next_start = server.timelines[conn->timeline].end};
    ResultText text;
    result_end_of_timeline_encode(&next, &text);
    add_row(conn, &text);
}

static void answer_start(PGconn *conn, const ReplicationCommand *command)
{
    Timeline timeline = command->timeline;
    SIM_CHECK(timeline >= 1 && timeline <= server.timeline, "streams unknown timeline %u",
              timeline);
    const ServerTimeline *line = &server.timelines[timeline];
    Lsn end = line->end == SIM_NEVER ? server.end : line->end;
    SIM_CHECK((command->start % SIM_SEGMENT == 0 || conn->gap) && command->start <= end,
              "streams from %llX, the server has up to %llX", (unsigned long long)command->start,
              (unsigned long long)end);
    conn->timeline = timeline;
    conn->sent = command->start;
    conn->highest = conn->highest > command->start ? conn->highest : command->start;
    conn->over = conn->client_done = false;
    conn->wal_at_ms = 0;
    conn->keepalive_at_ms = world.now_ms + sim_random(SERVER_KEEPALIVE_MS);
    conn->keepalive_asks = sim_chance(50);
    conn->told_write = LSN_INVALID;
    if (line->end != SIM_NEVER && command->start == line->end)
        add_next_timeline(conn); /* nothing to stream */
    else
        (void)add_result(conn, PGRES_COPY_BOTH);
}

void walsender_answer(PGconn *conn, const ReplicationCommand *command)
{
    switch (command->kind) {
    case COMMAND_IDENTIFY_SYSTEM:
        answer_identify(conn);
        break;
    case COMMAND_SHOW:
        add_text(conn, strcmp(command->name, "wal_segment_size") == 0 ? "1MB" : "0700");
        break;
    case COMMAND_READ_SLOT:
        answer_slot(conn);
        break;
    case COMMAND_TIMELINE_HISTORY:
        answer_history(conn, command->timeline);
        break;
    case COMMAND_START_PHYSICAL:
        answer_start(conn, command);
        break;
    case COMMAND_CREATE_PHYSICAL_SLOT:
    case COMMAND_DROP_SLOT:
        sim_fail("sends a command about slots while it receives");
    }
}

Lsn walsender_limit(const PGconn *conn)
{
    Lsn end = server.timelines[conn->timeline].end;
    return end == SIM_NEVER ? server.end : end;
}

static bool timeline_over(const PGconn *conn)
{
    return server.timelines[conn->timeline].end != SIM_NEVER && conn->sent >= walsender_limit(conn);
}

/* Something else than WAL and keepalives. */
bool walsender_at_end(const PGconn *conn)
{
    return conn->over || conn->client_done || conn->closing || conn->sqlstate[0] != '\0' ||
           conn->sent < server.oldest || timeline_over(conn);
}

static void end_copy_mode(PGconn *conn)
{
    conn->over = true;
    conn->result_count = conn->result_next = 0;
    conn->due_ms = world.now_ms + sim_random(10);
    if (conn->client_done) {
        (void)add_result(conn, PGRES_COMMAND_OK);
    } else if (conn->closing) {
        sim_met(ERROR_RETRY);
        (void)add_result(conn, PGRES_COPY_IN);
        (void)add_result(conn, PGRES_COMMAND_OK);
    } else if (conn->sqlstate[0] != '\0') {
        walsender_fail(conn, conn->sqlstate);
        conn->sqlstate[0] = '\0';
    } else if (conn->sent < server.oldest) {
        conn->gap = true;
        conn->faulty = true;
        sim_note("server: WAL at %llX is gone", (unsigned long long)conn->sent);
        sim_allow_end(world.options.as_pg_receivewal ? 1 : 2);
        walsender_fail(conn, "58P01");
    } else {
        (void)add_result(conn, PGRES_COPY_IN);
        add_next_timeline(conn);
    }
}

static int deliver(PGconn *conn, const CopyMessage *message, char **buffer)
{
    size_t length = copy_message_encode(message, conn->buffer, sizeof(conn->buffer));
    conn->last_read_ms = world.now_ms;
    *buffer = conn->buffer;
    return (int)length;
}

static int deliver_wal(PGconn *conn, char **buffer)
{
    static const size_t sizes[] = {100, 8192, SIM_MESSAGE_MAX};
    size_t most = sizes[sim_random(3)];
    Lsn left = walsender_limit(conn) - conn->sent;
    CopyMessage message = {.type = COPY_WAL_DATA};
    message.as.wal = (WalDataMessage){.start = conn->sent,
                                      .server_end = walsender_limit(conn),
                                      .data = server_wal(conn->timeline, conn->sent),
                                      .length = left < most ? (size_t)left : most};
    /* The pattern changes where the timeline begins. */
    Lsn begin = server.timelines[conn->timeline].begin;
    if (conn->sent < begin) {
        message.as.wal.data = server_wal(server_owner(conn->timeline, conn->sent), conn->sent);
        for (Timeline at = conn->timeline; at > 1; at--) {
            begin = server.timelines[at].begin;
            if (conn->sent < begin && begin - conn->sent < message.as.wal.length)
                message.as.wal.length = (size_t)(begin - conn->sent);
        }
    }
    conn->sent += message.as.wal.length;
    conn->highest = conn->sent > conn->highest ? conn->sent : conn->highest;
    if (sim_chance(10))
        conn->wal_at_ms = world.now_ms + sim_random(20);
    return deliver(conn, &message, buffer);
}

static int deliver_keepalive(PGconn *conn, char **buffer)
{
    CopyMessage message = {.type = COPY_KEEPALIVE};
    message.as.keepalive = (KeepaliveMessage){.server_end = walsender_limit(conn),
                                              .reply_requested = conn->keepalive_asks};
    if (conn->keepalive_asks && conn->reply_due_ms == SIM_NEVER)
        conn->reply_due_ms = world.now_ms + REPLY_BOUND_MS;
    conn->keepalive_at_ms = world.now_ms + 1 + sim_random(SERVER_KEEPALIVE_MS);
    conn->keepalive_asks = sim_chance(50);
    return deliver(conn, &message, buffer);
}

int PQgetCopyData(PGconn *conn, char **buffer, int async)
{
    (void)async;
    sim_step();
    if (conn->silent || conn->dropped)
        return 0;
    if (!conn->over && walsender_at_end(conn))
        end_copy_mode(conn);
    if (conn->over)
        return -1;
    if (world.now_ms >= conn->keepalive_at_ms)
        return deliver_keepalive(conn, buffer);
    if (conn->sent < walsender_limit(conn) && world.now_ms >= conn->wal_at_ms)
        return deliver_wal(conn, buffer);
    return 0;
}

static void take_status(PGconn *conn, const StandbyStatusMessage *status)
{
    unsigned long long flush = status->flush;
    sim_note("status: write %llX, flush %llX%s", (unsigned long long)status->write, flush,
             status->reply_requested ? ", asks" : "");
    SIM_CHECK(status->flush <= status->write, "flush %llX is ahead of write %llX", flush,
              (unsigned long long)status->write);
    SIM_CHECK(status->write <= conn->highest, "write %llX, only %llX was sent",
              (unsigned long long)status->write, (unsigned long long)conn->highest);
    SIM_CHECK(status->write >= conn->told_write, "write went back");
    SIM_CHECK(status->apply ==
                      (world.options.tunables.report_apply ? status->flush : LSN_INVALID) ||
                  status->apply == LSN_INVALID || status->apply == status->flush,
              "apply %llX", (unsigned long long)status->apply);
    conn->told_write = status->write;
    conn->last_status_ms = world.now_ms;
    conn->reply_due_ms = SIM_NEVER;
    if (status->flush == LSN_INVALID)
        return;
    SIM_CHECK(sim_reports_flush(), "flush is reported, which nobody asked for");
    SIM_CHECK(status->flush <= disk_durable(conn->timeline) || status->flush == disk.start,
              "flush %llX is ahead of the disk, which has %llX", flush,
              (unsigned long long)disk_durable(conn->timeline));
    if (conn->dropped)
        return; /* does not arrive; and the server may be another one by now */
    SIM_CHECK(status->flush >= server.told_flush, "flush %llX went back from %llX", flush,
              (unsigned long long)server.told_flush);
    if (conn->silent)
        return;
    conn->fresh = conn->fresh || status->flush > sim_process.durable;
    server.told_flush = status->flush;
    if (world.options.slot != NULL)
        server.slot_restart = status->flush;
}

int PQputCopyData(PGconn *conn, const char *buffer, int length)
{
    CopyMessage message;
    Error error;
    sim_step();
    SIM_CHECK(copy_message_decode(buffer, (size_t)length, &message, &error) &&
                  message.type == COPY_STANDBY_STATUS,
              "sends what is no status");
    take_status(conn, &message.as.status);
    if (message.as.status.reply_requested) {
        conn->keepalive_at_ms = world.now_ms + sim_random(30);
        conn->keepalive_asks = false;
    }
    return 1;
}

int PQputCopyEnd(PGconn *conn, const char *message)
{
    (void)message;
    conn->client_done = true;
    return 1;
}

int PQflush(PGconn *conn)
{
    sim_step();
    if (conn->dropped) {
        conn->bad = true;
        (void)snprintf(conn->message, sizeof(conn->message), "connection reset");
        return -1;
    }
    return world.now_ms < conn->blocked_until_ms;
}
