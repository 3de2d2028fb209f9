/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: the rows of a command become getopt_long's two tables, a long option's value being its
 * row number behind all characters. getopt's own messages are off: they would bypass the log, and
 * repeat what stands behind a misspelt "--pasword=".
 */
#include "walrx/cli/option_parse.h"

#include "target_options.h"
#include "walrx/cli/option_value.h"
#include "walrx/observe/http_address.h"
#include "walrx/proto/command.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROW_BASE 256 /* above every short option */

typedef struct GetoptTables {
    struct option longs[OPTION_ROWS_MAX + 1];
    char shorts[1 + 2 * OPTION_ROWS_MAX + 1];
} GetoptTables;

const char *options_program(CommandBit command)
{
    switch (command) {
    case COMMAND_RECEIVE:
        return "walrx receive";
    case COMMAND_SLOT:
        return "walrx slot";
    case COMMAND_FRONT:
        return "pg_receivewal";
    case COMMAND_BENCH:
        return "walrx bench";
    case COMMAND_LIST:
        return "walrx list";
    case COMMAND_VERIFY:
        return "walrx verify";
    case COMMAND_STATUS:
        return "walrx status";
    case COMMAND_WAIT:
        return "walrx wait";
    case COMMAND_CHECK:
        return "walrx check";
    case COMMAND_RESTORE:
        return "walrx restore";
    case COMMAND_FIND:
        return "walrx find";
    case COMMAND_STAGE:
        return "walrx stage";
    case COMMAND_STATS:
        return "walrx stats";
    }
    return "walrx";
}

static bool add_hint(CommandBit command, Error *err)
{
    return error_hint(err, "Try \"%s --help\" for more information.", options_program(command));
}

