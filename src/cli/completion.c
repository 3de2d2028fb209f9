/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: the script knows per command the words that may follow, and per option what its value may
 * be. bash splits words at '=', so "--on-gap=st" arrives as three; the script looks behind the '='.
 */
#include "walrx/cli/completion.h"

#include "commands.h"

#include <string.h>

/* One word per row for commands that take it; options with two rows differ in nothing shown here.
 */
static void print_option_names(FILE *out, CommandBit command)
{
    for (size_t i = 0; i < option_spec_count; i++) {
        if ((option_specs[i].commands & command) != 0)
            (void)fprintf(out, " --%s", option_specs[i].name);
    }
}

static void print_words(FILE *out, const char *const *words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        (void)fprintf(out, " %s", words[i]);
}

static void print_commands(FILE *out)
{
    (void)fputs("        '') words='--help --version", out);
    for (size_t i = 0; i < command_spec_count; i++)
        (void)fprintf(out, " %s", command_specs[i].name);
    (void)fputs("' ;;\n", out);
    for (size_t i = 0; i < command_spec_count; i++) {
        const CommandSpec *spec = &command_specs[i];
        (void)fprintf(out, "        %s) words='", spec->name);
        print_words(out, spec->words);
        if (spec->has_options)
            print_option_names(out, spec->bit);
        (void)fputs("' ;;\n", out);
    }
}

/* The letter may be a flag of another command, behind which options follow. */
static bool is_flag_elsewhere(char letter)
{
    for (size_t i = 0; i < option_spec_count; i++) {
        if (option_specs[i].short_name == letter && option_specs[i].kind == OPTION_FLAG)
            return true;
    }
    return false;
}

/* What completes the value of an option: a compgen call's arguments, "" for nothing. */
static void print_value(FILE *out, const OptionSpec *spec)
{
    (void)fputs("        ", out);
    if (spec->short_name != '\0' && !is_flag_elsewhere(spec->short_name))
        (void)fprintf(out, "-%c | ", spec->short_name);
    (void)fprintf(out, "--%s) ", spec->name);
    if (spec->kind == OPTION_CHOICE) {
        (void)fputs("words='", out);
        print_words(out, spec->choices);
        (void)fputs("' ;;\n", out);
    } else if (spec->kind == OPTION_COMPRESS) {
        (void)fputs("words='none gzip lz4 zstd' ;;\n", out);
    } else if (strcmp(spec->value_name, "DIR") == 0) {
        (void)fputs("words='' kind=-d ;;\n", out);
    } else if (strcmp(spec->value_name, "FILE") == 0) {
        (void)fputs("words='' kind=-f ;;\n", out);
    } else {
        (void)fputs("words='' ;;\n", out);
    }
}

static bool completes_values(const OptionSpec *spec)
{
    return spec->kind != OPTION_FLAG &&
           (spec->commands & (COMMAND_RECEIVE | COMMAND_SLOT | COMMAND_BENCH | COMMAND_LIST |
                              COMMAND_VERIFY | COMMAND_STATUS | COMMAND_WAIT | COMMAND_CHECK |
                              COMMAND_RESTORE | COMMAND_FIND | COMMAND_STAGE | COMMAND_STATS)) != 0;
}

/* Once for each name: rows of one name complete alike. */
static void print_values(FILE *out)
{
    for (size_t i = 0; i < option_spec_count; i++) {
        bool printed = !completes_values(&option_specs[i]);
        for (size_t j = 0; !printed && j < i; j++)
            printed = completes_values(&option_specs[j]) &&
                      strcmp(option_specs[j].name, option_specs[i].name) == 0;
        if (!printed)
            print_value(out, &option_specs[i]);
    }
}

void completion_print_bash(FILE *out)
{
    (void)fputs("# bash completion for walrx, printed by: walrx completion bash\n"
                "_walrx() {\n"
                "    local current=${COMP_WORDS[COMP_CWORD]}\n"
                "    local option='' command='' words='' kind=''\n"
                "    local -i i=COMP_CWORD-1\n"
                "    if [[ $current == = ]]; then\n"
                "        current=''\n"
                "    elif [[ ${COMP_WORDS[i]} == = ]]; then\n"
                "        i=$((i - 1))\n"
                "    fi\n"
                "    ((COMP_CWORD > 1)) && option=${COMP_WORDS[i]} command=${COMP_WORDS[1]}\n"
                "    case $command in\n",
                out);
    print_commands(out);
    (void)fputs("    esac\n"
                "    case $option in\n",
                out);
    print_values(out);
    (void)fputs("    esac\n"
                "    COMPREPLY=()\n"
                "    local word\n"
                "    if [[ -n $kind ]]; then\n"
                "        compopt -o filenames 2>/dev/null\n"
                "        while IFS= read -r word; do\n"
                "            COMPREPLY+=(\"$word\")\n"
                "        done < <(compgen \"$kind\" -- \"$current\")\n"
                "    else\n"
                "        while IFS= read -r word; do\n"
                "            COMPREPLY+=(\"$word\")\n"
                "        done < <(compgen -W \"$words\" -- \"$current\")\n"
                "    fi\n"
                "}\n"
                "complete -F _walrx walrx\n",
                out);
}
