/* SPDX-License-Identifier: PostgreSQL
 *
 * The parts of finding: the rules by which recovery stops (find_rules.c), the place on one branch
 * (find_search.c), what lies around it (find_around.c), the words (find_reason.c), and the same
 * target on other branches (find_other.c). Private to src/restore.
 */
#pragma once

#include "walrx/archive/index.h"
#include "walrx/archive/walk.h"
#include "walrx/restore/find.h"

/* Where WAL comes from: the archive, or a test. */
typedef struct FindSource FindSource;
typedef bool (*FindEntryVisit)(void *context, const IndexEntry *entry);
struct FindSource {
    const Branch *branch;
    uint32_t segment_size;
    /* As index_visit and walk_branch. */
    bool (*entries)(const FindSource *source, SegNo from, SegNo to, FindEntryVisit visit,
                    void *context, Error *err);
    bool (*records)(const FindSource *source, SegNo from, SegNo to, const WalkVisit *visit,
                    Lsn *ret_end, Error *err);
    const void *context;
};

/* Consecutive segments of the branch, whatever their timelines: what one recovery can replay. */
typedef struct FindRun {
    SegNo first;
    SegNo last;
    Timeline timeline; /* of the first */
} FindRun;

/* The run that begins with span `at`; *ret_next: the span behind it. */
FindRun find_run(const Branch *branch, size_t at, size_t *ret_next);

/* Rules. `event` is WAL_EVENT_NONE for other records. */
bool find_stops_before(const FindTarget *target, Lsn lsn, const WalEvent *event);
bool find_stops_after(const FindTarget *target, Lsn lsn, const WalEvent *event);
bool find_is_end(const WalEvent *event); /* of a transaction */
/* False: the segment does not hold the record at which recovery stops. */
bool find_entry_may_stop(const FindTarget *target, const IndexEntry *entry);
/* Restore points of that name; *ret_more: there may be others. */
uint64_t find_entry_points(const FindTarget *target, const IndexEntry *entry, bool *ret_more);

FindPlace find_place(const FindSource *source, const WalkRecord *record, const WalEvent *event);
/* The event of a record; of any other kind, WAL_EVENT_NONE. */
bool find_event(const WalkRecord *record, WalEvent *ret, Error *err);
bool find_wants(const WalRecordHeader *header);

/* All but other_timeline and the neighbours but `last` and `next`. */
bool find_on_branch(const FindSource *source, const FindTarget *target, FindResult *ret,
                    Error *err) MUST_CHECK;

/* Where the WAL of a run ends: *ret_segno the last segment in which a record ends; LSN_INVALID:
 * none does. */
bool find_run_end(const FindSource *source, const FindRun *run, SegNo *ret_segno, Lsn *ret_end,
                  Error *err) MUST_CHECK;
/* The end of the record before the first one of segment `segno`; LSN_INVALID: it is the first. */
bool find_end_before(const FindSource *source, const FindRun *run, SegNo segno, Lsn *ret,
                     Error *err) MUST_CHECK;

/* The events around a place in a run, into ret->before and ->after, ->last and ->next. Those up to
 * `lsn` lie before it; `including`: that at `lsn` too. */
typedef struct FindPoint {
    SegNo segno;
    Lsn lsn;
    bool including;
} FindPoint;
bool find_around(const FindSource *source, const FindTarget *target, const FindRun *run,
                 const FindPoint *point, FindResult *ret, Error *err) MUST_CHECK;

/* Fill ret->reason by ret->outcome. */
typedef struct FindFacts {
    bool has_end; /* any end of a transaction was seen */
    PgTime newest;
    bool from_missing; /* the archive does not have where recovery begins */
    uint32_t segment_size;
    const Branch *branch;
    FindRun before_gap; /* with FIND_IN_GAP */
    FindRun behind_gap;
} FindFacts;
void find_reason(const FindTarget *target, const FindFacts *facts, FindResult *ret);

/* Looks on the branches of other timelines. */
bool find_other(const Archive *archive, const Listing *listing, const FindTarget *target,
                FindResult *ret, Error *err) MUST_CHECK;
FindSource find_source(const Archive *archive, const Branch *branch);
