/* SPDX-License-Identifier: PostgreSQL
 *
 * What `walrx stage` prints. Private to src/cli.
 */
#pragma once

#include "walrx/restore/stage.h"

#include <stdbool.h>
#include <stdio.h>

/* What the check found out. */
void stage_print_plan(FILE *out, const StageRequest *request, const Stage *stage);
/* Where the copy is, and what to do with it. `reached` NULL: it was not started. */
void stage_print_result(FILE *out, const StageRequest *request, const Stage *stage,
                        const StageReached *reached);
/* All of it as one JSON object. */
bool stage_print_json(FILE *out, const StageRequest *request, const Stage *stage,
                      const StageReached *reached, Error *err) MUST_CHECK;
/* "pause", "promote", "shutdown": what the server does at the target. */
const char *stage_action_name(const StageRequest *request);
