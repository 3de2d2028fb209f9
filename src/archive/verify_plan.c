/* SPDX-License-Identifier: PostgreSQL
 *
 * Which files there are, in order; the ranges without holes among them; and the chunks the threads
 * take. One pass over the names, 24 bytes a segment.
 *
 * A receiver may rename while the names are read: readdir can then miss a segment under both names,
 * and a segment that is just being compressed from memory appears after the next one was begun. So
 * each hole is looked at once more, and one right before the open segment for some time.
 */
#include "verify_internal.h"

#include "walrx/archive/segment_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHUNK_SEGMENTS 64
#define CHUNKS_PER_JOB 8
#define HOLE_LOOKS_MAX 4096
#define OPEN_HOLE_TRIES 10
#define OPEN_HOLE_WAIT_NS 100000000L

typedef struct Listing {
    VerifyPlan *plan;
    VerifyFound *found;
    Error *err;
    bool ok;
} Listing;

static bool add_entry(VerifyPlan *plan, const VerifyEntry *entry, Error *err)
{
    if (plan->entry_count == plan->entry_capacity) {
        size_t capacity = plan->entry_capacity == 0 ? 1024 : plan->entry_capacity * 2;
        VerifyEntry *entries = realloc(plan->entries, capacity * sizeof(entries[0]));
        if (entries == NULL)
            return error_set(err, ERROR_MEMORY, "out of memory for the list of segments");
        plan->entries = entries;
        plan->entry_capacity = capacity;
    }
    plan->entries[plan->entry_count++] = *entry;
    return true;
}

static bool take_name(void *context, const char *name)
{
    Listing *listing = context;
    const Archive *archive = listing->plan->archive;
    WalFileName file;
    VerifyEntry entry = {.segno = 0};
    if (!wal_file_parse(name, &file) || file.kind != WAL_FILE_SEGMENT)
        return true;
    if (!wal_file_segno(&file, archive->segment_size, &entry.segno) ||
        entry.segno >= segment_last(archive->segment_size)) {
        VerifyProblem problem = verify_problem(VERIFY_FILE, file.timeline, name, 0, 0, 0);
        (void)snprintf(problem.message, sizeof(problem.message),
                       "no segment of a cluster with segments of %u bytes has this name",
                       archive->segment_size);
        verify_found_add(listing->found, &problem);
        return true;
    }
    entry.timeline = file.timeline;
    uint8_t bit = (uint8_t)(1U << file.compression);
    entry.complete = file.partial ? 0 : bit;
    entry.partial = file.partial ? bit : 0;
    listing->ok = add_entry(listing->plan, &entry, listing->err);
    return listing->ok;
}

static int compare_entries(const void *a, const void *b)
{
    const VerifyEntry *x = a;
    const VerifyEntry *y = b;
    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    return x->segno < y->segno ? -1 : x->segno > y->segno;
}

/* Sorts, and makes one entry of all forms of a segment. */
static void settle_entries(VerifyPlan *plan)
{
    size_t kept = 0;
    if (plan->entry_count > 1)
        qsort(plan->entries, plan->entry_count, sizeof(plan->entries[0]), compare_entries);
    for (size_t i = 0; i < plan->entry_count; i++) {
        const VerifyEntry *entry = &plan->entries[i];
        if (kept > 0 && compare_entries(&plan->entries[kept - 1], entry) == 0) {
            plan->entries[kept - 1].complete |= entry->complete;
            plan->entries[kept - 1].partial |= entry->partial;
        } else {
            plan->entries[kept++] = *entry;
        }
    }
    plan->entry_count = kept;
}

static bool list_once(VerifyPlan *plan, VerifyFound *found, Error *err)
{
    Listing listing = {.plan = plan, .found = found, .err = err, .ok = true};
    plan->entry_count = 0;
    if (!dir_visit(&plan->archive->dir, take_name, &listing, err) || !listing.ok)
        return false;
    settle_entries(plan);
    return true;
}

/* Looks for the segments of each hole; adds those that are there after all. */
static bool look_into_holes(VerifyPlan *plan, Error *err)
{
    const Archive *archive = plan->archive;
    size_t count = plan->entry_count;
    unsigned looks = 0;
    for (size_t i = 1; i < count; i++) {
        VerifyEntry entry = plan->entries[i - 1];
        if (entry.timeline != plan->entries[i].timeline)
            continue;
        for (entry.segno++; entry.segno < plan->entries[i].segno && looks < HOLE_LOOKS_MAX;
             entry.segno++, looks++) {
            bool there;
            WalCompression form;
            if (!segment_file_find(&archive->dir, entry.timeline, entry.segno,
                                   archive->segment_size, &there, &form, err))
                return false;
            if (!there)
                continue;
            entry.complete = (uint8_t)(1U << form);
            entry.partial = 0;
            if (!add_entry(plan, &entry, err))
                return false;
        }
    }
    settle_entries(plan);
    return true;
}

/* Is something missing right before a partial at the end of a timeline? */
static bool hole_before_open(const VerifyPlan *plan)
{
    for (size_t i = 1; i < plan->entry_count; i++) {
        const VerifyEntry *entry = &plan->entries[i];
        bool last = i + 1 == plan->entry_count || entry[1].timeline != entry->timeline;
        if (last && entry->complete == 0 && entry[-1].timeline == entry->timeline &&
            entry[-1].segno + 1 < entry->segno)
            return true;
    }
    return false;
}

