/* SPDX-License-Identifier: PostgreSQL
 *
 * Reads WAL of a branch in order and hands out its records: what index, find and statistics are
 * made from. Memory does not grow with the range.
 *
 * A record belongs to the segment in which it ends. The walk begins early enough to see the
 * beginning of a record that ends in the first segment, where the archive has it.
 */
#pragma once

#include "walrx/archive/branch.h"
#include "walrx/proto/walrecord.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct WalkRecord {
    Lsn lsn;           /* where it begins */
    Lsn end;           /* behind it, MAXALIGNed: where recovery is after it */
    Timeline timeline; /* of the file it ends in */
    SegNo segno;       /* in which it ends */
    int major;         /* of the server that wrote it */
    const WalRecordHeader *header;
    const uint8_t *body; /* the first `length` bytes behind the header, at most WAL_RECORD_HEAD_SIZE
                          */
    size_t length;
} WalkRecord;

typedef struct WalkVisit {
    /* Which bodies are wanted: NULL gives only headers, which is quicker. */
    bool (*wants)(const WalRecordHeader *header);
    /* False ends the walk, which is no error. */
    bool (*record)(void *context, const WalkRecord *record);
    /* The segment is read to its end. `head_unknown`: it begins inside a record whose beginning the
     * archive does not have. May be NULL. False ends the walk. */
    bool (*segment)(void *context, Timeline timeline, SegNo segno, bool head_unknown);
    void *context;
} WalkVisit;

/* The segments `from` to `to` of the branch; those it does not have are passed over. *ret_end: the
 * end of the last proven record. ERROR_ARCHIVE naming file and place: damage, or WAL that ends
 * inside a complete segment without a switch; the end of the WAL in a partial is none. */
bool walk_branch(const Archive *archive, const Branch *branch, SegNo from, SegNo to,
                 const WalkVisit *visit, Lsn *ret_end, Error *err) MUST_CHECK;
