/* SPDX-License-Identifier: PostgreSQL
 *
 * The base backups that an archive serves: backup history files among its segments, as a server
 * that archives by itself leaves them, so that pg_archivecleanup and people understand them, and
 * deleting .walrx/ forgets none.
 *
 * Whoever adds one holds the archive's prune lock (prune.h), or what it needs could go meanwhile.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/listing.h"
#include "walrx/proto/backup_label.h"

#include <stdbool.h>
#include <stddef.h>

#define BACKUPS_MAX 10000

typedef struct Backups {
    BackupLabel *items; /* by start, oldest first */
    size_t count;
} Backups;

/* ERROR_ARCHIVE: a backup history file that cannot be understood: what it needs is not known. Free
 * with backups_free, also after failure. */
bool backups_read(const Archive *archive, Backups *ret, Error *err) MUST_CHECK;
void backups_free(Backups *backups);

/* Durable on return. The same backup again is a no-op; ERROR_ARCHIVE: another one under its name,
 * or under its label. */
bool backups_add(const Archive *archive, const BackupLabel *backup, bool *ret_existed,
                 Error *err) MUST_CHECK;

/* By label, or by the name of its file, which *ret_name gets. ERROR_USAGE: there is none, or more
 * than one has that label. */
bool backups_remove(const Archive *archive, const char *label, char ret_name[WAL_FILE_NAME_SIZE],
                    Error *err) MUST_CHECK;
/* As backups_remove finds it; NULL with the same errors. */
const BackupLabel *backups_find(const Archive *archive, const Backups *backups, const char *label,
                                Error *err) MUST_CHECK;

/* What an archive can do for a backup. */
typedef struct BackupUse {
    bool start_there; /* the archive has the segment in which recovery begins, */
    bool consistent;  /* and all WAL from there to the stop; false too where that is not known */
    bool current;     /* the newest timeline of the archive continues it */
    Lsn reach; /* without a hole from the start up to here: along the newest timeline when it is
                  current, else along its own; LSN_INVALID: the start is not there */
    Timeline timeline; /* of that */
} BackupUse;

/* `listing` as listing_make made it. ERROR_ARCHIVE: a timeline's history cannot be understood. */
bool backups_use(const Archive *archive, const Listing *listing, const BackupLabel *backup,
                 BackupUse *ret, Error *err) MUST_CHECK;

/* What the WAL of a backup says of it. */
typedef struct BackupTrace {
    bool checkpoint_read; /* there is a record at the backup's checkpoint, */
    bool checkpoint_fits; /* and it is a checkpoint that begins where the backup does */
    Lsn stop;             /* behind the record that ends the backup; LSN_INVALID: it is not there */
    Timeline stop_timeline;
} BackupTrace;

/* Reads WAL from the backup's start on until both are found, or to the archive's end. A backup from
 * a standby has no such record. ERROR_ARCHIVE: damage before both were found. */
bool backups_trace(const Archive *archive, const Listing *listing, const BackupLabel *backup,
                   BackupTrace *ret, Error *err) MUST_CHECK;
