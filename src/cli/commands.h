/* SPDX-License-Identifier: PostgreSQL
 *
 * The commands of walrx: one table for main, --help and the completion. Each runs with argv[0]
 * being its own name and returns the exit status.
 */
#pragma once

#include "walrx/cli/options.h"

typedef struct CommandSpec {
    const char *name;
    CommandBit bit; /* whose options it takes */
    bool has_options;
    const char *operands;     /* as --help shows them; "" for none */
    const char *const *words; /* what the operand may be; NULL-terminated; NULL: no operand */
    const char *help;
    int (*run)(int argc, char **argv);
} CommandSpec;

extern const CommandSpec command_specs[];
extern const size_t command_spec_count;

int cmd_receive(int argc, char **argv);
int cmd_slot(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_find(int argc, char **argv);
int cmd_stage(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_help(int argc, char **argv);

/* walrx under the name pg_receivewal. */
int front_pg_receivewal(int argc, char **argv);

/* walrx under its own name: --help, --version, or a command. */
int walrx_main(int argc, char **argv);
