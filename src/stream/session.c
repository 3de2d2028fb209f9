/* SPDX-License-Identifier: PostgreSQL
 *
 * One connection: who is the server, does the archive belong to it, where does receiving start, and
 * then one timeline after the other until the stream ends.
 */
#include "gap_search.h"
#include "identify.h"
#include "receiver_internal.h"
#include "slot_state.h"

#include "walrx/archive/gap.h"
#include "walrx/archive/history_file.h"
#include "walrx/archive/inventory.h"
#include "walrx/archive/leftover.h"
#include "walrx/archive/memory_plan.h"
#include "walrx/archive/newest.h"
#include "walrx/archive/quarantine.h"
#include "walrx/archive/start.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"
#include "walrx/proto/command.h"
#include "walrx/stream/sqlstate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_FREE_SEGMENTS 2 /* so that a compressed copy fits beside its raw segment */
#define MAX_SWITCHES 64     /* over one connection; a server cannot have us go round for ever */
#define SCAN_ROUNDS 16      /* so many segments that are not whole are moved away unattended */

static MemoryPlan plan_memory(const Receiver *receiver)
{
    const ReceiverOptions *options = receiver->options;
    MemoryPlan plan = memory_plan(options->memory, receiver->archive.segment_size,
                                  options->compress, options->compress_workers);
    const LogField fields[] = {LOG_NUM("ring_mb", plan.ring >> 20),
                               LOG_NUM("workers", plan.workers),
                               LOG_NUM("worker_mb", plan.codec >> 20), LOG_END};
    if (plan.short_of_memory && !options->as_pg_receivewal)
        log_line(LOG_NOTICE, fields,
                 "--memory is less than this compression level would use: its output is a little "
                 "larger (zstd), or it takes longer (gzip)");
    else
        log_line(LOG_DEBUG, fields, "memory is divided");
    return plan;
}

/* The workers and the store need the segment size, so they start once the archive is bound. */
static bool start_threads(Receiver *receiver, Error *err)
{
    const ReceiverOptions *options = receiver->options;
    if (receiver->store != NULL)
        return true;
    MemoryPlan plan = plan_memory(receiver);
    receiver->archive.min_free = options->min_free != MIN_FREE_DEFAULT
                                     ? options->min_free
                                     : (uint64_t)MIN_FREE_SEGMENTS * receiver->archive.segment_size;
    if (options->compress.method != WAL_RAW && receiver->compressor == NULL &&
        (!compressor_start(&receiver->archive, options->compress, plan.workers, plan.codec,
                           &receiver->bell, &receiver->compressor, err) ||
         !compressor_submit_leftovers(receiver->compressor, &receiver->archive, err)))
        return false;
    if (!store_open(&receiver->archive, plan.ring, receiver->compressor, options->verify,
                    &receiver->bell, &receiver->store, err))
        return false;
    receiver_show_archive(receiver, receiver->store);
    return true;
}

/* The server has no history file of its own timeline (a base backup without it, or a person removed
 * it): the archived one says the same. */
static bool use_archived_history(Receiver *receiver, Timeline timeline, Error *err)
{
    Error cause = *err;
    char *content;
    size_t length;
    if (!history_file_read(&receiver->archive, timeline, &content, &length, err))
        return false;
    if (content == NULL) {
        *err = cause;
        err->class = ERROR_OPERATOR;
        return error_hint(err,
                          "Neither the server nor the archive has the history file of timeline %u. "
                          "Copy %08X.history into pg_wal of the server, or into the archive, from "
                          "another server of the cluster or another archive.",
                          timeline, timeline);
    }
    bool ok = timeline_history_parse(content, length, timeline, receiver->switches,
                                     TIMELINE_MAX_SWITCHES, &receiver->history, err);
    free(content);
    if (!ok)
        return error_set(err, ERROR_ARCHIVE, "archived file \"%s/%08X.history\": %s",
                         receiver->archive.dir.path, timeline, err->message);
    if (receiver->told_archived_history != timeline)
        log_line(LOG_WARNING, NULL,
                 "the server has no history file of timeline %u; using the archived one", timeline);
    receiver->told_archived_history = timeline;
    return true;
}

