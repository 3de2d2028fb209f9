/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx stats`: what the segments of a range hold, as pg_waldump --stats counts.
 */
#include "command_begin.h"
#include "commands.h"
#include "stats_report.h"
#include "target_options.h"

#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"

#include <inttypes.h>
#include <stdlib.h>

/* One end of the range, as it was given: a position, or a segment by its name. */
typedef struct End {
    const char *text; /* NULL: not given */
    bool is_lsn;
    Lsn lsn;
    WalFileName file;
    SegNo segno;
} End;

static bool read_end(const char *text, End *ret, Error *err)
{
    End end = {.text = text};
    end.is_lsn = lsn_parse(text, &end.lsn);
    if (!end.is_lsn && (!wal_file_parse(text, &end.file) || end.file.kind != WAL_FILE_SEGMENT)) {
        (void)options_refuse(COMMAND_STATS, err,
                             "\"%s\" is neither a position nor the name of a segment", text);
        return error_detail(err, "A position looks like 16/B374D848, a segment like "
                                 "000000010000001600000B37.");
    }
    *ret = end;
    return true;
}

/* Which segment that is. A position behind the range's last byte belongs to the segment before. */
static bool find_segment(const Archive *archive, const Branch *branch, End *end, bool is_last,
                         Error *err)
{
    uint32_t size = archive->segment_size;
    if (end->text == NULL)
        return true;
    if (end->is_lsn) {
        end->segno = segment_of(is_last && end->lsn > 0 ? end->lsn - 1 : end->lsn, size);
        return true;
    }
    if (!wal_file_segno(&end->file, size, &end->segno))
        return options_refuse(COMMAND_STATS, err,
                              "\"%s\" is no segment of %" PRIu32 " bytes, as those of \"%s\" are",
                              end->text, size, archive->dir.path);
    const BranchSpan *span = branch_find(branch, end->segno);
    if (span == NULL || span->timeline == end->file.timeline)
        return true;
    error_set(err, ERROR_USAGE,
              "segment \"%s\" is not on the history of timeline %" PRIu32
              ": there, timeline %" PRIu32 " has it",
              end->text, branch->target, span->timeline);
    return error_hint(err, "Name another timeline with --timeline.");
}

static bool sum_up(const Archive *archive, const Branch *branch, End ends[2], Stats *ret,
                   Error *err)
{
    ends[1].segno = segment_last(archive->segment_size);
    if (!find_segment(archive, branch, &ends[0], false, err) ||
        !find_segment(archive, branch, &ends[1], true, err))
        return false;
    if (ends[0].segno > ends[1].segno)
        return options_refuse(COMMAND_STATS, err, "\"%s\" lies before \"%s\"", ends[1].text,
                              ends[0].text);
    return stats_make(archive, branch, ends[0].segno, ends[1].segno, ret, err);
}

static bool make(const Archive *archive, Timeline timeline, End ends[2], Stats *ret, Error *err)
{
    Listing listing;
    Branch branch = {.spans = NULL};
    bool ok = listing_make(archive, archive->bound, true, &listing, err) &&
              branch_make(archive, &listing, timeline, &branch, err) &&
              sum_up(archive, &branch, ends, ret, err);
    branch_free(&branch);
    listing_free(&listing);
    return ok;
}

static bool print(const Options *options, const char *directory, uint32_t segment_size,
                  const Stats *stats, Error *err)
{
    if (options->json)
        return stats_print_json(stdout, directory, segment_size, stats, err);
    stats_print_text(stdout, directory, segment_size, stats);
    return true;
}

static bool run(const Options *options, End ends[2], Error *err)
{
    const char *directory = options->directory != NULL ? options->directory : ".";
    Archive archive;
    Stats stats;
    Timeline timeline;
    bool loaded;
    if (!target_timeline(COMMAND_STATS, options->target_timeline, &timeline, err) ||
        !archive_open_to_read(directory, file_table_kernel(), &archive, &loaded, err))
        return false;
    bool ok = make(&archive, timeline, ends, &stats, err) &&
              print(options, directory, archive.segment_size, &stats, err);
    archive_close(&archive);
    return ok;
}

int cmd_stats(int argc, char **argv)
{
    Options options;
    End ends[2] = {{.text = NULL}, {.text = NULL}};
    int operand;
    int status;
    Error error;
    if (!command_begin(COMMAND_STATS, argc, argv, &options, &operand, &status))
        return status;
    bool ok = argc - operand <= 2 ||
              options_refuse(COMMAND_STATS, &error, "too many operands, first is \"%s\"",
                             argv[operand + 2]);
    for (int i = 0; ok && operand + i < argc; i++)
        ok = read_end(argv[operand + i], &ends[i], &error);
    ok = ok && run(&options, ends, &error);
    if (ok)
        return help_finish(stdout) ? 0 : 1;
    log_error(LOG_ERROR, NULL, &error);
    return error_exit_status(error.class);
}
