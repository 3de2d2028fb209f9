/* SPDX-License-Identifier: PostgreSQL
 *
 * The place on one branch. The index names the segments that may hold the record at which recovery
 * stops, in the order of the WAL; each is read until one does. Run by run: behind a gap WAL counts
 * only for recoveries that begin there.
 *
 * A time is found by the first end of a transaction beyond it, which says nothing about WAL that is
 * missing before that: something must show that the WAL in front of it reaches back to the time.
 */
#include "find_internal.h"

#include <string.h>

typedef struct Search {
    const FindSource *source;
    const FindTarget *target;
    FindResult *ret;
    FindFacts facts;
    Lsn from;       /* where recovery begins; LSN_INVALID: not known */
    Lsn count_from; /* records that begin before do not count */
    /* of the run under way */
    FindRun run;
    bool reaches_back; /* a time at or before the target's was seen */
    Lsn previous_end;  /* of the record before the one that is looked at */
    bool has_candidate;
    SegNo candidate;
    bool failed; /* in a callback: *err is filled */
    Error *err;
} Search;

static void note_time(Search *search, const FindTarget *target, PgTime time, bool is_end)
{
    if (target->kind == FIND_TIME && time <= target->time)
        search->reaches_back = true;
    if (is_end && (!search->facts.has_end || time > search->facts.newest)) {
        search->facts.has_end = true;
        search->facts.newest = time;
    }
}

static bool take_entry(void *context, const IndexEntry *entry)
{
    Search *search = context;
    if (find_entry_may_stop(search->target, entry)) {
        search->has_candidate = true;
        search->candidate = entry->segno;
        return false;
    }
    if (entry->commits + entry->aborts > 0)
        note_time(search, search->target, entry->newest, true);
    for (uint32_t i = 0; i < entry->point_count && i < INDEX_POINTS_MAX; i++)
        note_time(search, search->target, entry->points[i].time, false);
    return true;
}

static void stop_at(Search *search, const WalkRecord *record, const WalEvent *event, bool after)
{
    FindResult *ret = search->ret;
    ret->outcome = FIND_REACHED;
    ret->at = find_place(search->source, record, event);
    ret->stops_after = after;
    ret->replayed = after ? record->end : search->previous_end;
    ret->stop = record->end;
    ret->stop_segno = record->segno;
    ret->major = record->major;
}

static bool take_record(void *context, const WalkRecord *record)
{
    Search *search = context;
    WalEvent event;
    if (!find_event(record, &event, search->err)) {
        search->failed = true;
        return false;
    }
    if (record->lsn >= search->count_from) {
        bool before = find_stops_before(search->target, record->lsn, &event);
        if (before || find_stops_after(search->target, record->lsn, &event)) {
            stop_at(search, record, &event, !before);
            return false;
        }
    }
    search->previous_end = record->end;
    if (event.kind != WAL_EVENT_NONE)
        note_time(search, search->target, event.time, find_is_end(&event));
    return true;
}

/* Reads the segments until recovery stops; search->ret->at tells. */
static bool read_segments(Search *search, SegNo from, SegNo to)
{
    WalkVisit visit = {.wants = find_wants, .record = take_record, .context = search};
    Lsn end;
    search->previous_end = LSN_INVALID;
    return search->source->records(search->source, from, to, &visit, &end, search->err) &&
           !search->failed;
}

static bool search_by_index(Search *search, SegNo from)
{
    while (from <= search->run.last && !search->ret->at.found) {
        search->has_candidate = false;
        if (!search->source->entries(search->source, from, search->run.last, take_entry, search,
                                     search->err))
            return false;
        if (!search->has_candidate)
            return true;
        if (!read_segments(search, search->candidate, search->candidate))
            return false;
        from = search->candidate + 1;
    }
    return true;
}

