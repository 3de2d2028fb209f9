/* SPDX-License-Identifier: PostgreSQL
 *
 * What is missing: between the ranges of a timeline, and between a timeline's first segment and
 * what its ancestors hold. Before the oldest WAL of all nothing is missing: there the archive
 * begins.
 */
#include "verify_internal.h"

#include "walrx/archive/gap.h"

#include <stdlib.h>
#include <string.h>

typedef struct Records {
    Gap *gaps;
    size_t count;
    size_t capacity;
    bool ok;
} Records;

static bool take_record(void *context, const Gap *gap)
{
    Records *records = context;
    if (records->count == records->capacity) {
        size_t capacity = records->capacity == 0 ? 16 : records->capacity * 2;
        Gap *gaps = realloc(records->gaps, capacity * sizeof(gaps[0]));
        if (gaps == NULL) {
            records->ok = false;
            return false;
        }
        records->gaps = gaps;
        records->capacity = capacity;
    }
    records->gaps[records->count++] = *gap;
    return true;
}

/* Do the records, one after the other, cover all of it? */
static bool is_recorded(const Records *records, const VerifyLine *line, Lsn begin, Lsn end)
{
    for (;;) {
        Lsn reached = begin;
        for (size_t i = 0; i < records->count; i++) {
            const Gap *gap = &records->gaps[i];
            bool ours =
                gap->timeline == line->timeline ||
                (line->known && timeline_history_find(&line->history, gap->timeline, NULL, NULL));
            if (ours && gap->begin <= begin && gap->end > reached)
                reached = gap->end;
        }
        if (reached >= end)
            return true;
        if (reached == begin)
            return false;
        begin = reached;
    }
}

/* The first byte that a range does not hold. */
static Lsn held_up_to(const VerifyRange *range)
{
    return range->tail.partial ? range->tail.end : range->end;
}

/* Where the WAL that ancestors hold before a timeline's first range ends; *ret_last is the range it
 * ends in, NULL when there is none. */
static Lsn find_before(const VerifyWork *work, const VerifyRange *range,
                       const VerifyRange **ret_last)
{
    const VerifyLine *line = verify_plan_line(&work->plan, range->timeline);
    Lsn best = LSN_INVALID;
    *ret_last = NULL;
    for (size_t i = 0; i < work->result->range_count; i++) {
        const VerifyRange *other = &work->result->ranges[i];
        Lsn limit;
        if (other == range || other->begin >= range->begin || !line->known ||
            !timeline_history_find(&line->history, other->timeline, &limit, NULL))
            continue;
        Lsn end = held_up_to(other);
        if (end > limit)
            end = limit;
        if (end > range->begin)
            end = range->begin;
        if (end < other->begin)
            continue; /* all of it lies behind where its timeline was left */
        if (*ret_last == NULL || end > best) {
            best = end;
            *ret_last = other;
        }
    }
    return best;
}

/* The WAL before two timelines may be missing for both. */
static bool is_told(const VerifyResult *result, Lsn begin, Lsn end)
{
    for (size_t i = 0; i < result->gap_count; i++) {
        if (result->gaps[i].begin == begin && result->gaps[i].end == end)
            return true;
    }
    return false;
}

static void add_gap(const VerifyWork *work, const VerifyRange *before, const VerifyRange *after,
                    Lsn begin, const Records *records)
{
    const VerifyLine *line = verify_plan_line(&work->plan, after->timeline);
    uint32_t size = work->plan.archive->segment_size;
    VerifyGap *gap = &work->result->gaps[work->result->gap_count++];
    *gap = (VerifyGap){.timeline = after->timeline, .begin = begin, .end = after->begin};
    gap->recorded = is_recorded(records, line, begin, gap->end);
    memcpy(gap->before, before->last_file, sizeof(gap->before));
    memcpy(gap->after, after->first_file, sizeof(gap->after));
    Timeline first = verify_line_at(line, begin);
    Timeline last = verify_line_at(line, gap->end - 1);
    wal_segment_name(first != 0 ? first : after->timeline, segment_of(begin, size), size, WAL_RAW,
                     false, gap->first_missing);
    wal_segment_name(last != 0 ? last : after->timeline, segment_of(gap->end - 1, size), size,
                     WAL_RAW, false, gap->last_missing);
}

bool verify_gaps_find(VerifyWork *work, Error *err)
{
    Records records = {.ok = true};
    VerifyResult *result = work->result;
    result->gaps = calloc(result->range_count + 1, sizeof(result->gaps[0]));
    if (result->gaps == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the list of gaps");
    if (!gap_visit(work->plan.archive, take_record, &records, err) || !records.ok) {
        free(records.gaps);
        return records.ok ? false : error_set(err, ERROR_MEMORY, "out of memory for the gaps");
    }
    for (size_t i = 0; i < result->range_count; i++) {
        const VerifyRange *range = &result->ranges[i];
        const VerifyRange *before = i > 0 ? range - 1 : NULL;
        if (before != NULL && before->timeline == range->timeline) {
            if (held_up_to(before) < range->begin)
                add_gap(work, before, range, held_up_to(before), &records);
            continue;
        }
        Lsn begin = find_before(work, range, &before);
        if (before != NULL && begin < range->begin && !is_told(result, begin, range->begin))
            add_gap(work, before, range, begin, &records);
    }
    free(records.gaps);
    return true;
}
