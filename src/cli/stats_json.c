/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx stats` as one JSON object, whose keys walrx-stats(1) describes. A reference
 * that jansson could not make is NULL and fails the object it belongs to.
 */
#include "json_text.h"
#include "stats_report.h"

#include "walrx/os/clock.h"
#include "walrx/proto/rmgr.h"

#include <jansson.h>

#define FORMAT_VERSION 1

static json_t *commit_of(const IndexEnd *commit)
{
    char text[CLOCK_TEXT_SIZE];
    if (commit->lsn == LSN_INVALID)
        return json_null();
    return json_pack("{s:s, s:o}", "time", clock_pg_text(commit->time, text), "lsn",
                     json_lsn(commit->lsn));
}

static json_t *range_of(uint32_t segment_size, const Stats *stats)
{
    char first[WAL_FILE_NAME_SIZE];
    char last[WAL_FILE_NAME_SIZE];
    return json_pack(
        "{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "first_segment",
        wal_segment_name(stats->first_timeline, stats->first, segment_size, WAL_RAW, false, first),
        "last_segment",
        wal_segment_name(stats->last_timeline, stats->last, segment_size, WAL_RAW, false, last),
        "last_is_open", stats->last_open, "begin_lsn", json_lsn(stats->begin), "end_lsn",
        json_lsn(stats->end), "segments", json_whole(stats->segments), "segments_missing",
        json_whole(stats->missing), "segments_from_index", json_whole(stats->use.from_index),
        "heads_unknown", json_whole(stats->heads_unknown));
}

static json_t *transactions_of(const Stats *stats)
{
    double seconds = stats_seconds(stats);
    double bytes = (double)(stats->last_commit.lsn - stats->first_commit.lsn);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "commits", json_whole(stats->commits),
                     "aborts", json_whole(stats->aborts), "restore_points",
                     json_whole(stats->points), "first_commit", commit_of(&stats->first_commit),
                     "last_commit", commit_of(&stats->last_commit), "wal_bytes_per_second",
                     seconds > 0 ? json_real(bytes / seconds) : json_null(), "commits_per_second",
                     seconds > 0 ? json_real((double)(stats->commits - 1) / seconds) : json_null());
}

static json_t *counts_of(const IndexCounts *counts)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "records", json_whole(counts->records), "record_bytes",
                     json_whole(counts->bytes - counts->image_bytes), "fpi_bytes",
                     json_whole(counts->image_bytes), "bytes", json_whole(counts->bytes));
}

static json_t *rmgr_of(unsigned rmgr, const Stats *stats)
{
    char name[RMGR_NAME_SIZE];
    json_t *row = counts_of(&stats->rmgrs[rmgr]);
    if (row != NULL &&
        (json_object_set_new(row, "id", json_integer((json_int_t)rmgr)) != 0 ||
         json_object_set_new(row, "name",
                             json_string(rmgr_name((uint8_t)rmgr, stats->major, name))) != 0)) {
        json_decref(row);
        return NULL;
    }
    return row;
}

static json_t *rmgrs_of(const Stats *stats)
{
    json_t *array = json_array();
    for (unsigned i = 0; array != NULL && i < INDEX_RMGRS; i++) {
        if (stats->rmgrs[i].records == 0 || json_array_append_new(array, rmgr_of(i, stats)) == 0)
            continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}

bool stats_print_json(FILE *out, const char *directory, uint32_t segment_size, const Stats *stats,
                      Error *err)
{
    json_t *object =
        json_pack("{s:i, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "format_version", FORMAT_VERSION,
                  "directory", json_text(directory), "timeline", (json_int_t)stats->timeline,
                  "server_major", stats->major > 0 ? json_integer(stats->major) : json_null(),
                  "range", range_of(segment_size, stats), "transactions", transactions_of(stats),
                  "total", counts_of(&stats->total), "resource_managers", rmgrs_of(stats));
    if (object == NULL)
        return error_set(err, ERROR_MEMORY, "could not build the JSON of the statistics");
    (void)json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    (void)fputc('\n', out);
    json_decref(object);
    return true;
}
