/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx list`: looks at an archive without its lock and prints what it holds.
 */
#include "command_begin.h"
#include "commands.h"
#include "list_report.h"

#include "walrx/cli/help.h"

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
    return command_without_operands(COMMAND_LIST, argc, argv, run);
}
