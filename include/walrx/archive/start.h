/* SPDX-License-Identifier: PostgreSQL
 *
 * Where to start receiving (DESIGN 4): reconciles what the archive holds, the server's timeline
 * history and position, and the slot. Pure.
 */
#pragma once

#include "walrx/archive/inventory.h"
#include "walrx/base/error.h"
#include "walrx/proto/timeline.h"

#include <stdbool.h>

typedef enum StartReason {
    START_AFTER_ARCHIVE, /* behind the newest segment, or at the open one */
    START_AT_FORK,       /* the archive's tip lies on a branch the server left */
    START_AT_TIMELINE,   /* nothing of the archive is on the server's history: where the server's
                            timeline begins */
    START_AT_SLOT,       /* empty archive: the slot's restart_lsn */
    START_AT_SERVER,     /* empty archive, no slot position: the server's current segment */
} StartReason;

typedef struct StartServer {
    TimelineHistory history; /* of the server's timeline (history.target) */
    Lsn flush_lsn;           /* IDENTIFY_SYSTEM's xlogpos */
    bool in_recovery;
    Lsn slot_restart_lsn;   /* LSN_INVALID: no slot, or none reserved */
    Timeline slot_timeline; /* 0: not known */
} StartServer;

typedef struct StartPoint {
    StartReason reason;
    Timeline timeline;
    Lsn lsn;                   /* always the start of a segment */
    Timeline left_timeline;    /* START_AT_FORK: the dead branch, and */
    Lsn left_end;              /* how far the archive had followed it, */
    Lsn fork;                  /* and where it left the server's history */
    Timeline unknown_timeline; /* a timeline of the archive newer than any on the server's history,
                                  or 0 */
} StartPoint;

/* What the archive holds of the newest timeline that is on the history: it decides. NULL: nothing.
 */
const TimelineInventory *start_timeline(const Inventory *inventory, const TimelineHistory *history);

/* ERROR_RETRY: a standby that has not caught up with the archive yet. ERROR_ARCHIVE: a primary that
 * is behind the archive on the same timeline (it lost WAL or was restored). */
bool start_choose(const Inventory *inventory, const StartServer *server, uint32_t segment_size,
                  StartPoint *ret, Error *err) MUST_CHECK;

/* The error of a server that has less WAL of `timeline` than the archive, which continues at
 * `position`; returns false. Classes as above. */
bool start_refuse_behind(const StartServer *server, Timeline timeline, Lsn position, Error *err);
