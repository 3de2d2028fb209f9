/* SPDX-License-Identifier: PostgreSQL
 *
 * One value of one option: from text, as text, compared. What is read is borrowed: text and choices
 * point to the text that was given.
 */
#pragma once

#include "walrx/cli/options.h"

/* Puts the value into its member of *options. For flags `text` is on or off. ERROR_USAGE, with what
 * a value looks like as the detail, and *options untouched, when the text is no value. */
bool option_store(const OptionSpec *spec, const char *text, Options *options,
                  Error *err) MUST_CHECK;

/* Do both hold the same value of this option? */
bool option_same(const OptionSpec *spec, const Options *a, const Options *b);

/* The value as --help shows a default: "10s"; "" where there is nothing to show (flags, LSNs, text
 * not given). */
#define OPTION_TEXT_SIZE 64
const char *option_format(const OptionSpec *spec, const Options *options,
                          char buffer[OPTION_TEXT_SIZE]);
