/* SPDX-License-Identifier: PostgreSQL
 *
 * For somebody in the middle of the night: what was found out, and then each command that may come
 * next, ready to be pasted.
 */
#include "stage_report.h"

#include "find_report.h"

#include "walrx/base/parse.h"
#include "walrx/os/clock.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define LABEL_WIDTH 11

static void label(FILE *out, const char *text)
{
    (void)fprintf(out, "%-*s", LABEL_WIDTH, text);
}

static const char *lsn_text(Lsn lsn, char buffer[LSN_TEXT_SIZE])
{
    return lsn_format(lsn, buffer);
}

static void print_place(FILE *out, const FindPlace *place)
{
    char time[CLOCK_TEXT_SIZE];
    char lsn[LSN_TEXT_SIZE];
    switch (place->event.kind) {
    case WAL_EVENT_COMMIT:
    case WAL_EVENT_ABORT:
        (void)fprintf(out, "%s of transaction %" PRIu32 " at %s, %s",
                      place->event.kind == WAL_EVENT_COMMIT ? "commit" : "abort", place->event.xid,
                      lsn_text(place->lsn, lsn), clock_pg_text(place->event.time, time));
        break;
    case WAL_EVENT_RESTORE_POINT:
        (void)fputs("restore point ", out);
        find_print_name(out, place->event.name);
        (void)fprintf(out, " at %s, %s", lsn_text(place->lsn, lsn),
                      clock_pg_text(place->event.time, time));
        break;
    case WAL_EVENT_NONE:
        (void)fprintf(out, "a record at %s", lsn_text(place->lsn, lsn));
        break;
    }
}

static void print_backup(FILE *out, const Stage *stage)
{
    const BackupLabel *backup = &stage->base.label;
    char lsn[LSN_TEXT_SIZE];
    label(out, "backup");
    (void)fprintf(out, "%s\n%*sPostgreSQL %d, \"%s\"", stage->backup, LABEL_WIDTH, "",
                  stage->base.major, backup->label);
    if (backup->start_time[0] != '\0')
        (void)fprintf(out, ", begun %s", backup->start_time);
    (void)fprintf(out, "\n%*sneeds WAL from %s of timeline %" PRIu32, LABEL_WIDTH, "",
                  lsn_text(backup->start, lsn), backup->timeline);
    if (stage->consistent != LSN_INVALID)
        (void)fprintf(out, ", is consistent at %s", lsn_text(stage->consistent, lsn));
    (void)fputc('\n', out);
}

static void print_archive(FILE *out, const Stage *stage)
{
    char names[2][WAL_FILE_NAME_SIZE];
    label(out, "archive");
    (void)fprintf(out, "%s\n%*s", stage->archive, LABEL_WIDTH, "");
    if (stage->last < stage->first)
        (void)fputs("needed for no WAL\n", out);
    else
        (void)fprintf(out, "has all WAL from %s to %s%s\n",
                      wal_segment_name(stage->base.label.timeline, stage->first,
                                       stage->segment_size, WAL_RAW, false, names[0]),
                      wal_segment_name(stage->found.at.found ? stage->found.at.timeline
                                                             : stage->found.timeline,
                                       stage->last, stage->segment_size, WAL_RAW, false, names[1]),
                      stage->found.at.partial ? ", the open segment" : "");
}

