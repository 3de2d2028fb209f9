/* SPDX-License-Identifier: PostgreSQL
 *
 * What --help and --version print, made from the table of options.
 */
#pragma once

#include "walrx/cli/options.h"

#include <stdio.h>

/* walrx --help */
void help_print_program(FILE *out);
/* walrx receive --help, walrx slot --help, pg_receivewal --help */
void help_print_command(FILE *out, CommandBit command);
/* "walrx 0.1.0", or for the front "pg_receivewal (PostgreSQL) 15.18" */
void help_print_version(FILE *out, CommandBit command);

/* Writes out what is buffered; false, with an error told, when standard output does not take it. */
bool help_finish(FILE *out);
