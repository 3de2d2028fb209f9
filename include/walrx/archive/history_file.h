/* SPDX-License-Identifier: PostgreSQL
 *
 * Timeline history files in the archive: TTTTTTTT.history, never compressed, never overwritten.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"

#include <stddef.h>

bool history_file_exists(const Archive *archive, Timeline timeline, bool *ret,
                         Error *err) MUST_CHECK;

/* Stores what the server sent; durable on return. The same content again is a no-op. Other content:
 * the newcomer goes to quarantine, ERROR_ARCHIVE. */
bool history_file_store(const Archive *archive, Timeline timeline, const char *content,
                        size_t length, Error *err) MUST_CHECK;

/* The content of an archived history file, for free(). *ret_content NULL: there is none. */
bool history_file_read(const Archive *archive, Timeline timeline, char **ret_content,
                       size_t *ret_length, Error *err) MUST_CHECK;