static bool enter_run(Search *search, const FindRun *run)
{
    uint32_t size = search->source->segment_size;
    search->run = *run;
    search->reaches_back = false;
    search->ret->wal_begin = segment_start(run->first, size);
    search->ret->wal_begin_timeline = run->timeline;
    SegNo from = segment_of(search->count_from, size);
    if (from < run->first)
        from = run->first;
    if (search->target->kind != FIND_LSN)
        return search_by_index(search, from);
    SegNo wanted = segment_of(search->target->lsn, size);
    return read_segments(search, wanted > from ? wanted : from, run->last);
}

/* What is known once the record is: where recovery is then, and what lies around. */
static bool look_around(Search *search)
{
    FindResult *ret = search->ret;
    FindPoint point = {.segno = ret->at.segno, .lsn = ret->at.lsn, .including = ret->stops_after};
    if (ret->replayed == LSN_INVALID &&
        !find_end_before(search->source, &search->run, ret->at.segno, &ret->replayed, search->err))
        return false;
    if (ret->replayed == LSN_INVALID)
        ret->replayed = ret->at.lsn;
    return find_around(search->source, search->target, &search->run, &point, ret, search->err);
}

/* Further restore points of the name, to the end of the branch. */
typedef struct Counting {
    const FindTarget *target;
    Lsn behind;
    uint64_t count;
    bool has_more; /* the index does not name all restore points of segment `more` */
    SegNo more;
    bool failed;
    Error *err;
} Counting;

static bool count_entry(void *context, const IndexEntry *entry)
{
    Counting *counting = context;
    uint64_t count = find_entry_points(counting->target, entry, &counting->has_more);
    counting->more = entry->segno;
    counting->count += counting->has_more ? 0 : count;
    return !counting->has_more;
}

static bool count_record(void *context, const WalkRecord *record)
{
    Counting *counting = context;
    WalEvent event;
    if (!find_event(record, &event, counting->err)) {
        counting->failed = true;
        return false;
    }
    if (record->lsn > counting->behind && find_stops_after(counting->target, record->lsn, &event))
        counting->count++;
    return true;
}

static bool count_same_name(Search *search)
{
    const FindSource *source = search->source;
    const Branch *branch = source->branch;
    FindPlace *at = &search->ret->at;
    SegNo last = branch->spans[branch->count - 1].last;
    Counting counting = {.target = search->target,
                         .behind = at->lsn,
                         .has_more = true,
                         .more = at->segno,
                         .err = search->err};
    WalkVisit visit = {.wants = find_wants, .record = count_record, .context = &counting};
    Lsn end;
    while (counting.has_more) {
        SegNo read = counting.more;
        if (!source->records(source, read, read, &visit, &end, search->err) || counting.failed)
            return false;
        counting.has_more = false;
        if (read < last &&
            !source->entries(source, read + 1, last, count_entry, &counting, search->err))
            return false;
    }
    search->ret->same_name = counting.count;
    return true;
}

static void not_reached(Search *search, FindOutcome outcome)
{
    search->ret->outcome = outcome;
    search->ret->at = (FindPlace){.found = false};
    search->ret->stop = LSN_INVALID;
    search->ret->replayed = LSN_INVALID;
    find_reason(search->target, &search->facts, search->ret);
}

/* Nothing of what lies around the gap is replayed into, but it is good to know. */
static bool tell_gap(Search *search, const FindRun *before, const FindRun *behind)
{
    FindTarget one = *search->target;
    FindResult sides = {.outcome = FIND_IN_GAP};
    FindPoint end = {.segno = before->last, .lsn = UINT64_MAX};
    FindPoint begin = {.segno = behind->first, .lsn = LSN_INVALID};
    one.before = 1;
    one.after = 1;
    search->facts.before_gap = *before;
    search->facts.behind_gap = *behind;
    bool ok = find_around(search->source, &one, before, &end, &sides, search->err);
    search->ret->last = sides.last;
    find_free(&sides);
    ok = ok && find_around(search->source, &one, behind, &begin, &sides, search->err);
    search->ret->next = sides.next;
    find_free(&sides);
    search->ret->wal_begin = segment_start(before->first, search->source->segment_size);
    search->ret->wal_begin_timeline = before->timeline;
    if (ok)
        not_reached(search, FIND_IN_GAP);
    return ok;
}

