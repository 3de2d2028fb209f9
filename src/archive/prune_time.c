/* SPDX-License-Identifier: PostgreSQL
 *
 * Where the time that is to be kept begins: segment by segment from the oldest on, so that a clock
 * that went backwards cannot hide a recent commit behind an old one, and so that only what may go
 * has to be read (most of it from the index).
 */
#include "prune_internal.h"

#include "walrx/archive/index.h"

typedef struct Search {
    const PruneWish *wish;
    PruneMemory *memory;
    SegNo recent;
    bool stopped;
} Search;

static bool take_entry(void *context, const IndexEntry *entry)
{
    Search *search = context;
    bool timed = entry->commits + entry->aborts > 0;
    if (timed && entry->newest >= search->wish->since) {
        search->recent = entry->segno;
        return false;
    }
    if (timed)
        search->memory->last_old = entry->segno;
    search->memory->next = entry->segno + 1;
    search->stopped = search->wish->go_on != NULL && !search->wish->go_on(search->wish->context);
    return !search->stopped;
}

bool prune_times(const Archive *archive, const Branch *branch, const PruneWish *wish, SegNo to,
                 PruneMemory *memory, PruneTimes *ret, Error *err)
{
    Search search = {.wish = wish, .memory = memory, .recent = UINT64_MAX};
    *ret = (PruneTimes){.unread = 0};
    if (memory->timeline != branch->target)
        *memory = (PruneMemory){.timeline = branch->target};
    while (search.recent == UINT64_MAX && !search.stopped && memory->next < to) {
        IndexUse use;
        Error why;
        if (index_visit(archive, branch, memory->next, to - 1, take_entry, &search, &use, &why))
            break;
        if (why.class != ERROR_ARCHIVE) {
            *err = why;
            return false;
        }
        /* Segments come in order, so the next one is the one that is damaged. */
        while (memory->next + 1 < to && branch_find(branch, memory->next) == NULL)
            memory->next++;
        memory->next++;
        if (ret->unread++ == 0)
            ret->damage = why;
    }
    if (search.stopped)
        return error_set(err, ERROR_STOPPED, "the reading of commit times was interrupted");
    ret->recent = search.recent;
    ret->last_old = memory->last_old;
    return true;
}
