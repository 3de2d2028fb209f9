/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx verify` as one JSON object; walrx-verify(1) names its members. Positions are
 * text as PostgreSQL writes them, bytes and counts integers; the system identifier is text, since
 * it may exceed what JSON readers take for an integer.
 */
#include "json_text.h"
#include "verify_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define FORMAT_VERSION 1

/* Paths are bytes and may be no UTF-8. */
static json_t *text(const char *bytes)
{
    return json_stringn_nocheck(bytes, strlen(bytes));
}

static json_t *tail_of(const VerifyRange *range)
{
    const VerifyTail *tail = &range->tail;
    return json_pack("{s:b, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "partial", tail->partial,
                     "whole_to_lsn", json_lsn(tail->end), "record_open", tail->record_open, "short",
                     tail->cut, "zero_bytes", json_whole(tail->zero_bytes), "old_wal_bytes",
                     json_whole(tail->old_bytes), "old_wal_lsn",
                     tail->old_bytes > 0 ? json_lsn(tail->old_lsn) : json_null(), "old_wal_address",
                     tail->old_bytes > 0 ? json_lsn(tail->old_address) : json_null(), "other_bytes",
                     json_whole(tail->other_bytes));
}

static json_t *range_of(const VerifyRange *range)
{
    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o}", "begin_lsn", json_lsn(range->begin),
                     "end_lsn", json_lsn(range->end), "segments", json_whole(range->segments),
                     "first_file", range->first_file, "last_file", range->last_file,
                     "checked_from_lsn", json_lsn(range->checked_from), "tail", tail_of(range));
}

static json_t *ranges_of(const VerifyResult *result, Timeline timeline)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->range_count; i++) {
        if (result->ranges[i].timeline == timeline &&
            json_array_append_new(list, range_of(&result->ranges[i])) != 0)
            return json_decref(list), NULL;
    }
    return list;
}

static json_t *timelines_of(const VerifyResult *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->timeline_count; i++) {
        const VerifyTimeline *timeline = &result->timelines[i];
        bool has_parent = timeline->parent != 0;
        json_t *object = json_pack(
            "{s:I, s:o, s:o, s:b, s:o}", "timeline", (json_int_t)timeline->timeline, "parent",
            has_parent ? json_whole(timeline->parent) : json_null(), "switch_lsn",
            has_parent ? json_lsn(timeline->switch_lsn) : json_null(), "history_file",
            timeline->has_history, "ranges", ranges_of(result, timeline->timeline));
        if (json_array_append_new(list, object) != 0)
            return json_decref(list), NULL;
    }
    return list;
}

static json_t *gaps_of(const VerifyResult *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->gap_count; i++) {
        const VerifyGap *gap = &result->gaps[i];
        json_t *object = json_pack("{s:I, s:o, s:o, s:o, s:b, s:s, s:s, s:s, s:s}", "timeline",
                                   (json_int_t)gap->timeline, "begin_lsn", json_lsn(gap->begin),
                                   "end_lsn", json_lsn(gap->end), "bytes",
                                   json_whole(gap->end - gap->begin), "recorded", gap->recorded,
                                   "file_before", gap->before, "first_missing", gap->first_missing,
                                   "last_missing", gap->last_missing, "file_after", gap->after);
        if (json_array_append_new(list, object) != 0)
            return json_decref(list), NULL;
    }
    return list;
}

static json_t *problems_of(const VerifyResult *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->problem_count; i++) {
        const VerifyProblem *problem = &result->problems[i];
        bool placed = problem->end != LSN_INVALID;
        json_t *object = json_pack("{s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "kind",
                                   verify_kind_name(problem->kind), "timeline",
                                   (json_int_t)problem->timeline, "file", problem->file, "offset",
                                   placed ? json_whole(problem->offset) : json_null(), "lsn",
                                   placed ? json_lsn(problem->lsn) : json_null(), "begin_lsn",
                                   placed ? json_lsn(problem->begin) : json_null(), "end_lsn",
                                   placed ? json_lsn(problem->end) : json_null(), "message",
                                   text(problem->message), "detail", text(problem->detail));
        if (json_array_append_new(list, object) != 0)
            return json_decref(list), NULL;
    }
    return list;
}

bool verify_print_json(FILE *out, const char *directory, const VerifyResult *result, Error *err)
{
    char identifier[24];
    (void)snprintf(identifier, sizeof(identifier), "%" PRIu64, result->system_identifier);
    json_t *object = json_pack(
        "{s:i, s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:o, s:o, s:o}", "format_version",
        FORMAT_VERSION, "sound", result->sound, "directory", text(directory), "system_identifier",
        identifier, "segment_size", json_whole(result->segment_size), "server_major",
        result->major != 0 ? json_whole((uint64_t)result->major) : json_null(), "segments",
        json_whole(result->segments), "bytes", json_whole(result->bytes), "records",
        json_whole(result->records), "seconds", (double)result->elapsed_ms / 1000, "timelines",
        timelines_of(result), "gaps", gaps_of(result), "problems", problems_of(result),
        "problem_count", json_whole(result->problem_total));
    if (object == NULL)
        return error_set(err, ERROR_MEMORY, "could not build the JSON of the result");
    (void)json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    (void)fputc('\n', out);
    json_decref(object);
    return true;
}
