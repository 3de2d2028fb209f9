/* SPDX-License-Identifier: PostgreSQL
 *
 * What the JSON of several commands is made with. Private to src/cli.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A string whatever its bytes: jansson refuses what is not UTF-8, whose bytes become '?'. */
json_t *json_text(const char *text);
/* An integer, at most the largest one that JSON's readers take. */
json_t *json_whole(uint64_t value);
/* "16/B374D848" */
json_t *json_lsn(Lsn lsn);

/* Prints and releases an object; NULL: it could not be made. */
bool json_print(FILE *out, json_t *object, Error *err) MUST_CHECK;
