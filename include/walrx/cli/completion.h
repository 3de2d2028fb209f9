/* SPDX-License-Identifier: PostgreSQL
 *
 * The completion of walrx for bash, made from the table of options.
 */
#pragma once

#include <stdio.h>

void completion_print_bash(FILE *out);
