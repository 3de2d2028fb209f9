/* SPDX-License-Identifier: PostgreSQL
 *
 * What `walrx verify` found, for people: the archive, each timeline with its ranges, the gaps, the
 * problems, and one line that says how it stands. MB is a million bytes, as for disks.
 */
#include "verify_report.h"

#include "walrx/base/parse.h"

#include <inttypes.h>

#define MEGA 1e6
#define LABEL_WIDTH 10

static void label(FILE *out, const char *text)
{
    (void)fprintf(out, "%-*s ", LABEL_WIDTH, text);
}

static void print_head(FILE *out, const char *directory, const VerifyResult *result)
{
    char size[PARSE_TEXT_SIZE];
    double seconds = (double)result->elapsed_ms / 1000;
    label(out, "archive");
    (void)fprintf(out, "%s\n", directory);
    label(out, "cluster");
    (void)fprintf(out, "system identifier %" PRIu64 ", segments of %s", result->system_identifier,
                  format_size(result->segment_size, size));
    if (result->major != 0)
        (void)fprintf(out, ", PostgreSQL %d", result->major);
    (void)fputc('\n', out);
    label(out, "checked");
    (void)fprintf(out, "%" PRIu64 " segments, %.1f MB of WAL, %" PRIu64 " records, in %.1f s",
                  result->segments, (double)result->bytes / MEGA, result->records, seconds);
    if (result->elapsed_ms > 0)
        (void)fprintf(out, " (%.0f MB/s)", (double)result->bytes / MEGA / seconds);
    (void)fputc('\n', out);
}

static void print_tail(FILE *out, const VerifyRange *range)
{
    const VerifyTail *tail = &range->tail;
    char text[2][LSN_TEXT_SIZE];
    if (!tail->partial && !tail->record_open)
        return;
    (void)fprintf(out, "    whole up to %s", lsn_format(tail->end, text[0]));
    if (tail->record_open)
        (void)fputs(", where a record begins that is not whole", out);
    (void)fputc('\n', out);
    if (tail->cut)
        (void)fputs("    the file is shorter than a segment\n", out);
    if (tail->zero_bytes > 0)
        (void)fprintf(out, "    behind it %" PRIu64 " bytes of zeros\n", tail->zero_bytes);
    if (tail->old_bytes > 0)
        (void)fprintf(out,
                      "    behind it %" PRIu64
                      " bytes of old WAL, as in a recycled segment: at %s the page of %s\n",
                      tail->old_bytes, lsn_format(tail->old_lsn, text[0]),
                      lsn_format(tail->old_address, text[1]));
    if (tail->other_bytes > 0)
        (void)fprintf(out, "    behind it %" PRIu64 " bytes that are no WAL\n", tail->other_bytes);
}

static void print_range(FILE *out, const VerifyRange *range)
{
    char text[2][LSN_TEXT_SIZE];
    (void)fprintf(out, "  %s to %s, %" PRIu64 " segment%s: %s", lsn_format(range->begin, text[0]),
                  lsn_format(range->end, text[1]), range->segments, range->segments == 1 ? "" : "s",
                  range->first_file);
    if (range->segments > 1)
        (void)fprintf(out, " to %s", range->last_file);
    (void)fputc('\n', out);
    if (range->checked_from > range->begin)
        (void)fprintf(out,
                      "    not checked: from %s to %s lies the end of a record that began before\n",
                      lsn_format(range->begin, text[0]), lsn_format(range->checked_from, text[1]));
    print_tail(out, range);
}

static void print_timelines(FILE *out, const VerifyResult *result)
{
    char text[LSN_TEXT_SIZE];
    size_t at = 0;
    for (size_t i = 0; i < result->timeline_count; i++) {
        const VerifyTimeline *timeline = &result->timelines[i];
        (void)fprintf(out, "\ntimeline %u", timeline->timeline);
        if (timeline->parent != 0)
            (void)fprintf(out, ", left timeline %u at %s", timeline->parent,
                          lsn_format(timeline->switch_lsn, text));
        (void)fputc('\n', out);
        if (at == result->range_count || result->ranges[at].timeline != timeline->timeline)
            (void)fputs("  no segments\n", out);
        for (; at < result->range_count && result->ranges[at].timeline == timeline->timeline; at++)
            print_range(out, &result->ranges[at]);
    }
}

static void print_gaps(FILE *out, const VerifyResult *result)
{
    char text[2][LSN_TEXT_SIZE];
    if (result->gap_count > 0)
        (void)fputs("\nmissing WAL\n", out);
    for (size_t i = 0; i < result->gap_count; i++) {
        const VerifyGap *gap = &result->gaps[i];
        (void)fprintf(out, "  %s to %s, %" PRIu64 " bytes, timeline %u: %s\n",
                      lsn_format(gap->begin, text[0]), lsn_format(gap->end, text[1]),
                      gap->end - gap->begin, gap->timeline,
                      gap->recorded ? "recorded, --on-gap=continue accepted it" : "unexplained");
        (void)fprintf(out, "    missing files %s to %s, between %s and %s\n", gap->first_missing,
                      gap->last_missing, gap->before, gap->after);
    }
}

static void print_problem(FILE *out, const VerifyProblem *problem)
{
    char text[2][LSN_TEXT_SIZE];
    (void)fprintf(out, "  %s: %s", verify_kind_name(problem->kind), problem->file);
    if (problem->end != LSN_INVALID)
        (void)fprintf(out, ", offset %" PRIu64 ", at %s", problem->offset,
                      lsn_format(problem->lsn, text[0]));
    (void)fprintf(out, "\n    %s\n", problem->message);
    if (problem->detail[0] != '\0')
        (void)fprintf(out, "    %s\n", problem->detail);
    if (problem->kind == VERIFY_DAMAGE)
        (void)fprintf(out, "    nothing is proven from %s to %s\n",
                      lsn_format(problem->begin, text[0]), lsn_format(problem->end, text[1]));
}

static void print_verdict(FILE *out, const VerifyResult *result)
{
    size_t unexplained = 0;
    for (size_t i = 0; i < result->gap_count; i++)
        unexplained += result->gaps[i].recorded ? 0 : 1;
    if (result->sound)
        (void)fprintf(out, "\nsound%s\n",
                      result->gap_count > 0 ? ", but for the recorded gaps" : "");
    else
        (void)fprintf(out, "\nNOT sound: %" PRIu64 " problem%s, %zu unexplained gap%s\n",
                      result->problem_total, result->problem_total == 1 ? "" : "s", unexplained,
                      unexplained == 1 ? "" : "s");
}

void verify_print_text(FILE *out, const char *directory, const VerifyResult *result)
{
    print_head(out, directory, result);
    print_timelines(out, result);
    print_gaps(out, result);
    if (result->problem_count > 0)
        (void)fputs("\nproblems\n", out);
    for (size_t i = 0; i < result->problem_count; i++)
        print_problem(out, &result->problems[i]);
    if (result->problem_total > result->problem_count)
        (void)fprintf(out, "  and %" PRIu64 " more\n",
                      result->problem_total - result->problem_count);
    print_verdict(out, result);
}