bool options_refuse(CommandBit command, Error *err, const char *format, ...)
{
    char text[ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(err, ERROR_USAGE, "%s", text);
    return add_hint(command, err);
}

static void build_tables(CommandBit command, GetoptTables *ret)
{
    size_t count = 0;
    size_t used = 0;
    assert(option_spec_count <= OPTION_ROWS_MAX);
    ret->shorts[used++] = ':'; /* tell a missing value from an unknown option */
    for (size_t i = 0; i < option_spec_count; i++) {
        const OptionSpec *spec = &option_specs[i];
        bool has_value = spec->kind != OPTION_FLAG;
        if ((spec->commands & command) == 0)
            continue;
        ret->longs[count++] = (struct option){
            .name = spec->name,
            .has_arg = !has_value                    ? no_argument
                       : spec->without_value != NULL ? optional_argument
                                                     : required_argument,
            .val = ROW_BASE + (int)i,
        };
        /* '?' cannot be told from getopt's error value, so it arrives as an unknown option. */
        if (spec->short_name == '\0' || spec->short_name == '?')
            continue;
        ret->shorts[used++] = spec->short_name;
        if (has_value)
            ret->shorts[used++] = ':';
    }
    ret->longs[count] = (struct option){0};
    ret->shorts[used] = '\0';
}

/* The row of what getopt_long returned or left in optopt. */
static const OptionSpec *row_of(CommandBit command, int value)
{
    if (value >= ROW_BASE)
        return &option_specs[value - ROW_BASE];
    for (size_t i = 0; i < option_spec_count; i++) {
        if ((option_specs[i].commands & command) != 0 && value != '\0' &&
            option_specs[i].short_name == (char)value)
            return &option_specs[i];
    }
    return NULL;
}

/* `text` is "--name" or "--name=value" that fits no option, or several. */
static bool refuse_long(CommandBit command, const char *text, Error *err)
{
    size_t length = strcspn(text, "=");
    char list[ERROR_MESSAGE_SIZE / 2] = "";
    size_t used = 0;
    for (size_t i = 0; i < option_spec_count; i++) {
        const OptionSpec *spec = &option_specs[i];
        if ((spec->commands & command) == 0 || strncmp(spec->name, text + 2, length - 2) != 0)
            continue;
        int added = snprintf(list + used, sizeof(list) - used, " --%s", spec->name);
        used += added > 0 && (size_t)added < sizeof(list) - used ? (size_t)added : 0;
    }
    if (used > 0)
        return options_refuse(command, err, "option \"%.*s\" is ambiguous; possibilities:%s",
                              (int)length, text, list);
    return options_refuse(command, err, "unrecognized option \"%.*s\"", (int)length, text);
}

static bool refuse_option(CommandBit command, int result, const char *current, Error *err)
{
    const OptionSpec *spec = row_of(command, optopt);
    if (result == ':' && optopt >= ROW_BASE)
        return options_refuse(command, err, "option --%s requires a value", spec->name);
    if (result == ':')
        return options_refuse(command, err, "option -%c requires a value", optopt);
    if (optopt >= ROW_BASE)
        return options_refuse(command, err, "option --%s does not take a value", spec->name);
    if (optopt != 0)
        return options_refuse(command, err, "unrecognized option \"-%c\"", optopt);
    return refuse_long(command, current, err);
}

/* What pg_receivewal takes only as its first argument, which main has looked at. */
static bool comes_too_late(CommandBit command, const OptionSpec *spec)
{
    return command == COMMAND_FRONT &&
           (spec->offset == offsetof(Options, help) || spec->offset == offsetof(Options, version));
}

static bool take_option(CommandBit command, const OptionSpec *spec, Options *options, Error *err)
{
    if (comes_too_late(command, spec))
        return options_refuse(command, err, "option --%s must be the first", spec->name);
    const char *value = optarg != NULL ? optarg : spec->without_value;
    if (option_store(spec, spec->kind == OPTION_FLAG ? "on" : value, options, err))
        return true;
    /* pg_receivewal gives neither for a wrong value. */
    if (command == COMMAND_FRONT)
        return error_detail(err, "%s", "");
    return add_hint(command, err);
}

bool options_parse(CommandBit command, int argc, char **argv, Options *options, int *ret_operand,
                   Error *err)
{
    GetoptTables tables;
    build_tables(command, &tables);
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    for (;;) {
        optopt = 0;
        int result = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
        if (result == -1)
            break;
        bool is_error = result == ':' || (result == '?' && optopt != '?');
        const OptionSpec *spec = row_of(command, result == '?' ? optopt : result);
        if (is_error || spec == NULL)
            return refuse_option(command, result, argv[optind - 1], err);
        if (!take_option(command, spec, options, err))
            return false;
    }
    *ret_operand = optind;
    return true;
}

static bool check_http(CommandBit command, const Options *options, Error *err)
{
    HttpAddress address;
    const char *needs_http = NULL;
    if (options->http_token_file != NULL)
        needs_http = "http-token-file";
    else if (options->http_cert != NULL)
        needs_http = "http-cert";
    else if (options->http_key != NULL)
        needs_http = "http-key";
    if (options->http == NULL && needs_http != NULL)
        return options_refuse(command, err, "--%s needs --http", needs_http);
    if ((options->http_cert == NULL) != (options->http_key == NULL))
        return options_refuse(command, err, "--http-cert and --http-key need each other");
    return options->http == NULL || http_address_parse(options->http, &address, err);
}

static bool check_receive(CommandBit command, const Options *options, Error *err)
{
    if (options->drop_slot && options->create_slot)
        return options_refuse(command, err, "cannot use --create-slot together with --drop-slot");
    if (options->slot == NULL && (options->drop_slot || options->create_slot))
        return options_refuse(command, err, "%s needs a slot to be specified using --slot",
                              options->drop_slot ? "--drop-slot" : "--create-slot");
    if (options->create_slot_if_missing && options->slot == NULL)
        return options_refuse(command, err,
                              "--create-slot-if-missing needs a slot to be specified "
                              "using --slot");
    if (options->synchronous && options->no_sync)
        return options_refuse(command, err, "cannot use --synchronous together with --no-sync");
    if (options->directory == NULL && !options->drop_slot && !options->create_slot)
        return options_refuse(command, err, "no target directory specified");
    if (command == COMMAND_FRONT && options->compress.method == WAL_ZSTD)
        return error_set(err, ERROR_USAGE, "compression with ZSTD is not yet supported");
    return check_http(command, options, err);
}

static bool check_bench(const Options *options, Error *err)
{
    bool disk = strcmp(options->sink, "disk") == 0;
    const char *needs_disk = NULL;
    if (options->directory != NULL)
        needs_disk = "directory";
    else if (options->synchronous)
        needs_disk = "synchronous";
    else if (options->compress.method != WAL_RAW)
        needs_disk = "compress";
    if (!disk && needs_disk != NULL)
        return options_refuse(COMMAND_BENCH, err, "--%s needs --sink=disk", needs_disk);
    if (disk && options->directory == NULL)
        return options_refuse(COMMAND_BENCH, err,
                              "--sink=disk needs a directory to be specified using --directory");
    return true;
}

static bool check_stage(const Options *options, Error *err)
{
    if (options->directory == NULL)
        return options_refuse(COMMAND_STAGE, err, "no archive directory specified");
    if (options->backup == NULL)
        return options_refuse(COMMAND_STAGE, err, "no base backup specified using --backup");
    if (options->into == NULL)
        return options_refuse(COMMAND_STAGE, err,
                              "no directory for the copy specified using --into");
    if (options->target_latest && options->action != NULL &&
        strcmp(options->action, "promote") != 0)
        return options_refuse(COMMAND_STAGE, err, "cannot use --action=%s together with --latest",
                              options->action);
    return true;
}

bool options_check(CommandBit command, const Options *options, Error *err)
{
    if (command == COMMAND_BENCH)
        return check_bench(options, err);
    if (command == COMMAND_LIST || command == COMMAND_CHECK)
        return true; /* no option depends on another */
    if (command == COMMAND_STATUS)
        return !options->watch || !options->json ||
               options_refuse(command, err, "cannot use --watch together with --json");
    if (command == COMMAND_WAIT)
        return options->lsn != LSN_INVALID ||
               options_refuse(command, err, "no position to wait for specified using --lsn");
    if (command == COMMAND_FIND)
        return target_check(command, options, err);
    if (command == COMMAND_STAGE)
        return check_stage(options, err) && target_check(command, options, err);
    if (command == COMMAND_VERIFY || command == COMMAND_RESTORE)
        return options->directory != NULL ||
               options_refuse(command, err, "no archive directory specified");
    if (command != COMMAND_SLOT && !check_receive(command, options, err))
        return false;
    return options->slot == NULL || slot_name_check(options->slot, err);
}
