/* SPDX-License-Identifier: PostgreSQL
 *
 * The file of options: lines "name = value" with the long names of the options, comments from # or
 * ; at the start of a line, an optional heading [receive].
 *
 * Each name at most once. A value is everything up to the end of the line, without the blanks
 * around it. Nothing is cut silently: a file or a line that is too long is refused.
 */
#pragma once

#include "walrx/cli/options.h"

#define CONFIG_FILE_MAX_BYTES (1 << 20)
#define CONFIG_LINE_MAX_BYTES 8192

/* Owns the text that the options read from the file point to. */
typedef struct ConfigFile {
    char *values;
    size_t length;
    bool holds_secret; /* the connection string has a password in it */
    bool exposed;      /* and people besides the owner may read the file */
} ConfigFile;

/* Puts what the text says into *options. `name` is for messages: ERROR_USAGE names file and line.
 * On failure *options may hold a part of the file, and *ret is empty. */
bool config_file_parse(const char *name, const char *text, size_t length, CommandBit command,
                       Options *options, ConfigFile *ret, Error *err) MUST_CHECK;

/* The same from a file. */
bool config_file_read(const char *path, CommandBit command, Options *options, ConfigFile *ret,
                      Error *err) MUST_CHECK;

/* The options that borrowed from it must not be used any more. */
void config_file_free(ConfigFile *file);
