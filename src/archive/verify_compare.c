/* SPDX-License-Identifier: PostgreSQL
 *
 * Two files that must hold the same bytes: the forms of one segment, and the segment in which a
 * timeline left its parent. Both are read once more, as a CRC a page, so that the place of a
 * difference is known without holding a segment in memory. Rare, so that time is no matter.
 */
#include "verify_internal.h"

#include "walrx/archive/segment_file.h"
#include "walrx/proto/crc32c.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Sums {
    uint32_t *pages; /* one CRC each; of what a cut page has */
    uint64_t length;
    uint64_t limit;
} Sums;

static bool add_sums(void *context, const void *data, size_t length, Error *err)
{
    Sums *sums = context;
    const uint8_t *bytes = data;
    while (length > 0 && sums->length < sums->limit) {
        uint64_t page = sums->length / WAL_PAGE_SIZE;
        uint64_t end =
            (page + 1) * WAL_PAGE_SIZE < sums->limit ? (page + 1) * WAL_PAGE_SIZE : sums->limit;
        size_t count = end - sums->length < length ? (size_t)(end - sums->length) : length;
        sums->pages[page] = crc32c_update(sums->pages[page], bytes, count);
        sums->length += count;
        bytes += count;
        length -= count;
    }
    return sums->length < sums->limit || length == 0 ||
           error_set(err, ERROR_STOPPED, "enough was read");
}

/* *ret_known false: the file cannot be read to the limit, which its own scan tells. */
static bool sum_file(VerifyWork *work, const char *name, WalCompression form, Sums *sums,
                     bool *ret_known)
{
    Error why;
    size_t pages = (size_t)((sums->limit + WAL_PAGE_SIZE - 1) / WAL_PAGE_SIZE);
    sums->pages = calloc(pages + 1, sizeof(sums->pages[0]));
    if (sums->pages == NULL) {
        error_set(&why, ERROR_MEMORY, "out of memory for a comparison");
        verify_work_fail(work, &why);
        return false;
    }
    bool ok = segment_file_read(&work->plan.archive->dir, name, form, add_sums, sums, &why);
    *ret_known = ok || why.class == ERROR_STOPPED || why.class == ERROR_ARCHIVE;
    if (!ok && why.class == ERROR_MEMORY) {
        verify_work_fail(work, &why);
        return false;
    }
    return true;
}

static void tell_difference(const VerifyEntry *entry, const char *first, const char *second,
                            uint64_t offset, bool shorter, uint32_t size, VerifyFound *found)
{
    Lsn lsn = segment_start(entry->segno, size) + offset;
    VerifyProblem problem =
        verify_problem(VERIFY_DIFFERENCE, entry->timeline, second, offset, lsn, lsn);
    if (shorter)
        (void)snprintf(problem.message, sizeof(problem.message),
                       "it ends before file \"%s\" of the same WAL does", first);
    else
        (void)snprintf(problem.message, sizeof(problem.message),
                       "from this page on it differs from file \"%s\" of the same WAL", first);
    verify_found_add(found, &problem);
}

bool verify_compare(VerifyWork *work, const char *first, WalCompression first_form,
                    const char *second, WalCompression second_form, uint64_t limit,
                    const VerifyEntry *entry, VerifyFound *found)
{
    uint32_t size = work->plan.archive->segment_size;
    Sums a = {.limit = limit};
    Sums b = {.limit = limit};
    bool known[2] = {false, false};
    bool ok = sum_file(work, first, first_form, &a, &known[0]) &&
              sum_file(work, second, second_form, &b, &known[1]);
    if (ok && known[0] && known[1]) {
        uint64_t shared = a.length < b.length ? a.length : b.length;
        uint64_t page = 0;
        while (page < shared / WAL_PAGE_SIZE && a.pages[page] == b.pages[page])
            page++;
        if (page * WAL_PAGE_SIZE < shared && a.length == b.length && a.pages[page] == b.pages[page])
            page++; /* the cut page at the end of both */
        if (page * WAL_PAGE_SIZE < shared)
            tell_difference(entry, first, second, page * WAL_PAGE_SIZE, false, size, found);
        else if (a.length != b.length)
            tell_difference(entry, first, second, shared, true, size, found);
    }
    free(a.pages);
    free(b.pages);
    return ok;
}

/* Up to where the WAL of a second file of the segment is proven; its own damage becomes a problem.
 * The first record's beginning is in another file, so that it may be 0. */
