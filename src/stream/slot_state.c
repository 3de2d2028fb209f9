/* SPDX-License-Identifier: PostgreSQL
 *
 * See slot_state.h. A slot is lost when the server removed WAL that it was to keep. What servers do
 * with a lost physical slot (seen on 13 to 18):
 * - its restart_lsn is null, as that of a slot that never reserved WAL; only the view tells them
 *   apart. (PostgreSQL 18 keeps the position of a slot that was idle for too long.)
 * - up to 15 it works again as soon as a position is reported.
 * - 16 and 17 stream and move its restart_lsn, but keep no WAL for it ever again.
 * - from 18 on START_REPLICATION refuses it with 55000.
 */
#include "slot_state.h"

#include "gap_search.h"

#include "walrx/os/log.h"
#include "walrx/stream/slot.h"
#include "walrx/stream/sqlstate.h"

#include <stdio.h>
#include <string.h>

#define LOST_FOR_GOOD 160000 /* the first server on which a lost slot never works again */
#define LOST_IS_TOLD 180000  /* the first that says so by itself */

static int version(const Receiver *receiver)
{
    return connection_server_version(receiver->connection);
}

/* *ret_known false: the view is out of reach, *err says why. */
static bool ask_view(Receiver *receiver, bool *ret_known, bool *ret_exists, SlotViewResult *ret,
                     Error *err)
{
    const ReceiverOptions *options = receiver->options;
    *ret_known = slot_view(receiver->connection, &options->connect, receiver->control,
                           options->slot, ret_exists, ret, err);
    if (!*ret_known) {
        receiver->slot_view_refused = err->class == ERROR_OPERATOR;
        log_line(LOG_DEBUG, NULL, "pg_replication_slots cannot be read: %s", err->message);
    }
    return *ret_known || (err->class != ERROR_STOPPED && err->class != ERROR_MEMORY);
}

static void tell_unread(Receiver *receiver, const Error *reason)
{
    Error told;
    if (receiver->told_slot_unread || receiver->options->as_pg_receivewal)
        return;
    receiver->told_slot_unread = true;
    error_set(&told, reason->class, "the position of replication slot \"%s\" is not known",
              receiver->options->slot);
    error_detail(&told,
                 "Servers before PostgreSQL 15 show it only to a connection with a database, which "
                 "failed: %s",
                 reason->message);
    error_hint(&told, "That is needed only where the archive is empty, and to see whether the slot "
                      "is lost: give the user a line for the database in pg_hba.conf.");
    log_error(LOG_WARNING, NULL, &told);
}

/* Before PostgreSQL 15. Without the view it is START_REPLICATION that finds out what is wrong. */
static bool read_by_view(Receiver *receiver, Error *err)
{
    SlotViewResult view = {.physical = true};
    bool known;
    bool exists = true;
    if (!ask_view(receiver, &known, &exists, &view, err))
        return false;
    if (!known)
        tell_unread(receiver, err);
    receiver->slot_unread = !known;
    receiver->slot = (ReadSlotResult){
        .exists = exists, .physical = view.physical, .restart_lsn = view.restart_lsn};
    receiver->slot_lost = exists && view.wal == SLOT_WAL_LOST;
    return true;
}

static void tell_unreserved(Receiver *receiver, bool known, const Error *reason)
{
    Error told;
    if (receiver->told_slot_unreserved)
        return;
    receiver->told_slot_unreserved = true;
    error_set(&told, ERROR_OPERATOR, "replication slot \"%s\" keeps no WAL yet",
              receiver->options->slot);
    error_detail(&told,
                 "It was created without reserving WAL%s. It keeps WAL from the first "
                 "position on that is reported.",
                 known ? "" : ", or it is lost");
    if (!known)
        error_hint(&told, "Which of the two, only a connection with a database could tell: %s",
                   reason->message);
    log_error(LOG_WARNING, NULL, &told);
}

/* READ_REPLICATION_SLOT has answered. Does the view have to say more? */
static bool look_closer(Receiver *receiver, Error *err)
{
    bool unreserved = receiver->slot.restart_lsn == LSN_INVALID;
    bool quiet_loss = version(receiver) >= LOST_FOR_GOOD && version(receiver) < LOST_IS_TOLD;
    SlotViewResult view;
    bool known;
    bool exists = false;
    if (!unreserved && (!quiet_loss || receiver->slot_view_refused))
        return true;
    if (!ask_view(receiver, &known, &exists, &view, err))
        return false;
    receiver->slot_lost = known && exists && view.wal == SLOT_WAL_LOST;
    if (unreserved && !receiver->slot_lost)
        tell_unreserved(receiver, known, err);
    return true;
}

