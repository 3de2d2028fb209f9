/* SPDX-License-Identifier: PostgreSQL
 *
 * libpq's lists of hosts, addresses and ports: commas between them, entry by entry. Pure; private
 * to src/stream.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Entries of a list; an empty or missing list has one (empty) entry. */
size_t host_list_count(const char *list);

/* What stands behind entry `index` and its comma; NULL when it was the last. A list with a single
 * entry (one port for all hosts) stands for every index: it is returned as it is. */
const char *host_list_rest(const char *list, size_t index);

/* Is entry `index` (the only one of a single-entry list) this text? */
bool host_list_is(const char *list, size_t index, const char *text);

/* Copies entry `index` (the only one of a single-entry list; empty when there is none) into a
 * buffer that has room for the whole list. */
void host_list_entry(const char *list, size_t index, char *ret);
