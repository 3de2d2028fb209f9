/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: the command line is read twice. The first time finds --config, and mistakes before a file
 * is touched; the second time goes over the file's values.
 */
#include "walrx/cli/options_load.h"

#include "walrx/cli/option_parse.h"

bool options_load(CommandBit command, int argc, char **argv, Options *ret, ConfigFile *ret_file,
                  int *ret_operand, Error *err)
{
    Options options;
    ConfigFile file = {0};
    int operand;
    options_init(&options);
    if (!options_parse(command, argc, argv, &options, &operand, err))
        return false;
    if (!options.help && !options.version) {
        const char *config = options.config;
        if (config != NULL) {
            options_init(&options);
            if (!config_file_read(config, command, &options, &file, err))
                return false;
            if (!options_parse(command, argc, argv, &options, &operand, err))
                goto failed;
        }
        if (!options_check(command, &options, err))
            goto failed;
    }
    *ret = options;
    *ret_file = file;
    *ret_operand = operand;
    return true;

failed:
    config_file_free(&file);
    return false;
}
