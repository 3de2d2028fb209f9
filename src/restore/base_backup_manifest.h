/* SPDX-License-Identifier: PostgreSQL
 *
 * backup_manifest (backup_manifest.c, PostgreSQL 13 to 19): one JSON object, with an entry per file
 * of the backup, so it can be huge. What is wanted stands at its beginning (System-Identifier,
 * since 17) and at its end (WAL-Ranges). Pure; private to src/restore.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"

#include <stddef.h>
#include <stdint.h>

#define MANIFEST_HEAD_BYTES 4096
/* A range of 70 bytes per timeline the backup passed, and the checksum. */
#define MANIFEST_TAIL_BYTES (256 * 1024)

typedef struct BackupManifest {
    uint64_t system_identifier; /* 0: not known */
    Lsn start;
    Timeline timeline;
    Lsn stop;
    Timeline stop_timeline;
} BackupManifest;

/* The beginning and the end of the file; they overlap where it is short. ERROR_ARCHIVE: not a
 * manifest, or one that is cut. */
bool backup_manifest_parse(const char *head, size_t head_length, const char *tail,
                           size_t tail_length, BackupManifest *ret, Error *err) MUST_CHECK;