static void print_target(FILE *out, const StageRequest *request, const Stage *stage)
{
    const FindResult *found = &stage->found;
    char lsn[LSN_TEXT_SIZE];
    label(out, "target");
    (void)fprintf(out, "timeline %" PRIu32 ", ", found->timeline);
    if (request->target.kind == FIND_LATEST) {
        (void)fprintf(out, "to the end of all WAL, at %s\n", lsn_text(found->replayed, lsn));
    } else {
        (void)fputs(found->stops_after ? "to behind the " : "to before the ", out);
        print_place(out, &found->at);
        (void)fputc('\n', out);
    }
    if (found->last.found) {
        (void)fprintf(out, "%*skeeps the ", LABEL_WIDTH, "");
        print_place(out, &found->last);
        (void)fputc('\n', out);
    }
    if (found->next.found) {
        (void)fprintf(out, "%*sleaves out the ", LABEL_WIDTH, "");
        print_place(out, &found->next);
        (void)fputc('\n', out);
    }
    if (found->other_timeline != 0) {
        (void)fprintf(out, "%*soutside its history, on timeline %" PRIu32 ", is the ", LABEL_WIDTH,
                      "", found->other_timeline);
        print_place(out, &found->other);
        (void)fprintf(out, ":\n%*s--target-timeline=%" PRIu32 " goes there, if that is meant\n",
                      LABEL_WIDTH, "", found->other_timeline);
    }
    if (found->same_name > 0)
        (void)fprintf(out, "%*sthere are %" PRIu64 " more restore points of that name, later\n",
                      LABEL_WIDTH, "", found->same_name);
}

void stage_print_plan(FILE *out, const StageRequest *request, const Stage *stage)
{
    print_backup(out, stage);
    print_archive(out, stage);
    print_target(out, request, stage);
}

/* ---- behind it ---- */

static const char *size_text(uint64_t bytes, char buffer[PARSE_TEXT_SIZE])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(buffer, PARSE_TEXT_SIZE, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
    return buffer;
}

const char *stage_action_name(const StageRequest *request)
{
    if (request->target.kind == FIND_LATEST)
        return "promote";
    return request->action == STAGE_PAUSE     ? "pause"
           : request->action == STAGE_PROMOTE ? "promote"
                                              : "shutdown";
}

/* A line of a command, as the user who must give it: root, who can become that user without sudo.
 */
static void print_command(FILE *out, const Stage *stage, const char *command)
{
    (void)fprintf(out, "  %s%s%s%s\n", stage->user.change ? "runuser -u " : "",
                  stage->user.change ? stage->user.name : "", stage->user.change ? " -- " : "",
                  command);
}

typedef struct Words {
    char into[STAGE_SHELL_SIZE];
    char bindir[STAGE_SHELL_SIZE];
    char pg_ctl[STAGE_SHELL_SIZE + 16];
    char psql[2 * STAGE_SHELL_SIZE + 32];
    char line[4 * STAGE_SHELL_SIZE + 64];
} Words;

static void make_words(const Stage *stage, const char *username, Words *words)
{
    char name[STAGE_SHELL_SIZE];
    (void)stage_shell_word(stage->into, words->into, sizeof(words->into));
    (void)stage_shell_word(stage->bindir, words->bindir, sizeof(words->bindir));
    (void)stage_shell_word(username, name, sizeof(name));
    (void)snprintf(words->pg_ctl, sizeof(words->pg_ctl), "%s%spg_ctl",
                   stage->bindir[0] != '\0' ? words->bindir : "",
                   stage->bindir[0] != '\0' ? "/" : "");
    (void)snprintf(words->psql, sizeof(words->psql), "psql -h %s -p %u -U %s", words->into,
                   (unsigned)stage->port, name);
}

static void print_start(FILE *out, const Stage *stage, Words *words)
{
    if (stage->bindir[0] == '\0')
        (void)fprintf(out, "start it, with the programs of PostgreSQL %d (none are here)\n",
                      stage->base.major);
    else
        (void)fputs("start it\n", out);
    (void)snprintf(words->line, sizeof(words->line), "%s -D %s -l %s/" STAGE_LOG " -t 86400 start",
                   words->pg_ctl, words->into, words->into);
    print_command(out, stage, words->line);
}

