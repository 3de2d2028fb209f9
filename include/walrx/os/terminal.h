/* SPDX-License-Identifier: PostgreSQL
 *
 * Asking the person at the terminal.
 */
#pragma once

#include "walrx/base/error.h"

#include <stddef.h>

/* Is there a person to ask: a controlling terminal, or a terminal on standard input? */
bool terminal_is_there(void);

/* Reads one line without echo from the terminal, or without one from standard input. Ends with
 * ERROR_STOPPED when cancel_fd becomes readable (the signals' descriptor; nothing is read from it).
 * ERROR_OPERATOR when there is no line to read, ERROR_USAGE when it is longer than the buffer. */
bool terminal_read_password(const char *prompt, int cancel_fd, char *buffer, size_t capacity,
                            Error *err) MUST_CHECK;
