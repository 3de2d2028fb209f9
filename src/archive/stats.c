/* SPDX-License-Identifier: PostgreSQL
 *
 * See stats.h.
 */
#include "walrx/archive/stats.h"

#include "walrx/archive/segment_file.h"

#include <stddef.h>
#include <string.h>

#define US_PER_SECOND 1e6

typedef struct Summing {
    const Branch *branch;
    Stats *stats;
} Summing;

static void add_counts(IndexCounts *sum, const IndexCounts *counts)
{
    sum->records += counts->records;
    sum->bytes += counts->bytes;
    sum->image_bytes += counts->image_bytes;
}

static void add_commits(Stats *stats, const IndexEntry *entry)
{
    if (entry->commits > 0) {
        if (stats->commits == 0)
            stats->first_commit = entry->first_commit;
        stats->last_commit = entry->last_commit;
    }
    stats->commits += entry->commits;
    stats->aborts += entry->aborts;
    stats->points += entry->point_count;
}

static bool take_entry(void *context, const IndexEntry *entry)
{
    const Summing *summing = context;
    Stats *stats = summing->stats;
    if (stats->segments++ == 0) {
        stats->first = entry->segno;
        stats->first_timeline = entry->timeline;
    } else {
        stats->missing += entry->segno - stats->last - 1;
    }
    stats->last = entry->segno;
    stats->last_timeline = entry->timeline;
    stats->last_open = branch_find(summing->branch, entry->segno)->partial;
    stats->heads_unknown += entry->head_unknown ? 1 : 0;
    if (entry->last_end != LSN_INVALID)
        stats->end = entry->last_end;
    for (size_t i = 0; i < INDEX_RMGRS; i++) {
        add_counts(&stats->rmgrs[i], &entry->rmgrs[i]);
        add_counts(&stats->total, &entry->rmgrs[i]);
    }
    add_commits(stats, entry);
    return true;
}

/* Asks the last segment, in whatever form it is. */
static int major_of(const Archive *archive, const Stats *stats)
{
    for (int partial = 0; partial < 2; partial++) {
        for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
            char name[WAL_FILE_NAME_SIZE];
            WalPageHeader header;
            bool found;
            Error absent;
            wal_segment_name(stats->last_timeline, stats->last, archive->segment_size,
                             (WalCompression)form, partial == 1, name);
            if (segment_file_header(&archive->dir, name, (WalCompression)form, &found, &header,
                                    &absent) &&
                found)
                return wal_page_major(header.magic);
        }
    }
    return 0;
}

bool stats_make(const Archive *archive, const Branch *branch, SegNo from, SegNo to, Stats *ret,
                Error *err)
{
    Summing summing = {.branch = branch, .stats = ret};
    char name[2][WAL_FILE_NAME_SIZE];
    memset(ret, 0, sizeof(*ret));
    ret->timeline = branch->target;
    if (!index_visit(archive, branch, from, to, take_entry, &summing, &ret->use, err))
        return false;
    if (ret->segments == 0 && to < segment_last(archive->segment_size))
        return error_set(
            err, ERROR_USAGE, "the archive \"%s\" has no segment from %s to %s", archive->dir.path,
            wal_segment_name(branch->target, from, archive->segment_size, WAL_RAW, false, name[0]),
            wal_segment_name(branch->target, to, archive->segment_size, WAL_RAW, false, name[1]));
    if (ret->segments == 0)
        return error_set(
            err, ERROR_USAGE, "the archive \"%s\" has no segment from %s on", archive->dir.path,
            wal_segment_name(branch->target, from, archive->segment_size, WAL_RAW, false, name[0]));
    ret->begin = segment_start(ret->first, archive->segment_size);
    if (ret->end == LSN_INVALID)
        ret->end = ret->begin;
    ret->major = major_of(archive, ret);
    return true;
}

double stats_seconds(const Stats *stats)
{
    if (stats->commits < 2 || stats->last_commit.time <= stats->first_commit.time)
        return 0;
    return (double)(stats->last_commit.time - stats->first_commit.time) / US_PER_SECOND;
}