bool verify_plan_list(VerifyPlan *plan, VerifyFound *found, Error *err)
{
    const struct timespec pause = {.tv_nsec = OPEN_HOLE_WAIT_NS};
    if (!list_once(plan, found, err) || !look_into_holes(plan, err))
        return false;
    for (int i = 0; i < OPEN_HOLE_TRIES && hole_before_open(plan); i++) {
        (void)nanosleep(&pause, NULL);
        if (!look_into_holes(plan, err))
            return false;
    }
    return true;
}

size_t verify_plan_find(const VerifyPlan *plan, Timeline timeline, SegNo segno)
{
    VerifyEntry wanted = {.timeline = timeline, .segno = segno};
    size_t low = 0;
    size_t high = plan->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_entries(&plan->entries[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < plan->entry_count && compare_entries(&plan->entries[low], &wanted) == 0)
        return low;
    return VERIFY_NO_ENTRY;
}

bool verify_entry_is_partial(const VerifyEntry *entry)
{
    return entry->complete == 0;
}

WalCompression verify_entry_form(const VerifyEntry *entry)
{
    unsigned forms = entry->complete != 0 ? entry->complete : entry->partial;
    int form = WAL_RAW;
    while (form + 1 < WAL_COMPRESSION_COUNT && (forms & (1U << form)) == 0)
        form++;
    return (WalCompression)form;
}

const char *verify_entry_name(const VerifyPlan *plan, const VerifyEntry *entry,
                              char buffer[WAL_FILE_NAME_SIZE])
{
    return wal_segment_name(entry->timeline, entry->segno, plan->archive->segment_size,
                            verify_entry_form(entry), verify_entry_is_partial(entry), buffer);
}

/* Ranges and chunks ----------------------------------------------------------------------------
 */

/* A partial ends a range: it is not known to go on in the next segment. */
static bool goes_on(const VerifyEntry *entry, const VerifyEntry *next)
{
    return !verify_entry_is_partial(entry) && next->timeline == entry->timeline &&
           next->segno == entry->segno + 1;
}

static size_t range_length(const VerifyPlan *plan, size_t first)
{
    size_t last = first;
    while (last + 1 < plan->entry_count && goes_on(&plan->entries[last], &plan->entries[last + 1]))
        last++;
    return last - first + 1;
}

static VerifyRange make_range(const VerifyPlan *plan, size_t first, size_t length)
{
    const VerifyEntry *begin = &plan->entries[first];
    const VerifyEntry *last = &plan->entries[first + length - 1];
    uint32_t size = plan->archive->segment_size;
    VerifyRange range = {
        .timeline = begin->timeline,
        .begin = segment_start(begin->segno, size),
        .end = segment_start(last->segno + 1, size),
        .segments = length,
        .tail = {.partial = verify_entry_is_partial(last)},
    };
    range.checked_from = range.begin;
    range.tail.end = range.begin;
    (void)verify_entry_name(plan, begin, range.first_file);
    (void)verify_entry_name(plan, last, range.last_file);
    return range;
}

/* The entry of another timeline whose WAL this one goes on with. */
static size_t entry_before(const VerifyPlan *plan, const VerifyEntry *entry)
{
    uint32_t size = plan->archive->segment_size;
    const VerifyLine *line = verify_plan_line(plan, entry->timeline);
    if (entry->segno == 0)
        return VERIFY_NO_ENTRY;
    Timeline before = verify_line_at(line, segment_start(entry->segno, size) - 1);
    if (before == 0 || before == entry->timeline)
        return VERIFY_NO_ENTRY;
    size_t at = verify_plan_find(plan, before, entry->segno - 1);
    if (at != VERIFY_NO_ENTRY && verify_entry_is_partial(&plan->entries[at]))
        return VERIFY_NO_ENTRY;
    return at;
}

static void add_chunks(VerifyPlan *plan, size_t first, size_t length, size_t range, size_t most)
{
    for (size_t at = 0; at < length; at += most) {
        size_t count = length - at < most ? length - at : most;
        plan->chunks[plan->chunk_count++] =
            (VerifyChunk){.first = first + at, .count = count, .range = range};
    }
}

bool verify_plan_split(VerifyPlan *plan, unsigned jobs, VerifyResult *result, Error *err)
{
    size_t count = plan->entry_count;
    size_t most = count / ((size_t)jobs * CHUNKS_PER_JOB) + 1;
    if (most > CHUNK_SEGMENTS)
        most = CHUNK_SEGMENTS;
    for (size_t first = 0; first < count; first += range_length(plan, first))
        result->range_count++;
    result->ranges = calloc(result->range_count + 1, sizeof(result->ranges[0]));
    plan->branches = calloc(result->range_count + 1, sizeof(plan->branches[0]));
    plan->chunks = calloc(count / most + result->range_count + 1, sizeof(plan->chunks[0]));
    if (result->ranges == NULL || plan->branches == NULL || plan->chunks == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the list of ranges");
    size_t range = 0;
    for (size_t first = 0; first < count;) {
        size_t length = range_length(plan, first);
        size_t before = entry_before(plan, &plan->entries[first]);
        result->ranges[range] = make_range(plan, first, length);
        if (before != VERIFY_NO_ENTRY)
            plan->branches[plan->branch_count++] = (VerifyBranch){.from = before, .to = first};
        add_chunks(plan, first, length, range, most);
        first += length;
        range++;
    }
    return true;
}

void verify_plan_free(VerifyPlan *plan)
{
    for (size_t i = 0; i < plan->line_count; i++)
        free(plan->lines[i].switches);
    free(plan->lines);
    free(plan->entries);
    free(plan->branches);
    free(plan->chunks);
    *plan = (VerifyPlan){.entries = NULL};
}
