/* SPDX-License-Identifier: PostgreSQL
 *
 * What the parts of reading ahead share. In order of work: names of files that are ready, which
 * segment is next, the plan of what to have ready, the server that is served, the commands' side,
 * the helper's side. docs/decisions/0019 has the reasons.
 */
#pragma once

#include "get_internal.h"

#include "walrx/proto/timeline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names --------------------------------------------------------------------------------------- */

#define PREFETCH_BOX TEMPORARY_PREFIX "prefetch" /* where commands tell the helper something */
/* Whatever cannot be known counts as not found. */
void prefetch_look(const Archive *archive, Timeline timeline, SegNo segno, PrefetchSource *ret);

/* What belongs together: this archive, since the machine was started. False: not known. */
bool prefetch_token(const Archive *archive, uint64_t *ret);

/* "xlogtemp.walrx.", 16 digits of token and source, ".", the segment. */
const char *prefetch_name(uint64_t token, const PrefetchSource *source, Timeline timeline,
                          SegNo segno, uint32_t segment_size, char buffer[PREFETCH_NAME_SIZE]);
/* The same while it is being made. */
const char *prefetch_part_name(const char *name, char buffer[PREFETCH_NAME_SIZE]);

typedef enum PrefetchFile {
    PREFETCH_FILE_OTHER, /* not made by a helper */
    PREFETCH_FILE_READY,
    PREFETCH_FILE_PART,
} PrefetchFile;
PrefetchFile prefetch_file_kind(const char *name);

/* Ends the making of the file: it then is what it is known for as long as nobody changes it. The
 * seal is in the fraction of its last change; false where the filesystem does not keep it. */
bool prefetch_seal(const Dir *dir, const char *part, int fd);
/* Is it there, sealed, and of that size? Its seal holds for this very file. */
bool prefetch_is_sealed(const Dir *dir, const char *name, uint64_t size);

/* Removes what helpers have left; nobody else may hold the lock of the directory. */
void prefetch_sweep(const Dir *dir);

/* Which segment is next ----------------------------------------------------------------------- */

#define PREFETCH_MAX_EXCLUDED 16

/* Where the server seems to go: to the newest timeline that comes from the one it is on, by the
 * history files in the archive, as recovery_target_timeline = 'latest' does. */
typedef struct PrefetchPath {
    const Archive *archive;
    Timeline from;   /* the server is on it */
    Timeline probed; /* history files up to this timeline have been read */
    TimelineHistory history;
    unsigned half;                            /* of `switches` that `history` uses */
    Timeline excluded[PREFETCH_MAX_EXCLUDED]; /* it does not go there */
    size_t excluded_count;
    TimelineSwitch switches[2][TIMELINE_MAX_SWITCHES];
} PrefetchPath;

typedef struct PrefetchStep {
    Timeline timeline;
    SegNo segno;
    PrefetchSource source;
} PrefetchStep;

void prefetch_path_begin(PrefetchPath *path, const Archive *archive, Timeline timeline);
/* The server has got this segment, and so none of a newer timeline: one that has it is not on the
 * server's way. */
void prefetch_path_asked(PrefetchPath *path, Timeline timeline, SegNo segno);
/* What it will get behind `step`, by the rules of XLogFileReadAnyTLI. False: nothing that could be
 * prepared. `ret` may be `step`. */
bool prefetch_path_next(PrefetchPath *path, const PrefetchStep *step, PrefetchStep *ret);

/* The plan ------------------------------------------------------------------------------------ */

#define PREFETCH_MAX_AHEAD 1024 /* segments */
#define PREFETCH_MAX_WORKERS 8

typedef enum PlanState {
    PLAN_WANTED,
    PLAN_READY,
    PLAN_BAD, /* cannot be prepared: the server will find out why */
} PlanState;

typedef struct PlanItem {
    PrefetchStep step;
    char name[PREFETCH_NAME_SIZE];
    PlanState state;
} PlanItem;

/* In the order in which the server will ask. */
typedef struct Plan {
    PlanItem items[PREFETCH_MAX_AHEAD];
    size_t count;
    char busy[PREFETCH_MAX_WORKERS][PREFETCH_NAME_SIZE]; /* what each worker makes; "": nothing */
} Plan;

PlanItem *plan_find(Plan *plan, const char *name);
bool plan_is_busy(const Plan *plan, const char *name);
/* The first that is wanted and nobody makes; nothing behind a bad one. NULL: nothing to do. */
PlanItem *plan_next(Plan *plan);
/* Takes everything away up to and with this segment; `drop` is called for files that are ready.
 * False and all is taken away: it was not in the plan. */
bool plan_pass(Plan *plan, Timeline timeline, SegNo segno,
               void (*drop)(void *context, const char *name), void *context);
/* Takes away what is neither ready nor being made, from the first such on: what is there may look
 * different by now. */
void plan_cut(Plan *plan, void (*drop)(void *context, const char *name), void *context);
bool plan_add(Plan *plan, const PrefetchStep *step, const char *name);
/* Nothing is ready, being made, or wanted. With `full` nothing more can be made. */
bool plan_is_done(Plan *plan, bool full);

/* The server ---------------------------------------------------------------------------------- */

typedef enum PrefetchServer {
    PREFETCH_SERVER_UNKNOWN, /* the target is not in a data directory */
    PREFETCH_SERVER_DOWN,    /* it does not run, or does not recover from an archive */
    PREFETCH_SERVER_RECOVERS,
} PrefetchServer;
PrefetchServer prefetch_server_look(const GetTarget *target, uint64_t *ret_pid);

/* The commands' side -------------------------------------------------------------------------- */

typedef enum PrefetchKind {
    PREFETCH_ASKED,   /* the server has asked for this segment, and the archive has it */
    PREFETCH_RELEASE, /* make room and end */
} PrefetchKind;

typedef struct PrefetchMessage {
    uint64_t token;
    uint32_t kind;
    Timeline timeline;
    SegNo segno;
} PrefetchMessage;

/* Segments to have ready, and threads that make them. */
typedef struct PrefetchExtent {
    size_t ahead;
    unsigned workers;
} PrefetchExtent;
PrefetchExtent prefetch_extent(uint64_t bytes, uint32_t segment_size, unsigned cores,
                               uint64_t machine_memory);

/* The helper's side --------------------------------------------------------------------------- */

typedef enum PrefetchMade {
    PREFETCH_MADE,
    PREFETCH_NOT_MADE,
    PREFETCH_NO_ROOM,
} PrefetchMade;

/* Prepares a segment and seals it. `keep_free`: bytes that must be left on the filesystem. */
PrefetchMade prefetch_make(const Get *get, const PrefetchStep *step, const char *name,
                           uint64_t keep_free);

/* The helper's life, from the segment that the server has just got. `get` holds the lock of the
 * target's directory. */
void prefetch_serve(const Get *get);
