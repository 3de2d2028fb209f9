/* SPDX-License-Identifier: PostgreSQL
 *
 * A complete segment that is missing although the archive has WAL before and behind it. A server
 * that recovers takes "not there" for the end of WAL: it would end there and begin a new timeline,
 * commits short, and nobody is told. So it is trouble, unless something else has the segment: the
 * server's own pg_wal, or the connection of a standby, which come next
 * (WaitForWALToBecomeAvailable, xlogrecovery.c, PostgreSQL 15).
 *
 * A server asks for a segment on each timeline of its history. This one must have it only where its
 * WAL had begun by then, and no newer timeline counts that had left it before, or that has the
 * segment itself. An open segment that WAL follows is a hole from its last record on: the rest of a
 * connection that was lost, behind which a receiver began anew.
 */
#include "get_internal.h"

#include "walrx/archive/history_file.h"
#include "walrx/archive/segment_file.h"
#include "walrx/proto/timeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUCCESSORS_MAX                                                                             \
    256 /* newer timelines that are asked; beyond that WAL of theirs tells nothing */

typedef struct Hole {
    Get *get;
    Error *err;
    bool ok;
    bool known; /* the history of the segment's own timeline */
    Lsn begin;  /* of its WAL */
    Lsn end;    /* where the archive's WAL of the segment ends */
    TimelineHistory history;
    Timeline successors[SUCCESSORS_MAX]; /* that need the segment on this timeline */
    size_t successor_count;
    char before[WAL_FILE_NAME_SIZE]; /* WAL on the way there; "": none was seen */
    char behind[WAL_FILE_NAME_SIZE];
    TimelineSwitch switches[TIMELINE_MAX_SWITCHES];
    TimelineSwitch others[TIMELINE_MAX_SWITCHES]; /* of the newer timeline at hand */
} Hole;

/* *ret_known false: there is no such file, or none that can be understood; then it says nothing. */
static bool read_history(Hole *hole, Timeline timeline, TimelineSwitch *switches,
                         TimelineHistory *ret, bool *ret_known)
{
    char *text;
    size_t length;
    Error ignored;
    *ret = (TimelineHistory){.target = timeline, .switches = switches};
    *ret_known = timeline == 1;
    if (timeline == 1)
        return true;
    if (!history_file_read(&hole->get->archive, timeline, &text, &length, hole->err))
        return false;
    *ret_known = text != NULL && timeline_history_parse(text, length, timeline, switches,
                                                        TIMELINE_MAX_SWITCHES, ret, &ignored);
    free(text);
    return true;
}

/* Has the timeline, or one on the way to it, the segment complete? Who goes there asks for that
 * first and so never for this one. */
static bool has_own_segment(const Hole *hole, const TimelineHistory *history, Timeline target)
{
    const Get *get = hole->get;
    for (size_t i = 0; i <= history->count; i++) {
        Timeline timeline = i < history->count ? history->switches[i].timeline : target;
        WalCompression form;
        bool found;
        Error ignored; /* then it is not known to be there */
        if (timeline > get->file.timeline &&
            segment_file_find(&get->archive.dir, timeline, get->segno, get->archive.segment_size,
                              &found, &form, &ignored) &&
            found)
            return true;
    }
    return false;
}

/* That of a newer timeline tells the way to this one, too. */
static void adopt_history(Hole *hole, const TimelineHistory *history)
{
    hole->known = true;
    memcpy(hole->switches, hole->others, history->count * sizeof(hole->switches[0]));
    hole->history = *history;
    hole->history.switches = hole->switches;
}

static bool take_newer(void *context, const char *name)
{
    Hole *hole = context;
    const Get *get = hole->get;
    WalFileName file;
    TimelineHistory history;
    bool known;
    Lsn end;
    if (!wal_file_parse(name, &file) || file.kind != WAL_FILE_HISTORY ||
        file.timeline <= get->file.timeline || hole->successor_count == SUCCESSORS_MAX)
        return true;
    hole->ok = read_history(hole, file.timeline, hole->others, &history, &known);
    if (!hole->ok || !known || !timeline_history_find(&history, get->file.timeline, &end, NULL))
        return hole->ok;
    if (!hole->known)
        adopt_history(hole, &history);
    if (end > hole->end && !has_own_segment(hole, &history, file.timeline))
        hole->successors[hole->successor_count++] = file.timeline;
    return true;
}