static bool read_state(Receiver *receiver, Error *err)
{
    receiver->slot_unread = false;
    receiver->slot_lost = false;
    if (version(receiver) < SLOT_READ_VERSION)
        return read_by_view(receiver, err);
    if (!slot_read(receiver->connection, receiver->options->slot, &receiver->slot, err))
        return false;
    return !receiver->slot.physical || receiver->options->as_pg_receivewal ||
           look_closer(receiver, err);
}

/* Someone else may be faster: then it is that one's slot. */
static bool make_slot(Receiver *receiver, const char *why, Error *err)
{
    const char *name = receiver->options->slot;
    char text[LSN_TEXT_SIZE];
    bool made = slot_create(receiver->connection, name, true, false, err);
    if (!made && strcmp(err->sqlstate, SQLSTATE_DUPLICATE_OBJECT) != 0)
        return false;
    if (!read_state(receiver, err))
        return false;
    if (!receiver->slot.exists)
        return error_set(err, ERROR_RETRY, "replication slot \"%s\" was dropped by someone else",
                         name);
    receiver->slot_made = made;
    if (made)
        log_line(LOG_WARNING, NULL, "replication slot \"%s\" %s: created, it keeps WAL from %s on",
                 name, why,
                 receiver->slot_unread ? "now" : lsn_format(receiver->slot.restart_lsn, text));
    return true;
}

static bool refuse_missing(const Receiver *receiver, Error *err)
{
    error_set(err, ERROR_OPERATOR, "replication slot \"%s\" does not exist",
              receiver->options->slot);
    return error_hint(err, receiver->options->as_pg_receivewal
                               ? "Create it with --create-slot, and check whether WAL is missing "
                                 "since the last segment in the archive."
                               : "Create it with \"walrx slot create\", or use "
                                 "--create-slot-if-missing. WAL that the server no longer has is "
                                 "told as a gap.");
}

bool slot_state_read(Receiver *receiver, Error *err)
{
    const ReceiverOptions *options = receiver->options;
    receiver->slot = (ReadSlotResult){.exists = false};
    receiver->slot_unread = receiver->slot_lost = receiver->slot_made = false;
    if (options->slot == NULL)
        return true;
    if (!read_state(receiver, err))
        return false;
    bool maybe_missing = !receiver->slot.exists || receiver->slot_unread;
    if (maybe_missing && options->create_slot_if_missing &&
        !make_slot(receiver, "did not exist", err))
        return false;
    if (!receiver->slot.exists)
        return refuse_missing(receiver, err);
    if (!receiver->slot.physical)
        return error_set(err, ERROR_OPERATOR, "replication slot \"%s\" is not a physical one",
                         options->slot);
    return true;
}

/* Only another slot in its place keeps WAL again, and nobody has allowed to make it. */
static bool must_be_replaced(const Receiver *receiver)
{
    return version(receiver) >= LOST_FOR_GOOD && !receiver->options->create_slot_if_missing;
}

/* The slot before the cause: both must be mended. */
static bool refuse_gap_of_lost(const Receiver *receiver, Error *err)
{
    Error gap = *err;
    if (gap.class != ERROR_ARCHIVE)
        return false;
    error_set(err, ERROR_ARCHIVE, "replication slot \"%s\" is lost: %s", receiver->options->slot,
              gap.message);
    memcpy(err->sqlstate, gap.sqlstate, sizeof(err->sqlstate));
    error_detail(err, "%s", gap.detail);
    return error_hint(err, "%s%s", gap.hint,
                      must_be_replaced(receiver)
                          ? " Drop the slot, too, and create it anew, or use "
                            "--create-slot-if-missing."
                          : "");
}

static bool refuse_empty(const Receiver *receiver, const StartPoint *start, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    char text[LSN_TEXT_SIZE];
    uint32_t size = receiver->archive.segment_size;
    wal_segment_name(start->timeline, segment_of(start->lsn, size), size, WAL_RAW, false, name);
    error_set(err, ERROR_ARCHIVE, "replication slot \"%s\" is lost, and the archive is empty",
              receiver->options->slot);
    error_detail(err,
                 "The server removed WAL that the slot was to keep. Receiving would begin at %s "
                 "(file %s), and base backups from before could not be restored.",
                 lsn_format(start->lsn, text), name);
    return error_hint(err,
                      "Drop the slot, create it anew and take a new base backup. Or use "
                      "--on-gap=continue%s.",
                      must_be_replaced(receiver) ? " with --create-slot-if-missing" : "");
}

