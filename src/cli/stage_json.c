/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx stage` as one JSON object, whose keys walrx-stage(1) describes. A reference
 * that jansson could not make is NULL and fails the object it belongs to.
 */
#include "json_text.h"
#include "stage_report.h"

#include "walrx/os/clock.h"

#include <jansson.h>

#define FORMAT_VERSION 1

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_text(text) : json_null();
}

static json_t *position(Lsn lsn)
{
    char text[LSN_TEXT_SIZE];
    return lsn == LSN_INVALID ? json_null() : json_string(lsn_format(lsn, text));
}

static json_t *place_of(const FindPlace *place)
{
    static const char *const kinds[] = {[WAL_EVENT_NONE] = "record",
                                        [WAL_EVENT_COMMIT] = "commit",
                                        [WAL_EVENT_ABORT] = "abort",
                                        [WAL_EVENT_RESTORE_POINT] = "restore_point"};
    char time[CLOCK_TEXT_SIZE];
    bool timed = place->event.kind != WAL_EVENT_NONE;
    if (!place->found)
        return json_null();
    return json_pack(
        "{s:s, s:o, s:I, s:o, s:o, s:o}", "kind", kinds[place->event.kind], "lsn",
        position(place->lsn), "timeline", (json_int_t)place->timeline, "time",
        timed ? json_string(clock_pg_text(place->event.time, time)) : json_null(), "xid",
        place->event.xid != 0 ? json_integer((json_int_t)place->event.xid) : json_null(), "name",
        text_or_null(place->event.name));
}

static json_t *backup_of(const Stage *stage)
{
    const BackupLabel *backup = &stage->base.label;
    return json_pack("{s:o, s:i, s:o, s:o, s:I, s:o}", "directory", json_text(stage->backup),
                     "major", stage->base.major, "label", json_text(backup->label), "start",
                     position(backup->start), "timeline", (json_int_t)backup->timeline,
                     "consistent", position(stage->consistent));
}

static json_t *target_of(const StageRequest *request, const Stage *stage)
{
    const FindResult *found = &stage->found;
    return json_pack("{s:I, s:o, s:o, s:b, s:o, s:o, s:s}", "timeline", (json_int_t)found->timeline,
                     "replayed", position(found->replayed), "at", place_of(&found->at),
                     "stops_after", found->stops_after ? 1 : 0, "last", place_of(&found->last),
                     "next", place_of(&found->next), "action", stage_action_name(request));
}

static json_t *tablespaces_of(const Stage *stage)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < stage->tablespace_count; i++) {
        const StageTablespace *space = &stage->tablespaces[i];
        json_t *item = json_pack("{s:s, s:o, s:o}", "oid", space->oid, "backup",
                                 json_text(space->from), "directory", json_text(space->to));
        if (item == NULL || json_array_append_new(array, item) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *copy_of(const Stage *stage)
{
    return json_pack("{s:o, s:I, s:s, s:i, s:o, s:o}", "directory", json_text(stage->into), "bytes",
                     (json_int_t)stage->size.bytes, "user", stage->user.name, "port",
                     (int)stage->port, "bindir", text_or_null(stage->bindir), "tablespaces",
                     tablespaces_of(stage));
}

static json_t *reached_of(const StageReached *reached)
{
    static const char *const ends[] = {
        [STAGE_PAUSED] = "paused", [STAGE_PROMOTED] = "promoted", [STAGE_SHUT_DOWN] = "shut_down"};
    if (reached == NULL)
        return json_null();
    return json_pack(
        "{s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "state", ends[reached->end], "lsn",
        text_or_null(reached->lsn), "last_commit", text_or_null(reached->last_commit), "timeline",
        (json_int_t)reached->timeline, "as_foreseen",
        reached->lsn[0] != '\0' ? json_boolean(reached->expected) : json_null(), "pid",
        reached->end == STAGE_SHUT_DOWN ? json_null() : json_integer((json_int_t)reached->pid),
        "username", text_or_null(reached->username), "locked_relations",
        reached->end == STAGE_PAUSED ? json_integer((json_int_t)reached->locked) : json_null());
}

bool stage_print_json(FILE *out, const StageRequest *request, const Stage *stage,
                      const StageReached *reached, Error *err)
{
    json_t *object = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "format_version", FORMAT_VERSION,
                               "archive", json_text(stage->archive), "backup", backup_of(stage),
                               "target", target_of(request, stage), "copy", copy_of(stage),
                               "reached", reached_of(reached));
    bool ok = object != NULL && json_dumpf(object, out, JSON_INDENT(2)) == 0;
    json_decref(object);
    if (!ok)
        return error_set(err, ERROR_MEMORY, "could not make the JSON object");
    (void)fputc('\n', out);
    return true;
}