/* Without a place: what lies at the end of the run that was searched. */
static bool tell_end(Search *search, FindOutcome outcome)
{
    FindPoint end = {.segno = search->run.last, .lsn = UINT64_MAX};
    if (!find_around(search->source, search->target, &search->run, &end, search->ret, search->err))
        return false;
    not_reached(search, outcome);
    return true;
}

/* The place lies before everything that can be recovered: it is what comes next. */
static bool tell_before(Search *search)
{
    if (!look_around(search))
        return false;
    not_reached(search, FIND_BEFORE);
    return true;
}

/* The runs of a branch, and which of them count. */
typedef struct Runs {
    FindRun before; /* the one before the current one, where there is any */
    bool has_before;
    FindRun run;
    size_t next; /* span behind it */
} Runs;

static bool next_run(const Branch *branch, Runs *runs)
{
    if (runs->next >= branch->count)
        return false;
    runs->has_before = runs->next > 0;
    runs->before = runs->run;
    runs->run = find_run(branch, runs->next, &runs->next);
    return true;
}

/* The run that holds a position, or behind which it lies. False: before all of them. */
static bool run_of(const FindSource *source, Lsn lsn, Runs *ret, bool *ret_inside)
{
    SegNo segno = segment_of(lsn, source->segment_size);
    Runs runs = {.next = 0};
    bool found = false;
    while (next_run(source->branch, &runs) && segno >= runs.run.first) {
        *ret = runs;
        found = true;
    }
    *ret_inside = found && segno <= ret->run.last;
    return found;
}

static bool found_place(Search *search, const Runs *runs)
{
    const FindTarget *target = search->target;
    FindResult *ret = search->ret;
    if (target->kind == FIND_TIME && ret->at.lsn < search->from)
        return tell_before(search);
    if (target->kind == FIND_TIME && !search->reaches_back)
        return runs->has_before ? tell_gap(search, &runs->before, &runs->run) : tell_before(search);
    return look_around(search) && (target->kind != FIND_POINT || count_same_name(search));
}

/* From one run on to the end of the branch; with a beginning of recovery only in its own. */
static bool search_runs(Search *search, Runs runs)
{
    const Branch *branch = search->source->branch;
    bool only_one = search->from != LSN_INVALID;
    FindKind kind = search->target->kind;
    for (;;) {
        if (!enter_run(search, &runs.run))
            return false;
        if (search->ret->at.found)
            return found_place(search, &runs);
        Runs ahead = runs;
        bool more = next_run(branch, &ahead);
        if (more && (kind == FIND_LSN || (only_one && kind == FIND_TIME)))
            return tell_gap(search, &runs.run, &ahead.run);
        if (!more || only_one)
            break;
        runs = ahead;
    }
    bool is_position = kind == FIND_TIME || kind == FIND_LSN;
    return tell_end(search, is_position ? FIND_BEYOND : FIND_NOT_THERE);
}

static bool search_lsn(Search *search)
{
    Runs runs;
    bool inside;
    Lsn lsn = search->target->lsn;
    if (lsn < search->from || !run_of(search->source, lsn, &runs, &inside)) {
        not_reached(search, FIND_BEFORE);
        return true;
    }
    if (inside)
        return search_runs(search, runs);
    Runs ahead = runs;
    search->run = runs.run;
    if (next_run(search->source->branch, &ahead))
        return tell_gap(search, &runs.run, &ahead.run);
    return tell_end(search, FIND_BEYOND);
}

static bool keep_last(void *context, const WalkRecord *record)
{
    Search *search = context;
    WalEvent event;
    search->failed = !find_event(record, &event, search->err);
    if (!search->failed)
        stop_at(search, record, &event, true);
    return !search->failed;
}

