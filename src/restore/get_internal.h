/* SPDX-License-Identifier: PostgreSQL
 *
 * What the parts of get.h share. In order of work: the target (where it goes, whose it is), a file
 * of the archive by its forms, the checks of a complete segment, the open one.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/restore/get.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET_NAME_SIZE 256

/* The server removes what begins so in pg_wal when it starts after a crash (RemoveTempXlogFiles,
 * xlog.c, PostgreSQL 15), and so what a killed restore leaves there. */
#define TEMPORARY_PREFIX "xlogtemp.walrx."

#define CONTROL_FILE "global/pg_control" /* begins with the system identifier in every version */
#define STANDBY_SIGNAL "standby.signal"
#define RECOVERY_CONF "recovery.conf" /* before PostgreSQL 12 */

/* Where the file goes. */
typedef struct GetTarget {
    Dir dir;
    char name[TARGET_NAME_SIZE];
    char temporary[TARGET_NAME_SIZE]; /* in the same directory */
    Dir data;                         /* the server's data directory; fd -1: not known */
} GetTarget;

/* A complete segment of the archive: its first form, which is the one that counts. */
typedef struct PrefetchSource {
    bool found;
    WalCompression form;
    uint64_t mark; /* of the state of that file: which one, how long, changed when */
} PrefetchSource;

#define PREFETCH_NAME_SIZE 96

typedef enum PrefetchHelper {
    PREFETCH_HELPER_NONE,
    PREFETCH_HELPER_LIVES,
    PREFETCH_HELPER_DEAD, /* it was killed; the lock is ours now */
} PrefetchHelper;

/* Reading ahead, as far as one request is concerned. */
typedef struct GetPrefetch {
    bool on;
    uint64_t token;                /* of archive and boot */
    PrefetchSource source;         /* of the segment that is asked for */
    char name[PREFETCH_NAME_SIZE]; /* under which it is ready, if it is */
    PrefetchHelper helper;
} GetPrefetch;

typedef struct Get {
    const GetRequest *request;
    Archive archive;
    GetTarget target;
    WalFileName file; /* the request's name, taken apart */
    SegNo segno;      /* of a segment */
    GetPrefetch prefetch;
    const atomic_bool *stop; /* set: give up filling; NULL: nobody would */
} Get;

/* The target ---------------------------------------------------------------------------------- */

bool get_target_open(const GetRequest *request, GetTarget *ret, Error *err) MUST_CHECK;
void get_target_close(GetTarget *target);

/* ERROR_ARCHIVE when the data directory's cluster is another one than the archive's. */
bool get_target_is_of(const GetTarget *target, const Archive *archive, Error *err) MUST_CHECK;
/* Does the server follow as a standby, or recover to an end? *ret false where nothing tells. */
bool get_target_is_standby(const GetTarget *target, bool *ret, Error *err) MUST_CHECK;

/* Up to `capacity` bytes of a file in the data directory; *ret_length 0 where there is none. */
bool get_target_read(const GetTarget *target, const char *name, void *buffer, size_t capacity,
                     size_t *ret_length, Error *err) MUST_CHECK;

/* The temporary file gets its final name, and fd is closed in any case. */
bool get_target_place(const GetTarget *target, int fd, Error *err) MUST_CHECK;
/* Removes it. */
void get_target_drop(const GetTarget *target, int fd);

/* Files by their forms ------------------------------------------------------------------------ */

typedef enum FillResult {
    FILL_DONE,   /* the temporary file is what is wanted */
    FILL_ABSENT, /* there is no such file */
    FILL_FAULTY, /* it is damaged or cannot be read: another form may do */
    FILL_FAILED, /* nothing helps */
} FillResult;

/* Fills the open temporary file from `name`. */
typedef FillResult (*GetFill)(Get *get, const char *name, WalCompression form, int fd, Error *err);

/* Places the first whole form of the request's file. *ret_placed false: none is there. */
bool get_by_form(Get *get, GetFill fill, bool *ret_placed, Error *err) MUST_CHECK;

FillResult get_fill_segment(Get *get, const char *name, WalCompression form, int fd, Error *err);
/* History files of timelines and of base backups. */
FillResult get_fill_text(Get *get, const char *name, WalCompression form, int fd, Error *err);

/* History files, both kinds. ERROR_ARCHIVE: that of a timeline is missing though the archive has
 * WAL that a server would miss without it. */
bool get_history(Get *get, bool *ret_placed, Error *err) MUST_CHECK;

/* FILL_ABSENT or FILL_FAULTY, by the error of reading a file of the archive; FILL_FAILED for what
 * is not the file's fault. */
FillResult get_judge(const Error *error);

/* Appends to the temporary file. */
bool get_append(const Get *get, int fd, const void *data, size_t length, uint64_t offset,
                Error *err) MUST_CHECK;
void get_tell(const Get *get, const Error *warning);

/* A segment of which the archive has WAL up to `end` only, its start when there is none of it:
 * *ret_placed when the complete one has come meanwhile. ERROR_ARCHIVE when recovery would take the
 * hole for the end of the archive. */
bool get_hole(Get *get, Lsn end, bool *ret_placed, Error *err) MUST_CHECK;

/* The open segment ---------------------------------------------------------------------------- */

/* By the rules of get.h, the request's mode being `mode`. *ret_found: there is one, placed or not.
 */
bool get_partial(Get *get, GetPartial mode, bool *ret_found, bool *ret_placed,
                 Error *err) MUST_CHECK;

/* What newer timelines say about a segment. */
typedef struct GetBranch {
    Lsn end;           /* where the first of them left this timeline; UINT64_MAX: none did */
    Timeline left_by;  /* which */
    Timeline complete; /* one that has a complete segment in the same place; 0: none */
} GetBranch;

bool get_branch_look(Get *get, GetBranch *ret, Error *err) MUST_CHECK;

/* Reading ahead ------------------------------------------------------------------------------- */

/* In this order around a request. Is it wanted, and is it known what is asked for? */
void prefetch_begin(Get *get);
/* Places the segment if it is ready or just being made. */
bool prefetch_take(Get *get, bool *ret_placed, Error *err) MUST_CHECK;
/* Tells the helper. */
void prefetch_note(Get *get);
/* Starts one where that pays, or clears up behind one that was killed. */
void prefetch_end(Get *get, bool placed);

/* Gives the space back that is taken; false: none is. */
bool prefetch_release(Get *get);
