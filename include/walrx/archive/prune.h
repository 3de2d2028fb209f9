/* SPDX-License-Identifier: PostgreSQL
 *
 * Retention: removes the oldest WAL of an archive, up to a horizon, on all timelines by position as
 * pg_archivecleanup does. First a plan, which changes nothing, then its execution.
 *
 * What is promised:
 * - Nothing at or behind the start segment of a registered base backup (backups.h) goes, nor the
 *   newest complete segment of the newest timeline, nor what a receiver still has to do with.
 * - Of several wishes the one that keeps more wins.
 * - A crash at any moment leaves no hole: strictly oldest first, and the removals of one segment
 *   are durable before those of the next begin. (docs/decisions/0022)
 * - Timeline history files, backup history files, quarantine and the list of gaps stay.
 *
 * A receiver may run; prunes exclude each other by a lock of their own.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/backups.h"
#include "walrx/proto/copydata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRUNE_LOCK_FILE "prune.lock"

/* ---- the choice of the horizon; pure ---- */

/* Why something is kept. */
typedef enum PruneCause {
    PRUNE_CAUSE_NONE,
    PRUNE_CAUSE_FROM, /* as asked for: from a position, */
    PRUNE_CAUSE_TIME, /* by time, */
    PRUNE_CAUSE_SIZE, /* by size */
    PRUNE_CAUSE_BACKUP,
    PRUNE_CAUSE_NEWEST,
    PRUNE_CAUSE_RECEIVER,
} PruneCause;

typedef struct PruneBackup {
    SegNo start;
    bool aged; /* it was consistent before the time to be kept begins */
} PruneBackup;

typedef struct PruneFacts {
    const PruneBackup *backups; /* by start, oldest first */
    size_t backup_count;
    SegNo newest; /* the first segment that is never removed */
    SegNo limit;  /* of a receiver; UINT64_MAX: none */
    bool by_from;
    SegNo from;
    bool by_time;
    SegNo recent; /* the first with a commit within the time to be kept */
    bool by_size;
    SegNo fits; /* from here on the segments fit */
} PruneFacts;

typedef struct PruneHorizon {
    SegNo segno; /* the first that stays */
    SegNo from;  /* the horizon by each wish alone; UINT64_MAX: it was none */
    SegNo time;
    SegNo size;
    PruneCause asked;   /* the wish that keeps most; NONE: there was none, and all stays */
    PruneCause held_by; /* what keeps more than that; NONE: nothing does */
    size_t holder;      /* PRUNE_CAUSE_BACKUP: which one */
    size_t base;        /* by time: the backup that it goes by; SIZE_MAX: none is that old */
} PruneHorizon;

void prune_choose(const PruneFacts *facts, PruneHorizon *ret);

/* ---- the plan ---- */

/* What is to be kept. */
typedef struct PruneWish {
    bool by_from;
    Lsn from;
    bool by_time;
    /* Every moment of this time before the newest commit, or before `now` where that is earlier. */
    PgTime span;
    PgTime now;
    bool by_size;
    uint64_t size; /* bytes of segments */
    Lsn limit;     /* nothing at or above is touched: a receiver's work; UINT64_MAX: none runs */
    Timeline timeline; /* of the receiver, or of the last one; 0: the newest of the archive */
    /* May end the reading of WAL early with ERROR_STOPPED; NULL: nothing does. */
    bool (*go_on)(void *context);
    void *context;
} PruneWish;

/* What is known of commit times: kept from one plan to the next, it spares reading them again. All
 * 0 at first. */
typedef struct PruneMemory {
    Timeline timeline;
    SegNo looked;  /* before this segment the newest commit was looked for, */
    bool timed;    /* and there is one, */
    PgTime newest; /* this */
    PgTime since;
    SegNo next;     /* no commit since that time before this segment */
    SegNo last_old; /* the newest of those that have commits; 0: none has */
} PruneMemory;

typedef struct PruneFile {
    SegNo segno;
    uint64_t disk_bytes;
    Timeline timeline;
    uint8_t form; /* WalCompression */
    bool partial;
} PruneFile;

/* Consecutive segments of one timeline that go, all their forms and partials. */
typedef struct PruneRange {
    Timeline timeline;
    SegNo first;
    SegNo last;
    uint64_t files;
    uint64_t disk_bytes;
} PruneRange;

typedef struct PrunePlan {
    PruneHorizon horizon;
    Backups backups;
    PruneFile *files; /* that go, in the order in which they do: of a segment the raw one first */
    size_t count;
    PruneRange *ranges; /* by timeline and position */
    size_t range_count;
    uint64_t disk_bytes; /* of the files that go */
    uint64_t kept_files; /* segments and partials that stay, and their bytes */
    uint64_t kept_bytes;
    bool timed;      /* by time: there are commits; where none is known all stays */
    PgTime newest;   /* the newest one */
    PgTime since;    /* every moment from here on is kept */
    uint64_t unread; /* segments whose times could not be read, for they are damaged; they count as
                        old */
    Error damage;    /* class ERROR_NONE, or why the first of them was not */
} PrunePlan;

/* ERROR_ARCHIVE: no WAL; a backup history file or a timeline's history that cannot be understood.
 * Free with prune_plan_free, also after failure. `memory` may be NULL. */
bool prune_plan(const Archive *archive, const PruneWish *wish, PruneMemory *memory, PrunePlan *ret,
                Error *err) MUST_CHECK;
void prune_plan_free(PrunePlan *plan);

/* "16/B374D848", the name of a segment (any form) or of a backup history file, or the label or file
 * of a registered backup. ERROR_USAGE: none of these. */
bool prune_position(const Archive *archive, const char *text, Lsn *ret, Error *err) MUST_CHECK;

/* ---- doing it ---- */

/* The lock that prunes and whoever registers a backup hold. Waits for it; ERROR_ARCHIVE naming the
 * process when it is still taken. Let go with dirlock_release. */
bool prune_lock(const Archive *archive, uint64_t patience_ms, DirLock *ret, Error *err) MUST_CHECK;

typedef struct PruneDone {
    uint64_t files;
    uint64_t disk_bytes;
    Lsn horizon; /* all WAL before is gone, unless it was interrupted */
} PruneDone;

/* Under the lock that was taken before the plan was made. `go_on` is asked before each segment;
 * false ends it with ERROR_STOPPED. Durable on return. ERROR_ARCHIVE with nothing removed: a file
 * that cannot be removed. *ret counts what is gone also after failure: then a suffix without a hole
 * is left. */
bool prune_run(const Archive *archive, const PrunePlan *plan, bool (*go_on)(void *context),
               void *context, PruneDone *ret, Error *err) MUST_CHECK;
