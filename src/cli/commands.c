/* SPDX-License-Identifier: PostgreSQL
 *
 * The table of commands, those that only print, and the choice among them.
 */
#include "commands.h"

#include "walrx/cli/completion.h"
#include "walrx/cli/help.h"
#include "walrx/os/log.h"

#include <string.h>

static const char *const slot_words[] = {"create", "drop", "show", NULL};
static const char *const completion_words[] = {"bash", NULL};
static const char *const help_words[] = {"receive", "slot",   "status",  "wait", "check",
                                         "list",    "verify", "restore", "find", "stage",
                                         "stats",   "bench",  NULL};

const CommandSpec command_specs[] = {
    {"receive", COMMAND_RECEIVE, true, "", NULL, "stream WAL into an archive directory",
     cmd_receive},
    {"slot", COMMAND_SLOT, true, "create|drop|show", slot_words,
     "create, drop or show physical replication slots", cmd_slot},
    {"status", COMMAND_STATUS, true, "", NULL, "show what the receiver of an archive does",
     cmd_status},
    {"check", COMMAND_CHECK, true, "", NULL,
     "judge the receiver of an archive, for Nagios and Icinga", cmd_check},
    {"wait", COMMAND_WAIT, true, "", NULL, "wait until WAL up to a position is durable", cmd_wait},
    {"list", COMMAND_LIST, true, "", NULL,
     "show what an archive holds: ranges, gaps, sizes, commit times", cmd_list},
    {"verify", COMMAND_VERIFY, true, "", NULL, "check an archive: every page, record and file",
     cmd_verify},
    {"restore", COMMAND_RESTORE, true, "FILE TARGET", NULL,
     "give a file of an archive to a server: for restore_command", cmd_restore},
    {"find", COMMAND_FIND, true, "", NULL,
     "tell where recovery to a time, restore point, XID or LSN ends", cmd_find},
    {"stage", COMMAND_STAGE, true, "", NULL,
     "copy a base backup so that it recovers from an archive; start it", cmd_stage},
    {"stats", COMMAND_STATS, true, "[FROM [TO]]", NULL,
     "count records, images and transactions, as pg_waldump --stats", cmd_stats},
    {"bench", COMMAND_BENCH, true, "", NULL, "measure how fast a server can replicate to here",
     cmd_bench},
    {"completion", 0, false, "bash", completion_words, "print the completion script for a shell",
     cmd_completion},
    {"help", 0, false, "[COMMAND]", help_words, "show help about walrx or a command", cmd_help},
};
const size_t command_spec_count = sizeof(command_specs) / sizeof(command_specs[0]);

static const CommandSpec *find_command(const char *name)
{
    for (size_t i = 0; i < command_spec_count; i++) {
        if (strcmp(command_specs[i].name, name) == 0)
            return &command_specs[i];
    }
    return NULL;
}

static int refuse(const char *problem, const char *name)
{
    Error error;
    if (name != NULL)
        error_set(&error, ERROR_USAGE, "%s \"%s\"", problem, name);
    else
        error_set(&error, ERROR_USAGE, "%s", problem);
    error_hint(&error, "Try \"walrx --help\" for more information.");
    log_error(LOG_ERROR, NULL, &error);
    return 1;
}

static bool asks_for_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-?") == 0;
}

int cmd_completion(int argc, char **argv)
{
    if (argc == 2 && asks_for_help(argv[1])) {
        help_print_program(stdout);
        return help_finish(stdout) ? 0 : 1;
    }
    if (argc != 2 || strcmp(argv[1], "bash") != 0)
        return refuse("completion needs the name of a shell, which is bash", NULL);
    completion_print_bash(stdout);
    return help_finish(stdout) ? 0 : 1;
}

int cmd_help(int argc, char **argv)
{
    if (argc > 2)
        return refuse("too many operands, first is", argv[2]);
    if (argc == 1 || asks_for_help(argv[1])) {
        help_print_program(stdout);
        return help_finish(stdout) ? 0 : 1;
    }
    const CommandSpec *command = find_command(argv[1]);
    if (command == NULL)
        return refuse("unknown command", argv[1]);
    if (command->has_options)
        help_print_command(stdout, command->bit);
    else
        help_print_program(stdout);
    return help_finish(stdout) ? 0 : 1;
}

int walrx_main(int argc, char **argv)
{
    if (argc < 2)
        return refuse("no command given", NULL);
    if (asks_for_help(argv[1]))
        return cmd_help(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        help_print_version(stdout, COMMAND_RECEIVE);
        return help_finish(stdout) ? 0 : 1;
    }
    const CommandSpec *command = find_command(argv[1]);
    if (command == NULL)
        return refuse(argv[1][0] == '-' ? "a command comes before options such as"
                                        : "unknown command",
                      argv[1]);
    return command->run(argc - 1, argv + 1);
}
