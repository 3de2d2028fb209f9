/* SPDX-License-Identifier: PostgreSQL
 *
 * Can the archive take the backup to the target? What a server would find out after the copy and
 * hours of recovery is found out here: identity, timeline, holes, and a target that comes before
 * the backup is consistent.
 */
#include "stage_internal.h"

#include "walrx/archive/backups.h"
#include "walrx/archive/history_file.h"
#include "walrx/archive/segment_file.h"
#include "walrx/base/parse.h"
#include "walrx/proto/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Check {
    const StageRequest *request;
    Stage *stage;
    Archive archive;
    Listing listing;
    Branch branch;
    Error *err;
} Check;

static const char *segment_text(const Check *check, Timeline timeline, SegNo segno,
                                char buffer[WAL_FILE_NAME_SIZE])
{
    return wal_segment_name(timeline, segno, check->archive.segment_size, WAL_RAW, false, buffer);
}

/* ---- the same cluster ---- */

static bool check_identity(const Check *check)
{
    const BaseBackup *base = &check->stage->base;
    const Archive *archive = &check->archive;
    char text[2][PARSE_TEXT_SIZE];
    if (!archive->bound) {
        error_set(check->err, ERROR_ARCHIVE, "\"%s\" holds no WAL of any cluster",
                  check->stage->archive);
        return error_hint(check->err, "Is its filesystem mounted, and is it the right directory?");
    }
    if (base->system_identifier != 0 && base->system_identifier != archive->system_identifier) {
        error_set(check->err, ERROR_ARCHIVE, "the archive \"%s\" belongs to another cluster",
                  check->stage->archive);
        error_detail(check->err,
                     "Its system identifier is %" PRIu64 ", that of the backup \"%s\" is %" PRIu64
                     ".",
                     archive->system_identifier, check->stage->backup, base->system_identifier);
        return error_hint(check->err, "Name an archive and a backup of the same cluster.");
    }
    if (base->segment_size != 0 && base->segment_size != archive->segment_size) {
        error_set(check->err, ERROR_ARCHIVE,
                  "archive \"%s\" has WAL segments of %s, backup \"%s\" of %s",
                  check->stage->archive, format_size(archive->segment_size, text[0]),
                  check->stage->backup, format_size(base->segment_size, text[1]));
        return error_hint(check->err, "The cluster got another segment size: its WAL of that time "
                                      "is in another archive.");
    }
    return true;
}

/* ---- the backup's place on the target's history ---- */

static bool refuse_timeline(const Check *check, Timeline left_at_timeline, Lsn left)
{
    const Stage *stage = check->stage;
    char text[2][LSN_TEXT_SIZE];
    error_set(check->err, ERROR_ARCHIVE,
              "the backup's timeline %" PRIu32 " does not lead to timeline %" PRIu32,
              stage->base.label.timeline, check->branch.target);
    if (left_at_timeline != 0)
        error_detail(check->err,
                     "The backup's checkpoint is at %s, but timeline %" PRIu32
                     " was left at %s, before that.",
                     lsn_format(stage->base.label.checkpoint, text[0]), left_at_timeline,
                     lsn_format(left, text[1]));
    else
        error_detail(check->err, "It is not in the history of that timeline.");
    return error_hint(check->err,
                      "Use a backup from before the timelines parted, or "
                      "--target-timeline=%" PRIu32 ".",
                      stage->base.label.timeline);
}

/* As a server checks it when it starts: "requested timeline ... is not a child of this server's
 * history" (InitWalRecovery, xlogrecovery.c, PostgreSQL 15). */
static bool check_history(const Check *check)
{
    const BackupLabel *label = &check->stage->base.label;
    TimelineHistory history;
    char *text = NULL;
    size_t length;
    Lsn end = UINT64_MAX;
    if (label->timeline == check->branch.target)
        return true;
    TimelineSwitch *switches = calloc(TIMELINE_MAX_SWITCHES, sizeof(*switches));
    if (switches == NULL)
        return error_set(check->err, ERROR_MEMORY, "out of memory while reading a history file");
    bool ok = history_file_read(&check->archive, check->branch.target, &text, &length, check->err);
    /* A compressed one, of pg_receivewal, has been read for the branch: its segments must do. */
    if (ok && text != NULL) {
        ok = timeline_history_parse(text, length, check->branch.target, switches,
                                    TIMELINE_MAX_SWITCHES, &history, check->err);
        if (ok && !timeline_history_find(&history, label->timeline, &end, NULL))
            ok = refuse_timeline(check, 0, LSN_INVALID);
        else if (ok && label->checkpoint != LSN_INVALID && end <= label->checkpoint)
            ok = refuse_timeline(check, label->timeline, end);
    }
    free(text);
    free(switches);
    return ok;
}

