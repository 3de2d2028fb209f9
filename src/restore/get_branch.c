/* SPDX-License-Identifier: PostgreSQL
 *
 * Was a timeline left, and where? PostgreSQL asks for a segment on the newest timeline of its
 * target's history first and then on older ones, beyond the place where they were left too
 * (XLogFileReadAnyTLI, xlogrecovery.c, PostgreSQL 15); it trusts an archive not to hold the rest of
 * a dead branch. Complete segments of one it would have asked for first; the open one is ours.
 */
#include "get_internal.h"

#include "walrx/archive/history_file.h"
#include "walrx/proto/timeline.h"

#include <stdlib.h>

typedef struct Search {
    Get *get;
    GetBranch branch;
    bool ok;
    Error *err;
    TimelineSwitch switches[TIMELINE_MAX_SWITCHES];
} Search;

static bool take_history(Search *search, Timeline timeline)
{
    const Archive *archive = &search->get->archive;
    TimelineHistory history;
    char *text;
    size_t length;
    Lsn end;
    if (!history_file_read(archive, timeline, &text, &length, search->err))
        return false;
    bool ok = text == NULL || timeline_history_parse(text, length, timeline, search->switches,
                                                     TIMELINE_MAX_SWITCHES, &history, search->err);
    if (!ok) {
        error_set(search->err, ERROR_ARCHIVE, "history file of timeline %u in \"%s\": %s",
                  (unsigned)timeline, archive->dir.path, search->err->message);
    } else if (text != NULL &&
               timeline_history_find(&history, search->get->file.timeline, &end, NULL) &&
               end < search->branch.end) {
        search->branch.end = end;
        search->branch.left_by = timeline;
    }
    free(text);
    return ok;
}

static bool take_name(void *context, const char *name)
{
    Search *search = context;
    const Get *get = search->get;
    WalFileName file;
    SegNo segno;
    if (!wal_file_parse(name, &file) || file.timeline <= get->file.timeline)
        return true;
    if (file.kind == WAL_FILE_HISTORY && file.compression == WAL_RAW)
        search->ok = take_history(search, file.timeline);
    else if (file.kind == WAL_FILE_SEGMENT && !file.partial &&
             wal_file_segno(&file, get->archive.segment_size, &segno) && segno == get->segno)
        search->branch.complete = file.timeline;
    return search->ok;
}

bool get_branch_look(Get *get, GetBranch *ret, Error *err)
{
    Search *search = malloc(sizeof(*search));
    if (search == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading history files");
    search->get = get;
    search->branch = (GetBranch){.end = UINT64_MAX};
    search->ok = true;
    search->err = err;
    bool ok = dir_visit(&get->archive.dir, take_name, search, err) && search->ok;
    *ret = search->branch;
    free(search);
    return ok;
}
