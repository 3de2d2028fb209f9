/* SPDX-License-Identifier: PostgreSQL
 *
 * What `walrx status` prints. Private to src/cli.
 */
#pragma once

#include "walrx/observe/look.h"
#include "walrx/observe/status_text.h"

#include <stdio.h>

/* All of it, aligned, for people. `end`: what ends each line. */
void status_print(FILE *out, const char *directory, const Look *look, const char *end);
bool status_print_json(FILE *out, const Look *look, Error *err) MUST_CHECK;
/* One line. */
void status_print_line(FILE *out, const Look *look);
