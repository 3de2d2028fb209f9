/* SPDX-License-Identifier: PostgreSQL
 *
 * What each complete segment holds, in a few hundred bytes: so that a time, a restore point or a
 * transaction is found, and statistics over any range are given, without decoding the archive.
 *
 * Lies in .walrx/index/, one file per timeline and 4 GB of WAL (TTTTTTTTXXXXXXXX), entries appended
 * as segments complete, each with a CRC. It is a cache: what is missing, torn or damaged is made
 * again from the WAL; deleting it loses nothing. An entry counts only while its segment is there,
 * and its file has the time of the last change that the entry names (compression keeps it). A
 * record belongs to the segment in which it ends (walk.h).
 *
 * Threads: an IndexBuilder belongs to one thread. Reading needs no lock.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/branch.h"
#include "walrx/archive/walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_RMGRS 256
#define INDEX_POINTS_MAX 16 /* restore points kept per segment; of more the segment is read */

typedef struct IndexCounts {
    uint64_t records;
    uint64_t bytes;       /* xl_tot_len */
    uint64_t image_bytes; /* of them, full page images, as pg_waldump --stats counts them */
} IndexCounts;

/* The end of a transaction: of a commit or an abort, prepared ones too. Recovery stops at these. */
typedef struct IndexEnd {
    Lsn lsn; /* LSN_INVALID: there is none */
    PgTime time;
} IndexEnd;

typedef struct IndexPoint {
    Lsn lsn;
    Lsn end;
    PgTime time;
    char name[WAL_RESTORE_POINT_NAME_SIZE];
} IndexPoint;

typedef struct IndexEntry {
    Timeline timeline;
    SegNo segno;
    int64_t modified;  /* when the content of the segment's file last changed (file_modified) */
    bool head_unknown; /* begins inside a record whose beginning was not seen */
    Lsn first_record;  /* of those that end here; LSN_INVALID: none does */
    Lsn last_end;      /* behind the last */
    uint64_t commits;
    uint64_t aborts;
    IndexEnd first_commit; /* by position */
    IndexEnd last_commit;
    PgTime oldest;    /* of all transaction ends: times do not ascend strictly with positions */
    PgTime newest;    /* both 0 where commits + aborts is 0 */
    uint32_t xid_low; /* the range of their XIDs, as serial numbers modulo 2^32 */
    uint32_t xid_high;
    uint32_t point_count; /* restore points; the first INDEX_POINTS_MAX follow */
    IndexPoint points[INDEX_POINTS_MAX];
    IndexCounts rmgrs[INDEX_RMGRS]; /* by resource manager ID */
} IndexEntry;

/* Building: feed records in order, take the entry at the segment's end. */
typedef struct IndexBuilder {
    IndexEntry entry;
    WalTally tally[WAL_TALLIES]; /* of scanned records, until index_end */
    uint16_t magic;              /* of the latest page, */
    int major;                   /* and what that means */
} IndexBuilder;
void index_begin(IndexBuilder *builder, Timeline timeline, SegNo segno);
void index_record(IndexBuilder *builder, const WalkRecord *record);
/* The same, as a scanner with a collector tells its records (WalRecordVisit), which may leave most
 * of them in builder->tally, but not the first. */
void index_scanned(IndexBuilder *builder, const WalScanner *scanner, const uint8_t *body,
                   size_t length);
/* The scanner is at the segment's end: the entry is complete. */
void index_end(IndexBuilder *builder, const WalScanner *scanner);
/* Which bodies index_record wants to see. */
bool index_wants(const WalRecordHeader *header);

/* Looks when the segment's file, whatever its form, was last changed. *ret_exists false: there is
 * none. */
bool index_date(const Archive *archive, IndexEntry *entry, bool *ret_exists, Error *err) MUST_CHECK;

/* Appends; not synced, for it can be made again. An error here must never stop receiving. The last
 * entry of a segment counts. */
bool index_append(const Archive *archive, const IndexEntry *entry, Error *err) MUST_CHECK;

typedef struct IndexUse {
    uint64_t from_index;
    uint64_t from_wal; /* had to be read */
    uint64_t kept;     /* of those, written into the index; 0 where it may not be written */
} IndexUse;

/* The entries of the segments `from` to `to` of the branch, in order; a partial's at the end,
 * always from its WAL. What the index lacks is read from the WAL and kept where the directory may
 * be written. `visit` returns false to end. ERROR_ARCHIVE: damage, as walk_branch. */
bool index_visit(const Archive *archive, const Branch *branch, SegNo from, SegNo to,
                 bool (*visit)(void *context, const IndexEntry *entry), void *context,
                 IndexUse *ret_use, Error *err) MUST_CHECK;

/* Removes index files all of whose segments lie before `segno` (any timeline); after pruning. */
bool index_forget(const Archive *archive, SegNo segno, Error *err) MUST_CHECK;
