/* SPDX-License-Identifier: PostgreSQL
 *
 * Where the time that is to be kept begins. First the newest commit: the time ends there, not now,
 * so that neither an idle server nor a clock of this machine that went ahead lets WAL grow old.
 * Then segment by segment from the oldest on, so that a clock that went backwards cannot hide a
 * recent commit behind an old one, and so that only what may go has to be read (most of it from the
 * index).
 */
#include "prune_internal.h"

#include "walrx/archive/index.h"

typedef struct Search {
    const Archive *archive;
    const Branch *branch;
    const PruneWish *wish;
    SegNo next;     /* behind the last segment that was looked at */
    PgTime since;   /* oldest first: ends at the first that is not older */
    SegNo recent;   /* that one; UINT64_MAX: none yet */
    SegNo last_old; /* the newest before it that has commits; 0: none has */
    bool timed;     /* a segment has commits, */
    PgTime newest;  /* the last of them these */
    bool stopped;
    uint64_t unread;
    Error damage;
} Search;

static bool has_times(const IndexEntry *entry)
{
    return entry->commits + entry->aborts > 0;
}

static bool may_go_on(Search *search)
{
    search->stopped = search->wish->go_on != NULL && !search->wish->go_on(search->wish->context);
    return !search->stopped;
}

static bool take_recent(void *context, const IndexEntry *entry)
{
    Search *search = context;
    if (has_times(entry) && entry->newest >= search->since) {
        search->recent = entry->segno;
        return false;
    }
    if (has_times(entry))
        search->last_old = entry->segno;
    search->next = entry->segno + 1;
    return may_go_on(search);
}

static bool take_newest(void *context, const IndexEntry *entry)
{
    Search *search = context;
    if (has_times(entry)) {
        search->timed = true;
        search->newest = entry->newest;
    }
    search->next = entry->segno + 1;
    return may_go_on(search);
}

/* The first segment of the branch from there on. */
static SegNo first_from(const Branch *branch, SegNo segno)
{
    for (size_t i = 0; i < branch->count; i++) {
        if (branch->spans[i].last >= segno)
            return branch->spans[i].first > segno ? branch->spans[i].first : segno;
    }
    return segno;
}

/* Up to segment `to` or until `take` has enough. Segments that are damaged are passed over. */
static bool read_to(Search *search, SegNo to, bool (*take)(void *context, const IndexEntry *entry),
                    Error *err)
{
    while (search->recent == UINT64_MAX && search->next <= to) {
        IndexUse use;
        Error why;
        if (index_visit(search->archive, search->branch, search->next, to, take, search, &use,
                        &why))
            break;
        if (why.class != ERROR_ARCHIVE) {
            *err = why;
            return false;
        }
        /* Segments come in order, so the next one is the one that is damaged. */
        search->next = first_from(search->branch, search->next) + 1;
        if (search->unread++ == 0)
            search->damage = why;
    }
    return !search->stopped ||
           error_set(err, ERROR_STOPPED, "the reading of commit times was interrupted");
}

/* Back from the newest complete segment, each time as far again; what was looked through for an
 * earlier plan is not read again. */
static bool find_newest(const Search *blank, SegNo newest, PruneMemory *memory, Error *err)
{
    Search search = *blank;
    SegNo bottom = first_from(blank->branch, memory->looked);
    SegNo above = newest + 1; /* from there on there is no commit */
    SegNo step = 1;
    while (!search.timed && above > bottom) {
        SegNo from = above - bottom > step ? above - step : bottom;
        search.next = from;
        if (!read_to(&search, above - 1, take_newest, err))
            return false;
        above = from;
        step *= 2;
    }
    if (search.timed) {
        memory->timed = true;
        memory->newest = search.newest;
    }
    if (newest + 1 > memory->looked)
        memory->looked = newest + 1;
    return true;
}

/* Commit times come from outside: they may be anything. */
static PgTime begin_of(const PruneWish *wish, PgTime newest)
{
    PgTime since;
    PgTime end = newest < wish->now ? newest : wish->now;
    return __builtin_sub_overflow(end, wish->span, &since) ? INT64_MIN : since;
}

/* What is known to be old stays so while the beginning only moves on. */
static bool find_recent(const Search *blank, SegNo newest, PruneMemory *memory, PruneTimes *ret,
                        Error *err)
{
    Search search = *blank;
    if (ret->since < memory->since)
        memory->next = memory->last_old = 0;
    memory->since = ret->since;
    search.since = ret->since;
    search.next = memory->next;
    search.last_old = memory->last_old;
    bool ok = newest == 0 || read_to(&search, newest - 1, take_recent, err);
    memory->next = search.next;
    memory->last_old = search.last_old;
    ret->recent = search.recent;
    ret->last_old = search.last_old;
    ret->unread = search.unread;
    ret->damage = search.damage;
    return ok;
}

bool prune_times(const Archive *archive, const Branch *branch, const PruneWish *wish, SegNo newest,
                 PruneMemory *memory, PruneTimes *ret, Error *err)
{
    const Search blank = {.archive = archive, .branch = branch, .wish = wish, .recent = UINT64_MAX};
    *ret = (PruneTimes){.timed = false};
    if (memory->timeline != branch->target)
        *memory = (PruneMemory){.timeline = branch->target};
    if (!find_newest(&blank, newest, memory, err))
        return false;
    if (!memory->timed)
        return true; /* nothing tells how old anything is */
    ret->timed = true;
    ret->newest = memory->newest;
    ret->since = begin_of(wish, memory->newest);
    return find_recent(&blank, newest, memory, ret, err);
}
