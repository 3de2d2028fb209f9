/* SPDX-License-Identifier: PostgreSQL
 *
 * See prune_report.h: for people, by the ranges that go, then where the horizon is and why.
 */
#include "prune_report.h"

#include "size_text.h"

#include "walrx/os/clock.h"
#include "walrx/restore/stage.h"

#include <inttypes.h>

const char *prune_cause_word(PruneCause cause)
{
    static const char *const words[] = {
        [PRUNE_CAUSE_NONE] = "none",        [PRUNE_CAUSE_FROM] = "keep-from",
        [PRUNE_CAUSE_TIME] = "keep-time",   [PRUNE_CAUSE_SIZE] = "keep-size",
        [PRUNE_CAUSE_BACKUP] = "backup",    [PRUNE_CAUSE_NEWEST] = "newest",
        [PRUNE_CAUSE_RECEIVER] = "receiver"};
    return words[cause];
}

const char *prune_cause_text(PruneCause cause)
{
    static const char *const texts[] = {
        [PRUNE_CAUSE_NONE] = "nothing",
        [PRUNE_CAUSE_FROM] = "--keep-from",
        [PRUNE_CAUSE_TIME] = "--keep-time",
        [PRUNE_CAUSE_SIZE] = "--keep-size",
        [PRUNE_CAUSE_BACKUP] = "a registered base backup",
        [PRUNE_CAUSE_NEWEST] = "the newest WAL, which is never removed",
        [PRUNE_CAUSE_RECEIVER] = "the receiver, which is not done with it",
    };
    return texts[cause];
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_ranges(FILE *out, const PruneReport *report)
{
    uint32_t size = report->archive->segment_size;
    const PrunePlan *plan = report->plan;
    for (size_t i = 0; i < plan->range_count; i++) {
        const PruneRange *range = &plan->ranges[i];
        char name[2][WAL_FILE_NAME_SIZE];
        char bytes[SIZE_TEXT];
        (void)fprintf(
            out, "  %s to %s\n    %" PRIu64 " file%s, %s\n",
            wal_segment_name(range->timeline, range->first, size, WAL_RAW, false, name[0]),
            wal_segment_name(range->timeline, range->last, size, WAL_RAW, false, name[1]),
            range->files, plural(range->files), size_text(range->disk_bytes, bytes));
    }
}

static void print_total(FILE *out, const PruneReport *report)
{
    const PrunePlan *plan = report->plan;
    char bytes[2][SIZE_TEXT];
    uint64_t files = report->done != NULL ? report->done->files : plan->count;
    uint64_t gone = report->done != NULL ? report->done->disk_bytes : plan->disk_bytes;
    if (files == 0)
        (void)fprintf(out, "nothing %s; %" PRIu64 " file%s of WAL stay%s, %s\n",
                      report->done != NULL ? "was removed" : "would be removed", plan->kept_files,
                      plural(plan->kept_files), plan->kept_files == 1 ? "s" : "",
                      size_text(plan->kept_bytes, bytes[0]));
    else
        (void)fprintf(out, "%s %" PRIu64 " file%s, %s; %" PRIu64 " file%s of WAL stay%s, %s\n",
                      report->done != NULL ? "removed" : "would remove", files, plural(files),
                      size_text(gone, bytes[0]), plan->kept_files, plural(plan->kept_files),
                      plan->kept_files == 1 ? "s" : "", size_text(plan->kept_bytes, bytes[1]));
}

static void print_wish(FILE *out, const PruneReport *report, const char *option, SegNo segno,
                       PruneCause cause)
{
    char lsn[LSN_TEXT_SIZE];
    uint32_t size = report->archive->segment_size;
    const PruneHorizon *horizon = &report->plan->horizon;
    const char *wins = horizon->asked == cause ? ": it keeps most" : "";
    if (segno == UINT64_MAX)
        (void)fprintf(out, "  %s alone would keep only the newest WAL%s\n", option, wins);
    else
        (void)fprintf(out, "  %s alone would keep WAL from %s on%s\n", option,
                      lsn_format(segment_start(segno, size), lsn), wins);
}

/* Where several were given. */
static void print_wishes(FILE *out, const PruneReport *report)
{
    const PruneWish *wish = report->wish;
    const PruneHorizon *horizon = &report->plan->horizon;
    if (wish->by_from + wish->by_time + wish->by_size < 2)
        return;
    if (wish->by_from)
        print_wish(out, report, "--keep-from", horizon->from, PRUNE_CAUSE_FROM);
    if (wish->by_time)
        print_wish(out, report, "--keep-time", horizon->time, PRUNE_CAUSE_TIME);
    if (wish->by_size)
        print_wish(out, report, "--keep-size", horizon->size, PRUNE_CAUSE_SIZE);
}

static void print_backup(FILE *out, const BackupLabel *backup)
{
    char lsn[LSN_TEXT_SIZE];
    (void)fprintf(out, "base backup \"%s\", which starts at %s on timeline %" PRIu32, backup->label,
                  lsn_format(backup->start, lsn), backup->timeline);
}

/* What the time was made of. */
static void print_time(FILE *out, const PruneReport *report)
{
    const PrunePlan *plan = report->plan;
    char since[CLOCK_TEXT_SIZE];
    char newest[CLOCK_TEXT_SIZE];
    if (!report->wish->by_time || !plan->timed) {
        if (report->wish->by_time)
            (void)fputs("--keep-time: no commit tells how old the WAL is, so all of it stays\n",
                        out);
        return;
    }
    (void)fprintf(out, "--keep-time: all moments since %s", clock_pg_text(plan->since, since));
    if (plan->newest < report->wish->now)
        (void)fprintf(out, " (counted back from the newest commit, at %s)",
                      clock_pg_text(plan->newest, newest));
    if (plan->horizon.base != SIZE_MAX) {
        (void)fputs(", from ", out);
        print_backup(out, &plan->backups.items[plan->horizon.base]);
    } else if (plan->backups.count > 0) {
        (void)fputs("; no registered base backup is that old, so they are kept by commit times",
                    out);
    }
    (void)fputc('\n', out);
}

static void print_holder(FILE *out, const PruneReport *report)
{
    const PrunePlan *plan = report->plan;
    const PruneHorizon *horizon = &plan->horizon;
    if (horizon->held_by == PRUNE_CAUSE_NONE)
        return;
    if (horizon->held_by != PRUNE_CAUSE_BACKUP) {
        (void)fprintf(out, "held there by %s\n", prune_cause_text(horizon->held_by));
        return;
    }
    const BackupLabel *backup = &plan->backups.items[horizon->holder];
    char label[STAGE_SHELL_SIZE];
    char directory[STAGE_SHELL_SIZE];
    (void)fputs("held there by ", out);
    print_backup(out, backup);
    if (stage_shell_word(backup->label, label, sizeof(label)) &&
        stage_shell_word(report->directory, directory, sizeof(directory)))
        (void)fprintf(out, "\n  to let it go: walrx backup remove %s -D %s", label, directory);
    (void)fputc('\n', out);
}

void prune_print_text(FILE *out, const PruneReport *report)
{
    const PrunePlan *plan = report->plan;
    char lsn[LSN_TEXT_SIZE];
    print_ranges(out, report);
    print_total(out, report);
    (void)fprintf(
        out, "WAL stays from %s on, by %s\n",
        lsn_format(segment_start(plan->horizon.segno, report->archive->segment_size), lsn),
        prune_cause_text(plan->horizon.asked));
    print_wishes(out, report);
    print_time(out, report);
    print_holder(out, report);
}
