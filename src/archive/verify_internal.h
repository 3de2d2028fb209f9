/* SPDX-License-Identifier: PostgreSQL
 *
 * What the parts of the verifier share. In order of work: the plan (which files, timelines, runs),
 * chunks of it scanned in threads, then the gaps and comparisons that need all of it.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/verify.h"
#include "walrx/proto/timeline.h"
#include "walrx/proto/walscan.h"

#include <pthread.h>
#include <stdatomic.h>

/* Problems ------------------------------------------------------------------------------------ */

/* A list with a bound. Belongs to one thread at a time. */
typedef struct VerifyFound {
    VerifyProblem *problems;
    size_t count;
    size_t capacity;
    uint64_t total; /* with those beyond the bound */
    uint64_t unreadable;
} VerifyFound;

/* A problem beyond the bound, or without memory for it, is only counted. */
void verify_found_add(VerifyFound *found, const VerifyProblem *problem);
void verify_found_move(VerifyFound *from, VerifyFound *to);
/* Sorts by place and joins damages that overlap: two threads may have seen one. */
void verify_found_settle(VerifyFound *found);
void verify_found_free(VerifyFound *found);

/* A problem of `kind` at `begin`; message and detail are the caller's. */
VerifyProblem verify_problem(VerifyKind kind, Timeline timeline, const char *file, uint64_t offset,
                             Lsn begin, Lsn end);

/* The plan ------------------------------------------------------------------------------------ */

/* One segment of one timeline: bits by WalCompression. */
typedef struct VerifyEntry {
    SegNo segno;
    Timeline timeline;
    uint8_t complete;
    uint8_t partial;
} VerifyEntry;

#define VERIFY_NO_ENTRY SIZE_MAX

typedef struct VerifyLine {
    Timeline timeline;
    bool known; /* `history` holds */
    TimelineHistory history;
    TimelineSwitch *switches; /* owned */
} VerifyLine;

/* A file of another timeline goes on where an entry ends. */
typedef struct VerifyBranch {
    size_t from;
    size_t to;
} VerifyBranch;

typedef struct VerifyChunk {
    size_t first; /* entry */
    size_t count;
    size_t range;
} VerifyChunk;

typedef struct VerifyPlan {
    const Archive *archive;
    VerifyEntry *entries; /* by timeline, then segment number */
    size_t entry_count;
    size_t entry_capacity;
    VerifyLine *lines; /* ascending */
    size_t line_count;
    size_t line_capacity;
    VerifyBranch *branches;
    size_t branch_count;
    VerifyChunk *chunks;
    size_t chunk_count;
    uint16_t magic; /* of all pages, 0: unknown */
} VerifyPlan;

/* Lists the directory. */
bool verify_plan_list(VerifyPlan *plan, VerifyFound *found, Error *err) MUST_CHECK;
/* Reads the history files. */
bool verify_plan_histories(VerifyPlan *plan, VerifyFound *found, Error *err) MUST_CHECK;
/* Fills result->ranges (tails come later) and the plan's chunks and branches. */
bool verify_plan_split(VerifyPlan *plan, unsigned jobs, VerifyResult *result,
                       Error *err) MUST_CHECK;
void verify_plan_free(VerifyPlan *plan);

size_t verify_plan_find(const VerifyPlan *plan, Timeline timeline, SegNo segno);
const VerifyLine *verify_plan_line(const VerifyPlan *plan, Timeline timeline);
/* The timeline whose WAL lies at `lsn` on this line; 0 when that is not known. */
Timeline verify_line_at(const VerifyLine *line, Lsn lsn);

/* The form that is checked: the one a restore would take. */
bool verify_entry_is_partial(const VerifyEntry *entry);
WalCompression verify_entry_form(const VerifyEntry *entry);
const char *verify_entry_name(const VerifyPlan *plan, const VerifyEntry *entry,
                              char buffer[WAL_FILE_NAME_SIZE]);

/* A scan over pages ----------------------------------------------------------------------------
 */

