/* SPDX-License-Identifier: PostgreSQL
 *
 * The ends of transactions and restore points around a place. The index tells in which segments
 * there are any, and only these are read: an idle server's segments hold none. Away from the place
 * the index is asked for more and more segments at a time.
 */
#include "find_internal.h"

#include <stdlib.h>
#include <string.h>

#define STEP_FIRST 1
#define STEP_MAX 65536

/* A segment, as far as it matters here. */
typedef struct Leaf {
    SegNo segno;
    uint64_t events;
    Lsn last_end; /* LSN_INVALID: no record ends in it */
} Leaf;

typedef struct Leaves {
    Leaf *items;
    size_t count;
    size_t capacity;
    uint64_t enough; /* events at which to stop; 0: never */
    uint64_t events;
} Leaves;

static bool take_leaf(void *context, const IndexEntry *entry)
{
    Leaves *leaves = context;
    if (leaves->count == leaves->capacity)
        return false;
    Leaf *leaf = &leaves->items[leaves->count++];
    *leaf = (Leaf){.segno = entry->segno,
                   .events = entry->commits + entry->aborts + entry->point_count,
                   .last_end = entry->first_record != LSN_INVALID ? entry->last_end : LSN_INVALID};
    leaves->events += leaf->events;
    return leaves->enough == 0 || leaves->events < leaves->enough;
}

static bool read_leaves(const FindSource *source, SegNo from, SegNo to, Leaves *leaves, Error *err)
{
    size_t wanted = (size_t)(to - from + 1);
    if (wanted > leaves->capacity) {
        Leaf *items = realloc(leaves->items, wanted * sizeof(*items));
        if (items == NULL)
            return error_set(err, ERROR_MEMORY, "out of memory while reading the index");
        leaves->items = items;
        leaves->capacity = wanted;
    }
    leaves->count = 0;
    leaves->events = 0;
    return source->entries(source, from, to, take_leaf, leaves, err);
}

/* Goes back from `last` to `first`, leaf by leaf, until `visit` says enough. */
typedef bool (*LeafVisit)(void *context, const Leaf *leaf);
static bool go_back(const FindSource *source, SegNo first, SegNo last, LeafVisit visit,
                    void *context, Error *err)
{
    Leaves leaves = {.enough = 0};
    bool ok = true;
    bool more = first <= last;
    for (uint64_t step = STEP_FIRST; ok && more;) {
        SegNo from = last - first < step ? first : last - step + 1;
        ok = read_leaves(source, from, last, &leaves, err);
        for (size_t i = leaves.count; ok && more && i > 0; i--)
            more = visit(context, &leaves.items[i - 1]);
        more = more && from > first;
        last = from - 1;
        step = step * 4 < STEP_MAX ? step * 4 : STEP_MAX;
    }
    free(leaves.items);
    return ok;
}

static bool take_end(void *context, const Leaf *leaf)
{
    Leaf *found = context;
    if (leaf->last_end == LSN_INVALID)
        return true;
    *found = *leaf;
    return false;
}

bool find_run_end(const FindSource *source, const FindRun *run, SegNo *ret_segno, Lsn *ret_end,
                  Error *err)
{
    Leaf found = {.segno = run->last, .last_end = LSN_INVALID};
    if (!go_back(source, run->first, run->last, take_end, &found, err))
        return false;
    *ret_segno = found.segno;
    *ret_end = found.last_end;
    return true;
}

bool find_end_before(const FindSource *source, const FindRun *run, SegNo segno, Lsn *ret,
                     Error *err)
{
    Leaf found = {.last_end = LSN_INVALID};
    if (segno > run->first && !go_back(source, run->first, segno - 1, take_end, &found, err))
        return false;
    *ret = found.last_end;
    return true;
}

/* Events as they come: the first `room` of them, or the last. */
typedef struct Keeper {
    const FindSource *source;
    const FindPoint *point;
    FindPlace *places;
    size_t room;
    size_t count;
    size_t oldest; /* of a ring that is full */
    bool latest;   /* keeps the last ones */
    bool failed;
    Error *err;
} Keeper;

static void keep(Keeper *keeper, const FindPlace *place)
{
    if (keeper->count < keeper->room) {
        keeper->places[keeper->count++] = *place;
    } else if (keeper->latest) {
        keeper->places[keeper->oldest] = *place;
        keeper->oldest = (keeper->oldest + 1) % keeper->room;
    }
}

static bool take_record(void *context, const WalkRecord *record)
{
    Keeper *keeper = context;
    const FindPoint *point = keeper->point;
    WalEvent event;
    if (!wal_record_may_be_event(record->header))
        return true;
    if (!find_event(record, &event, keeper->err)) {
        keeper->failed = true;
        return false;
    }
    bool before = record->lsn < point->lsn || (point->including && record->lsn == point->lsn);
    if (before != keeper->latest)
        return !keeper->latest;
    FindPlace place = find_place(keeper->source, record, &event);
    keep(keeper, &place);
    return keeper->latest || keeper->count < keeper->room;
}

