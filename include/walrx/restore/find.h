/* SPDX-License-Identifier: PostgreSQL
 *
 * Where in the archive a recovery to a target would end: the record, its timeline and segment, and
 * the settings that make a server stop there.
 *
 * The rules are those of recoveryStopsBefore and recoveryStopsAfter (xlogrecovery.c, PostgreSQL
 * 15). Nothing in the archive changes but the index, and nothing is locked.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/branch.h"
#include "walrx/base/error.h"
#include "walrx/proto/walrecord.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum FindKind {
    FIND_LATEST, /* all WAL there is */
    FIND_TIME,
    FIND_POINT, /* restore point */
    FIND_LSN,
    FIND_XID,
} FindKind;

#define FIND_AROUND_MAX 1000

typedef struct FindTarget {
    FindKind kind;
    PgTime time;
    Lsn lsn;
    uint32_t xid;
    const char *name;  /* of the restore point */
    bool exclusive;    /* recovery_target_inclusive = off: for time, LSN, XID */
    Timeline timeline; /* 0: the newest that has WAL */
    /* Recovery begins here (START WAL LOCATION of a base backup): what lies before does not count.
     * LSN_INVALID: not known; the archive is searched from its beginning. */
    Lsn from;
    size_t before; /* so many neighbours are wanted, FIND_AROUND_MAX at most */
    size_t after;
} FindTarget;

/* A record: the end of a transaction, a restore point, or (only FindResult.at) any other. */
typedef struct FindPlace {
    bool found;
    Lsn lsn;
    Lsn end;           /* behind it */
    Timeline timeline; /* of the file in which it ends */
    SegNo segno;
    bool partial;   /* that is the open segment: of it only the partial exists */
    WalEvent event; /* with the XID; WAL_EVENT_NONE for any other record */
} FindPlace;

typedef enum FindOutcome {
    FIND_REACHED,
    FIND_NOT_THERE, /* no such restore point or transaction in the archive */
    FIND_BEFORE, /* the target lies before the archive's first WAL; a time: before the first end of
                    a transaction in it, and whether WAL between is missing cannot be known (next
                    is filled: who has a backup that was finished by then can go there) */
    FIND_BEYOND, /* the archive's WAL ends before the target: recovery would fail (13 and newer) */
    FIND_IN_GAP, /* it lies where WAL is missing, or behind it as seen from `from` */
} FindOutcome;

typedef struct FindResult {
    FindOutcome outcome;
    Timeline timeline;  /* recovery_target_timeline */
    int major;          /* of the server that wrote the WAL there; 0: nothing was read */
    FindPlace at;       /* reached: the record at which recovery stops; latest: the last one */
    bool stops_after;   /* it is replayed still; otherwise it is only read */
    Lsn replayed;       /* recovery is here then (pg_last_wal_replay_lsn) */
    FindPlace last;     /* the last transaction end or restore point that is replayed */
    FindPlace next;     /* the first that is not */
    Lsn stop;           /* WAL is needed up to here: the end of `at` */
    SegNo stop_segno;   /* the segment that holds the byte before `stop` */
    uint64_t same_name; /* further restore points of that name, behind the first */
    Lsn wal_begin;      /* without a hole up to `stop` (or up to the end, when not reached) */
    Timeline wal_begin_timeline;
    Lsn wal_end;     /* of the branch */
    bool gap_behind; /* WAL is missing behind `stop` on this branch, and goes on after that */
    Error reason;    /* not reached: what is missing, with a hint */

    /* What is asked for lies (also) on a branch that this one has left: 0: no such thing is known.
     * A time: the last end of a transaction at or before it there, when recovery along this branch
     * would end before it. */
    Timeline other_timeline;
    FindPlace other;

    FindPlace *before; /* oldest first; the last of them is `last` */
    size_t before_count;
    FindPlace *after; /* the first of them is `next` */
    size_t after_count;
} FindResult;

/* True also when the target cannot be reached: *ret says so. ERROR_USAGE: no such timeline, or no
 * WAL at all. ERROR_ARCHIVE: damage where it had to be read. Free with find_free, also after
 * failure. */
bool find_target(const Archive *archive, const FindTarget *target, FindResult *ret,
                 Error *err) MUST_CHECK;
void find_free(FindResult *result);

/* The lines for postgresql.conf, each "name = 'value'" and a newline, without restore_command. For
 * recovery.conf (before 12) they are the same. False when they do not fit. */
bool find_settings(const FindTarget *target, const FindResult *result, char *buffer,
                   size_t capacity);

/* What restore_command has to be told beyond the archive, each option with a space before it; "":
 * nothing.
 * --on-gap=continue: a gap lies behind the end, and a server reads ahead into it.
 * --partial=always: the end lies in an open segment of a timeline that was asked for, perhaps of a
 * branch that a newer one has left, which is not handed out by itself. */
const char *find_restore_options(const FindTarget *target, const FindResult *result);

#define FIND_SETTINGS_SIZE 1024 /* enough for any target */

/* One such line: quotes and escapes as the file needs them. */
bool find_setting(const char *name, const char *value, char *buffer, size_t capacity);