typedef struct VerifyScan {
    /* results */
    Lsn first;        /* the first record or damage, LSN_INVALID while none */
    uint64_t records; /* proven */
    /* private */
    const VerifyPlan *plan;
    VerifyFound *found;
    const VerifyLine *line;
    WalScanner scanner;
    Lsn scan_begin;
    Lsn position; /* next byte to come */
    Lsn segment;  /* start of the file's segment */
    bool partial;
    bool reading_on; /* the pages belong to another scan too: only the WAL's links are asked for */
    char file[WAL_FILE_NAME_SIZE];
    char previous_file[WAL_FILE_NAME_SIZE];
    bool broken; /* `damage` is open: nothing was proven since */
    bool whole;  /* ... and what is wrong was all there, so that it is no torn end */
    Lsn met;     /* ... and the page on which that was seen */
    VerifyProblem damage;
    Lsn resume;   /* where the scan went on behind a bad checksum, else LSN_INVALID */
    Lsn given_up; /* the newest page before which a record was given up */
    bool ended;   /* `tail` is final */
    VerifyTail tail;
    size_t gathered;
    uint8_t page[WAL_PAGE_SIZE];
} VerifyScan;

void verify_scan_begin(VerifyScan *scan, const VerifyPlan *plan, VerifyFound *found, Lsn start);
/* The next bytes are those of this file, from its segment's start on. */
void verify_scan_file(VerifyScan *scan, const VerifyLine *line, const char *name, Lsn start,
                      bool partial);
void verify_scan_feed(VerifyScan *scan, const uint8_t *data, size_t length);
/* No more bytes come of this file. Only behind this call is `position` behind all of them. */
void verify_scan_flush(VerifyScan *scan);
/* The rest of the file's segment is not to be had, which is damage. */
void verify_scan_cut(VerifyScan *scan, const char *message, const char *detail);
/* The file is not to be had, which the caller has told. */
void verify_scan_skip(VerifyScan *scan);
/* The end of the last file: fills scan->tail, once. Torn WAL at the end of a partial is no damage.
 */
void verify_scan_end(VerifyScan *scan);
/* Has a record begun whose end has not come, with nothing wrong so far? */
bool verify_scan_is_open(const VerifyScan *scan);
/* Is WAL proven beyond `lsn`, with nothing open? */
bool verify_scan_passed(const VerifyScan *scan, Lsn lsn);

/* Work ----------------------------------------------------------------------------------------- */

typedef struct VerifyWork {
    const VerifyOptions *options;
    VerifyPlan plan;
    VerifyResult *result;
    atomic_size_t next_chunk;
    atomic_uint_least64_t bytes;
    pthread_mutex_t mutex; /* the rest */
    pthread_cond_t finished;
    unsigned running;
    VerifyFound found;
    Error failure; /* of memory: ends all */
} VerifyWork;

void verify_work_fail(VerifyWork *work, const Error *error);

/* Feeds an entry's file to the scan; up to a record beyond `enough` only, unless it is
 * LSN_INVALID. False when the work failed. */
bool verify_read_entry(VerifyWork *work, VerifyScan *scan, const VerifyEntry *entry,
                       Lsn enough) MUST_CHECK;
/* The same for one form of it, if it is still there. */
bool verify_read_form(VerifyWork *work, VerifyScan *scan, const VerifyEntry *entry,
                      WalCompression form, bool partial, Lsn enough, bool *ret_gone) MUST_CHECK;

/* Scans a chunk. */
bool verify_chunk_run(VerifyWork *work, const VerifyChunk *chunk, VerifyFound *found) MUST_CHECK;

/* Compares what two files unpack to, up to `limit` bytes; a difference is a problem. */
bool verify_compare(VerifyWork *work, const char *first, WalCompression first_form,
                    const char *second, WalCompression second_form, uint64_t limit,
                    const VerifyEntry *entry, VerifyFound *found) MUST_CHECK;
/* The other forms of an entry. */
bool verify_compare_forms(VerifyWork *work, const VerifyEntry *entry,
                          VerifyFound *found) MUST_CHECK;
/* Each timeline's first segment with its parent's, up to where it left. */
bool verify_compare_timelines(VerifyWork *work, VerifyFound *found) MUST_CHECK;

/* Fills result->gaps. */
bool verify_gaps_find(VerifyWork *work, Error *err) MUST_CHECK;
