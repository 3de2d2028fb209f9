/* SPDX-License-Identifier: PostgreSQL
 *
 * Records that staging must know of: the end of the backup (XLOG_BACKUP_END, pg_control.h) and new
 * tablespaces (XLOG_TBLSPC_CREATE, commands/tablespace.h; PostgreSQL 10 to 19).
 *
 * Only segments that the index says hold a record of tablespaces are read.
 */
#include "stage_internal.h"

#include "walrx/archive/index.h"
#include "walrx/archive/walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* rmgrlist.h */
#define RMGR_XLOG 0
#define RMGR_TABLESPACE 5
#define INFO_MASK 0xF0
#define INFO_BACKUP_END 0x50
#define INFO_TABLESPACE_CREATE 0x00
#define OID_SIZE 4

/* ---- the end of the backup ---- */

typedef struct EndSearch {
    Lsn start;
    Lsn found;
} EndSearch;

static bool is_backup_end(const WalRecordHeader *header)
{
    return header->rmgr == RMGR_XLOG && (header->info & INFO_MASK) == INFO_BACKUP_END;
}

static bool take_end(void *context, const WalkRecord *record)
{
    EndSearch *search = context;
    WalRecordMain main;
    Lsn start;
    Error ignored; /* then it is not the one */
    if (is_backup_end(record->header) &&
        wal_record_main(record->header, record->body, record->length, record->major, &main,
                        &ignored) &&
        main.available >= sizeof(start)) {
        memcpy(&start, main.data, sizeof(start));
        if (start == search->start)
            search->found = record->end;
    }
    return search->found == LSN_INVALID;
}

bool stage_wal_backup_end(const Archive *archive, const Branch *branch, Lsn start, SegNo first,
                          SegNo last, Lsn *ret, Error *err)
{
    EndSearch search = {.start = start};
    const WalkVisit visit = {.wants = is_backup_end, .record = take_end, .context = &search};
    Lsn end;
    if (!walk_branch(archive, branch, first, last, &visit, &end, err))
        return false;
    *ret = search.found;
    return true;
}

/* ---- tablespaces ---- */

typedef struct SpaceSearch {
    const Archive *archive;
    const Branch *branch;
    Lsn begin;
    Lsn end;
    bool ok;
    Error *err;
} SpaceSearch;

static bool is_tablespace(const WalRecordHeader *header)
{
    return header->rmgr == RMGR_TABLESPACE && (header->info & INFO_MASK) == INFO_TABLESPACE_CREATE;
}

static bool is_empty(DIR *stream)
{
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return false;
    }
    return true;
}

/* The server makes its folder in the directory, which must be there; one with content is that of
 * another server, most likely the primary's, and may be emptied (create_tablespace_directories in
 * tablespace.c: up to 14 what it finds in its way is removed). */
static bool check_directory(SpaceSearch *search, const char *path, Lsn lsn)
{
    char text[LSN_TEXT_SIZE];
    if (path[0] != '/') /* in place, within the data directory */
        return true;
    DIR *stream = opendir(path);
    int refused = stream == NULL ? errno : 0;
    bool empty = stream != NULL && is_empty(stream);
    if (stream != NULL)
        (void)closedir(stream);
    if (empty)
        return true;
    if (refused != 0)
        error_set_errno(search->err, ERROR_OPERATOR, refused,
                        "recovery would need directory \"%s\"", path);
    else
        error_set(search->err, ERROR_OPERATOR, "recovery would write into \"%s\", which is in use",
                  path);
    error_detail(search->err,
                 "The WAL creates a tablespace there at %s, and replaying it does the same on this "
                 "machine.",
                 lsn_format(lsn, text));
    return error_hint(search->err, refused != 0
                                       ? "Make the directory, empty, for the user who runs the "
                                         "server; or choose a target before that place."
                                       : "Stage on a machine that has no such directory in use, "
                                         "choose a target before that place, or use a backup from "
                                         "behind it, with --tablespace-mapping.");
}

static bool take_space(void *context, const WalkRecord *record)
{
    SpaceSearch *search = context;
    WalRecordMain main;
    char path[WAL_RECORD_HEAD_SIZE + 1];
    if (record->lsn < search->begin || !is_tablespace(record->header))
        return true;
    if (record->lsn >= search->end)
        return false;
    search->ok = wal_record_main(record->header, record->body, record->length, record->major, &main,
                                 search->err);
    if (search->ok && main.available > OID_SIZE) {
        (void)snprintf(path, sizeof(path), "%.*s", (int)(main.available - OID_SIZE),
                       (const char *)main.data + OID_SIZE);
        search->ok = check_directory(search, path, record->lsn);
    }
    return search->ok;
}

static bool take_entry(void *context, const IndexEntry *entry)
{
    SpaceSearch *search = context;
    const WalkVisit visit = {.wants = is_tablespace, .record = take_space, .context = search};
    Lsn end;
    if (entry->rmgrs[RMGR_TABLESPACE].records == 0)
        return true;
    search->ok = walk_branch(search->archive, search->branch, entry->segno, entry->segno, &visit,
                             &end, search->err) &&
                 search->ok;
    return search->ok;
}

bool stage_wal_tablespaces(const Archive *archive, const Branch *branch, Lsn begin, Lsn end,
                           SegNo first, SegNo last, Error *err)
{
    SpaceSearch search = {
        .archive = archive, .branch = branch, .begin = begin, .end = end, .ok = true, .err = err};
    IndexUse use;
    return index_visit(archive, branch, first, last, take_entry, &search, &use, err) && search.ok;
}
