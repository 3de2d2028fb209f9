/* SPDX-License-Identifier: PostgreSQL
 *
 * One connection: who is the server, does the archive belong to it, where does receiving start, and
 * then one timeline after the other until the stream ends.
 */
#include "receiver_internal.h"

#include "walrx/archive/gap.h"
#include "walrx/archive/history_file.h"
#include "walrx/archive/inventory.h"
#include "walrx/archive/partial.h"
#include "walrx/archive/start.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"
#include "walrx/proto/command.h"
#include "walrx/stream/slot.h"
#include "walrx/stream/sqlstate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OLDEST_SERVER 100000
/* The ring takes three quarters of --memory; codecs and libpq the rest. */
#define RING_SHARE(memory) ((memory) / 4 * 3)
#define RING_MINIMUM (4 * (size_t)1024 * 1024)

static bool ask(Receiver *receiver, const ReplicationCommand *command, ResultRow *ret, Error *err)
{
    char text[COMMAND_TEXT_SIZE];
    return command_format(command, text, sizeof(text), err) &&
           connection_query(receiver->connection, text, ret, err);
}

static bool show(Receiver *receiver, const char *setting, ResultRow *ret, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_SHOW};
    (void)snprintf(command.name, sizeof(command.name), "%s", setting);
    return ask(receiver, &command, ret, err);
}

static bool identify(Receiver *receiver, uint32_t *ret_segment_size, bool *ret_group, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_IDENTIFY_SYSTEM};
    ResultRow row;
    unsigned mode = 0700;
    int version = connection_server_version(receiver->connection);
    if (version < OLDEST_SERVER)
        return error_set(err, ERROR_OPERATOR,
                         "server version %d.%d is older than PostgreSQL 10, which walrx needs",
                         version / 10000, version / 100 % 100);
    if (version >= 110000 && (!show(receiver, "data_directory_mode", &row, err) ||
                              !result_directory_mode(&row, &mode, err)))
        return false;
    if (!ask(receiver, &command, &row, err) ||
        !result_identify_system(&row, &receiver->server, err))
        return false;
    if (receiver->server.has_database)
        return error_set(
            err, ERROR_OPERATOR,
            "replication connection using slot \"%s\" is unexpectedly database specific",
            receiver->options->slot != NULL ? receiver->options->slot : "");
    *ret_group = (mode & 0040) != 0;
    return show(receiver, "wal_segment_size", &row, err) &&
           result_segment_size(&row, ret_segment_size, err);
}

/* The workers and the store need the segment size, so they start once the archive is bound. */
static bool start_threads(Receiver *receiver, Error *err)
{
    const ReceiverOptions *options = receiver->options;
    if (receiver->store != NULL)
        return true;
    if (options->compress.method != WAL_RAW && receiver->compressor == NULL &&
        (!compressor_start(&receiver->archive, options->compress, options->compress_workers,
                           &receiver->bell, &receiver->compressor, err) ||
         !compressor_submit_leftovers(receiver->compressor, &receiver->archive, err)))
        return false;
    size_t memory = RING_SHARE(options->memory);
    return store_open(&receiver->archive, memory < RING_MINIMUM ? RING_MINIMUM : memory,
                      receiver->compressor, &receiver->bell, &receiver->store, err);
}

/* Fetches the history file of a timeline into the archive, and makes it the one in use. */
static bool fetch_history(Receiver *receiver, Timeline timeline, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_TIMELINE_HISTORY, .timeline = timeline};
    ResultRow row;
    TimelineHistoryResult result;
    if (timeline == 1) {
        receiver->history = (TimelineHistory){.target = 1, .switches = receiver->switches};
        return true;
    }
    return ask(receiver, &command, &row, err) &&
           result_timeline_history(&row, timeline, &result, err) &&
           timeline_history_parse(result.content, result.content_length, timeline,
                                  receiver->switches, TIMELINE_MAX_SWITCHES, &receiver->history,
                                  err) &&
           history_file_store(&receiver->archive, timeline, result.content, result.content_length,
                              err);
}

