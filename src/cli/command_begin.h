/* SPDX-License-Identifier: PostgreSQL
 *
 * What commands without --config have in common: from the arguments to what they are to do.
 * Private to src/cli.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/cli/options.h"

#include <stdbool.h>

/* False: nothing is left to do, --help or --version was answered or a mistake told; *ret_status is
 * the exit status. *ret_operand is the index of the first operand. */
bool command_begin(CommandBit command, int argc, char **argv, Options *ret, int *ret_operand,
                   int *ret_status);

/* May this user change the archive? Root's files, which nobody else can read, would keep the
 * receiver and every later command of the archive's user from their work. */
bool command_check_user(const Archive *archive, Error *err) MUST_CHECK;

/* A whole command that takes no operands. */
int command_without_operands(CommandBit command, int argc, char **argv,
                             int (*run)(const Options *options));
