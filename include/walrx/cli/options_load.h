/* SPDX-License-Identifier: PostgreSQL
 *
 * All options of a command: defaults, then the file of options, then the command line.
 */
#pragma once

#include "walrx/cli/config_file.h"
#include "walrx/cli/options.h"

/* Can be called again with the same arguments to read the file anew. With --help or --version
 * nothing but these two is looked at. *ret_file (empty without --config) must outlive *ret; it is
 * to be freed after success. */
bool options_load(CommandBit command, int argc, char **argv, Options *ret, ConfigFile *ret_file,
                  int *ret_operand, Error *err) MUST_CHECK;
