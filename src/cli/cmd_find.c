/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx find`: where recovery to a target would end, and the settings that make a server do it.
 */
#include "command_begin.h"
#include "commands.h"
#include "find_report.h"
#include "target_options.h"

#include "walrx/cli/help.h"
#include "walrx/os/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@"

typedef struct Command {
    char text[FIND_COMMAND_SIZE];
    size_t length;
} Command;

static void add(Command *command, const char *text)
{
    size_t length = strlen(text);
    if (length >= sizeof(command->text) - command->length)
        return; /* a path has less than PATH_MAX bytes */
    memcpy(command->text + command->length, text, length + 1);
    command->length += length;
}

/* A word for the shell, in which the server's % sequences do not count. */
static void add_word(Command *command, const char *word)
{
    bool quote = word[strspn(word, PLAIN)] != '\0';
    if (quote)
        add(command, "'");
    for (; *word != '\0'; word++) {
        const char one[] = {*word, '\0'};
        if (*word == '\'')
            add(command, "'\\''");
        else
            add(command, *word == '%' ? "%%" : one);
    }
    if (quote)
        add(command, "'");
}

/* This program by its path, where it was called by one; the server may have another PATH. */
static void make_restore_command(const char *directory, const char *more, Command *ret)
{
    char path[PATH_MAX];
    const char *program = "walrx";
    ret->length = 0;
    if (strchr(program_invocation_name, '/') != NULL &&
        realpath(program_invocation_name, path) != NULL)
        program = path;
    add_word(ret, program);
    add(ret, " restore -D ");
    add_word(ret, directory);
    add(ret, more);
    add(ret, " %f %p");
}

static bool print(const Options *options, const FindReport *report, Error *err)
{
    if (options->json)
        return find_print_json(stdout, report, err);
    find_print_text(stdout, report);
    return true;
}

static bool report(const Options *options, const Archive *archive, const FindTarget *target,
                   const FindResult *result, Error *err)
{
    const char *directory = options->directory != NULL ? options->directory : ".";
    char path[PATH_MAX];
    Command *command = malloc(sizeof(*command));
    if (command == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reporting");
    make_restore_command(realpath(directory, path) != NULL ? path : directory,
                         find_restore_options(target, result), command);
    FindReport all = {
        .target = target,
        .result = result,
        .directory = directory,
        .segment_size = archive->segment_size,
        .restore_command = command->text,
    };
    bool ok = print(options, &all, err);
    free(command);
    return ok;
}

static int find_and_report(const Options *options, const Archive *archive, const FindTarget *target)
{
    FindResult result;
    Error error;
    bool ok = find_target(archive, target, &result, &error) &&
              report(options, archive, target, &result, &error);
    int status = 0;
    if (!ok) {
        log_error(LOG_ERROR, NULL, &error);
        status = error_exit_status(error.class);
    } else if (result.outcome != FIND_REACHED) {
        if (!help_finish(stdout))
            status = 1;
        log_error(LOG_ERROR, NULL, &result.reason);
        status = 1;
    } else {
        status = help_finish(stdout) ? 0 : 1;
    }
    find_free(&result);
    return status;
}

static int run(const Options *options)
{
    const char *directory = options->directory != NULL ? options->directory : ".";
    FindTarget target;
    Archive archive;
    bool loaded;
    Error error;
    if (!target_read(COMMAND_FIND, options, &target, &error) ||
        !archive_open_to_read(directory, file_table_kernel(), &archive, &loaded, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return error_exit_status(error.class);
    }
    int status = find_and_report(options, &archive, &target);
    archive_close(&archive);
    return status;
}

int cmd_find(int argc, char **argv)
{
    return command_without_operands(COMMAND_FIND, argc, argv, run);
}
