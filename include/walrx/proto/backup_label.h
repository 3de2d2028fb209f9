/* SPDX-License-Identifier: PostgreSQL
 *
 * backup_label of a base backup, and the backup history file a server leaves in its archive: text,
 * a line per fact. The second has all lines of the first and the STOP ones.
 * Source: read_backup_label (xlogrecovery.c), build_backup_content (xlogbackup.c since 16,
 * do_pg_backup_start and _stop in xlog.c before), PostgreSQL 10 to 19.
 *
 * Pure.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"
#include "walrx/proto/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKUP_LABEL_MAX_BYTES (64 * 1024)
#define BACKUP_LABEL_NAME_SIZE 1025 /* MAXPGPATH and NUL: the longest LABEL a server takes */
#define BACKUP_LABEL_TIME_SIZE 64   /* as it is written, with the server's zone */

typedef struct BackupLabel {
    Lsn start;                           /* recovery begins here */
    char start_file[WAL_FILE_NAME_SIZE]; /* "": from a manifest alone */
    Timeline timeline;                   /* of the segment that recovery reads first */
    Lsn checkpoint;         /* LSN_INVALID: not known (registered from a manifest alone) */
    Lsn stop;               /* LSN_INVALID: not known (backup_label) */
    Timeline stop_timeline; /* 0: not known */
    bool from_standby;
    bool rewound;         /* written by pg_rewind: the data directory is no base backup */
    Lsn incremental_from; /* LSN_INVALID: a full backup */
    char start_time[BACKUP_LABEL_TIME_SIZE]; /* "": not known */
    char stop_time[BACKUP_LABEL_TIME_SIZE];  /* "": not known */
    char label[BACKUP_LABEL_NAME_SIZE];      /* without control characters: they become '?' */
} BackupLabel;

/* ERROR_PROTOCOL: what is missing or contradicts. The order of the lines does not matter, others
 * are passed over, but no known line may come twice: a LABEL with a newline could forge one. */
bool backup_label_parse(const char *text, size_t length, BackupLabel *ret, Error *err) MUST_CHECK;

/* May people give a backup this label? ERROR_USAGE: empty, too long, control characters. */
bool backup_label_check_name(const char *label, Error *err) MUST_CHECK;

/* The text of a backup history file; false when it does not fit. What is not known has no line. */
bool backup_history_format(const BackupLabel *backup, uint32_t segment_size, char *buffer,
                           size_t capacity, size_t *ret_length);
/* TTTTTTTTXXXXXXXXYYYYYYYY.OOOOOOOO.backup */
const char *backup_history_name(const BackupLabel *backup, uint32_t segment_size,
                                char buffer[WAL_FILE_NAME_SIZE]);
