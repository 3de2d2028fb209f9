/* SPDX-License-Identifier: PostgreSQL
 *
 * What `walrx backup` prints. Private to src/cli.
 */
#pragma once

#include "walrx/archive/backups.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct BackupReport {
    const char *directory;
    const Archive *archive;
    const Backups *backups;
    const BackupUse *uses; /* one for each */
} BackupReport;

void backup_print_text(FILE *out, const BackupReport *report);
bool backup_print_json(FILE *out, const BackupReport *report, Error *err) MUST_CHECK;

/* One that was just registered, or was already. */
void backup_print_registered(FILE *out, const Archive *archive, const BackupLabel *backup,
                             bool existed);
