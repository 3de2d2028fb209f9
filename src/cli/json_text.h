/* SPDX-License-Identifier: PostgreSQL
 *
 * What the JSON of several commands is made with. Private to src/cli.
 */
#pragma once

#include "walrx/base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* A string whatever its bytes: jansson refuses what is not UTF-8, whose bytes become '?'. */
json_t *json_text(const char *text);

/* Prints and releases an object; NULL: it could not be made. */
bool json_print(FILE *out, json_t *object, Error *err) MUST_CHECK;
