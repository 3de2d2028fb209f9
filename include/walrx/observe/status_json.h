/* SPDX-License-Identifier: PostgreSQL
 *
 * A snapshot as JSON and back. docs/status.md describes each member; a test holds the two against
 * each other. One table of members serves both directions.
 */
#pragma once

#include "walrx/observe/snapshot.h"

#include <jansson.h>
#include <stddef.h>

#define STATUS_FORMAT_VERSION 1
/* What is parsed at most; what is made is far smaller. */
#define STATUS_JSON_MAX ((size_t)256 * 1024)
/* For json_dump: figures keep what a double holds without odd digits. */
#define STATUS_JSON_FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(15))

/* A new reference; NULL when out of memory. */
json_t *status_json_make(const Snapshot *snapshot);

/* As text, with a newline at its end: free() it. NULL when out of memory. */
char *status_json_text(const Snapshot *snapshot, size_t *ret_length);

/* The text may be anything: ERROR_ARCHIVE when it is no state of this version. Members that are not
 * known are passed over. */
bool status_json_parse(const char *text, size_t length, Snapshot *ret, Error *err) MUST_CHECK;
