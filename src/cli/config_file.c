/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: inih splits the lines; a reader of our own hands them over one at a time, so that it
 * knows the line of each value, and can refuse what inih would cut (a line longer than its buffer)
 * or take apart (a comment behind a value, an indented line as a second value).
 *
 * How long lines may be and whether comments may follow values is compiled into inih. Where it lets
 * programs change that (Debian does), long lines are allowed and values are taken literally.
 */
#include "walrx/cli/config_file.h"

#include "cli_config.h"
#include "walrx/cli/option_value.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Parsing {
    const char *name;
    const char *at; /* the rest of the text */
    const char *end;
    unsigned line;
    CommandBit command;
    Options *options;
    bool seen[OPTION_ROWS_MAX]; /* by row of the table */
    ConfigFile *file;
    size_t capacity; /* of file->values */
    bool failed;
    Error *err;
} Parsing;

/* Puts file and line in front of the error. The first one counts. */
static void fail_here(Parsing *parsing)
{
    parsing->failed = true;
    Error cause = *parsing->err;
    error_set(parsing->err, ERROR_USAGE, "file \"%s\", line %u: %s", parsing->name, parsing->line,
              cause.message);
    error_detail(parsing->err, "%s", cause.detail);
}

static void use_long_lines(void)
{
#ifdef HAVE_INIH_SETTINGS
    ini_use_stack = false;
    ini_initial_alloc = CONFIG_LINE_MAX_BYTES + 3;
    ini_max_line = CONFIG_LINE_MAX_BYTES + 3;
    ini_allow_inline_comments = false;
#endif
}

/* Would inih take a part of the line for a comment? */
static bool has_inline_comment(const char *line, size_t length)
{
#ifdef HAVE_INIH_SETTINGS
    (void)line;
    (void)length;
#else
    for (size_t i = 1; i < length && line[0] != ';' && line[0] != '#'; i++) {
        if (line[i] == ';' && (line[i - 1] == ' ' || line[i - 1] == '\t'))
            return true;
    }
#endif
    return false;
}

/* One line for inih, as fgets would give it. */
static char *next_line(char *buffer, int capacity, void *stream)
{
    Parsing *parsing = stream;
    if (parsing->failed || parsing->at == parsing->end)
        return NULL;
    const char *line = parsing->at;
    size_t left = (size_t)(parsing->end - line);
    const char *newline = memchr(line, '\n', left);
    const char *stop = newline != NULL ? newline : parsing->end;
    parsing->at = newline != NULL ? newline + 1 : parsing->end;
    parsing->line++;
    while (line < stop && (*line == ' ' || *line == '\t'))
        line++;
    size_t length = (size_t)(stop - line);
    size_t room = capacity > 2 ? (size_t)capacity - 2 : 0; /* newline and NUL */
    if (length > room) {
        error_set(parsing->err, ERROR_USAGE, "line is too long");
        error_detail(parsing->err, "A line has at most %zu bytes.", room);
        fail_here(parsing);
        return NULL;
    }
    if (has_inline_comment(line, length)) {
        error_set(parsing->err, ERROR_USAGE, "a comment needs a line of its own");
        fail_here(parsing);
        return NULL;
    }
    memcpy(buffer, line, length);
    buffer[length] = '\n';
    buffer[length + 1] = '\0';
    return buffer;
}

/* Does a connection string or URI hold a password? */
static bool has_secret(const char *conninfo)
{
    const char *authority = strstr(conninfo, "://");
    const char *at = authority != NULL ? strchr(authority, '@') : NULL;
    const char *colon = authority != NULL ? strchr(authority + 3, ':') : NULL;
    return strstr(conninfo, "password") != NULL || (at != NULL && colon != NULL && colon < at);
}

static const char *keep_value(Parsing *parsing, const char *value)
{
    size_t size = strlen(value) + 1;
    /* Every value has its line in the text, so that the text's length is enough. */
    assert(size <= parsing->capacity - parsing->file->length);
    char *kept = memcpy(parsing->file->values + parsing->file->length, value, size);
    parsing->file->length += size;
    return kept;
}