static bool is_successor(const Hole *hole, Timeline timeline)
{
    for (size_t i = 0; i < hole->successor_count; i++) {
        if (hole->successors[i] == timeline)
            return true;
    }
    return false;
}

static bool take_segment(void *context, const char *name)
{
    Hole *hole = context;
    const Get *get = hole->get;
    WalFileName file;
    SegNo segno;
    if (!wal_file_parse(name, &file) || file.kind != WAL_FILE_SEGMENT ||
        !wal_file_segno(&file, get->archive.segment_size, &segno))
        return true;
    bool part = segno == get->segno && file.timeline == get->file.timeline && file.partial &&
                hole->end > segment_start(segno, get->archive.segment_size);
    if (part || (segno < get->segno && file.timeline <= get->file.timeline &&
                 timeline_history_find(&hole->history, file.timeline, NULL, NULL)))
        (void)snprintf(hole->before, sizeof(hole->before), "%s", name);
    if (segno > get->segno &&
        (file.timeline == get->file.timeline || is_successor(hole, file.timeline)))
        (void)snprintf(hole->behind, sizeof(hole->behind), "%s", name);
    return true;
}

/* Is it in the place where the server looks next? A recycled segment has the name, not the WAL. */
static bool take_own(void *context, const char *name)
{
    Hole *hole = context;
    const Get *get = hole->get;
    WalFileName file;
    WalPageHeader page;
    SegNo segno;
    bool found;
    Error ignored;
    if (!wal_file_parse(name, &file) || file.kind != WAL_FILE_SEGMENT || file.partial ||
        file.compression != WAL_RAW || !wal_file_segno(&file, get->archive.segment_size, &segno) ||
        segno != get->segno)
        return true;
    hole->ok = !(segment_file_header(&get->target.dir, name, WAL_RAW, &found, &page, &ignored) &&
                 found && page.address == segment_start(segno, get->archive.segment_size));
    return hole->ok;
}

static bool look(Hole *hole)
{
    const Get *get = hole->get;
    if (!read_history(hole, get->file.timeline, hole->switches, &hole->history, &hole->known))
        return false;
    if (!dir_visit(&get->archive.dir, take_newer, hole, hole->err) || !hole->ok)
        return false;
    hole->begin = 0;
    if (hole->known)
        (void)timeline_history_begin(&hole->history, get->file.timeline, &hole->begin);
    return dir_visit(&get->archive.dir, take_segment, hole, hole->err);
}

static bool tell(const Hole *hole)
{
    const Get *get = hole->get;
    char text[LSN_TEXT_SIZE];
    bool open = hole->end > segment_start(get->segno, get->archive.segment_size);
    error_set(hole->err, ERROR_ARCHIVE,
              open ? "segment \"%s\" is only in part in \"%s\""
                   : "segment \"%s\" is missing in \"%s\"",
              get->request->name, get->archive.dir.path);
    error_detail(hole->err,
                 "The archive has WAL before it, \"%s\", and behind it, \"%s\"; recovery would end "
                 "at %s, as if there were no more.",
                 hole->before, hole->behind, lsn_format(hole->end, text));
    return error_hint(hole->err,
                      "Copy it into the archive from pg_wal of a standby or of the old primary. To "
                      "end recovery there on purpose, add --on-gap=continue to restore_command.");
}

bool get_hole(Get *get, Lsn end, bool *ret_placed, Error *err)
{
    bool standby;
    if (get->request->pass_gaps)
        return true;
    if (!get_target_is_standby(&get->target, &standby, err))
        return false;
    Hole *hole = standby ? NULL : malloc(sizeof(*hole));
    if (standby)
        return true;
    if (hole == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while looking for \"%s\"",
                         get->request->name);
    *hole = (Hole){.get = get, .err = err, .ok = true, .end = end};
    bool ok = look(hole);
    bool missing = ok && hole->before[0] != '\0' && hole->behind[0] != '\0' &&
                   hole->begin < segment_start(get->segno + 1, get->archive.segment_size);
    /* What came meanwhile is no hole. */
    if (missing)
        ok = get_by_form(get, get_fill_segment, ret_placed, err);
    if (missing && ok && !*ret_placed) {
        Error ignored; /* a directory that cannot be listed has nothing for the server either */
        if (end == segment_start(get->segno, get->archive.segment_size))
            (void)!dir_visit(&get->target.dir, take_own, hole, &ignored);
        ok = !hole->ok || tell(hole);
    }
    free(hole);
    return ok;
}
