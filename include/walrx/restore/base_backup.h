/* SPDX-License-Identifier: PostgreSQL
 *
 * What a base backup says of itself: backup_label, backup_manifest, pg_control, PG_VERSION. A
 * directory in plain format, a directory of tar files as pg_basebackup makes them, or one of the
 * first two files alone.
 *
 * Nothing is read whole that grows with the backup: of a manifest the beginning and the end, of a
 * tar file the first member.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"
#include "walrx/proto/backup_label.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct BaseBackup {
    BackupLabel label;          /* stop from the manifest's WAL-Ranges, where there is one */
    bool has_label;             /* false: all is from the manifest, and label.label is "" */
    bool has_manifest;          /* with WAL-Ranges */
    uint64_t system_identifier; /* 0: not known (a backup_label alone, tar files before 17) */
    uint32_t segment_size;      /* 0: not known */
    int major;                  /* PG_VERSION; 0: not known */
    bool plain;                 /* a data directory that can be copied */
} BaseBackup;

/* ERROR_USAGE naming what was looked for: it is no base backup. ERROR_ARCHIVE: its parts contradict
 * each other, or cannot be understood. An incremental backup is one: label.incremental_from. */
bool base_backup_read(const char *path, const FileTable *files, BaseBackup *ret,
                      Error *err) MUST_CHECK;
