/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: an option is a label ("-D, --directory=DIR") in a column as wide as the widest label, and
 * its text beside it, broken at blanks so that lines stay within 80 columns.
 */
#include "walrx/cli/help.h"

#include "cli_config.h"
#include "commands.h"
#include "walrx/cli/option_parse.h"
#include "walrx/cli/option_value.h"
#include "walrx/os/log.h"

#include <errno.h>
#include <string.h>

#define LINE_WIDTH 80
#define LABEL_SIZE 64
#define TEXT_SIZE 256

static const char *const group_titles[OPTION_GROUP_COUNT] = {
    [OPTION_GROUP_GENERAL] = "Options",
    [OPTION_GROUP_CONNECTION] = "Connection options",
    [OPTION_GROUP_ACTION] = "Slot actions",
};

static const char *format_label(const OptionSpec *spec, char buffer[LABEL_SIZE])
{
    char letter[] = {'-', spec->short_name, ',', '\0'};
    bool optional = spec->without_value != NULL;
    (void)snprintf(buffer, LABEL_SIZE, "  %-3s --%s%s%s%s%s",
                   spec->short_name != '\0' ? letter : "", spec->name, optional ? "[" : "",
                   spec->value_name != NULL ? "=" : "",
                   spec->value_name != NULL ? spec->value_name : "", optional ? "]" : "");
    return buffer;
}