static void print_steps(FILE *out, const StageRequest *request, const Stage *stage,
                        const StageReached *reached, Words *words)
{
    bool pauses = strcmp(stage_action_name(request), "pause") == 0;
    (void)fputs("look into it (only through the socket in its directory)\n", out);
    if (reached == NULL)
        (void)fprintf(out,
                      "  it lets you in before it is at the target; it is there once this "
                      "gives t:\n  select %s\n",
                      pauses ? "pg_is_wal_replay_paused()" : "not pg_is_in_recovery()");
    (void)snprintf(words->line, sizeof(words->line), "%s -d postgres", words->psql);
    print_command(out, stage, words->line);
    if (pauses) {
        (void)fputs(
            "it is read-only, and a table that a transaction had locked there cannot even be "
            "read;\nto end recovery there, so that it can be read and written\n",
            out);
        (void)snprintf(words->line, sizeof(words->line),
                       "%s -d postgres -c 'select pg_wal_replay_resume()'", words->psql);
        print_command(out, stage, words->line);
    }
    (void)fputs(reached != NULL ? "stop it\n" : "stop it again\n", out);
    (void)snprintf(words->line, sizeof(words->line), "%s -D %s stop", words->pg_ctl, words->into);
    print_command(out, stage, words->line);
}

static void print_reached(FILE *out, const Stage *stage, const StageReached *reached)
{
    static const char *const ends[] = {[STAGE_PAUSED] = "paused at the target, read-only",
                                       [STAGE_PROMOTED] = "recovery is over, it takes writes",
                                       [STAGE_SHUT_DOWN] = "shut down at the target"};
    label(out, "reached");
    (void)fprintf(out, "%s", ends[reached->end]);
    if (reached->end != STAGE_SHUT_DOWN)
        (void)fprintf(out, "\n%*sreplayed up to %s%s", LABEL_WIDTH, "", reached->lsn,
                      reached->expected ? ", as foreseen" : "");
    (void)fprintf(out, ", timeline %" PRIu32 "\n", reached->timeline);
    if (reached->last_commit[0] != '\0')
        (void)fprintf(out, "%*slast commit or abort %s\n", LABEL_WIDTH, "", reached->last_commit);
    if (reached->end == STAGE_PAUSED && reached->locked > 0)
        (void)fprintf(out,
                      "%*slocked: %" PRIu64 " relation%s, by transactions that are open at the "
                      "target, such as a DROP TABLE;\n%*squeries on them wait until recovery is "
                      "ended\n",
                      LABEL_WIDTH, "", reached->locked, reached->locked == 1 ? "" : "s",
                      LABEL_WIDTH, "");
    if (reached->end != STAGE_SHUT_DOWN)
        (void)fprintf(out, "%*sprocess %ld of user %s, port %u, log %s/" STAGE_LOG "\n",
                      LABEL_WIDTH, "", (long)reached->pid, stage->user.name, (unsigned)stage->port,
                      stage->into);
}

void stage_print_result(FILE *out, const StageRequest *request, const Stage *stage,
                        const StageReached *reached)
{
    static Words words;
    char size[PARSE_TEXT_SIZE];
    bool runs = reached != NULL && reached->end != STAGE_SHUT_DOWN;
    label(out, "copy");
    (void)fprintf(out, "%s\n%*s%s, of user %s\n", stage->into, LABEL_WIDTH, "",
                  size_text(stage->size.bytes, size), stage->user.name);
    for (size_t i = 0; i < stage->tablespace_count; i++)
        (void)fprintf(out, "%*stablespace %s is in %s\n", LABEL_WIDTH, "",
                      stage->tablespaces[i].oid, stage->tablespaces[i].to);
    if (reached != NULL)
        print_reached(out, stage, reached);
    const char *username = request->username != NULL ? request->username : "postgres";
    if (reached != NULL && runs)
        username = reached->username;
    make_words(stage, username, &words);
    (void)fputc('\n', out);
    if (!runs)
        print_start(out, stage, &words);
    if (reached == NULL || runs)
        print_steps(out, request, stage, reached, &words);
}
