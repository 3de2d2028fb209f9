/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx find` as one JSON object, whose keys walrx-find(1) describes. A reference
 * that jansson could not make is NULL and fails the object it belongs to.
 */
#include "find_report.h"
#include "json_text.h"

#include "walrx/os/clock.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION 1

static json_t *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_text(text) : json_null();
}

static json_t *position(Lsn lsn)
{
    char text[LSN_TEXT_SIZE];
    return lsn == LSN_INVALID ? json_null() : json_string(lsn_format(lsn, text));
}

static json_t *time_of(PgTime time)
{
    char text[CLOCK_TEXT_SIZE];
    return json_string(clock_pg_text(time, text));
}

static json_t *place_of(const FindReport *report, const FindPlace *place)
{
    char name[WAL_FILE_NAME_SIZE];
    const WalEvent *event = &place->event;
    bool is_end = event->kind == WAL_EVENT_COMMIT || event->kind == WAL_EVENT_ABORT;
    bool is_point = event->kind == WAL_EVENT_RESTORE_POINT;
    if (!place->found)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:I, s:s, s:b, s:o, s:o, s:b, s:o}", "kind",
                     is_point ? "restore_point" : find_kind_name(place), "lsn",
                     position(place->lsn), "end_lsn", position(place->end), "timeline",
                     (json_int_t)place->timeline, "segment", find_segment_name(report, place, name),
                     "open", place->partial, "time",
                     is_end || is_point ? time_of(event->time) : json_null(), "xid",
                     is_end ? json_whole(event->xid) : json_null(), "prepared", event->prepared,
                     "name", is_point ? json_text(event->name) : json_null());
}

static json_t *places_of(const FindReport *report, const FindPlace *places, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < count; i++) {
        if (json_array_append_new(array, place_of(report, &places[i])) == 0)
            continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}

static json_t *target_of(const FindTarget *target)
{
    static const char *const kinds[] = {[FIND_LATEST] = "latest",
                                        [FIND_TIME] = "time",
                                        [FIND_POINT] = "restore_point",
                                        [FIND_LSN] = "lsn",
                                        [FIND_XID] = "xid"};
    json_t *value = json_null();
    if (target->kind == FIND_TIME)
        value = time_of(target->time);
    else if (target->kind == FIND_POINT)
        value = json_text(target->name);
    else if (target->kind == FIND_LSN)
        value = position(target->lsn);
    else if (target->kind == FIND_XID)
        value = json_whole(target->xid);
    return json_pack("{s:s, s:o, s:b, s:o}", "kind", kinds[target->kind], "value", value,
                     "exclusive", target->exclusive, "from_lsn", position(target->from));
}

static json_t *needed_of(const FindReport *report)
{
    const FindResult *result = report->result;
    char begin[WAL_FILE_NAME_SIZE];
    char end[WAL_FILE_NAME_SIZE];
    SegNo first = segment_of(result->wal_begin, report->segment_size);
    if (result->outcome != FIND_REACHED)
        return json_null();
    return json_pack("{s:o, s:s, s:o, s:s}", "begin_lsn", position(result->wal_begin),
                     "begin_segment",
                     wal_segment_name(result->wal_begin_timeline, first, report->segment_size,
                                      WAL_RAW, false, begin),
                     "end_lsn", position(result->stop), "end_segment",
                     find_segment_name(report, &result->at, end));
}

static json_t *reason_of(const FindResult *result)
{
    if (result->outcome == FIND_REACHED)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "message", json_text(result->reason.message), "detail",
                     text_or_null(result->reason.detail), "hint",
                     text_or_null(result->reason.hint));
}

static json_t *settings_of(const FindReport *report)
{
    if (report->result->outcome != FIND_REACHED)
        return json_null();
    char *lines = malloc(FIND_LINES_SIZE);
    json_t *value = NULL;
    if (lines != NULL && find_lines(report, lines, FIND_LINES_SIZE))
        value = json_pack("{s:s, s:b, s:o, s:o}", "file", find_config_file(report->result),
                          "recovery_signal", report->result->major >= 12, "lines", json_text(lines),
                          "restore_command", json_text(report->restore_command));
    free(lines);
    return value;
}

static json_t *other_of(const FindReport *report)
{
    const FindResult *result = report->result;
    if (result->other_timeline == 0)
        return json_null();
    return json_pack("{s:I, s:o}", "timeline", (json_int_t)result->other_timeline, "place",
                     place_of(report, &result->other));
}

bool find_print_json(FILE *out, const FindReport *report, Error *err)
{
    static const char *const outcomes[] = {[FIND_REACHED] = "reached",
                                           [FIND_NOT_THERE] = "not_there",
                                           [FIND_BEFORE] = "before",
                                           [FIND_BEYOND] = "beyond",
                                           [FIND_IN_GAP] = "in_gap"};
    const FindResult *result = report->result;
    bool reached = result->outcome == FIND_REACHED;
    json_t *object = json_pack(
        "{s:i, s:o, s:o, s:s, s:o, s:I, s:o, s:s?, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o}",
        "format_version", FORMAT_VERSION, "directory", json_text(report->directory), "target",
        target_of(report->target), "outcome", outcomes[result->outcome], "reason",
        reason_of(result), "timeline", (json_int_t)result->timeline, "server_major",
        result->major != 0 ? json_integer(result->major) : json_null(), "stops",
        !reached              ? NULL
        : result->stops_after ? "after"
                              : "before",
        "stop", place_of(report, &result->at), "replayed_lsn", position(result->replayed), "last",
        place_of(report, &result->last), "next", place_of(report, &result->next), "before",
        places_of(report, result->before, report->target->before > 0 ? result->before_count : 0),
        "after",
        places_of(report, result->after, report->target->after > 0 ? result->after_count : 0),
        "same_name_further_on", json_whole(result->same_name), "wal_needed", needed_of(report),
        "other_branch", other_of(report), "settings", settings_of(report));
    if (object == NULL)
        return error_set(err, ERROR_MEMORY, "could not build the JSON of the result");
    (void)json_dumpf(object, out, JSON_INDENT(2));
    (void)fputc('\n', out);
    json_decref(object);
    return true;
}