static bool read_slot(Receiver *receiver, Error *err)
{
    const ReceiverOptions *options = receiver->options;
    receiver->slot = (ReadSlotResult){.exists = false};
    if (options->slot == NULL)
        return true;
    if (!slot_read(receiver->connection, &options->connect, receiver->control, options->slot,
                   &receiver->slot, err))
        return false;
    if (!receiver->slot.exists) {
        error_set(err, ERROR_OPERATOR, "replication slot \"%s\" does not exist", options->slot);
        return error_hint(err, "Create it with --create-slot, and check whether WAL is missing "
                               "since the last segment in the archive.");
    }
    if (!receiver->slot.physical)
        return error_set(err, ERROR_OPERATOR, "replication slot \"%s\" is not a physical one",
                         options->slot);
    return true;
}

/* A compressed partial (pg_receivewal's, after a clean stop) that is the open segment becomes raw.
 */
static bool expand_partials(Receiver *receiver, const Inventory *inventory, Error *err)
{
    for (size_t i = 0; i < inventory->count; i++) {
        const TimelineInventory *timeline = &inventory->timelines[i];
        InventoryNewest open = inventory_open_partial(timeline);
        for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT && open.any; form++) {
            if (timeline->partial[form].any && timeline->partial[form].segno == open.segno &&
                !partial_expand(&receiver->archive, timeline->timeline, open.segno,
                                (WalCompression)form, err))
                return false;
        }
    }
    return true;
}

static void tell_start(Receiver *receiver, const StartPoint *start)
{
    char text[3][LSN_TEXT_SIZE];
    if (start->unknown_timeline != 0 &&
        start->unknown_timeline != receiver->told_unknown_timeline) {
        log_line(LOG_WARNING, NULL,
                 "the archive also holds timeline %u, which is not on the history of the server "
                 "(timeline %u); its files stay as they are",
                 start->unknown_timeline, receiver->server.timeline);
        receiver->told_unknown_timeline = start->unknown_timeline;
    }
    if (start->reason == START_AT_FORK && start->left_timeline != receiver->told_fork_of) {
        log_line(LOG_WARNING, NULL,
                 "the archive followed timeline %u to %s, but the server left it at %s; continuing "
                 "on timeline %u at %s",
                 start->left_timeline, lsn_format(start->left_end, text[0]),
                 lsn_format(start->fork, text[1]), start->timeline,
                 lsn_format(start->lsn, text[2]));
        receiver->told_fork_of = start->left_timeline;
    }
}

static bool choose_start(Receiver *receiver, StartPoint *ret, Error *err)
{
    Inventory inventory;
    StartServer server = {
        .history = receiver->history,
        .flush_lsn = receiver->server.flush_lsn,
        .slot_restart_lsn = receiver->slot.restart_lsn,
        .slot_timeline = receiver->slot.restart_timeline,
    };
    uint32_t size = receiver->archive.segment_size;
    if (!connection_in_recovery(receiver->connection, &server.in_recovery, err) ||
        !inventory_scan(&receiver->archive.dir, size, &inventory, err))
        return false;
    bool ok = expand_partials(receiver, &inventory, err) &&
              start_choose(&inventory, &server, size, ret, err);
    inventory_free(&inventory);
    if (ok)
        tell_start(receiver, ret);
    return ok;
}

/* How far this process made the WAL of `timeline` durable over earlier connections. On a later
 * timeline that holds for what lies before the switch. */
static Lsn known_durable(const Receiver *receiver, Timeline timeline)
{
    Lsn end;
    if (receiver->durable_lsn == LSN_INVALID)
        return LSN_INVALID;
    if (receiver->durable_timeline == timeline)
        return receiver->durable_lsn;
    if (!timeline_history_find(&receiver->history, receiver->durable_timeline, &end, NULL))
        return LSN_INVALID;
    return receiver->durable_lsn < end ? receiver->durable_lsn : end;
}