static bool keep_from(Keeper *keeper, SegNo from, SegNo to)
{
    WalkVisit visit = {.wants = find_wants, .record = take_record, .context = keeper};
    Lsn end;
    return keeper->source->records(keeper->source, from, to, &visit, &end, keeper->err) &&
           !keeper->failed;
}

/* Where to begin to read: so many events lie between there and the point's segment. */
typedef struct Reach {
    uint64_t wanted;
    SegNo *segments; /* those with events, newest first */
    size_t count;
} Reach;

static bool take_reach(void *context, const Leaf *leaf)
{
    Reach *reach = context;
    if (leaf->events > 0) {
        reach->segments[reach->count++] = leaf->segno;
        reach->wanted -= leaf->events < reach->wanted ? leaf->events : reach->wanted;
    }
    return reach->wanted > 0;
}

/* Turns the ring so that the oldest comes first. */
static bool straighten(Keeper *keeper)
{
    FindPlace *turned;
    if (keeper->oldest == 0)
        return true;
    turned = malloc(keeper->count * sizeof(*turned));
    if (turned == NULL)
        return error_set(keeper->err, ERROR_MEMORY, "out of memory while reading WAL");
    size_t tail = keeper->count - keeper->oldest;
    memcpy(turned, keeper->places + keeper->oldest, tail * sizeof(*turned));
    memcpy(turned + tail, keeper->places, keeper->oldest * sizeof(*turned));
    free(keeper->places);
    keeper->places = turned;
    keeper->oldest = 0;
    return true;
}

/* The point's segment alone mostly holds enough; only then is the index asked. */
static bool keep_before(Keeper *keeper, const FindRun *run)
{
    SegNo segno = keeper->point->segno;
    if (!keep_from(keeper, segno, segno))
        return false;
    if (keeper->count == keeper->room || segno == run->first)
        return straighten(keeper);
    Reach reach = {.wanted = keeper->room - keeper->count,
                   .segments = calloc(keeper->room, sizeof(SegNo))};
    if (reach.segments == NULL)
        return error_set(keeper->err, ERROR_MEMORY, "out of memory while reading WAL");
    bool ok = go_back(keeper->source, run->first, segno - 1, take_reach, &reach, keeper->err);
    keeper->count = 0; /* once more, in order */
    for (size_t i = reach.count; ok && i > 0; i--)
        ok = keep_from(keeper, reach.segments[i - 1], reach.segments[i - 1]);
    ok = ok && keep_from(keeper, segno, segno) && straighten(keeper);
    free(reach.segments);
    return ok;
}

static bool keep_after(Keeper *keeper, const FindRun *run)
{
    Leaves leaves = {.enough = 1};
    SegNo segno = keeper->point->segno;
    bool ok = keep_from(keeper, segno, segno);
    uint64_t step = STEP_FIRST;
    while (ok && keeper->count < keeper->room && segno < run->last) {
        SegNo to = run->last - segno < step ? run->last : segno + step;
        leaves.enough = keeper->room - keeper->count;
        ok = read_leaves(keeper->source, segno + 1, to, &leaves, keeper->err);
        for (size_t i = 0; ok && i < leaves.count && keeper->count < keeper->room; i++) {
            if (leaves.items[i].events > 0)
                ok = keep_from(keeper, leaves.items[i].segno, leaves.items[i].segno);
        }
        if (leaves.count > 0 && leaves.events >= leaves.enough)
            break;
        segno = to;
        step = step * 4 < STEP_MAX ? step * 4 : STEP_MAX;
    }
    free(leaves.items);
    return ok;
}

static size_t room_for(size_t wanted)
{
    if (wanted > FIND_AROUND_MAX)
        return FIND_AROUND_MAX;
    return wanted > 0 ? wanted : 1;
}

static bool keep_side(Keeper *keeper, const FindRun *run)
{
    keeper->places = calloc(keeper->room, sizeof(FindPlace));
    if (keeper->places == NULL)
        return error_set(keeper->err, ERROR_MEMORY, "out of memory while reading WAL");
    return keeper->latest ? keep_before(keeper, run) : keep_after(keeper, run);
}

bool find_around(const FindSource *source, const FindTarget *target, const FindRun *run,
                 const FindPoint *point, FindResult *ret, Error *err)
{
    Keeper before = {.source = source,
                     .point = point,
                     .room = room_for(target->before),
                     .latest = true,
                     .err = err};
    Keeper after = {.source = source, .point = point, .room = room_for(target->after), .err = err};
    bool ok = keep_side(&before, run) && keep_side(&after, run);
    ret->before = before.places;
    ret->before_count = ok ? before.count : 0;
    ret->after = after.places;
    ret->after_count = ok ? after.count : 0;
    if (ret->before_count > 0)
        ret->last = before.places[before.count - 1];
    if (ret->after_count > 0)
        ret->next = after.places[0];
    return ok;
}
