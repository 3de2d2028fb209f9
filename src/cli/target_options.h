/* SPDX-License-Identifier: PostgreSQL
 *
 * The options that say where a recovery is to end, for all commands that have them. Private to
 * src/cli.
 */
#pragma once

#include "walrx/cli/options.h"
#include "walrx/restore/find.h"

/* Exactly one target, and only what goes with it. */
bool target_check(CommandBit command, const Options *options, Error *err) MUST_CHECK;

/* The value of --timeline: 0 for latest. */
bool target_timeline(CommandBit command, const char *text, Timeline *ret, Error *err) MUST_CHECK;

/* Of options that target_check has passed; borrows their text. ERROR_USAGE: a value is none. */
bool target_read(CommandBit command, const Options *options, FindTarget *ret,
                 Error *err) MUST_CHECK;
