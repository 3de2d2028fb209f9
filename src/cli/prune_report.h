/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx prune`: what goes or went, where the horizon is, and what holds it there.
 * Private to src/cli.
 */
#pragma once

#include "walrx/archive/prune.h"
#include "walrx/cli/options.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct PruneReport {
    const char *directory;
    const Archive *archive;
    const Options *options;
    const PruneWish *wish;
    const PrunePlan *plan;
    const PruneDone *done; /* NULL: a dry run */
} PruneReport;

void prune_print_text(FILE *out, const PruneReport *report);
bool prune_print_json(FILE *out, const PruneReport *report, Error *err) MUST_CHECK;

/* "--keep-time", "base backup", ... for people; "keep-time", "backup", ... as a word. */
const char *prune_cause_text(PruneCause cause);
const char *prune_cause_word(PruneCause cause);
