/* SPDX-License-Identifier: PostgreSQL
 *
 * Asking the person at the terminal.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Is there a person to ask: a controlling terminal, or a terminal on standard input? */
bool terminal_is_there(void);

typedef struct TerminalSize {
    unsigned columns;
    unsigned rows;
} TerminalSize;

/* Is standard output a terminal? Its size, 80 x 24 where it does not tell. */
bool terminal_shows(TerminalSize *ret);

/* A screen of its own for what is drawn again and again, without a cursor or broken lines; leaving
 * it gives back what was there before. */
#define TERMINAL_ENTER "\033[?1049h\033[?7l\033[?25l"
#define TERMINAL_LEAVE "\033[?25h\033[?7h\033[?1049l"
#define TERMINAL_HOME "\033[H"
#define TERMINAL_END_OF_LINE "\033[K"
#define TERMINAL_END_OF_SCREEN "\033[J"

/* Reads one line without echo from the terminal, or without one from standard input. Ends with
 * ERROR_STOPPED when cancel_fd becomes readable (the signals' descriptor; nothing is read from it).
 * ERROR_OPERATOR when there is no line to read, ERROR_USAGE when it is longer than the buffer. */
bool terminal_read_password(const char *prompt, int cancel_fd, char *buffer, size_t capacity,
                            Error *err) MUST_CHECK;
