/* SPDX-License-Identifier: PostgreSQL
 *
 * The commands of the replication protocol as text, both directions.
 * Source: src/backend/replication/repl_gram.y and repl_scanner.l, PostgreSQL 10 to 18;
 * ReplicationSlotValidateName in slot.c (names: 1 to 63 of a-z 0-9 _).
 *
 * Pure.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"

#include <stddef.h>

#define SLOT_NAME_SIZE 64     /* NAMEDATALEN */
#define COMMAND_TEXT_SIZE 512 /* any command this module writes fits */

typedef enum ReplicationCommandKind {
    COMMAND_IDENTIFY_SYSTEM,
    COMMAND_SHOW,             /* name: the setting */
    COMMAND_READ_SLOT,        /* READ_REPLICATION_SLOT name; server >= 15 */
    COMMAND_TIMELINE_HISTORY, /* timeline */
    COMMAND_START_PHYSICAL,   /* START_REPLICATION [SLOT name] [PHYSICAL] start TIMELINE timeline */
    COMMAND_CREATE_PHYSICAL_SLOT,
    COMMAND_DROP_SLOT,
} ReplicationCommandKind;

typedef struct ReplicationCommand {
    ReplicationCommandKind kind;
    char name[SLOT_NAME_SIZE]; /* slot or setting; "" = none (START_PHYSICAL only) */
    Lsn start;
    Timeline timeline; /* 0 = not given (START_PHYSICAL only) */
    bool temporary;    /* CREATE */
    bool reserve_wal;  /* CREATE */
    bool wait;         /* DROP */
} ReplicationCommand;

/* ERROR_USAGE with the reason and a hint when PostgreSQL would not accept the slot's name. */
bool slot_name_check(const char *name, Error *err) MUST_CHECK;

/* Writes the command with its names quoted as identifiers ("" doubled). Slot names are checked.
 * CREATE uses the syntax every server from 10 on accepts:
 * CREATE_REPLICATION_SLOT "name" [TEMPORARY] PHYSICAL [RESERVE_WAL]. */
bool command_format(const ReplicationCommand *command, char *buffer, size_t capacity,
                    Error *err) MUST_CHECK;

/* Reads one command as a walsender would: keywords in any case, identifiers quoted or not, an
 * optional final semicolon, the parenthesised options of PostgreSQL 15 for CREATE as well.
 * ERROR_PROTOCOL on anything else. */
bool command_parse(const char *text, ReplicationCommand *ret, Error *err) MUST_CHECK;
