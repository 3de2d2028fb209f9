/* SPDX-License-Identifier: PostgreSQL
 *
 * The same target on branches that the current one has left: an old primary that went on, or what a
 * point-in-time recovery left behind. Only what lies behind the place where the two part counts.
 *
 * A time is special. When recovery would stop right behind a fork, because the branch had no
 * transaction for a while, another branch may have been the one that people worked on at that time.
 */
#include "find_internal.h"

#include "walrx/archive/history_file.h"
#include "walrx/proto/timeline.h"

#include <stdlib.h>
#include <string.h>

#define OTHERS_MAX 64 /* timelines, the newest ones */

typedef struct History {
    TimelineSwitch switches[TIMELINE_MAX_SWITCHES];
    TimelineHistory history;
} History;

/* False: it is not known. */
static bool read_history(const Archive *archive, Timeline timeline, History *ret)
{
    char *text = NULL;
    size_t length;
    Error unknown;
    ret->history = (TimelineHistory){.target = timeline, .switches = ret->switches};
    if (timeline == 1)
        return true;
    bool ok = history_file_read(archive, timeline, &text, &length, &unknown) && text != NULL &&
              timeline_history_parse(text, length, timeline, ret->switches, TIMELINE_MAX_SWITCHES,
                                     &ret->history, &unknown);
    free(text);
    return ok;
}

/* Where two histories part: the end of the newest timeline that both have. */
static bool parting(const TimelineHistory *one, const TimelineHistory *two, Lsn *ret)
{
    bool found = false;
    for (size_t i = 0; i <= one->count; i++) {
        Timeline timeline = i < one->count ? one->switches[i].timeline : one->target;
        Lsn end_one;
        Lsn end_two;
        if (!timeline_history_find(one, timeline, &end_one, NULL) ||
            !timeline_history_find(two, timeline, &end_two, NULL))
            continue;
        *ret = end_one < end_two ? end_one : end_two;
        found = true;
    }
    return found;
}

typedef struct Others {
    const Archive *archive;
    const Listing *listing;
    const FindTarget *target;
    FindResult *ret;
    History current;
    History other;
} Others;

/* Would recovery along the current branch stop because of the fork? */
static bool stops_at_fork(const Others *others, Lsn fork)
{
    const FindResult *ret = others->ret;
    /* A restore point beyond the time may lie in front of the first transaction. */
    bool before =
        !ret->last.found || ret->last.lsn < fork || ret->last.event.time > others->target->time;
    if (ret->outcome == FIND_BEYOND)
        return before;
    return ret->outcome == FIND_REACHED && before && ret->at.lsn >= fork;
}

/* The last end of a transaction at or before the time, as it would be replayed there. */
static bool look_at_time(const FindTarget *target, const FindResult *there, Lsn fork,
                         FindPlace *ret)
{
    *ret = there->last;
    return (there->outcome == FIND_REACHED || there->outcome == FIND_BEYOND) && there->last.found &&
           find_is_end(&there->last.event) && there->last.lsn >= fork &&
           there->last.event.time <= target->time;
}

static bool look_on(Others *others, Timeline timeline, Lsn fork, Error *err)
{
    const Archive *archive = others->archive;
    FindTarget target = *others->target;
    FindResult there = {.outcome = FIND_NOT_THERE};
    FindPlace place;
    Branch branch;
    Error unknown;
    target.timeline = timeline;
    target.from = LSN_INVALID;
    target.before = 1;
    target.after = 1;
    bool ok = true;
    if (branch_make(archive, others->listing, timeline, &branch, &unknown)) {
        FindSource source = find_source(archive, &branch);
        ok = find_on_branch(&source, &target, &there, err);
        place = there.at;
        bool found = target.kind == FIND_TIME
                         ? look_at_time(&target, &there, fork, &place)
                         : there.outcome == FIND_REACHED && there.at.lsn >= fork;
        if (ok && found) {
            others->ret->other_timeline = timeline;
            others->ret->other = place;
        }
        find_free(&there);
    }
    branch_free(&branch);
    return ok;
}

static bool worth_a_look(const Others *others, Lsn fork)
{
    if (others->target->kind == FIND_LATEST)
        return false;
    if (others->target->kind == FIND_TIME)
        return stops_at_fork(others, fork);
    return others->ret->outcome != FIND_REACHED;
}

static bool look_on_all(Others *others, Error *err)
{
    const Listing *listing = others->listing;
    FindResult *ret = others->ret;
    if (!read_history(others->archive, ret->timeline, &others->current))
        return true;
    size_t looked = 0;
    for (size_t i = listing->timeline_count; i > 0 && looked < OTHERS_MAX; i--) {
        Timeline timeline = listing->timelines[i - 1].timeline;
        Lsn fork = LSN_INVALID;
        if (timeline == ret->timeline || ret->other_timeline != 0)
            continue;
        if (!read_history(others->archive, timeline, &others->other) ||
            !parting(&others->current.history, &others->other.history, &fork) ||
            !worth_a_look(others, fork))
            continue;
        looked++;
        if (!look_on(others, timeline, fork, err))
            return false;
    }
    return true;
}

bool find_other(const Archive *archive, const Listing *listing, const FindTarget *target,
                FindResult *ret, Error *err)
{
    if (listing->timeline_count < 2)
        return true;
    Others *others = malloc(sizeof(*others));
    if (others == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading history files");
    others->archive = archive;
    others->listing = listing;
    others->target = target;
    others->ret = ret;
    bool ok = look_on_all(others, err);
    free(others);
    return ok;
}
