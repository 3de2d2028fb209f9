/* SPDX-License-Identifier: PostgreSQL
 *
 * The command line of one command, read with getopt_long by the table of options. Long names may be
 * shortened as far as they stay unique, and operands may stand between options.
 */
#pragma once

#include "walrx/cli/options.h"

/* "walrx receive", "walrx slot", "pg_receivewal": for messages. */
const char *options_program(CommandBit command);

/* Reads argv[1] and what follows over *options, which options_init or a file of options filled; a
 * later option wins over an earlier one. argv is reordered: operands come last, the first of them
 * is argv[*ret_operand]. Text is borrowed from argv. ERROR_USAGE with a hint to --help. */
bool options_parse(CommandBit command, int argc, char **argv, Options *options, int *ret_operand,
                   Error *err) MUST_CHECK;

/* Options that do not go together, or without which the command cannot run. */
bool options_check(CommandBit command, const Options *options, Error *err) MUST_CHECK;

/* A usage error about the whole command line, with the hint to --help. */
bool options_refuse(CommandBit command, Error *err, const char *format, ...) PRINTF_LIKE(3, 4);
