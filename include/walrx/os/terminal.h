/* SPDX-License-Identifier: PostgreSQL
 *
 * Asking the person at the terminal.
 */
#pragma once

#include "walrx/base/error.h"

#include <stddef.h>

/* Reads one line from the terminal (/dev/tty, else standard input) without echo. ERROR_OPERATOR
 * when there is no line to read, ERROR_USAGE when it is longer than the buffer. */
bool terminal_read_password(const char *prompt, char *buffer, size_t capacity,
                            Error *err) MUST_CHECK;
