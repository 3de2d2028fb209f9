/* SPDX-License-Identifier: PostgreSQL
 *
 * One chunk of a range. The scan begins at its first segment, in the middle of a record mostly, and
 * reads on behind its last one until a record over the joint is proven: so the chunks together
 * check each byte and each link, as one long scan would. The same where a timeline branches off: a
 * copy of the scan reads on in the new timeline's first segment.
 */
#include "verify_internal.h"

#include <stdlib.h>
#include <string.h>

static bool no_memory(VerifyWork *work)
{
    Error error;
    error_set(&error, ERROR_MEMORY, "out of memory for a scan");
    verify_work_fail(work, &error);
    return false;
}

/* Goes on into other files until WAL beyond the joint is proven. A damage that is open there ends
 * in the first of them, or the chunk that begins there finds its own. */
static bool read_on(VerifyWork *work, VerifyScan *scan, size_t entry, size_t end)
{
    const VerifyPlan *plan = &work->plan;
    Lsn joint = segment_start(plan->entries[entry].segno, plan->archive->segment_size);
    scan->reading_on = true;
    for (size_t at = entry; at < end && !verify_scan_passed(scan, joint); at++) {
        bool was_broken = scan->broken;
        if (!verify_read_entry(work, scan, &plan->entries[at], joint))
            return false;
        if (was_broken || scan->broken)
            break;
    }
    if (scan->broken)
        verify_scan_end(scan);
    return true;
}

/* The entry behind the range that begins with this one. */
static size_t range_end(const VerifyWork *work, size_t first)
{
    const VerifyEntry *begin = &work->plan.entries[first];
    Lsn lsn = segment_start(begin->segno, work->plan.archive->segment_size);
    const VerifyRange *range = work->result->ranges;
    while (range->timeline != begin->timeline || range->begin != lsn)
        range++;
    return first + (size_t)range->segments;
}

static bool follow_branches(VerifyWork *work, const VerifyScan *scan, size_t entry)
{
    const VerifyPlan *plan = &work->plan;
    for (size_t i = 0; i < plan->branch_count; i++) {
        const VerifyBranch *branch = &plan->branches[i];
        if (branch->from != entry || scan->broken)
            continue;
        VerifyScan *copy = malloc(sizeof(*copy));
        if (copy == NULL)
            return no_memory(work);
        *copy = *scan;
        bool ok = read_on(work, copy, branch->to, range_end(work, branch->to));
        free(copy);
        if (!ok)
            return false;
    }
    return true;
}

/* Has another chunk, or the end of another timeline, led into this range? */
static bool is_led_into(const VerifyPlan *plan, size_t entry)
{
    for (size_t i = 0; i < plan->branch_count; i++) {
        if (plan->branches[i].to == entry)
            return true;
    }
    return false;
}

static void fill_begin(const VerifyWork *work, const VerifyChunk *chunk, const VerifyScan *scan,
                       VerifyRange *range)
{
    const VerifyEntry *entry = &work->plan.entries[chunk->first];
    uint32_t size = work->plan.archive->segment_size;
    if (segment_start(entry->segno, size) != range->begin || is_led_into(&work->plan, chunk->first))
        return;
    /* The page header comes before the first record. */
    Lsn begin = range->begin + WAL_PAGE_LONG_HEADER;
    if (scan->first == LSN_INVALID)
        range->checked_from = range->end;
    else if (scan->first > begin)
        range->checked_from = scan->first;
}

static void fill_end(VerifyScan *scan, VerifyRange *range)
{
    verify_scan_end(scan);
    range->tail = scan->tail;
    memcpy(range->last_file, scan->file, sizeof(range->last_file));
}

static bool run_scan(VerifyWork *work, const VerifyChunk *chunk, VerifyScan *scan)
{
    const VerifyPlan *plan = &work->plan;
    VerifyRange *range = &work->result->ranges[chunk->range];
    size_t end = chunk->first + chunk->count;
    const VerifyEntry *last = &plan->entries[end - 1];
    for (size_t at = chunk->first; at < end; at++) {
        if (!verify_read_entry(work, scan, &plan->entries[at], LSN_INVALID) ||
            !verify_compare_forms(work, &plan->entries[at], scan->found) ||
            !follow_branches(work, scan, at))
            return false;
    }
    fill_begin(work, chunk, scan, range);
    uint32_t size = plan->archive->segment_size;
    if (segment_start(last->segno + 1, size) == range->end) {
        fill_end(scan, range);
        return true;
    }
    /* What is proven behind the joint the next chunk counts, but for the record over it; the server
     * may have given that up. */
    uint64_t records = scan->records;
    bool is_open = verify_scan_is_open(scan);
    Lsn joint = scan->position;
    size_t first = verify_plan_find(plan, range->timeline, segment_of(range->begin, size));
    bool ok = read_on(work, scan, end, first + (size_t)range->segments);
    is_open = is_open && verify_scan_passed(scan, joint) && scan->given_up < joint;
    scan->records = records + (is_open ? 1 : 0);
    return ok;
}

bool verify_chunk_run(VerifyWork *work, const VerifyChunk *chunk, VerifyFound *found)
{
    const VerifyPlan *plan = &work->plan;
    const VerifyEntry *first = &plan->entries[chunk->first];
    VerifyScan *scan = malloc(sizeof(*scan));
    if (scan == NULL)
        return no_memory(work);
    verify_scan_begin(scan, plan, found, segment_start(first->segno, plan->archive->segment_size));
    bool ok = run_scan(work, chunk, scan);
    (void)pthread_mutex_lock(&work->mutex);
    work->result->records += scan->records;
    (void)pthread_mutex_unlock(&work->mutex);
    free(scan);
    return ok;
}
