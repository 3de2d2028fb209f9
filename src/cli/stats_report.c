/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx stats` for people: the range and its transactions, then the table that
 * pg_waldump --stats prints, without the rows that are empty.
 */
#include "stats_report.h"

#include "walrx/observe/status_text.h"
#include "walrx/os/clock.h"
#include "walrx/proto/rmgr.h"

#include <inttypes.h>

#define LABEL_WIDTH 19

static void label(FILE *out, const char *text)
{
    (void)fprintf(out, "%-*s", LABEL_WIDTH, text);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void print_range(FILE *out, uint32_t segment_size, const Stats *stats)
{
    char name[2][WAL_FILE_NAME_SIZE];
    char lsn[2][LSN_TEXT_SIZE];
    label(out, "segments");
    (void)fprintf(out, "%s to %s, %" PRIu64 " in all\n",
                  wal_segment_name(stats->first_timeline, stats->first, segment_size, WAL_RAW,
                                   false, name[0]),
                  wal_segment_name(stats->last_timeline, stats->last, segment_size, WAL_RAW,
                                   stats->last_open, name[1]),
                  stats->segments);
    label(out, "WAL");
    (void)fprintf(out, "%s to %s, along timeline %" PRIu32 "\n", lsn_format(stats->begin, lsn[0]),
                  lsn_format(stats->end, lsn[1]), stats->timeline);
    if (stats->missing > 0) {
        label(out, "missing");
        (void)fprintf(out, "%" PRIu64 " segment%s in between\n", stats->missing,
                      plural(stats->missing));
    }
    if (stats->heads_unknown > 0) {
        label(out, "not counted");
        (void)fprintf(out, "%" PRIu64 " record%s whose beginning is not in the archive\n",
                      stats->heads_unknown, plural(stats->heads_unknown));
    }
}

static void print_commit(FILE *out, const char *name, const IndexEnd *commit)
{
    char time[CLOCK_TEXT_SIZE];
    char lsn[LSN_TEXT_SIZE];
    label(out, name);
    (void)fprintf(out, "%s at %s\n", clock_pg_text(commit->time, time),
                  lsn_format(commit->lsn, lsn));
}

static void print_transactions(FILE *out, const Stats *stats)
{
    double seconds = stats_seconds(stats);
    char bytes[STATUS_SIZE_TEXT];
    label(out, "transactions");
    (void)fprintf(out, "%" PRIu64 " commit%s, %" PRIu64 " abort%s, %" PRIu64 " restore point%s\n",
                  stats->commits, plural(stats->commits), stats->aborts, plural(stats->aborts),
                  stats->points, plural(stats->points));
    if (stats->commits == 0)
        return;
    print_commit(out, "first commit", &stats->first_commit);
    print_commit(out, "last commit", &stats->last_commit);
    if (seconds <= 0)
        return;
    label(out, "per second");
    double rate = (double)(stats->last_commit.lsn - stats->first_commit.lsn) / seconds;
    (void)fprintf(out, "%s of WAL and %.1f commits, between these two\n",
                  status_bytes((uint64_t)rate, bytes), (double)(stats->commits - 1) / seconds);
}

static void print_row(FILE *out, const char *name, const IndexCounts *counts,
                      const IndexCounts *total)
{
    (void)fprintf(out,
                  "%-17s %14" PRIu64 " (%6.2f) %18" PRIu64 " (%6.2f) %18" PRIu64
                  " (%6.2f) %18" PRIu64 " (%6.2f)\n",
                  name, counts->records, percent(counts->records, total->records),
                  counts->bytes - counts->image_bytes,
                  percent(counts->bytes - counts->image_bytes, total->bytes - total->image_bytes),
                  counts->image_bytes, percent(counts->image_bytes, total->image_bytes),
                  counts->bytes, percent(counts->bytes, total->bytes));
}

static void print_total(FILE *out, const IndexCounts *total)
{
    char share[2][16];
    uint64_t records = total->bytes - total->image_bytes;
    (void)snprintf(share[0], sizeof(share[0]), "[%.2f%%]", percent(records, total->bytes));
    (void)snprintf(share[1], sizeof(share[1]), "[%.2f%%]",
                   percent(total->image_bytes, total->bytes));
    (void)fprintf(out,
                  "%-17s %14" PRIu64 " %8s %18" PRIu64 " %8s %18" PRIu64 " %8s %18" PRIu64 " %8s\n",
                  "Total", total->records, "", records, share[0], total->image_bytes, share[1],
                  total->bytes, "[100%]");
}

static void print_table(FILE *out, const Stats *stats)
{
    static const char *const heads[] = {"Type",     "N",   "(%)",           "Record size", "(%)",
                                        "FPI size", "(%)", "Combined size", "(%)"};
    static const char *const lines[] = {"----",     "-",   "---",           "-----------", "---",
                                        "--------", "---", "-------------", "---"};
    const char *const *const rows[] = {heads, lines};
    char name[RMGR_NAME_SIZE];
    (void)fputc('\n', out);
    for (size_t i = 0; i < 2; i++) {
        const char *const *row = rows[i];
        (void)fprintf(out, "%-17s %14s %8s %18s %8s %18s %8s %18s %8s\n", row[0], row[1], row[2],
                      row[3], row[4], row[5], row[6], row[7], row[8]);
    }
    for (unsigned i = 0; i < INDEX_RMGRS; i++) {
        if (stats->rmgrs[i].records > 0)
            print_row(out, rmgr_name((uint8_t)i, stats->major, name), &stats->rmgrs[i],
                      &stats->total);
    }
    print_total(out, &stats->total);
}

void stats_print_text(FILE *out, const char *directory, uint32_t segment_size, const Stats *stats)
{
    label(out, "archive");
    (void)fprintf(out, "%s\n", directory);
    print_range(out, segment_size, stats);
    print_transactions(out, stats);
    print_table(out, stats);
}