/* Below this position no flush is reported: the server knows it already from an earlier connection.
 */
static Lsn report_floor(const Receiver *receiver, Lsn start, const PartialTrust *trust)
{
    if (receiver->slot.restart_lsn != LSN_INVALID)
        return receiver->slot.restart_lsn;
    return trust->exists && trust->proven_end > start ? trust->proven_end : start;
}

static bool prepare_store(Receiver *receiver, Timeline timeline, Lsn lsn, Lsn *ret_floor,
                          Error *err)
{
    PartialTrust trust;
    uint64_t old_size;
    uint32_t size = receiver->archive.segment_size;
    if (!partial_examine(&receiver->archive, timeline, segment_of(lsn, size), &trust, &old_size,
                         err))
        return false;
    if (old_size != size)
        log_line(LOG_WARNING, NULL,
                 "the open segment at %08X/%08X (timeline %u) had %" PRIu64
                 " bytes instead of %u; mended, it is received again from its start",
                 (unsigned)(lsn >> 32), (unsigned)lsn, timeline, old_size, size);
    Lsn durable = known_durable(receiver, timeline);
    if (trust.exists && durable > trust.proven_begin && receiver->durable_timeline == timeline) {
        /* What this very process synced needs no further proof. */
        trust.proven_begin = lsn;
        if (durable > trust.proven_end)
            trust.proven_end = durable < lsn + size ? durable : lsn + size;
    }
    *ret_floor = report_floor(receiver, lsn, &trust);
    store_start(receiver->store, timeline, lsn, &trust, durable);
    return true;
}

static bool gap_error(const Receiver *receiver, Timeline timeline, Lsn from, Lsn to, Error *err)
{
    char begin[WAL_FILE_NAME_SIZE];
    char end[WAL_FILE_NAME_SIZE];
    char text[2][LSN_TEXT_SIZE];
    char cause[ERROR_MESSAGE_SIZE];
    char sqlstate[sizeof(err->sqlstate)];
    uint32_t size = receiver->archive.segment_size;
    (void)snprintf(cause, sizeof(cause), "%s", err->message);
    (void)snprintf(sqlstate, sizeof(sqlstate), "%s", err->sqlstate);
    wal_segment_name(timeline, segment_of(from, size), size, WAL_RAW, false, begin);
    wal_segment_name(timeline, segment_of(to, size), size, WAL_RAW, false, end);
    error_set(err, ERROR_ARCHIVE, "%s", cause);
    (void)snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
    error_detail(err,
                 "The archive continues at %s (file %s); the server can send from %s (file %s). "
                 "The WAL in between is missing.",
                 lsn_format(from, text[0]), begin, lsn_format(to, text[1]), end);
    return error_hint(err, "Copy the missing segments into the archive if they exist elsewhere. "
                           "Otherwise take a new base backup and use --on-gap=continue.");
}

/* The server no longer has the WAL at *lsn. Where it can go on, or the error. */
static bool step_over_gap(Receiver *receiver, Timeline *timeline, Lsn *lsn, Error *err)
{
    uint32_t size = receiver->archive.segment_size;
    Lsn to =
        segment_floor(receiver->slot.restart_lsn != LSN_INVALID && receiver->slot.restart_lsn > *lsn
                          ? receiver->slot.restart_lsn
                          : receiver->server.flush_lsn,
                      size);
    char when[CLOCK_TEXT_SIZE];
    char text[2][LSN_TEXT_SIZE];
    if (!receiver->options->continue_on_gap || to <= *lsn)
        return gap_error(receiver, *timeline, *lsn, to, err);
    Gap gap = {.timeline = *timeline, .begin = *lsn, .end = to};
    if (!gap_record(&receiver->archive, &gap, clock_utc_text(when), err))
        return false;
    char begin[WAL_FILE_NAME_SIZE];
    char end[WAL_FILE_NAME_SIZE];
    wal_segment_name(gap.timeline, segment_of(gap.begin, size), size, WAL_RAW, false, begin);
    wal_segment_name(gap.timeline, segment_of(gap.end, size), size, WAL_RAW, false, end);
    log_line(
        LOG_ERROR, NULL,
        "WAL from %s (file %s) to %s (file %s) is missing in the archive: the server no longer "
        "has it; continuing behind the gap",
        lsn_format(gap.begin, text[0]), begin, lsn_format(gap.end, text[1]), end);
    *timeline = timeline_history_at(&receiver->history, to);
    *lsn = to;
    return true;
}

