/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx check`: a plugin for Nagios, Icinga and their like. All that it has to say goes to
 * standard output, in one line, mistakes in its options too: monitoring shows nothing else.
 * Statuses are those of plugins (monitoring-plugins.org, development guidelines, return codes):
 * --help, --version and usage errors end with 3.
 */
#include "commands.h"

#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"
#include "walrx/cli/options_load.h"
#include "walrx/observe/check.h"

#include <stdio.h>

static int tell(const CheckReport *report)
{
    (void)puts(report->line);
    return help_finish(stdout) ? (int)report->status : (int)CHECK_UNKNOWN;
}

static int give_up(const Error *error)
{
    CheckReport report;
    check_give_up(error, &report);
    return tell(&report);
}

static int judge(const Options *options)
{
    Look look;
    CheckReport report;
    Error error;
    CheckInput input = {
        .directory = options->directory != NULL ? options->directory : ".",
        .look = &look,
        .warning = &options->check_warning,
        .critical = &options->check_critical,
    };
    if (!look_at(input.directory, &look, &error))
        return give_up(&error);
    check_judge(&input, &report);
    return tell(&report);
}

int cmd_check(int argc, char **argv)
{
    Options options;
    ConfigFile file;
    int operand;
    Error error;
    if (!options_load(COMMAND_CHECK, argc, argv, &options, &file, &operand, &error))
        return give_up(&error);
    config_file_free(&file); /* empty: there is no --config */
    if (options.help || options.version) {
        if (options.help)
            help_print_command(stdout, COMMAND_CHECK);
        else
            help_print_version(stdout, COMMAND_CHECK);
        (void)help_finish(stdout);
        return CHECK_UNKNOWN;
    }
    if (operand < argc) {
        options_refuse(COMMAND_CHECK, &error, "too many command-line arguments (first is \"%s\")",
                       argv[operand]);
        return give_up(&error);
    }
    return judge(&options);
}
