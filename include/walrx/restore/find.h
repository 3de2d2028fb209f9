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

typedef struct FindTarget {
    FindKind kind;
    PgTime time;
    Lsn lsn;
    uint32_t xid;
    const char *name;  /* of the restore point */
    bool exclusive;    /* recovery_target_inclusive = off: for time, LSN, XID */
    Timeline timeline; /* 0: the newest */
} FindTarget;

/* A record that recovery can stop at. */
typedef struct FindPlace {
    bool found;
    Lsn lsn;
    Lsn end; /* behind the record */
    Timeline timeline;
    SegNo segno;  /* in which it ends */
    bool partial; /* only in the open segment */
    uint32_t xid; /* of a transaction's end, else 0 */
    WalEvent event;
} FindPlace;

typedef enum FindOutcome {
    FIND_REACHED,
    FIND_NOT_THERE, /* no such restore point or transaction in the archive */
    FIND_BEFORE,    /* the target lies before the archive's first WAL */
    FIND_BEYOND, /* the archive's WAL ends before the target: recovery would fail (13 and newer) */
    FIND_IN_GAP, /* it lies where WAL is missing */
} FindOutcome;

typedef struct FindResult {
    FindOutcome outcome;
    Timeline timeline;  /* recovery_target_timeline */
    FindPlace last;     /* the last transaction end or restore point that is replayed */
    FindPlace next;     /* the first that is not */
    Lsn stop;           /* WAL is needed up to here */
    SegNo stop_segno;   /* the segment that holds the byte before `stop` */
    uint64_t same_name; /* further restore points of that name, behind the first */
    Lsn wal_begin;      /* without a hole up to `stop` (or up to the end, when not reached) */
    Lsn wal_end;        /* of the branch */
    Error reason;       /* not reached: what is missing, with a hint */
} FindResult;

/* True also when the target cannot be reached: *ret says so. */
bool find_target(const Archive *archive, const FindTarget *target, FindResult *ret,
                 Error *err) MUST_CHECK;

/* The lines for postgresql.conf, each "name = 'value'" and a newline, without restore_command.
 * False when they do not fit. `major`: of the server that will recover. */
bool find_settings(const FindTarget *target, const FindResult *result, int major, char *buffer,
                   size_t capacity);