/* Does the history in use say that it left `from` where the server says the stream did? */
static bool descends(const Receiver *receiver, const TimelineSwitch *from, Error *err)
{
    Lsn end;
    char text[LSN_TEXT_SIZE];
    if (from == NULL ||
        (timeline_history_find(&receiver->history, from->timeline, &end, NULL) && end == from->end))
        return true;
    return error_set(err, ERROR_PROTOCOL,
                     "the history of timeline %u does not say that it follows timeline %u at %s, "
                     "as the server does",
                     receiver->history.target, from->timeline, lsn_format(from->end, text));
}

/* Fetches the history file of a timeline into the archive, and makes it the one in use. `from`: the
 * timeline it must follow, and where; NULL: any. */
static bool fetch_history(Receiver *receiver, Timeline timeline, const TimelineSwitch *from,
                          Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_TIMELINE_HISTORY, .timeline = timeline};
    ResultRow row;
    TimelineHistoryResult result;
    if (timeline == 1) {
        receiver->history = (TimelineHistory){.target = 1, .switches = receiver->switches};
        return true;
    }
    if (!identify_ask(receiver->connection, &command, &row, err))
        return strcmp(err->sqlstate, SQLSTATE_UNDEFINED_FILE) == 0 &&
               use_archived_history(receiver, timeline, err);
    return result_timeline_history(&row, timeline, &result, err) &&
           timeline_history_parse(result.content, result.content_length, timeline,
                                  receiver->switches, TIMELINE_MAX_SWITCHES, &receiver->history,
                                  err) &&
           descends(receiver, from, err) &&
           history_file_store(&receiver->archive, timeline, result.content, result.content_length,
                              err);
}

/* What the archive holds, once the segment behind which receiving starts is known to be one. */
static bool scan_archive(const Receiver *receiver, Inventory *ret, Error *err)
{
    const Archive *archive = &receiver->archive;
    for (int round = 0; round < SCAN_ROUNDS; round++) {
        Inventory inventory;
        bool sound = true;
        Error moved;
        error_clear(&moved);
        if (!inventory_scan(&archive->dir, archive->segment_size, &inventory, err))
            return false;
        const TimelineInventory *tip = start_timeline(&inventory, &receiver->history);
        InventoryNewest newest = {.any = false};
        if (tip != NULL)
            newest = inventory_newest_complete(tip);
        bool ok =
            !newest.any || newest_check(archive, tip->timeline, newest.segno, &sound, &moved, err);
        if (ok && sound && tip != NULL)
            ok = gap_resume(archive, &inventory.timelines[tip - inventory.timelines], err);
        if (ok && sound) {
            *ret = inventory;
            return true;
        }
        inventory_free(&inventory);
        if (!ok)
            return false;
        if (moved.class != ERROR_NONE)
            log_error(LOG_WARNING, NULL, &moved);
    }
    error_set(err, ERROR_ARCHIVE, "the newest %d segments in \"%s\" are not whole", SCAN_ROUNDS,
              archive->dir.path);
    return error_hint(err,
                      "They were moved to \"%s/%s\". Find out what damaged them; the next "
                      "start looks at the ones before.",
                      archive->private.path, QUARANTINE_DIR);
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
        if (start->reason == START_AT_TIMELINE)
            log_line(LOG_WARNING, NULL,
                     "the archive holds nothing of the server's history; starting at %s, where "
                     "timeline %u begins",
                     lsn_format(start->lsn, text[0]), start->timeline);
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
        .in_recovery = receiver->in_recovery,
    };
    uint32_t size = receiver->archive.segment_size;
    if (!scan_archive(receiver, &inventory, err))
        return false;
    bool ok = start_choose(&inventory, &server, size, ret, err);
    inventory_free(&inventory);
    if (ok)
        tell_start(receiver, ret);
    return ok;
}