static size_t widest_label(CommandBit command)
{
    char label[LABEL_SIZE];
    size_t widest = 0;
    for (size_t i = 0; i < option_spec_count; i++) {
        if ((option_specs[i].commands & command) == 0)
            continue;
        size_t width = strlen(format_label(&option_specs[i], label));
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* Prints `text` with its first line beside `label`; `column` is where text begins. A tab is a blank
 * at which no line ends. */
static void print_entry(FILE *out, const char *label, size_t column, const char *text)
{
    size_t room = LINE_WIDTH - column;
    for (;;) {
        size_t length = strlen(text);
        if (length > room) {
            length = room;
            while (length > 0 && text[length] != ' ')
                length--;
            if (length == 0)
                length = strcspn(text, " ");
        }
        (void)fprintf(out, "%-*s", (int)column, label);
        for (size_t i = 0; i < length; i++)
            (void)fputc(text[i] == '\t' ? ' ' : text[i], out);
        (void)fputc('\n', out);
        text += length;
        if (*text == '\0')
            return;
        text++;
        label = "";
    }
}

static void print_option(FILE *out, const OptionSpec *spec, size_t column, const Options *defaults)
{
    char label[LABEL_SIZE];
    char value[OPTION_TEXT_SIZE];
    char text[TEXT_SIZE];
    option_format(spec, defaults, value);
    (void)snprintf(text, sizeof(text), "%s%s%s%s", spec->help,
                   value[0] != '\0' ? " (default:\t" : "", value, value[0] != '\0' ? ")" : "");
    print_entry(out, format_label(spec, label), column, text);
}

static void print_group(FILE *out, CommandBit command, OptionGroup group, size_t column)
{
    Options defaults;
    bool first = true;
    options_init(&defaults);
    for (size_t i = 0; i < option_spec_count; i++) {
        const OptionSpec *spec = &option_specs[i];
        if ((spec->commands & command) == 0 || spec->group != group)
            continue;
        if (first)
            (void)fprintf(out, "\n%s:\n", group_titles[group]);
        first = false;
        print_option(out, spec, column, &defaults);
    }
}

static void print_usage(FILE *out, CommandBit command)
{
    if (command == COMMAND_FRONT) {
        (void)fprintf(out,
                      "pg_receivewal receives PostgreSQL's write-ahead log. This is walrx %s.\n"
                      "\nUsage:\n  pg_receivewal [OPTION]...\n",
                      WALRX_VERSION);
        return;
    }
    for (size_t i = 0; i < command_spec_count; i++) {
        const CommandSpec *spec = &command_specs[i];
        if (spec->has_options && spec->bit == command)
            (void)fprintf(out, "walrx %s: %s.\n\nUsage:\n  walrx %s%s%s [OPTION]...\n", spec->name,
                          spec->help, spec->name, spec->operands[0] != '\0' ? " " : "",
                          spec->operands);
    }
}

/* What `walrx check` compares. */
static void print_thresholds(FILE *out)
{
    char texts[2][CHECK_LIMIT_TEXT_SIZE];
    char label[LABEL_SIZE];
    (void)fprintf(out, "\n%-22s%-11s%s\n", "NAME", "warning", "critical");
    for (int i = 0; i < CHECK_FIGURE_COUNT; i++) {
        (void)snprintf(label, sizeof(label), "%-22s%-11s%-10s", check_figures[i].name,
                       check_limit_text((CheckFigure)i, false, texts[0]),
                       check_limit_text((CheckFigure)i, true, texts[1]));
        print_entry(out, label, 43, check_figures[i].help);
    }
    (void)fputs("\nIt warns above a VALUE; of slot-safe and free-disk, below it. A VALUE alone is\n"
                "for flushed-lag: -w 1GB -c 10GB. * More where the receiver keeps more free.\n"
                "\nExit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; 3 for --help, too.\n",
                out);
}

void help_print_command(FILE *out, CommandBit command)
{
    size_t column = widest_label(command) + 2;
    print_usage(out, command);
    for (int group = 0; group < OPTION_GROUP_COUNT; group++)
        print_group(out, command, (OptionGroup)group, column);
    if (command == COMMAND_STATUS || command == COMMAND_WAIT || command == COMMAND_STAGE)
        (void)fputs("\nTIME is a number with ms, s, min, h or d, or a number of seconds.\n", out);
    if (command == COMMAND_PRUNE)
        (void)fputs(
            "\nTIME is a number with ms, s, min, h or d; SIZE one with kB, MB, GB or TB.\n"
            "Of several --keep options the one that keeps more wins. WAL that a registered\n"
            "base backup needs is never removed (walrx backup).\n",
            out);
    if (command == COMMAND_BACKUP)
        (void)fputs("\nBACKUP is a directory that pg_basebackup made, plain or tar, or the\n"
                    "backup_label or backup_manifest of a backup.\n",
                    out);
    if (command == COMMAND_CHECK)
        print_thresholds(out);
    if (command == COMMAND_RECEIVE || command == COMMAND_BENCH)
        (void)fputs("\nTIME is a number with ms, s, min, h or d, or a number of seconds.\n"
                    "SIZE is a number with kB, MB or GB, or a number of bytes.\n",
                    out);
    if (command == COMMAND_RECEIVE)
        (void)fputs("In the file of --config each line is NAME = VALUE, NAME being a long name.\n",
                    out);
}

void help_print_program(FILE *out)
{
    char label[LABEL_SIZE];
    size_t column = 0;
    (void)fputs("walrx receives PostgreSQL's write-ahead log into an archive directory.\n"
                "\nUsage:\n  walrx COMMAND [OPTION]...\n"
                "\nCommands:\n",
                out);
    for (size_t i = 0; i < command_spec_count; i++) {
        size_t width = strlen(command_specs[i].name) + strlen(command_specs[i].operands);
        column = width > column ? width : column;
    }
    for (size_t i = 0; i < command_spec_count; i++) {
        (void)snprintf(label, sizeof(label), "  %s %s", command_specs[i].name,
                       command_specs[i].operands);
        print_entry(out, label, column + 5, command_specs[i].help);
    }
    (void)fputs("\nOptions:\n"
                "  -V, --version  show the version and end\n"
                "  -?, --help     show this text and end\n"
                "\nwalrx COMMAND --help shows the options of a command. Called by the name\n"
                "pg_receivewal, walrx takes the options of pg_receivewal and needs no command.\n",
                out);
}

void help_print_version(FILE *out, CommandBit command)
{
    if (command == COMMAND_FRONT)
        (void)fprintf(out, "pg_receivewal (PostgreSQL) %s\n", FRONT_VERSION);
    else
        (void)fprintf(out, "walrx %s\n", WALRX_VERSION);
}

bool help_finish(FILE *out)
{
    if (fflush(out) == 0 && !ferror(out))
        return true;
    Error error;
    error_set_errno(&error, ERROR_STORAGE, errno, "could not write to standard output");
    log_error(LOG_ERROR, NULL, &error);
    return false;
}
