/* SPDX-License-Identifier: PostgreSQL
 *
 * A copy of a base backup that recovers from an archive up to a target: checked, made, started.
 *
 * The backup and the archive are never changed, and the copy shares nothing with them, nor with the
 * cluster they come from: it has a configuration of its own, listens on a socket in its own
 * directory only, archives nothing and connects to nobody (docs/decisions/0023).
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"
#include "walrx/os/process.h"
#include "walrx/os/tree.h"
#include "walrx/restore/base_backup.h"
#include "walrx/restore/find.h"
#include "walrx/stream/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STAGE_TABLESPACES_MAX 256
#define STAGE_OID_SIZE 12
#define STAGE_VERSION_SIZE 32
#define STAGE_LIBRARIES_SIZE 1024
#define STAGE_LOG "walrx_stage.log" /* of the started server, in its directory */

typedef enum StageAction {
    STAGE_PAUSE,
    STAGE_PROMOTE,
    STAGE_SHUTDOWN,
} StageAction;

/* Borrowed texts, as they were given. */
typedef struct StageTexts {
    const char *const *items;
    size_t count;
} StageTexts;

typedef struct StageRequest {
    const char *archive;
    const char *backup;
    const char *into;
    FindTarget target;
    StageAction action;
    const char *bindir;   /* NULL: look for the programs */
    uint16_t port;        /* 0: one that is free */
    StageTexts mappings;  /* OLD=NEW: where the copy of a tablespace goes */
    StageTexts settings;  /* NAME=VALUE: more for the copy's configuration */
    bool start;           /* it will be started: programs must be there */
    const char *username; /* to ask the started server as; NULL: its owner's name, then postgres */
    const FileTable *files;

    /* Something that should be known and is no failure. */
    void (*tell)(void *context, const Error *warning);
    /* While it copies: so much of so much. */
    void (*copied)(void *context, uint64_t done, uint64_t total);
    /* While the server recovers. */
    void (*replayed)(void *context, const char *lsn, const char *time);
    void *context;
    Control *control; /* a stop ends what goes on, with ERROR_STOPPED */
} StageRequest;

typedef struct StageTablespace {
    char oid[STAGE_OID_SIZE];
    char from[DIR_PATH_SIZE]; /* where the backup has it */
    char to[DIR_PATH_SIZE];
} StageTablespace;

/* The least a standby must have, as pg_control tells. */
typedef struct StageLimits {
    bool known;
    uint32_t connections;
    uint32_t workers;
    uint32_t senders; /* before 12 none is needed */
    uint32_t prepared;
    uint32_t locks;
} StageLimits;

/* What the check found out, for the steps behind it and for people. Paths are absolute. */
typedef struct Stage {
    char archive[DIR_PATH_SIZE];
    char backup[DIR_PATH_SIZE];
    char into[DIR_PATH_SIZE];
    char program[DIR_PATH_SIZE]; /* of walrx */
    char bindir[DIR_PATH_SIZE];  /* "": not found, and not needed */
    char version[STAGE_VERSION_SIZE];
    uint64_t system_identifier;
    uint32_t segment_size;
    BaseBackup base;
    Lsn consistent; /* recovery must get this far; LSN_INVALID: not known */
    FindResult found;
    SegNo first; /* the segments that recovery reads */
    SegNo last;
    StageTablespace *tablespaces;
    size_t tablespace_count;
    char libraries[STAGE_LIBRARIES_SIZE]; /* shared_preload_libraries */
    StageLimits limits;
    ProcessUser user; /* whose the copy is, and who runs the server */
    TreeOwner owner;
    TreeSize size;
    uint16_t port;
    bool exists; /* the directory for it is there, and empty */
} Stage;

/* Can the archive take the backup to the target, and can the copy be made? Nothing is changed.
 * ERROR_ARCHIVE: the archive cannot: what is missing. ERROR_USAGE, ERROR_OPERATOR: something else
 * must be put right first. Free with stage_free, also after failure. */
bool stage_check(const StageRequest *request, Stage *ret, Error *err) MUST_CHECK;
void stage_free(Stage *stage);

/* Makes the copy. On failure what it had made is gone again. Until it is whole it has no pg_control
 * and cannot be started. */
bool stage_make(const StageRequest *request, Stage *stage, Error *err) MUST_CHECK;

typedef enum StageEnd {
    STAGE_PAUSED,
    STAGE_PROMOTED,
    STAGE_SHUT_DOWN,
} StageEnd;

typedef struct StageReached {
    StageEnd end;
    pid_t pid;
    char username[PROCESS_NAME_SIZE]; /* that it can be asked as */
    char lsn[LSN_TEXT_SIZE];          /* replayed up to here; "": not known */
    char last_commit[64];             /* its time, UTC; "": none */
    Timeline timeline;                /* it writes to, or recovers on */
    bool expected;                    /* the position is the one that was foreseen */
    uint64_t locked;                  /* relations that nobody can read while it is paused */
} StageReached;

#define STAGE_LOG_TAIL_SIZE 4096

/* Starts the server of a copy and waits until it is at the target; timeout_ms 0: for as long as it
 * takes. On failure and on a stop the server does not run, the copy stays, and `log` has the end of
 * its log, "" where there is none. */
bool stage_start(const StageRequest *request, const Stage *stage, uint64_t timeout_ms,
                 StageReached *ret, char log[STAGE_LOG_TAIL_SIZE], Error *err) MUST_CHECK;

/* A word as a shell reads it; false: it does not fit. */
#define STAGE_SHELL_SIZE (4 * DIR_PATH_SIZE)
bool stage_shell_word(const char *word, char *buffer, size_t capacity);
