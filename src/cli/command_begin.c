/* SPDX-License-Identifier: PostgreSQL
 *
 * See command_begin.h.
 */
#include "command_begin.h"

#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"
#include "walrx/cli/options_load.h"
#include "walrx/os/log.h"
#include "walrx/os/process.h"

#include <sys/stat.h>
#include <unistd.h>

bool command_begin(CommandBit command, int argc, char **argv, Options *ret, int *ret_operand,
                   int *ret_status)
{
    ConfigFile file;
    Error error;
    if (!options_load(command, argc, argv, ret, &file, ret_operand, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        *ret_status = 1;
        return false;
    }
    config_file_free(&file); /* empty: there is no --config */
    if (!ret->help && !ret->version)
        return true;
    if (ret->help)
        help_print_command(stdout, command);
    else
        help_print_version(stdout, command);
    *ret_status = help_finish(stdout) ? 0 : 1;
    return false;
}

int command_without_operands(CommandBit command, int argc, char **argv,
                             int (*run)(const Options *options))
{
    Options options;
    int operand;
    int status;
    Error error;
    if (!command_begin(command, argc, argv, &options, &operand, &status))
        return status;
    if (operand == argc)
        return run(&options);
    options_refuse(command, &error, "too many command-line arguments (first is \"%s\")",
                   argv[operand]);
    log_error(LOG_ERROR, NULL, &error);
    return 1;
}

bool command_check_user(const Archive *archive, Error *err)
{
    struct stat status;
    ProcessUser user;
    if (geteuid() != 0 || fstat(archive->dir.fd, &status) != 0 || status.st_uid == 0)
        return true;
    if (!process_user(status.st_uid, &user, err))
        return false;
    error_set(err, ERROR_USAGE, "archive \"%s\" belongs to user \"%s\", this is root",
              archive->dir.path, user.name);
    error_detail(err, "What root writes into it that user could not read.");
    return error_hint(err, "runuser -u %s -- walrx ...", user.name);
}
