/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx list` for people: a column of names with the figures beside it, then each
 * timeline with what it holds in the order of the WAL. kB, MB and GB are powers of 1024, as
 * PostgreSQL counts.
 */
#include "list_report.h"

#include "size_text.h"

#include "walrx/os/clock.h"

#include <inttypes.h>

#define LABEL_WIDTH 19

double list_ratio(uint64_t wal_bytes, uint64_t disk_bytes)
{
    return disk_bytes == 0 ? 0 : (double)wal_bytes / (double)disk_bytes;
}

uint64_t list_wal_bytes(const Listing *listing, uint64_t segments)
{
    return segments * listing->segment_size;
}

const char *list_form_name(WalCompression form)
{
    static const char *const names[WAL_COMPRESSION_COUNT] = {
        [WAL_RAW] = "raw", [WAL_GZIP] = "gzip", [WAL_LZ4] = "lz4", [WAL_ZSTD] = "zstd"};
    return names[form];
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void label(FILE *out, const char *text)
{
    (void)fprintf(out, "%-*s", LABEL_WIDTH, text);
}

static void print_files(FILE *out, const char *name, const ListingFiles *files, const char *what)
{
    char size[SIZE_TEXT];
    if (files->files == 0)
        return;
    label(out, name);
    (void)fprintf(out, "%" PRIu64 " file%s, %s%s\n", files->files, plural(files->files),
                  size_text(files->disk_bytes, size), what);
}

static void print_forms(FILE *out, const Listing *listing)
{
    static const char *const labels[WAL_COMPRESSION_COUNT] = {"  raw", "  gzip", "  lz4", "  zstd"};
    for (int i = 0; i < WAL_COMPRESSION_COUNT; i++) {
        const ListingFiles *form = &listing->forms[i];
        char ratio[SIZE_TEXT] = "";
        if (i != WAL_RAW && listing->known)
            (void)snprintf(ratio, sizeof(ratio), ", ratio %.2f",
                           list_ratio(list_wal_bytes(listing, form->files), form->disk_bytes));
        print_files(out, labels[i], form, ratio);
    }
}

static void print_head(FILE *out, const char *directory, const Listing *listing)
{
    char size[2][SIZE_TEXT];
    label(out, "archive");
    (void)fprintf(out, "%s\n", directory);
    label(out, "system identifier");
    if (!listing->known) {
        (void)fprintf(out, "not known: there is no WAL that tells it\n");
        print_forms(out, listing);
        print_files(out, "open segments", &listing->partials, ", not readable");
        return;
    }
    (void)fprintf(out, "%" PRIu64 "%s\n", listing->system_identifier,
                  listing->loaded ? "" : " (read from the WAL)");
    label(out, "segment size");
    (void)fprintf(out, "%s\n", size_text(listing->segment_size, size[0]));
    label(out, "WAL");
    uint64_t wal = list_wal_bytes(listing, listing->segments);
    (void)fprintf(out, "%" PRIu64 " complete segment%s, %s of WAL in %s on disk", listing->segments,
                  plural(listing->segments), size_text(wal, size[0]),
                  size_text(listing->disk_bytes, size[1]));
    if (listing->disk_bytes > 0)
        (void)fprintf(out, ", ratio %.2f", list_ratio(wal, listing->disk_bytes));
    (void)fputc('\n', out);
    print_forms(out, listing);
}

static void print_commit(FILE *out, const char *name, const ListingCommit *commit)
{
    char time[CLOCK_TEXT_SIZE];
    char lsn[LSN_TEXT_SIZE];
    label(out, name);
    if (commit->found)
        (void)fprintf(out, "%s at %s, timeline %" PRIu32 "\n", clock_pg_text(commit->time, time),
                      lsn_format(commit->lsn, lsn), commit->timeline);
    else
        (void)fprintf(out, "none found in %" PRIu64 " segment%s\n", commit->searched,
                      plural(commit->searched));
}

static bool is_broken(const Listing *listing)
{
    const ListingCommit *oldest = &listing->oldest;
    const ListingCommit *unbroken = &listing->oldest_unbroken;
    return oldest->found != unbroken->found || oldest->lsn != unbroken->lsn;
}

static void print_window(FILE *out, const Listing *listing)
{
    char lsn[LSN_TEXT_SIZE];
    if (listing->unbroken_timeline == 0)
        return;
    label(out, "without a gap from");
    (void)fprintf(out, "%s, timeline %" PRIu32 "\n", lsn_format(listing->unbroken_begin, lsn),
                  listing->unbroken_timeline);
    print_commit(out, "oldest commit", &listing->oldest);
    if (is_broken(listing))
        print_commit(out, "  behind all gaps", &listing->oldest_unbroken);
    print_commit(out, "newest commit", &listing->newest);
}

static void print_range(FILE *out, const Listing *listing, Timeline timeline,
                        const ListingRange *range)
{
    uint32_t size = listing->segment_size;
    uint64_t count = range->last - range->first + 1;
    char name[2][WAL_FILE_NAME_SIZE];
    char lsn[2][LSN_TEXT_SIZE];
    char disk[SIZE_TEXT];
    (void)fprintf(out, "  %s to %s\n    %s to %s, %" PRIu64 " segment%s, %s on disk\n",
                  wal_segment_name(timeline, range->first, size, WAL_RAW, false, name[0]),
                  wal_segment_name(timeline, range->last, size, WAL_RAW, false, name[1]),
                  lsn_format(segment_start(range->first, size), lsn[0]),
                  lsn_format(segment_start(range->last + 1, size), lsn[1]), count, plural(count),
                  size_text(range->disk_bytes, disk));
}

static void print_gap(FILE *out, const Listing *listing, const ListingGap *gap)
{
    static const char *const states[] = {
        [LISTING_GAP_UNEXPLAINED] = "not explained",
        [LISTING_GAP_RECORDED] = "recorded by --on-gap=continue",
        [LISTING_GAP_AHEAD] = "recorded by --on-gap=continue, nothing received behind it yet",
    };
    uint32_t size = listing->segment_size;
    uint64_t count = (gap->end - gap->begin) / size;
    char name[2][WAL_FILE_NAME_SIZE];
    char lsn[2][LSN_TEXT_SIZE];
    (void)fprintf(
        out, "  GAP from %s (%s)\n      to %s (%s)\n    %" PRIu64 " segment%s missing, %s\n",
        lsn_format(gap->begin, lsn[0]),
        wal_segment_name(gap->timeline, segment_of(gap->begin, size), size, WAL_RAW, false,
                         name[0]),
        lsn_format(gap->end, lsn[1]),
        wal_segment_name(gap->behind, segment_of(gap->end, size), size, WAL_RAW, false, name[1]),
        count, plural(count), states[gap->state]);
}

static void print_open(FILE *out, const Listing *listing, const ListingTimeline *timeline)
{
    const ListingOpen *open = &timeline->open;
    Lsn start = segment_start(open->segno, listing->segment_size);
    char name[WAL_FILE_NAME_SIZE];
    char lsn[2][LSN_TEXT_SIZE];
    (void)fprintf(out, "  %s\n    ",
                  wal_segment_name(timeline->timeline, open->segno, listing->segment_size,
                                   open->form, true, name));
    if (!open->examined)
        (void)fprintf(out, "from %s, not looked at\n", lsn_format(start, lsn[0]));
    else if (open->proven_end == open->proven_begin)
        (void)fprintf(out, "from %s, no whole record in it\n", lsn_format(start, lsn[0]));
    else
        (void)fprintf(out, "from %s, records are whole up to %s\n", lsn_format(start, lsn[0]),
                      lsn_format(open->proven_end, lsn[1]));
}

static void print_timeline(FILE *out, const Listing *listing, const ListingTimeline *timeline)
{
    const ListingGap *gap = listing->gaps;
    const ListingGap *end = gap + listing->gap_count;
    const ListingRange *range = listing->ranges + timeline->first_range;
    char lsn[LSN_TEXT_SIZE];
    (void)fprintf(out, "\ntimeline %" PRIu32, timeline->timeline);
    if (timeline->next != 0)
        (void)fprintf(out, ", left at %s for timeline %" PRIu32, lsn_format(timeline->left_at, lsn),
                      timeline->next);
    if (timeline->branch == LISTING_BRANCH_DEAD)
        (void)fprintf(out, ", a dead branch");
    if (timeline->timeline > 1 && !timeline->has_history)
        (void)fprintf(out, ", without a history file");
    (void)fputc('\n', out);
    for (size_t i = 0; i <= timeline->range_count; i++) {
        Lsn before = i < timeline->range_count
                         ? segment_start(range[i].first, listing->segment_size)
                         : UINT64_MAX;
        for (; gap < end && gap->begin <= before; gap++) {
            if (gap->timeline == timeline->timeline)
                print_gap(out, listing, gap);
        }
        if (i < timeline->range_count)
            print_range(out, listing, timeline->timeline, &range[i]);
    }
    if (timeline->open.exists)
        print_open(out, listing, timeline);
}

static void print_rest(FILE *out, const Listing *listing)
{
    (void)fputc('\n', out);
    print_files(out, "history files", &listing->histories, "");
    print_files(out, "backup histories", &listing->backup_histories, "");
    print_files(out, "quarantine", &listing->quarantine, ", in .walrx/quarantine");
    print_files(out, "duplicates", &listing->duplicates,
                ", further forms of segments listed above");
    print_files(out, "old partials", &listing->stale, ", no segment's open one");
    print_files(out, "temporary", &listing->temporary,
                ", in .walrx, of a receiver that runs or ran");
    if (listing->odd.files > 0) {
        char text[2 * WAL_FILE_NAME_SIZE];
        (void)snprintf(text, sizeof(text), ", for example %s", listing->odd_name);
        print_files(out, "of a wrong size", &listing->odd, text);
    }
    print_files(out, "other files", &listing->foreign, ", which do not belong to the archive");
    if (listing->unreadable.class != ERROR_NONE)
        (void)fprintf(out, "warning: %s%s%s\n", listing->unreadable.message,
                      listing->unreadable.detail[0] != '\0' ? ". " : "",
                      listing->unreadable.detail);
}

void list_print_text(FILE *out, const char *directory, const Listing *listing)
{
    print_head(out, directory, listing);
    print_window(out, listing);
    for (size_t i = 0; i < listing->timeline_count; i++)
        print_timeline(out, listing, &listing->timelines[i]);
    print_rest(out, listing);
}