static bool take_pair(Parsing *parsing, const char *section, const char *name, const char *value)
{
    Error *err = parsing->err;
    if (section[0] != '\0' && strcmp(section, "receive") != 0)
        return error_set(err, ERROR_USAGE, "unrecognized section \"%s\"", section);
    const OptionSpec *spec = option_find(parsing->command, name);
    if (spec == NULL)
        return error_set(err, ERROR_USAGE, "unrecognized option \"%s\"", name);
    if (!spec->in_file)
        return error_set(err, ERROR_USAGE, "option \"%s\" belongs on the command line only", name);
    bool *seen = &parsing->seen[spec - option_specs];
    if (*seen)
        return error_set(err, ERROR_USAGE, "option \"%s\" is given a second time", name);
    *seen = true;
    if (spec->offset == offsetof(Options, dbname) || spec->offset == offsetof(Options, monitor))
        parsing->file->holds_secret |= has_secret(value);
    return option_store(spec, keep_value(parsing, value), parsing->options, err);
}

static int handle_pair(void *user, const char *section, const char *name, const char *value)
{
    Parsing *parsing = user;
    if (parsing->failed)
        return 0;
    if (take_pair(parsing, section, name, value != NULL ? value : ""))
        return 1;
    fail_here(parsing);
    return 0;
}

/* inih goes on after a line it does not understand and tells its number at the end. */
static bool run_inih(Parsing *parsing)
{
    use_long_lines();
    int result = ini_parse_stream(next_line, parsing, handle_pair, parsing);
    if (parsing->failed)
        return false;
    if (result < 0)
        return error_set(parsing->err, ERROR_MEMORY, "out of memory for file \"%s\"",
                         parsing->name);
    if (result > 0) {
        parsing->line = (unsigned)result;
        error_set(parsing->err, ERROR_USAGE, "not of the form name = value");
        fail_here(parsing);
        return false;
    }
    return true;
}

bool config_file_parse(const char *name, const char *text, size_t length, CommandBit command,
                       Options *options, ConfigFile *ret, Error *err)
{
    ConfigFile file = {.values = NULL};
    *ret = file;
    assert(option_spec_count <= OPTION_ROWS_MAX);
    if (length > CONFIG_FILE_MAX_BYTES)
        return error_set(err, ERROR_USAGE, "file \"%s\" is too large for a file of options", name);
    if (length > 0 && memchr(text, '\0', length) != NULL)
        return error_set(err, ERROR_USAGE, "file \"%s\" is no text", name);
    file.values = malloc(length + 1);
    if (file.values == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for file \"%s\"", name);
    Parsing parsing = {.name = name,
                       .at = text,
                       .end = text + length,
                       .command = command,
                       .options = options,
                       .file = &file,
                       .capacity = length + 1,
                       .err = err};
    if (!run_inih(&parsing)) {
        config_file_free(&file);
        return false;
    }
    *ret = file;
    return true;
}

/* Others may read it, or a group that the file is not entrusted to: root gives files to services
 * that way. */
static bool is_exposed(const struct stat *status)
{
    return (status->st_mode & S_IROTH) != 0 ||
           ((status->st_mode & S_IRGRP) != 0 && status->st_uid != 0);
}

bool config_file_read(const char *path, CommandBit command, Options *options, ConfigFile *ret,
                      Error *err)
{
    struct stat status;
    *ret = (ConfigFile){.values = NULL};
    char *text = malloc(CONFIG_FILE_MAX_BYTES + 1);
    FILE *stream = fopen(path, "re");
    bool ok = false;
    if (text == NULL) {
        error_set(err, ERROR_MEMORY, "out of memory for file \"%s\"", path);
    } else if (stream == NULL || fstat(fileno(stream), &status) != 0) {
        error_set_errno(err, ERROR_USAGE, errno, "could not open file \"%s\"", path);
    } else {
        /* One byte more than allowed shows that there is more. */
        size_t length = fread(text, 1, CONFIG_FILE_MAX_BYTES + 1, stream);
        if (ferror(stream))
            error_set_errno(err, ERROR_USAGE, errno, "could not read file \"%s\"", path);
        else
            ok = config_file_parse(path, text, length, command, options, ret, err);
    }
    if (ok)
        ret->exposed = ret->holds_secret && is_exposed(&status);
    if (stream != NULL)
        (void)fclose(stream); /* only read */
    free(text);
    return ok;
}

void config_file_free(ConfigFile *file)
{
    free(file->values);
    *file = (ConfigFile){.values = NULL};
}
