/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx stats`, for people and for programs.
 */
#pragma once

#include "walrx/archive/stats.h"

#include <stdio.h>

void stats_print_text(FILE *out, const char *directory, uint32_t segment_size, const Stats *stats);
/* One object. ERROR_MEMORY when it cannot be built. */
bool stats_print_json(FILE *out, const char *directory, uint32_t segment_size, const Stats *stats,
                      Error *err) MUST_CHECK;
