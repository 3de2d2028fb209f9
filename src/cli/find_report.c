/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx find` for people: where recovery stops and what lies around, then what to
 * copy into the server's configuration. All that is no setting there is a comment, so that the
 * block can be copied as it is.
 */
#include "find_report.h"

#include "walrx/os/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_WIDTH 19

const char *find_kind_name(const FindPlace *place)
{
    switch (place->event.kind) {
    case WAL_EVENT_COMMIT:
        return "commit";
    case WAL_EVENT_ABORT:
        return "abort";
    case WAL_EVENT_RESTORE_POINT:
        return "restore point";
    case WAL_EVENT_NONE:
        break;
    }
    return "record";
}

const char *find_config_file(const FindResult *result)
{
    return result->major >= 12 ? "postgresql.conf" : "recovery.conf";
}

const char *find_segment_name(const FindReport *report, const FindPlace *place,
                              char buffer[WAL_FILE_NAME_SIZE])
{
    return wal_segment_name(place->timeline, place->segno, report->segment_size, WAL_RAW,
                            place->partial, buffer);
}

bool find_lines(const FindReport *report, char *buffer, size_t capacity)
{
    if (!find_setting("restore_command", report->restore_command, buffer, capacity))
        return false;
    size_t used = strlen(buffer);
    return find_settings(report->target, report->result, buffer + used, capacity - used);
}

static void label(FILE *out, const char *text)
{
    (void)fprintf(out, "%-*s", LABEL_WIDTH, text);
}

void find_print_name(FILE *out, const char *name)
{
    (void)fputc('"', out);
    for (; *name != '\0'; name++)
        (void)fputc((unsigned char)*name < 0x20 || *name == 0x7F ? '?' : *name, out);
    (void)fputc('"', out);
}

/* "commit of transaction 745", "restore point "x"" */
static void print_what(FILE *out, const FindPlace *place)
{
    (void)fputs(find_kind_name(place), out);
    if (place->event.kind == WAL_EVENT_RESTORE_POINT) {
        (void)fputc(' ', out);
        find_print_name(out, place->event.name);
    } else if (place->event.kind != WAL_EVENT_NONE) {
        (void)fprintf(out, " of %stransaction %" PRIu32, place->event.prepared ? "prepared " : "",
                      place->event.xid);
    }
}

static void print_place(FILE *out, const FindPlace *place)
{
    char lsn[LSN_TEXT_SIZE];
    char time[CLOCK_TEXT_SIZE];
    if (place->event.kind != WAL_EVENT_NONE)
        (void)fprintf(out, "%s  ", clock_pg_text(place->event.time, time));
    (void)fprintf(out, "%s  ", lsn_format(place->lsn, lsn));
    print_what(out, place);
    (void)fputc('\n', out);
}

static void print_labelled(FILE *out, const char *name, const FindPlace *place)
{
    label(out, name);
    if (place->found)
        print_place(out, place);
    else
        (void)fputs("none\n", out);
}

static void print_stop(FILE *out, const FindReport *report)
{
    const FindResult *result = report->result;
    const FindPlace *at = &result->at;
    char lsn[LSN_TEXT_SIZE];
    char end[LSN_TEXT_SIZE];
    char name[WAL_FILE_NAME_SIZE];
    label(out, "recovery stops");
    (void)fprintf(out, "%s %s ", result->stops_after ? "after" : "before",
                  report->target->kind == FIND_LATEST ? "the last record:" : "the");
    print_what(out, at);
    (void)fprintf(out, " at %s\n", lsn_format(at->lsn, lsn));
    label(out, "replayed up to");
    (void)fprintf(out, "%s\n", lsn_format(result->replayed, lsn));
    label(out, "timeline");
    (void)fprintf(out, "%" PRIu32 "\n", at->timeline);
    label(out, "segment");
    (void)fprintf(out, "%s%s\n", find_segment_name(report, at, name),
                  at->partial ? " (the open one)" : "");
    label(out, "WAL needed");
    (void)fprintf(out, "up to %s; there without a gap from %s on\n", lsn_format(result->stop, end),
                  lsn_format(result->wal_begin, lsn));
}

static void print_neighbours(FILE *out, const FindReport *report)
{
    const FindResult *result = report->result;
    const FindTarget *target = report->target;
    bool lists = target->before > 0 || target->after > 0;
    bool at_end = result->outcome == FIND_BEYOND || result->outcome == FIND_NOT_THERE;
    if (!lists) {
        print_labelled(out, at_end ? "newest in the WAL" : "last before", &result->last);
        if (!at_end)
            print_labelled(out, "first behind", &result->next);
        return;
    }
    (void)fputc('\n', out);
    for (size_t i = 0; target->before > 0 && i < result->before_count; i++)
        print_place(out, &result->before[i]);
    (void)fprintf(out, "%s\n",
                  result->outcome == FIND_REACHED  ? "-- recovery ends here --"
                  : result->outcome == FIND_IN_GAP ? "-- WAL is missing here --"
                  : result->outcome == FIND_BEFORE ? "-- nothing before is known --"
                                                   : "-- the end --");
    for (size_t i = 0; target->after > 0 && i < result->after_count; i++)
        print_place(out, &result->after[i]);
}

static void print_notes(FILE *out, const FindReport *report)
{
    const FindResult *result = report->result;
    char name[WAL_FILE_NAME_SIZE];
    if (result->same_name > 0)
        (void)fprintf(out,
                      "\nNote: the name occurs %" PRIu64 " more time%s further on. Recovery stops "
                      "at the first one\nbehind the beginning of its base backup.\n",
                      result->same_name, result->same_name == 1 ? "" : "s");
    if (result->other_timeline != 0) {
        (void)fprintf(out,
                      "\nNote: outside the history of timeline %" PRIu32 ", on timeline %" PRIu32
                      ", there is:\n  ",
                      result->timeline, result->other_timeline);
        print_place(out, &result->other);
        (void)fprintf(out, "  in %s. If that is meant: --timeline=%" PRIu32 "\n",
                      find_segment_name(report, &result->other, name), result->other_timeline);
    }
}

static void print_settings(FILE *out, const FindReport *report)
{
    const FindResult *result = report->result;
    char *lines = malloc(FIND_LINES_SIZE);
    if (lines == NULL || !find_lines(report, lines, FIND_LINES_SIZE)) {
        free(lines);
        return;
    }
    (void)fprintf(out, "\n# %s of the server, in a data directory that is a base backup%s\n%s",
                  find_config_file(result),
                  result->major >= 12 ? ";\n# an empty file recovery.signal beside it" : "", lines);
    if (report->target->kind != FIND_LATEST)
        (void)fputs("# recovery_target_action = 'pause'     # or 'promote', 'shutdown'\n", out);
    free(lines);
}

void find_print_text(FILE *out, const FindReport *report)
{
    const FindResult *result = report->result;
    bool reached = result->outcome == FIND_REACHED;
    if (reached)
        print_stop(out, report);
    print_neighbours(out, report);
    print_notes(out, report);
    if (reached)
        print_settings(out, report);
}
