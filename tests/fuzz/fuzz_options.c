/* SPDX-License-Identifier: PostgreSQL
 *
 * A command line: the first byte chooses the command, the rest are its arguments, each up to a zero
 * byte. A refusal is one of usage and says something; what is accepted lies within the limits of
 * the table and is accepted again.
 */
#include "option_limits.h"
#include "walrx/cli/option_parse.h"

#define ARGUMENTS_MAX 32
#define COMMANDS 12 /* bits of CommandBit */
#define TEXT_SIZE 4096

static int split(const uint8_t *data, size_t size, char *text, char **arguments)
{
    static char program[] = "walrx";
    int count = 0;
    size_t length = size < TEXT_SIZE - 1 ? size : TEXT_SIZE - 1;
    if (length > 0)
        memcpy(text, data, length);
    text[length] = '\0';
    arguments[count++] = program;
    for (size_t at = 0; at < length && count < ARGUMENTS_MAX; at += strlen(text + at) + 1)
        arguments[count++] = text + at;
    arguments[count] = NULL;
    return count;
}

static bool parse(CommandBit command, const uint8_t *data, size_t size, Options *options)
{
    static char text[TEXT_SIZE];
    char *arguments[ARGUMENTS_MAX + 1];
    Error error = {.class = ERROR_NONE};
    int operand;
    int count = split(data, size, text, arguments);
    options_init(options);
    if (!options_parse(command, count, arguments, options, &operand, &error)) {
        require(error.class == ERROR_USAGE && error.message[0] != '\0');
        return false;
    }
    require(operand >= 1 && operand <= count);
    if (!options_check(command, options, &error))
        require(error.class == ERROR_USAGE && error.message[0] != '\0');
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Options options;
    Options again;
    if (size == 0)
        return 0;
    CommandBit command = (CommandBit)(1U << (data[0] % COMMANDS));
    if (parse(command, data + 1, size - 1, &options)) {
        if (command == COMMAND_RECEIVE)
            require_within_limits(&options);
        require(parse(command, data + 1, size - 1, &again));
    }
    return 0;
}