/* Where a lost slot was made anew, an empty archive begins with what that one keeps. */
static bool settle_start(Receiver *receiver, StartPoint *ret, Error *err)
{
    if (!choose_start(receiver, ret, err) || !slot_state_settle(receiver, ret, err))
        return false;
    return ret->reason != START_AT_SERVER || !receiver->slot_made ||
           choose_start(receiver, ret, err);
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

void session_note_durable(Receiver *receiver, Timeline timeline, Lsn flushed)
{
    if (flushed < known_durable(receiver, timeline))
        return;
    receiver->durable_timeline = timeline;
    receiver->durable_lsn = flushed;
}

/* Below this position no flush is reported: the server knows it already from an earlier connection.
 * A slot beyond the open segment never heard it from this archive: it is new, and stands at the
 * server's last checkpoint. It moves back to what the archive still needs of the WAL before. */
static Lsn report_floor(const Receiver *receiver, Lsn start, const PartialTrust *trust)
{
    Lsn slot = receiver->slot.restart_lsn;
    if (slot != LSN_INVALID && slot < start + receiver->archive.segment_size)
        return slot;
    return trust->exists && trust->proven_end > start ? trust->proven_end : start;
}

/* Where bytes of the open segment are proven, what is received is compared with those. */
static bool prepare_joint(Receiver *receiver, Timeline timeline, Lsn lsn, const PartialTrust *trust,
                          Error *err)
{
    Joint *joint = &receiver->joint;
    joint->active = false;
    if (trust->proven_end > lsn)
        return true;
    if (!joint_prepare(&receiver->archive, timeline, lsn, joint, err))
        return false;
    if (joint->unchecked.class != ERROR_NONE && receiver->told_unchecked_joint != lsn) {
        log_error(LOG_WARNING, NULL, &joint->unchecked);
        receiver->told_unchecked_joint = lsn;
    }
    return true;
}

static Lsn later(Lsn a, Lsn b)
{
    return a > b ? a : b;
}

/* Does the server have what the archive has of its newest timeline? If not, it lost WAL or was
 * restored, and what it writes next differs. */
static bool check_not_behind(Receiver *receiver, Timeline timeline, Lsn archived, Error *err)
{
    StartServer server = {.flush_lsn = receiver->server.flush_lsn,
                          .in_recovery = receiver->in_recovery};
    if (timeline != receiver->server.timeline || archived <= server.flush_lsn)
        return true;
    return start_refuse_behind(&server, timeline, archived, err);
}

static bool prepare_store(Receiver *receiver, Timeline timeline, Lsn lsn, Lsn *ret_floor,
                          Error *err)
{
    PartialTrust trust;
    uint32_t size = receiver->archive.segment_size;
    if (!leftover_examine(&receiver->archive, timeline, segment_of(lsn, size), &trust, err))
        return false;
    Lsn durable = known_durable(receiver, timeline);
    if (trust.exists && durable > trust.proven_begin && receiver->durable_timeline == timeline) {
        /* What this very process synced needs no further proof. */
        trust.proven_begin = lsn;
        if (durable > trust.proven_end)
            trust.proven_end = durable < lsn + size ? durable : lsn + size;
    }
    if (!prepare_joint(receiver, timeline, lsn, &trust, err))
        return false;
    *ret_floor = later(report_floor(receiver, lsn, &trust), durable);
    if (!receiver->new_connection) {
        /* The timeline goes on from what this very server sent: that stays durable. */
        store_start(receiver->store, timeline, lsn, &trust, durable);
        return true;
    }
    receiver->new_connection = false;
    if (!check_not_behind(receiver, timeline, later(durable, trust.proven_end), err))
        return false;
    /* Whether this server has what an earlier one sent is only known when it has sent it again and
     * it was compared. Until then nothing counts as flushed, and nothing is reported (the floor).
     */
    store_start(receiver->store, timeline, lsn, &trust, LSN_INVALID);
    return true;
}

/* *err is the server's refusal; it gets both ends of the hole. to LSN_INVALID: not known. */
static bool gap_error(const Receiver *receiver, Timeline timeline, Lsn from, Lsn to, Error *err)
{
    char begin[WAL_FILE_NAME_SIZE];
    char end[WAL_FILE_NAME_SIZE];
    char text[2][LSN_TEXT_SIZE];
    uint32_t size = receiver->archive.segment_size;
    Timeline there = timeline_history_at(&receiver->history, to);
    wal_segment_name(timeline, segment_of(from, size), size, WAL_RAW, false, begin);
    wal_segment_name(there, segment_of(to, size), size, WAL_RAW, false, end);
    err->class = ERROR_ARCHIVE;
    if (to == LSN_INVALID)
        error_detail(err, "The archive continues at %s (file %s), which the server no longer has.",
                     lsn_format(from, text[0]), begin);
    else
        error_detail(err,
                     "The archive continues at %s (file %s); the server can send from %s (file %s) "
                     "on. The WAL in between is missing.",
                     lsn_format(from, text[0]), begin, lsn_format(to, text[1]), end);
    return error_hint(err,
                      "Copy the missing segments into the archive if they exist elsewhere. "
                      "Otherwise take a new base backup and use %s--on-gap=continue.",
                      receiver->options->as_pg_receivewal ? "\"walrx receive\" with " : "");
}

/* Who is the server now: hours may have passed since the connect. */
static bool identify_again(Receiver *receiver, Error *err)
{
    ServerIdentity identity;
    if (!identify_server(receiver->connection, receiver->options->slot, &identity, err))
        return false;
    receiver->server = identity.system;
    receiver->in_recovery = identity.in_recovery;
    return (receiver->server.timeline <= receiver->history.target ||
            fetch_history(receiver, receiver->server.timeline, NULL, err));
}

static bool record_gap(Receiver *receiver, const Gap *gap, Timeline behind, Error *err)
{
    uint32_t size = receiver->archive.segment_size;
    char when[CLOCK_TEXT_SIZE];
    char text[2][LSN_TEXT_SIZE];
    char begin[WAL_FILE_NAME_SIZE];
    char end[WAL_FILE_NAME_SIZE];
    if (!gap_record(&receiver->archive, gap, clock_utc_text(when), err))
        return false;
    wal_segment_name(gap->timeline, segment_of(gap->begin, size), size, WAL_RAW, false, begin);
    wal_segment_name(behind, segment_of(gap->end, size), size, WAL_RAW, false, end);
    log_line(
        LOG_ERROR, NULL,
        "WAL from %s (file %s) to %s (file %s) is missing in the archive: the server no longer "
        "has it; continuing behind the gap",
        lsn_format(gap->begin, text[0]), begin, lsn_format(gap->end, text[1]), end);
    return true;
}

/* The server no longer has the WAL at *lsn. Where it can go on, above *lsn, or the error. Under the
 * name pg_receivewal a gap is met again every 5 seconds, so its end is not searched for. */
bool session_step_over_gap(Receiver *receiver, Timeline *timeline, Lsn *lsn, Error *err)
{
    Error cause = *err;
    Gap gap = {.timeline = *timeline, .begin = *lsn, .end = LSN_INVALID};
    if (!receiver->options->as_pg_receivewal) {
        if (!identify_again(receiver, err))
            return false;
        Lsn to = segment_floor(receiver->server.flush_lsn, receiver->archive.segment_size);
        if (to > gap.begin && !gap_search(receiver, gap.timeline, gap.begin, to, &gap.end, err))
            return false;
    }
    if (!receiver->options->continue_on_gap || gap.end == LSN_INVALID) {
        *err = cause;
        return gap_error(receiver, gap.timeline, gap.begin, gap.end, err);
    }
    Timeline behind = timeline_history_at(&receiver->history, gap.end);
    if (!record_gap(receiver, &gap, behind, err))
        return false;
    *timeline = behind;
    *lsn = gap.end;
    return true;
}

static bool stream_one(Receiver *receiver, Timeline timeline, Lsn lsn, StreamEnd *ret_end,
                       EndOfTimelineResult *ret_next, Error *err)
{
    Lsn floor;
    char text[LSN_TEXT_SIZE];
    if (lsn > LSN_LAST)
        return error_set(err, ERROR_PROTOCOL,
                         "the server wants streaming to start at %s, where no log reaches",
                         lsn_format(lsn, text));
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

/* START_REPLICATION failed. Is it about the slot, and can go on with another? */
static bool mend_slot(Receiver *receiver, const StartPoint *start, Timeline timeline, Lsn lsn,
                      Error *err)
{
    StartPoint at = *start;
    if (receiver->open_lsn != lsn)
        return false; /* something was streamed: it failed later */
    if (lsn != start->lsn || timeline != start->timeline)
        at = (StartPoint){.reason = START_AFTER_ARCHIVE, .timeline = timeline, .lsn = lsn};
    if (!slot_state_mend(receiver, &at, err))
        return false;
    receiver->new_connection = true; /* still: nothing came over it */
    return true;
}

/* The history in use is that of the server's own timeline. WAL of an older one needs its own file
 * in the archive, too: a recovery asks for one after the other and stops looking where one is not
 * there (findNewestTimeLine, timeline.c, PostgreSQL 15). */
static bool keep_history_of(Receiver *receiver, Timeline timeline, Error *err)
{
    bool exists;
    if (timeline == 1 || timeline == receiver->history.target)
        return true;
    if (!history_file_exists(&receiver->archive, timeline, &exists, err))
        return false;
    if (exists)
        return true;
    if (!fetch_history(receiver, timeline, NULL, err)) {
        if (strcmp(err->sqlstate, SQLSTATE_UNDEFINED_FILE) != 0)
            return false;
        if (receiver->told_missing_history != timeline)
            log_line(LOG_WARNING, NULL,
                     "neither the server nor the archive has the history file of timeline %u; "
                     "recovery will want it",
                     timeline);
        receiver->told_missing_history = timeline;
        error_clear(err);
    }
    return fetch_history(receiver, receiver->server.timeline, NULL, err);
}

/* Follows the server from timeline to timeline. */
static bool follow(Receiver *receiver, const StartPoint *start, Error *err)
{
    Timeline timeline = start->timeline;
    Lsn lsn = start->lsn;
    for (int switches = 0; switches < MAX_SWITCHES;) {
        StreamEnd end;
        EndOfTimelineResult next;
        char text[LSN_TEXT_SIZE];
        if (!keep_history_of(receiver, timeline, err))
            return false;
        bool ok = stream_one(receiver, timeline, lsn, &end, &next, err);
        /* The only command of stream_one is START_REPLICATION, so this is about WAL. */
        if (!ok && strcmp(err->sqlstate, SQLSTATE_UNDEFINED_FILE) == 0) {
            lsn = receiver->open_lsn; /* what came before the hole is in the archive */
            if (!session_step_over_gap(receiver, &timeline, &lsn, err))
                return false;
            continue;
        }
        if (!ok && mend_slot(receiver, start, timeline, lsn, err))
            continue;
        tell_open_segment(receiver);
        if (!ok)
            return false;
        if (end == STREAM_DONE)
            return true;
        log_line(LOG_INFO, NULL, "switched to timeline %u at %s", next.next_timeline,
                 lsn_format(next.next_start, text));
        switches++;
        TimelineSwitch from = {.timeline = timeline, .end = next.next_start};
        timeline = next.next_timeline;
        lsn = segment_floor(next.next_start, receiver->archive.segment_size);
        if (!fetch_history(receiver, timeline, &from, err))
            return false;
    }
    return error_set(err, ERROR_RETRY, "the server went through %d timelines over one connection",
                     MAX_SWITCHES);
}

static bool run_connected(Receiver *receiver, Error *err)
{
    ServerIdentity identity;
    StartPoint start;
    receiver->new_connection = true;
    if (!identify_server(receiver->connection, receiver->options->slot, &identity, err))
        return false;
    receiver->server = identity.system;
    receiver->in_recovery = identity.in_recovery;
    if (!archive_bind(&receiver->archive, receiver->server.system_identifier, identity.segment_size,
                      identity.group_may_read, err) ||
        !start_threads(receiver, err))
        return false;
    machine_on_connected(&receiver->machine);
    return fetch_history(receiver, receiver->server.timeline, NULL, err) &&
           slot_state_read(receiver, err) && settle_start(receiver, &start, err) &&
           follow(receiver, &start, err);
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
    note_stream(receiver);
    return ok;
}
