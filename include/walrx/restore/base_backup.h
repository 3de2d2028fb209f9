/* SPDX-License-Identifier: PostgreSQL
 *
 * What a base backup says of itself: backup_label, backup_manifest, pg_control, PG_VERSION. A
 * directory in plain format, a directory of tar files with its backup_manifest, or one of the two
 * files alone.
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
    uint64_t system_identifier; /* 0: not known (a backup_label alone) */
    uint32_t segment_size;      /* 0: not known */
    int major;                  /* PG_VERSION; 0: not known */
    bool plain;                 /* a data directory that can be copied */
} BaseBackup;

/* ERROR_USAGE naming what was looked for: it is no base backup. ERROR_ARCHIVE: its parts contradict
 * each other. */
bool base_backup_read(const char *path, const FileTable *files, BaseBackup *ret,
                      Error *err) MUST_CHECK;
