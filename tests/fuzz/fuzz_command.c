/* SPDX-License-Identifier: PostgreSQL
 *
 * Replication commands: what is read and may be written (a slot's name may be one that PostgreSQL
 * would refuse) reads back the same, and its text is settled.
 */
#include "fuzz.h"
#include "walrx/proto/command.h"

#define TEXT_SIZE 4096

static bool same(const ReplicationCommand *a, const ReplicationCommand *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0 && a->start == b->start &&
           a->timeline == b->timeline && a->temporary == b->temporary &&
           a->reserve_wal == b->reserve_wal && a->wait == b->wait;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE];
    char written[COMMAND_TEXT_SIZE];
    char again[COMMAND_TEXT_SIZE];
    ReplicationCommand command;
    ReplicationCommand back;
    Error err;

    fuzz_text(data, size, text, sizeof(text));
    if (!command_parse(text, &command, &err)) {
        require(err.class == ERROR_PROTOCOL && err.message[0] != '\0');
        return 0;
    }
    require(memchr(command.name, '\0', sizeof(command.name)) != NULL);
    if (!command_format(&command, written, sizeof(written), &err)) {
        require(command.kind != COMMAND_SHOW && !slot_name_check(command.name, &err));
        return 0;
    }
    require(command_parse(written, &back, &err));
    require(same(&command, &back));
    require(command_format(&back, again, sizeof(again), &err));
    require(strcmp(written, again) == 0);
    return 0;
}
