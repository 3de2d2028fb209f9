/* SPDX-License-Identifier: PostgreSQL
 *
 * Which segment the server will get next. It looks for a segment on the newest timeline of its
 * target's history first, on older ones next, down to the one it is on; not on those that begin
 * later (XLogFileReadAnyTLI, xlogrecovery.c, PostgreSQL 15). Its target is not known here: the
 * newest timeline is taken, found by asking for one history file after the other as the server does
 * (findNewestTimeLine, timeline.c). A wrong guess shows at the first segment that both have, and
 * costs work, nothing else.
 */
#include "prefetch_internal.h"

#include "walrx/archive/history_file.h"

#include <stdlib.h>
#include <string.h>

static bool is_excluded(const PrefetchPath *path, Timeline timeline)
{
    for (size_t i = 0; i < path->excluded_count; i++) {
        if (path->excluded[i] == timeline)
            return true;
    }
    return false;
}

/* The server's own timeline and nothing else. */
static void go_straight(PrefetchPath *path)
{
    path->probed = path->from;
    path->history = (TimelineHistory){.target = path->from};
}

void prefetch_path_begin(PrefetchPath *path, const Archive *archive, Timeline timeline)
{
    path->archive = archive;
    path->from = timeline;
    path->half = 0;
    path->excluded_count = 0;
    go_straight(path);
}

/* One newer timeline: does the server's lead there? */
static bool probe(PrefetchPath *path, Timeline timeline)
{
    char *text;
    size_t length;
    TimelineHistory history;
    unsigned half = 1 - path->half;
    Error ignored;
    if (!history_file_read(path->archive, timeline, &text, &length, &ignored) || text == NULL)
        return false;
    if (!is_excluded(path, timeline) &&
        timeline_history_parse(text, length, timeline, path->switches[half], TIMELINE_MAX_SWITCHES,
                               &history, &ignored) &&
        timeline_history_find(&history, path->from, NULL, NULL)) {
        path->history = history;
        path->half = half;
    }
    free(text);
    return true;
}

static void probe_newer(PrefetchPath *path)
{
    while (path->probed < UINT32_MAX && probe(path, path->probed + 1))
        path->probed++;
}

static bool has_partial(const Archive *archive, Timeline timeline, SegNo segno)
{
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        char name[WAL_FILE_NAME_SIZE];
        bool exists;
        uint64_t size;
        Error ignored;
        (void)wal_segment_name(timeline, segno, archive->segment_size, (WalCompression)form, true,
                               name);
        if (!file_status(&archive->dir, name, &exists, &size, &ignored) || exists)
            return true;
    }
    return false;
}

/* The timelines of the history from the newest down: 0 is the target. */
static Timeline timeline_at(const TimelineHistory *history, size_t index)
{
    return index == 0 ? history->target : history->switches[history->count - index].timeline;
}

static bool has_begun(const PrefetchPath *path, Timeline timeline, SegNo segno)
{
    Lsn begin;
    return timeline_history_begin(&path->history, timeline, &begin) &&
           segment_of(begin, path->archive->segment_size) <= segno;
}

/* The newest timeline, not older than `oldest`, that has the segment complete. False also where a
 * newer one has it open: what becomes of that is decided when it is asked for. */
static bool find_source(const PrefetchPath *path, Timeline oldest, SegNo segno, PrefetchStep *ret)
{
    for (size_t i = 0; i <= path->history.count; i++) {
        Timeline timeline = timeline_at(&path->history, i);
        PrefetchStep step = {.timeline = timeline, .segno = segno};
        if (timeline < oldest)
            return false;
        if (!has_begun(path, timeline, segno))
            continue;
        prefetch_look(path->archive, timeline, segno, &step.source);
        if (step.source.found) {
            *ret = step;
            return true;
        }
        if (has_partial(path->archive, timeline, segno))
            return false;
    }
    return false;
}

void prefetch_path_asked(PrefetchPath *path, Timeline timeline, SegNo segno)
{
    PrefetchStep step;
    bool on_the_way = timeline_history_find(&path->history, timeline, NULL, NULL);
    path->from = timeline;
    if (!on_the_way)
        go_straight(path);
    for (;;) {
        probe_newer(path);
        if (path->history.target == timeline || !find_source(path, timeline, segno, &step) ||
            step.timeline == timeline)
            return;
        if (path->excluded_count == PREFETCH_MAX_EXCLUDED) {
            go_straight(path);
            path->probed = UINT32_MAX; /* it can only be followed */
            return;
        }
        path->excluded[path->excluded_count++] = path->history.target;
        go_straight(path);
    }
}

bool prefetch_path_next(PrefetchPath *path, const PrefetchStep *step, PrefetchStep *ret)
{
    if (step->segno >= segment_last(path->archive->segment_size))
        return false;
    probe_newer(path);
    return find_source(path, step->timeline, step->segno + 1, ret);
}
