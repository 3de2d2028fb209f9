/* SPDX-License-Identifier: PostgreSQL
 *
 * The name pg_receivewal. --help and --version count only as the first argument, as in
 * src/bin/pg_basebackup/pg_receivewal.c, PostgreSQL 15.
 */
#include "commands.h"
#include "receive_internal.h"

#include "walrx/cli/help.h"

#include <string.h>

int front_pg_receivewal(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "";
    log_setup("pg_receivewal", LOG_CLIENT, LOG_NOTICE);
    if (strcmp(first, "--help") == 0 || strcmp(first, "-?") == 0) {
        help_print_command(stdout, COMMAND_FRONT);
        return help_finish(stdout) ? 0 : 1;
    }
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        help_print_version(stdout, COMMAND_FRONT);
        return help_finish(stdout) ? 0 : 1;
    }
    return receive_run(COMMAND_FRONT, argc, argv);
}
