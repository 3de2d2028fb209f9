/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx find`, for people and for programs. Private to src/cli.
 */
#pragma once

#include "walrx/restore/find.h"

#include <limits.h>
#include <stdio.h>

#define FIND_COMMAND_SIZE (8 * PATH_MAX) /* of a path nearly every byte may need quoting */

typedef struct FindReport {
    const FindTarget *target;
    const FindResult *result;
    const char *directory; /* as it was given */
    uint32_t segment_size;
    const char *restore_command;
} FindReport;

void find_print_text(FILE *out, const FindReport *report);
/* One object. ERROR_MEMORY when it cannot be built. */
bool find_print_json(FILE *out, const FindReport *report, Error *err) MUST_CHECK;

/* Only where the target is reached: the lines for the configuration file. False: they do not fit.
 */
#define FIND_LINES_SIZE (FIND_SETTINGS_SIZE + 2 * FIND_COMMAND_SIZE)
bool find_lines(const FindReport *report, char *buffer, size_t capacity);
/* "postgresql.conf", before 12 "recovery.conf" */
const char *find_config_file(const FindResult *result);
/* "commit", "abort", "restore point" or "record" */
const char *find_kind_name(const FindPlace *place);
/* In quotes. It may hold anything: what a terminal would obey is a '?'. */
void find_print_name(FILE *out, const char *name);
/* TTTTTTTTXXXXXXXXYYYYYYYY, with .partial where it is the open one. */
const char *find_segment_name(const FindReport *report, const FindPlace *place,
                              char buffer[WAL_FILE_NAME_SIZE]);
