/* SPDX-License-Identifier: PostgreSQL
 *
 * See backup_report.h.
 */
#include "backup_report.h"

#include "json_text.h"

#include <inttypes.h>

#define FORMAT_VERSION 1

static void print_stop(FILE *out, const BackupLabel *backup)
{
    char lsn[LSN_TEXT_SIZE];
    if (backup->stop == LSN_INVALID)
        (void)fputs("not known", out);
    else
        (void)fprintf(out, "%s, timeline %" PRIu32, lsn_format(backup->stop, lsn),
                      backup->stop_timeline);
}

static void print_use(FILE *out, const BackupLabel *backup, const BackupUse *use)
{
    char lsn[LSN_TEXT_SIZE];
    if (!use->start_there) {
        (void)fputs("no: the archive does not have its first segment\n", out);
        return;
    }
    if (backup->stop != LSN_INVALID && !use->consistent)
        (void)fprintf(out, "no: without a gap the archive's WAL ends at %s, before its end\n",
                      lsn_format(use->reach, lsn));
    else
        (void)fprintf(out, "%sto %s on timeline %" PRIu32 "%s\n",
                      backup->stop == LSN_INVALID ? "perhaps: its end is not known; " : "",
                      lsn_format(use->reach, lsn), use->timeline,
                      use->current ? "" : ", which the archive's newest timeline has left");
}

static void print_one(FILE *out, const BackupReport *report, size_t at)
{
    const BackupLabel *backup = &report->backups->items[at];
    char lsn[LSN_TEXT_SIZE];
    char name[WAL_FILE_NAME_SIZE];
    (void)fprintf(out, "%s\n  file       %s\n  start      %s, timeline %" PRIu32 "%s%s\n",
                  backup->label, backup_history_name(backup, report->archive->segment_size, name),
                  lsn_format(backup->start, lsn), backup->timeline,
                  backup->start_time[0] != '\0' ? ", " : "", backup->start_time);
    (void)fputs("  stop       ", out);
    print_stop(out, backup);
    (void)fprintf(out, "%s%s\n", backup->stop_time[0] != '\0' ? ", " : "", backup->stop_time);
    if (backup->from_standby)
        (void)fputs("  taken      from a standby\n", out);
    if (backup->incremental_from != LSN_INVALID)
        (void)fprintf(out, "  taken      as an increment from %s on\n",
                      lsn_format(backup->incremental_from, lsn));
    (void)fputs("  recovers   ", out);
    print_use(out, backup, &report->uses[at]);
}

void backup_print_text(FILE *out, const BackupReport *report)
{
    if (report->backups->count == 0)
        (void)fprintf(out, "no base backup is registered in %s\n", report->directory);
    for (size_t i = 0; i < report->backups->count; i++)
        print_one(out, report, i);
}

void backup_print_registered(FILE *out, const Archive *archive, const BackupLabel *backup,
                             bool existed)
{
    char name[WAL_FILE_NAME_SIZE];
    char lsn[LSN_TEXT_SIZE];
    (void)fprintf(out, "%s base backup \"%s\": %s\n", existed ? "already registered" : "registered",
                  backup->label, backup_history_name(backup, archive->segment_size, name));
    (void)fprintf(out, "WAL is kept from %s on for it; consistent at ",
                  lsn_format(backup->start, lsn));
    if (backup->stop == LSN_INVALID)
        (void)fputs("a position that is not known\n", out);
    else
        (void)fprintf(out, "%s\n", lsn_format(backup->stop, lsn));
}

static json_t *position(Lsn lsn)
{
    char text[LSN_TEXT_SIZE];
    return lsn == LSN_INVALID ? json_null() : json_string(lsn_format(lsn, text));
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_text(text);
}

static json_t *json_of(const BackupReport *report, size_t at)
{
    const BackupLabel *backup = &report->backups->items[at];
    const BackupUse *use = &report->uses[at];
    char name[WAL_FILE_NAME_SIZE];
    bool stops = backup->stop != LSN_INVALID;
    return json_pack("{s:o, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:b, s:o, s:b, s:o, s:b, s:o}",
                     "label", json_text(backup->label), "file",
                     backup_history_name(backup, report->archive->segment_size, name), "start",
                     position(backup->start), "timeline", (json_int_t)backup->timeline,
                     "start_time", text_or_null(backup->start_time), "stop", position(backup->stop),
                     "stop_timeline", stops ? json_integer(backup->stop_timeline) : json_null(),
                     "stop_time", text_or_null(backup->stop_time), "from_standby",
                     backup->from_standby, "incremental_from", position(backup->incremental_from),
                     "start_archived", use->start_there, "consistent",
                     stops ? json_boolean(use->consistent) : json_null(), "current", use->current,
                     "recovers_to", position(use->reach));
}

bool backup_print_json(FILE *out, const BackupReport *report, Error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < report->backups->count; i++) {
        if (json_array_append_new(list, json_of(report, i)) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return json_print(out,
                      json_pack("{s:i, s:o, s:o}", "format_version", FORMAT_VERSION, "directory",
                                json_text(report->directory), "backups", list),
                      err);
}