/* ---- holes ---- */

/* The first segments between first and last that the branch lacks. */
static bool find_hole(const Check *check, SegNo first, SegNo last, BranchSpan *ret)
{
    SegNo need = first;
    Timeline before = check->stage->base.label.timeline;
    for (size_t i = 0; i < check->branch.count && need <= last; i++) {
        const BranchSpan *span = &check->branch.spans[i];
        if (span->last < need)
            continue;
        if (span->first > need) {
            *ret = (BranchSpan){.timeline = before,
                                .first = need,
                                .last = span->first - 1 < last ? span->first - 1 : last};
            return true;
        }
        before = span->timeline;
        need = span->last + 1;
    }
    *ret = (BranchSpan){.timeline = before, .first = need, .last = last};
    return need <= last;
}

static bool refuse_hole(const Check *check, const BranchSpan *hole)
{
    char name[2][WAL_FILE_NAME_SIZE];
    char lsn[LSN_TEXT_SIZE];
    const Stage *stage = check->stage;
    if (hole->first == hole->last)
        error_set(check->err, ERROR_ARCHIVE, "archive \"%s\" lacks segment \"%s\"", stage->archive,
                  segment_text(check, hole->timeline, hole->first, name[0]));
    else
        error_set(check->err, ERROR_ARCHIVE, "archive \"%s\" lacks segments \"%s\" to \"%s\"",
                  stage->archive, segment_text(check, hole->timeline, hole->first, name[0]),
                  segment_text(check, hole->timeline, hole->last, name[1]));
    error_detail(check->err,
                 "Recovery from the backup \"%s\" begins at %s, and needs all WAL from there to "
                 "the target.",
                 stage->backup, lsn_format(stage->base.label.start, lsn));
    return error_hint(check->err, "Copy them into the archive from where they still are (pg_wal of "
                                  "the backup, of the primary or a standby, another archive), or "
                                  "use a backup from behind the hole.");
}

static bool refuse_target(const Check *check)
{
    const FindResult *found = &check->stage->found;
    SegNo first = segment_of(check->stage->base.label.start, check->archive.segment_size);
    SegNo last = check->branch.spans[check->branch.count - 1].last;
    BranchSpan hole;
    if (last >= first && find_hole(check, first, last, &hole) && found->outcome == FIND_IN_GAP)
        return refuse_hole(check, &hole);
    *check->err = found->reason;
    check->err->class = ERROR_ARCHIVE;
    if (check->err->hint[0] == '\0')
        error_hint(check->err, "walrx find shows what there is around a time: --time=TIME --before "
                               "--after.");
    return false;
}

/* A server would take the first hole for the end of all WAL. */
static bool refuse_early_end(const Check *check)
{
    const Stage *stage = check->stage;
    SegNo last = check->branch.spans[check->branch.count - 1].last;
    BranchSpan hole;
    char lsn[LSN_TEXT_SIZE];
    if (last < stage->first || !find_hole(check, stage->first, last, &hole))
        return true;
    refuse_hole(check, &hole);
    error_detail(check->err,
                 "With --latest recovery would end there, at %s, and there is WAL behind it.",
                 lsn_format(stage->found.replayed, lsn));
    return error_hint(check->err,
                      "Copy them into the archive from where they still are, use a backup from "
                      "behind the hole, or give --target-lsn=%s to end there.",
                      lsn_format(stage->found.at.lsn, lsn));
}

/* ---- the target ---- */

static bool check_target(Check *check)
{
    Stage *stage = check->stage;
    FindTarget target = check->request->target;
    BranchSpan hole;
    target.from = stage->base.label.start;
    target.timeline = check->branch.target;
    if (!find_target(&check->archive, &target, &stage->found, check->err))
        return false;
    if (stage->found.outcome != FIND_REACHED)
        return refuse_target(check);
    stage->first = segment_of(stage->base.label.start, check->archive.segment_size);
    stage->last = stage->found.stop_segno;
    if (target.kind == FIND_LATEST && !refuse_early_end(check))
        return false;
    return stage->last < stage->first || !find_hole(check, stage->first, stage->last, &hole) ||
           refuse_hole(check, &hole);
}