static bool stream_one(Receiver *receiver, Timeline timeline, Lsn lsn, StreamEnd *ret_end,
                       EndOfTimelineResult *ret_next, Error *err)
{
    Lsn floor;
    return prepare_store(receiver, timeline, lsn, &floor, err) &&
           stream_timeline(receiver, timeline, lsn, floor, ret_end, ret_next, err);
}

static void tell_open_segment(const Receiver *receiver)
{
    char name[WAL_FILE_NAME_SIZE];
    uint32_t size = receiver->archive.segment_size;
    if (segment_offset(receiver->open_lsn, size) == 0)
        return;
    wal_segment_name(receiver->open_timeline, segment_of(receiver->open_lsn, size), size, WAL_RAW,
                     true, name);
    log_line(receiver->options->as_pg_receivewal ? LOG_NOTICE : LOG_DEBUG, NULL,
             "not renaming \"%s\", segment is not complete", name);
}

/* Follows the server from timeline to timeline. */
static bool follow(Receiver *receiver, const StartPoint *start, Error *err)
{
    Timeline timeline = start->timeline;
    Lsn lsn = start->lsn;
    bool stepped = false;
    for (;;) {
        StreamEnd end;
        EndOfTimelineResult next;
        char text[LSN_TEXT_SIZE];
        bool ok = stream_one(receiver, timeline, lsn, &end, &next, err);
        if (!ok && !stepped && strcmp(err->sqlstate, SQLSTATE_UNDEFINED_FILE) == 0) {
            lsn = receiver->open_lsn; /* what came before the hole is in the archive */
            if (!step_over_gap(receiver, &timeline, &lsn, err))
                return false;
            stepped = true; /* once for a connection: the next failure is told as it is */
            continue;
        }
        tell_open_segment(receiver);
        if (!ok)
            return false;
        if (end == STREAM_DONE)
            return true;
        log_line(LOG_INFO, NULL, "switched to timeline %u at %s", next.next_timeline,
                 lsn_format(next.next_start, text));
        timeline = next.next_timeline;
        lsn = segment_floor(next.next_start, receiver->archive.segment_size);
        if (!fetch_history(receiver, timeline, err))
            return false;
    }
}

static bool run_connected(Receiver *receiver, Error *err)
{
    uint32_t segment_size;
    bool group_may_read = false;
    StartPoint start;
    if (!identify(receiver, &segment_size, &group_may_read, err))
        return false;
    if (!archive_bind(&receiver->archive, receiver->server.system_identifier, segment_size,
                      group_may_read, err) ||
        !start_threads(receiver, err))
        return false;
    machine_on_connected(&receiver->machine);
    return fetch_history(receiver, receiver->server.timeline, err) && read_slot(receiver, err) &&
           choose_start(receiver, &start, err) && follow(receiver, &start, err);
}

bool session_run(Receiver *receiver, Error *err)
{
    const ReceiverOptions *options = receiver->options;
    if (!connection_open(&options->connect, CONNECTION_REPLICATION, receiver->control,
                         receiver->tunables.receive_timeout_ms, &receiver->connection, err))
        return false;
    bool ok = run_connected(receiver, err);
    connection_close(receiver->connection);
    receiver->connection = NULL;
    return ok;
}
