/* SPDX-License-Identifier: PostgreSQL
 *
 * What `walrx status` prints. Private to src/cli.
 */
#pragma once

#include "walrx/observe/look.h"

#include <stdio.h>

#define STATUS_SIZE_TEXT 32

/* All of it, aligned, for people. `end`: what ends each line. */
void status_print(FILE *out, const char *directory, const Look *look, const char *end);
bool status_print_json(FILE *out, const Look *look, Error *err) MUST_CHECK;
/* One line. */
void status_print_line(FILE *out, const Look *look);

/* "12.3 MB", "1.5 ms"; "-" for what is not known. */
const char *status_bytes(uint64_t bytes, char buffer[STATUS_SIZE_TEXT]);
const char *status_time(uint64_t ns, char buffer[STATUS_SIZE_TEXT]);
