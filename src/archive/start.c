/* SPDX-License-Identifier: PostgreSQL
 *
 * See start.h. The walk goes over the server's history from its own timeline back to the first: the
 * newest timeline of which the archive holds anything decides.
 */
#include "walrx/archive/start.h"

/* The first position the archive does not hold for good on this timeline: the open segment counts
 * from its start, for it is received again and compared. */
static Lsn next_position(const TimelineInventory *timeline, uint32_t segment_size)
{
    return segment_start(inventory_next(timeline, segment_size), segment_size);
}

static Timeline newest_unknown(const Inventory *inventory, const TimelineHistory *history)
{
    if (inventory->count == 0)
        return 0;
    Timeline newest = inventory->timelines[inventory->count - 1].timeline;
    return timeline_history_find(history, newest, NULL, NULL) ? 0 : newest;
}

bool start_refuse_behind(const StartServer *server, Timeline timeline, Lsn position, Error *err)
{
    char ours[LSN_TEXT_SIZE];
    char theirs[LSN_TEXT_SIZE];
    lsn_format(position, ours);
    lsn_format(server->flush_lsn, theirs);
    if (server->in_recovery) {
        error_set(err, ERROR_RETRY,
                  "the standby is behind the archive: it is at %s, the archive continues at %s on "
                  "timeline %u",
                  theirs, ours, timeline);
        return error_hint(err, "walrx waits until it has caught up.");
    }
    error_set(err, ERROR_ARCHIVE,
              "the server is behind the archive: its WAL ends at %s, the archive continues at %s "
              "on timeline %u",
              theirs, ours, timeline);
    error_detail(err, "A primary that has less WAL than its archive has lost some, or was restored "
                      "without a new timeline.");
    return error_hint(err, "Receive from this server into another directory; the archived WAL is "
                           "needed to get the lost part back.");
}

static bool start_on(const TimelineInventory *mine, const StartServer *server,
                     uint32_t segment_size, StartPoint *ret, Error *err)
{
    Lsn next = next_position(mine, segment_size);
    Lsn end;
    Timeline following;
    if (!timeline_history_find(&server->history, mine->timeline, &end, &following))
        return error_set(err, ERROR_ARCHIVE, "timeline %u is not on the server's history",
                         mine->timeline); /* the caller walks that history */
    if (following != 0 && next >= end) {
        ret->reason = next > end ? START_AT_FORK : START_AFTER_ARCHIVE;
        ret->timeline = following;
        ret->lsn = segment_floor(end, segment_size);
        ret->left_timeline = mine->timeline;
        ret->left_end = next;
        ret->fork = end;
        return true;
    }
    if (following == 0 && next > server->flush_lsn)
        return start_refuse_behind(server, mine->timeline, next, err);
    ret->reason = START_AFTER_ARCHIVE;
    ret->timeline = mine->timeline;
    ret->lsn = next;
    return true;
}

static void start_empty(const StartServer *server, uint32_t segment_size, StartPoint *ret)
{
    bool slot = server->slot_restart_lsn != LSN_INVALID;
    Lsn from = slot ? server->slot_restart_lsn : server->flush_lsn;
    ret->reason = slot ? START_AT_SLOT : START_AT_SERVER;
    ret->lsn = segment_floor(from, segment_size);
    ret->timeline = server->history.target;
    /* The slot may still point into an ancestor: there the WAL begins, and the stream follows the
     * switch. A slot's timeline that is not on the history is not believed. */
    if (slot && server->slot_timeline != 0 &&
        timeline_history_find(&server->history, server->slot_timeline, NULL, NULL))
        ret->timeline = server->slot_timeline;
    else if (slot)
        ret->timeline = timeline_history_at(&server->history, from);
}

/* Segments are there, but on other branches only: the server's own timeline from its begin, so that
 * the archive holds all of it. Not where it is the first one, which branched off nowhere, nor when
 * the slot reserves older WAL. */
static bool start_at_timeline(const StartServer *server, uint32_t segment_size, StartPoint *ret)
{
    Timeline target = server->history.target;
    Lsn begin;
    if (!timeline_history_begin(&server->history, target, &begin) || begin == LSN_INVALID)
        return false;
    if (server->slot_restart_lsn != LSN_INVALID && server->slot_restart_lsn < begin)
        return false;
    ret->reason = START_AT_TIMELINE;
    ret->timeline = target;
    ret->lsn = segment_floor(begin, segment_size);
    return true;
}

const TimelineInventory *start_timeline(const Inventory *inventory, const TimelineHistory *history)
{
    const TimelineInventory *mine = inventory_timeline(inventory, history->target);
    for (size_t i = history->count; mine == NULL && i > 0; i--)
        mine = inventory_timeline(inventory, history->switches[i - 1].timeline);
    return mine;
}

bool start_choose(const Inventory *inventory, const StartServer *server, uint32_t segment_size,
                  StartPoint *ret, Error *err)
{
    StartPoint point = {.unknown_timeline = newest_unknown(inventory, &server->history)};
    const TimelineInventory *mine = start_timeline(inventory, &server->history);
    if (mine == NULL) {
        if (inventory->count == 0 || !start_at_timeline(server, segment_size, &point))
            start_empty(server, segment_size, &point);
    } else if (!start_on(mine, server, segment_size, &point, err)) {
        return false;
    }
    *ret = point;
    return true;
}
