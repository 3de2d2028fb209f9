/* SPDX-License-Identifier: PostgreSQL
 *
 * The history files: each must be readable and agree with those of its ancestors, and every
 * timeline but the first needs one, or a restore cannot find its way to it.
 */
#include "verify_internal.h"

#include "walrx/archive/segment_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const VerifyLine *verify_plan_line(const VerifyPlan *plan, Timeline timeline)
{
    for (size_t i = 0; i < plan->line_count; i++) {
        if (plan->lines[i].timeline == timeline)
            return &plan->lines[i];
    }
    return NULL; /* not met: each timeline of an entry has a line */
}

Timeline verify_line_at(const VerifyLine *line, Lsn lsn)
{
    return line->known ? timeline_history_at(&line->history, lsn) : 0;
}

static bool add_line(VerifyPlan *plan, Timeline timeline, Error *err)
{
    size_t at = plan->line_count;
    while (at > 0 && plan->lines[at - 1].timeline > timeline)
        at--;
    if (at > 0 && plan->lines[at - 1].timeline == timeline)
        return true;
    if (plan->line_count == plan->line_capacity) {
        size_t capacity = plan->line_capacity == 0 ? 8 : plan->line_capacity * 2;
        if (capacity > 2 * TIMELINE_MAX_SWITCHES)
            return error_set(err, ERROR_ARCHIVE, "the archive holds more than %d timelines",
                             2 * TIMELINE_MAX_SWITCHES);
        VerifyLine *lines = realloc(plan->lines, capacity * sizeof(lines[0]));
        if (lines == NULL)
            return error_set(err, ERROR_MEMORY, "out of memory for the list of timelines");
        plan->lines = lines;
        plan->line_capacity = capacity;
    }
    memmove(&plan->lines[at + 1], &plan->lines[at],
            (plan->line_count - at) * sizeof(plan->lines[0]));
    plan->lines[at] = (VerifyLine){.timeline = timeline};
    plan->line_count++;
    return true;
}

typedef struct Listing {
    VerifyPlan *plan;
    Error *err;
    bool ok;
} Listing;

static bool take_name(void *context, const char *name)
{
    Listing *listing = context;
    WalFileName file;
    if (!wal_file_parse(name, &file) || file.kind != WAL_FILE_HISTORY)
        return true;
    listing->ok = add_line(listing->plan, file.timeline, listing->err);
    return listing->ok;
}

typedef struct Text {
    char *bytes;
    size_t length;
} Text;

static bool collect(void *context, const void *data, size_t length, Error *err)
{
    Text *text = context;
    if (length > TIMELINE_HISTORY_MAX_BYTES - text->length)
        return error_set(err, ERROR_ARCHIVE, "the history file is too long");
    char *bytes = realloc(text->bytes, text->length + length + 1);
    if (bytes == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for a history file");
    memcpy(bytes + text->length, data, length);
    text->bytes = bytes;
    text->length += length;
    return true;
}

/* pg_receivewal compresses history files too. */
static bool read_text(const Archive *archive, Timeline timeline, char name[WAL_FILE_NAME_SIZE],
                      Text *text, bool *ret_found, Error *err)
{
    char raw[WAL_FILE_NAME_SIZE];
    wal_history_name(timeline, raw);
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        uint64_t size;
        (void)snprintf(name, WAL_FILE_NAME_SIZE, "%s%s", raw,
                       wal_compression_suffix((WalCompression)form));
        if (!file_status(&archive->dir, name, ret_found, &size, err))
            return false;
        if (*ret_found)
            return segment_file_read(&archive->dir, name, (WalCompression)form, collect, text, err);
    }
    (void)snprintf(name, WAL_FILE_NAME_SIZE, "%s", raw);
    return true;
}

static bool parse_text(VerifyLine *line, const Text *text, Error *err)
{
    size_t lines = 1;
    for (size_t i = 0; i < text->length; i++)
        lines += text->bytes[i] == '\n' ? 1 : 0;
    if (lines > TIMELINE_MAX_SWITCHES)
        lines = TIMELINE_MAX_SWITCHES;
    line->switches = calloc(lines, sizeof(line->switches[0]));
    if (line->switches == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for a history file");
    line->known = timeline_history_parse(text->bytes, text->length, line->timeline, line->switches,
                                         lines, &line->history, err);
    return line->known;
}

static void add_problem(VerifyFound *found, const VerifyLine *line, VerifyKind kind,
                        const char *name, const char *message, const char *detail)
{
    VerifyProblem problem = verify_problem(kind, line->timeline, name, 0, 0, 0);
    (void)snprintf(problem.message, sizeof(problem.message), "%s", message);
    (void)snprintf(problem.detail, sizeof(problem.detail), "%s", detail);
    verify_found_add(found, &problem);
}

/* False only without memory: all else is a problem of the archive. */
static bool read_line(const Archive *archive, VerifyLine *line, VerifyFound *found, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    Text text = {.bytes = NULL};
    bool exists = false;
    Error why;
    if (line->timeline == 1) {
        line->known = true;
        line->history = (TimelineHistory){.target = 1};
        return true;
    }
    bool ok = read_text(archive, line->timeline, name, &text, &exists, &why) &&
              (!exists || parse_text(line, &text, &why));
    free(text.bytes);
    if (!ok && why.class == ERROR_MEMORY) {
        *err = why;
        return false;
    }
    if (!ok)
        add_problem(found, line, why.class == ERROR_STORAGE ? VERIFY_UNREADABLE : VERIFY_HISTORY,
                    name, why.message, why.detail);
    else if (!exists)
        add_problem(found, line, VERIFY_HISTORY, name, "the history file is missing",
                    "Without it a restore does not find this timeline, and which WAL comes before "
                    "it is not known.");
    return true;
}

/* An ancestor's own history must be the beginning of this one. */
static void compare_with_ancestors(const VerifyPlan *plan, const VerifyLine *line,
                                   VerifyFound *found)
{
    char name[WAL_FILE_NAME_SIZE];
    char message[VERIFY_TEXT_SIZE];
    for (size_t i = line->known ? line->history.count : 0; i > 0; i--) {
        const VerifyLine *ancestor = verify_plan_line(plan, line->switches[i - 1].timeline);
        if (ancestor == NULL || !ancestor->known || ancestor->timeline == 1)
            continue;
        bool same = ancestor->history.count == i - 1;
        for (size_t j = 0; same && j < i - 1; j++)
            same = ancestor->switches[j].timeline == line->switches[j].timeline &&
                   ancestor->switches[j].end == line->switches[j].end;
        if (same)
            continue;
        (void)snprintf(message, sizeof(message),
                       "it tells another history of timeline %u than that timeline's own file",
                       ancestor->timeline);
        add_problem(found, line, VERIFY_HISTORY, wal_history_name(line->timeline, name), message,
                    "");
        return;
    }
}

bool verify_plan_histories(VerifyPlan *plan, VerifyFound *found, Error *err)
{
    Listing listing = {.plan = plan, .err = err, .ok = true};
    if (!dir_visit(&plan->archive->dir, take_name, &listing, err) || !listing.ok)
        return false;
    for (size_t i = 0; i < plan->entry_count; i++) {
        if ((i == 0 || plan->entries[i].timeline != plan->entries[i - 1].timeline) &&
            !add_line(plan, plan->entries[i].timeline, err))
            return false;
    }
    for (size_t i = 0; i < plan->line_count; i++) {
        if (!read_line(plan->archive, &plan->lines[i], found, err))
            return false;
    }
    for (size_t i = 0; i < plan->line_count; i++)
        compare_with_ancestors(plan, &plan->lines[i], found);
    return true;
}
