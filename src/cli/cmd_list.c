/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx list`: looks at an archive without its lock and prints what it holds.
 */
#include "commands.h"
#include "list_report.h"

#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"
#include "walrx/cli/options_load.h"

#include <stdlib.h>

static bool print(const Options *options, const char *directory, const Listing *listing, Error *err)
{
    if (options->json)
        return list_print_json(stdout, directory, listing, err);
    list_print_text(stdout, directory, listing);
    return true;
}

static int run(const Options *options)
{
    const char *directory = options->directory != NULL ? options->directory : ".";
    Archive archive;
    bool loaded;
    Listing listing;
    Error error;
    if (!archive_open_to_read(directory, file_table_kernel(), &archive, &loaded, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return error_exit_status(error.class);
    }
    bool ok = listing_make(&archive, archive.bound, loaded, &listing, &error);
    ok = ok && print(options, directory, &listing, &error);
    listing_free(&listing);
    archive_close(&archive);
    if (!ok) {
        log_error(LOG_ERROR, NULL, &error);
        return error_exit_status(error.class);
    }
    return help_finish(stdout) ? 0 : 1;
}

int cmd_list(int argc, char **argv)
{
    Options options;
    ConfigFile file;
    int operand;
    Error error;
    if (!options_load(COMMAND_LIST, argc, argv, &options, &file, &operand, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return 1;
    }
    config_file_free(&file); /* this command has no --config */
    if (options.help || options.version) {
        if (options.help)
            help_print_command(stdout, COMMAND_LIST);
        else
            help_print_version(stdout, COMMAND_LIST);
        return help_finish(stdout) ? 0 : 1;
    }
    if (operand < argc) {
        options_refuse(COMMAND_LIST, &error, "too many command-line arguments (first is \"%s\")",
                       argv[operand]);
        log_error(LOG_ERROR, NULL, &error);
        return 1;
    }
    return run(&options);
}