/* Where the backup ends, if it does not say so itself: a backup history file in the archive may. */
static bool find_consistent(Check *check)
{
    Stage *stage = check->stage;
    Backups backups = {0};
    stage->consistent = stage->base.label.stop;
    if (stage->consistent != LSN_INVALID || stage->base.label.from_standby)
        return true;
    bool ok = backups_read(&check->archive, &backups, check->err);
    for (size_t i = 0; ok && i < backups.count; i++) {
        if (backups.items[i].start == stage->base.label.start)
            stage->consistent = backups.items[i].stop;
    }
    backups_free(&backups);
    if (!ok || stage->consistent != LSN_INVALID || stage->last < stage->first)
        return ok;
    if (!stage_wal_backup_end(&check->archive, &check->branch, stage->base.label.start,
                              stage->first, stage->last, &stage->consistent, check->err))
        return false;
    if (stage->consistent == LSN_INVALID)
        stage->consistent = UINT64_MAX; /* behind all that is replayed */
    return true;
}

static bool refuse_early(const Check *check)
{
    const Stage *stage = check->stage;
    char text[2][LSN_TEXT_SIZE];
    error_set(check->err, ERROR_ARCHIVE, "the target comes before the backup \"%s\" is consistent",
              stage->backup);
    if (stage->consistent == UINT64_MAX)
        error_detail(check->err, "Recovery would end at %s, and the backup was not finished there.",
                     lsn_format(stage->found.replayed, text[0]));
    else
        error_detail(
            check->err, "Recovery would end at %s, the backup was finished at %s%s%s.",
            lsn_format(stage->found.replayed, text[0]), lsn_format(stage->consistent, text[1]),
            stage->base.label.stop_time[0] != '\0' ? ", " : "", stage->base.label.stop_time);
    return error_hint(check->err, "Use an older backup, or a later target.");
}

static bool check_consistent(Check *check)
{
    Stage *stage = check->stage;
    Error warning;
    char text[LSN_TEXT_SIZE];
    if (!find_consistent(check))
        return false;
    if (stage->consistent != LSN_INVALID)
        return stage->found.replayed >= stage->consistent || refuse_early(check);
    if (stage->found.replayed <= stage->base.label.checkpoint) {
        stage->consistent = UINT64_MAX;
        return refuse_early(check);
    }
    error_set(&warning, ERROR_OPERATOR, "it is not known where the backup \"%s\" was finished",
              stage->backup);
    error_detail(&warning,
                 "It was taken from a standby and has no backup_manifest. If recovery "
                 "ends before that place, at %s, the server says so.",
                 lsn_format(stage->found.replayed, text));
    check->request->tell(check->request->context, &warning);
    return true;
}

/* ---- what the server will do with it ---- */

/* The archive may be readable as a directory and its files not. */
static bool check_rights(const Check *check)
{
    const Stage *stage = check->stage;
    char name[WAL_FILE_NAME_SIZE];
    char path[DIR_PATH_SIZE + WAL_FILE_NAME_SIZE];
    const BranchSpan *span = branch_find(&check->branch, stage->first);
    WalCompression form = WAL_RAW;
    bool found = false;
    int refused;
    if (span == NULL)
        return true;
    if (!span->partial &&
        !segment_file_find(&check->archive.dir, span->timeline, stage->first,
                           check->archive.segment_size, &found, &form, check->err))
        return false;
    (void)wal_segment_name(span->timeline, stage->first, check->archive.segment_size, form,
                           span->partial, name);
    (void)snprintf(path, sizeof(path), "%s/%s", stage->archive, name);
    if (!process_access(&stage->user, path, R_OK, &refused, check->err))
        return false;
    if (refused == 0 || refused == ENOENT)
        return true;
    error_set_errno(check->err, ERROR_OPERATOR, refused, "user \"%s\" cannot read \"%s\"",
                    stage->user.name, path);
    error_detail(check->err, "The server of the copy runs as this user, and restore_command with "
                             "it.");
    return error_hint(check->err, "Give the user the right to read the archive's files.");
}

static bool check_all(Check *check)
{
    Stage *stage = check->stage;
    if (!listing_make(&check->archive, true, false, &check->listing, check->err) ||
        !branch_make(&check->archive, &check->listing, check->request->target.timeline,
                     &check->branch, check->err) ||
        !check_history(check) || !check_target(check) || !check_consistent(check))
        return false;
    return stage->last < stage->first ||
           (check_rights(check) &&
            stage_wal_tablespaces(&check->archive, &check->branch, stage->base.label.start,
                                  stage->found.replayed, stage->first, stage->last, check->err));
}

bool stage_wal_check(const StageRequest *request, Stage *stage, Error *err)
{
    Check check = {.request = request, .stage = stage, .err = err};
    bool loaded;
    if (!archive_open_to_read(stage->archive, request->files, &check.archive, &loaded, err))
        return false;
    bool ok = check_identity(&check);
    if (ok) {
        stage->system_identifier = check.archive.system_identifier;
        stage->segment_size = check.archive.segment_size;
        ok = check_all(&check);
        branch_free(&check.branch);
        listing_free(&check.listing);
    }
    archive_close(&check.archive);
    return ok;
}