static bool proven_length(VerifyWork *work, const VerifyEntry *entry, WalCompression form,
                          bool partial, VerifyFound *found, uint64_t *ret_length)
{
    Lsn start = segment_start(entry->segno, work->plan.archive->segment_size);
    VerifyScan *scan = malloc(sizeof(*scan));
    bool gone;
    *ret_length = 0;
    if (scan == NULL) {
        Error error;
        error_set(&error, ERROR_MEMORY, "out of memory for a scan");
        verify_work_fail(work, &error);
        return false;
    }
    verify_scan_begin(scan, &work->plan, found, start);
    bool ok = verify_read_form(work, scan, entry, form, partial, LSN_INVALID, &gone);
    if (ok && !gone) {
        verify_scan_end(scan);
        *ret_length = scan->tail.end > start ? scan->tail.end - start : 0;
    }
    free(scan);
    return ok;
}

static bool compare_form(VerifyWork *work, const VerifyEntry *entry, WalCompression form,
                         bool partial, VerifyFound *found)
{
    char first[WAL_FILE_NAME_SIZE];
    char second[WAL_FILE_NAME_SIZE];
    uint32_t size = work->plan.archive->segment_size;
    uint64_t limit = size;
    WalCompression first_form = verify_entry_form(entry);
    (void)verify_entry_name(&work->plan, entry, first);
    wal_segment_name(entry->timeline, entry->segno, size, form, partial, second);
    if (!proven_length(work, entry, form, partial, found, &limit))
        return false;
    if (!partial)
        limit = size;
    return verify_compare(work, first, first_form, second, form, limit, entry, found);
}

bool verify_compare_forms(VerifyWork *work, const VerifyEntry *entry, VerifyFound *found)
{
    bool partial_first = verify_entry_is_partial(entry);
    unsigned first = 1U << verify_entry_form(entry);
    for (unsigned form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        unsigned bit = 1U << form;
        bool is_first = bit == first;
        if ((entry->complete & bit) != 0 && (partial_first || !is_first) &&
            !compare_form(work, entry, (WalCompression)form, false, found))
            return false;
        if ((entry->partial & bit) != 0 && !(partial_first && is_first) &&
            !compare_form(work, entry, (WalCompression)form, true, found))
            return false;
    }
    return true;
}

/* Up to where the file of an entry holds WAL. */
static Lsn content_end(const VerifyWork *work, const VerifyEntry *entry)
{
    Lsn end = segment_start(entry->segno + 1, work->plan.archive->segment_size);
    if (!verify_entry_is_partial(entry))
        return end;
    for (size_t i = 0; i < work->result->range_count; i++) {
        const VerifyRange *range = &work->result->ranges[i];
        if (range->timeline == entry->timeline && range->end == end)
            return range->tail.end;
    }
    return end - work->plan.archive->segment_size;
}

static bool compare_with_parent(VerifyWork *work, const VerifyLine *line, const VerifyEntry *entry,
                                VerifyFound *found)
{
    const VerifyPlan *plan = &work->plan;
    Lsn start = segment_start(entry->segno, plan->archive->segment_size);
    for (size_t i = line->history.count; i > 0; i--) {
        const TimelineSwitch *left = &line->switches[i - 1];
        if (left->end <= start)
            return true;
        size_t at = verify_plan_find(plan, left->timeline, entry->segno);
        if (at == VERIFY_NO_ENTRY)
            continue;
        const VerifyEntry *parent = &plan->entries[at];
        char first[WAL_FILE_NAME_SIZE];
        char second[WAL_FILE_NAME_SIZE];
        Lsn ends[3] = {left->end, content_end(work, parent), content_end(work, entry)};
        Lsn end = ends[0] < ends[1] ? ends[0] : ends[1];
        end = end < ends[2] ? end : ends[2];
        return end <= start ||
               verify_compare(work, verify_entry_name(plan, parent, first),
                              verify_entry_form(parent), verify_entry_name(plan, entry, second),
                              verify_entry_form(entry), end - start, entry, found);
    }
    return true;
}

bool verify_compare_timelines(VerifyWork *work, VerifyFound *found)
{
    const VerifyPlan *plan = &work->plan;
    for (size_t i = 0; i < plan->line_count; i++) {
        const VerifyLine *line = &plan->lines[i];
        if (!line->known || line->history.count == 0)
            continue;
        Lsn left = line->switches[line->history.count - 1].end;
        SegNo segno = segment_of(left, plan->archive->segment_size);
        size_t at = verify_plan_find(plan, line->timeline, segno);
        if (at != VERIFY_NO_ENTRY && !compare_with_parent(work, line, &plan->entries[at], found))
            return false;
    }
    return true;
}
