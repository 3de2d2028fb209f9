/* SPDX-License-Identifier: PostgreSQL
 *
 * A history file that should be there. A server looks for the newest timeline by asking for one
 * history file after the other until there is none (findNewestTimeLine, timeline.c, PostgreSQL 15):
 * "not there" makes it recover along an older timeline and end there, commits short, with a new
 * timeline whose number is taken. So where the archive has WAL of that timeline or of a newer one,
 * and of an older one too, so that it was not simply begun later, the lack of it is trouble.
 *
 * A receiver stores a history file before any WAL of its timeline: after WAL was seen it is looked
 * for once more.
 */
#include "get_internal.h"

#include <stdio.h>

typedef struct Witness {
    const Get *get;
    bool older;
    bool known;                    /* the server has a history file of a newer timeline */
    Timeline timeline;             /* the lowest that the file should precede; 0: none */
    char name[WAL_FILE_NAME_SIZE]; /* of WAL on it */
} Witness;

static bool take_name(void *context, const char *name)
{
    Witness *witness = context;
    WalFileName file;
    if (!wal_file_parse(name, &file) || file.kind != WAL_FILE_SEGMENT)
        return true;
    if (file.timeline < witness->get->file.timeline) {
        witness->older = true;
    } else if (witness->timeline == 0 || file.timeline < witness->timeline) {
        witness->timeline = file.timeline;
        (void)snprintf(witness->name, sizeof(witness->name), "%s", name);
    }
    return true;
}

static bool take_known(void *context, const char *name)
{
    Witness *witness = context;
    WalFileName file;
    witness->known = wal_file_parse(name, &file) && file.kind == WAL_FILE_HISTORY &&
                     file.compression == WAL_RAW && file.timeline > witness->get->file.timeline;
    return !witness->known;
}

/* Its target is settled then, and what it goes through now are the files between, which it copies
 * for others and can do without (restoreTimeLineHistoryFiles): the target's own came into pg_wal
 * when it was read. */
static bool server_knows_newer(Witness *witness)
{
    Error ignored;
    (void)!dir_visit(&witness->get->target.dir, take_known, witness, &ignored);
    return witness->known;
}

bool get_history(Get *get, bool *ret_placed, Error *err)
{
    Witness witness = {.get = get};
    if (!get_by_form(get, get_fill_text, ret_placed, err))
        return false;
    if (*ret_placed || get->file.kind != WAL_FILE_HISTORY)
        return true;
    if (!dir_visit(&get->archive.dir, take_name, &witness, err))
        return false;
    if (!witness.older || witness.timeline == 0 || server_knows_newer(&witness))
        return true;
    if (!get_by_form(get, get_fill_text, ret_placed, err) || *ret_placed)
        return *ret_placed;
    error_set(err, ERROR_ARCHIVE, "history file \"%s\" is missing in \"%s\"", get->request->name,
              get->archive.dir.path);
    error_detail(err,
                 "The archive has WAL of timeline %u, \"%s\"; without this file recovery would end "
                 "on an older timeline.",
                 (unsigned)witness.timeline, witness.name);
    return error_hint(err,
                      "Copy it into the archive from pg_wal of a server that is on timeline %u, or "
                      "set recovery_target_timeline to a timeline whose history file is there.",
                      (unsigned)witness.timeline);
}