static bool refuse_lost(const Receiver *receiver, const StartPoint *start, bool there, Error *err)
{
    char text[LSN_TEXT_SIZE];
    error_set(err, ERROR_OPERATOR, "replication slot \"%s\" is lost", receiver->options->slot);
    error_detail(err,
                 "The server keeps no WAL for it any more, and never will. The WAL at %s, where "
                 "receiving goes on, is %s.",
                 lsn_format(start->lsn, text), there ? "still there" : "gone");
    return error_hint(err, "Drop the slot and create it anew with \"walrx slot\", or use "
                           "--create-slot-if-missing.");
}

/* Does the server still have the WAL where receiving goes on? If not, and a gap is no reason to go
 * on, *err tells its ends and nothing was changed on the server. */
static bool check_gap(Receiver *receiver, const StartPoint *start, bool *ret_there, Error *err)
{
    Timeline timeline = start->timeline;
    Lsn lsn = start->lsn;
    *ret_there = true;
    if (start->reason == START_AT_SERVER)
        return receiver->options->continue_on_gap || refuse_empty(receiver, start, err);
    if (lsn < receiver->server.flush_lsn && !gap_probe(receiver, timeline, lsn, ret_there, err))
        return false;
    if (*ret_there || receiver->options->continue_on_gap)
        return true;
    return session_step_over_gap(receiver, &timeline, &lsn, err) ||
           refuse_gap_of_lost(receiver, err);
}

static bool replace_lost(Receiver *receiver, Error *err)
{
    if (!slot_drop(receiver->connection, receiver->options->slot, err) &&
        strcmp(err->sqlstate, SQLSTATE_UNDEFINED_OBJECT) != 0)
        return false;
    return make_slot(receiver, "was lost and has been dropped", err);
}

static bool settle_lost(Receiver *receiver, const StartPoint *start, Error *err)
{
    bool there;
    if (!check_gap(receiver, start, &there, err))
        return false;
    if (receiver->options->create_slot_if_missing)
        return replace_lost(receiver, err);
    if (version(receiver) >= LOST_FOR_GOOD)
        return refuse_lost(receiver, start, there, err);
    if (!receiver->told_slot_revived)
        log_line(LOG_WARNING, NULL,
                 "replication slot \"%s\" was lost; it keeps WAL again from the first position on "
                 "that is reported",
                 receiver->options->slot);
    receiver->told_slot_revived = true;
    return true;
}

/* The slot may keep older WAL than the server's current segment: what is there covers it. */
static bool start_at_oldest(Receiver *receiver, StartPoint *start, Error *err)
{
    uint32_t size = receiver->archive.segment_size;
    char text[LSN_TEXT_SIZE];
    if (!gap_oldest(receiver, segment_floor(receiver->server.flush_lsn, size), &start->lsn, err))
        return false;
    start->timeline = timeline_history_at(&receiver->history, start->lsn);
    log_line(LOG_INFO, NULL, "starting with the oldest WAL of the server, at %s",
             lsn_format(start->lsn, text));
    return true;
}

bool slot_state_settle(Receiver *receiver, StartPoint *start, Error *err)
{
    if (receiver->options->as_pg_receivewal || receiver->options->slot == NULL)
        return true;
    if (receiver->slot_lost)
        return settle_lost(receiver, start, err);
    if (!receiver->slot_unread || receiver->slot_made || start->reason != START_AT_SERVER)
        return true;
    return start_at_oldest(receiver, start, err);
}

bool slot_state_mend(Receiver *receiver, const StartPoint *start, Error *err)
{
    if (receiver->options->as_pg_receivewal || receiver->options->slot == NULL)
        return false;
    if (strcmp(err->sqlstate, SQLSTATE_UNDEFINED_OBJECT) == 0) {
        if (!receiver->options->create_slot_if_missing)
            return refuse_missing(receiver, err);
        err->class = ERROR_RETRY; /* dropped since it was read: the next connection makes it */
        return false;
    }
    if (strcmp(err->sqlstate, SQLSTATE_OBJECT_IN_USE) == 0)
        return error_hint(err, "Another receiver uses it, or the server has not noticed yet that a "
                               "connection is gone, which takes it up to wal_sender_timeout.");
    if (strcmp(err->sqlstate, SQLSTATE_NOT_IN_PREREQUISITE_STATE) != 0 || receiver->slot_made ||
        version(receiver) < LOST_IS_TOLD)
        return false;
    return settle_lost(receiver, start, err);
}