/* The last record of the run. */
static bool search_latest(Search *search)
{
    WalkVisit visit = {.wants = find_wants, .record = keep_last, .context = search};
    SegNo segno;
    Lsn end;
    search->ret->wal_begin = segment_start(search->run.first, search->source->segment_size);
    search->ret->wal_begin_timeline = search->run.timeline;
    if (!find_run_end(search->source, &search->run, &segno, &end, search->err))
        return false;
    if (!search->source->records(search->source, segno, segno, &visit, &end, search->err) ||
        search->failed)
        return false;
    if (search->ret->at.found)
        return look_around(search);
    return tell_end(search, FIND_NOT_THERE);
}

/* It is not where recovery would go; but is it elsewhere on the branch? */
static bool search_elsewhere(Search *search, const Runs *runs)
{
    FindTarget anywhere = *search->target;
    FindResult found;
    Runs ahead = *runs;
    bool more = next_run(search->source->branch, &ahead);
    anywhere.from = LSN_INVALID;
    bool ok = find_on_branch(search->source, &anywhere, &found, search->err);
    if (ok && found.outcome == FIND_REACHED && found.at.lsn < search->from) {
        search->ret->next = found.at;
        not_reached(search, FIND_BEFORE);
    } else if (ok && found.outcome == FIND_REACHED && more) {
        ok = tell_gap(search, &runs->run, &ahead.run);
    }
    find_free(&found);
    return ok;
}

static bool search_from(Search *search)
{
    const FindTarget *target = search->target;
    Runs runs;
    Runs wanted;
    bool inside;
    bool known = run_of(search->source, target->from, &runs, &inside);
    if (!known || !inside) {
        search->facts.from_missing = true;
        not_reached(search, known ? FIND_IN_GAP : FIND_BEFORE);
        return true;
    }
    search->run = runs.run;
    if (target->kind == FIND_LATEST)
        return search_latest(search);
    if (target->kind == FIND_LSN) {
        Runs ahead = runs;
        if (next_run(search->source->branch, &ahead) &&
            run_of(search->source, target->lsn, &wanted, &inside) &&
            wanted.run.first >= ahead.run.first)
            return tell_gap(search, &runs.run, &ahead.run);
        return search_lsn(search);
    }
    if (!search_runs(search, runs))
        return false;
    return search->ret->outcome != FIND_NOT_THERE || search_elsewhere(search, &runs);
}

static bool search_all(Search *search)
{
    Runs runs = {.next = 0};
    if (search->target->kind == FIND_LSN)
        return search_lsn(search);
    (void)next_run(search->source->branch, &runs);
    if (search->target->kind != FIND_LATEST)
        return search_runs(search, runs);
    while (next_run(search->source->branch, &runs))
        continue;
    search->run = runs.run;
    return search_latest(search);
}

static bool set_end(Search *search)
{
    const Branch *branch = search->source->branch;
    Runs runs = {.next = 0};
    SegNo segno;
    while (next_run(branch, &runs))
        continue;
    if (!find_run_end(search->source, &runs.run, &segno, &search->ret->wal_end, search->err))
        return false;
    if (search->ret->wal_end == LSN_INVALID)
        search->ret->wal_end = segment_start(runs.run.last, search->source->segment_size);
    return true;
}

bool find_on_branch(const FindSource *source, const FindTarget *target, FindResult *ret, Error *err)
{
    Search search = {
        .source = source,
        .target = target,
        .ret = ret,
        .facts = {.segment_size = source->segment_size, .branch = source->branch},
        .from = target->from,
        /* Only all of the WAL shows how far back its times reach. */
        .count_from = target->kind == FIND_TIME ? LSN_INVALID : target->from,
        .err = err,
    };
    *ret = (FindResult){.timeline = source->branch->target};
    if (source->branch->count == 0)
        return error_set(err, ERROR_USAGE, "the archive has no WAL of timeline %u",
                         (unsigned)source->branch->target);
    if (!set_end(&search))
        return false;
    return target->from != LSN_INVALID ? search_from(&search) : search_all(&search);
}
