/* SPDX-License-Identifier: PostgreSQL
 *
 * The segments that lie on the history of one timeline, from the oldest WAL to the newest: what a
 * server that recovers along that timeline would read.
 *
 * Of each ancestor the segments before the one in which it was left; the next timeline begins with
 * a copy of that segment. The open segment (a partial) of the target timeline is the last one.
 */
#pragma once

#include "walrx/archive/listing.h"

#include <stdbool.h>
#include <stddef.h>

/* Consecutive segments of one timeline. */
typedef struct BranchSpan {
    Timeline timeline;
    SegNo first;
    SegNo last;
    bool joined;  /* continues the span before it without a hole */
    bool partial; /* it is one segment, and only its partial exists */
} BranchSpan;

typedef struct Branch {
    Timeline target;
    BranchSpan *spans; /* oldest first */
    size_t count;
} Branch;

/* `target` 0: the newest timeline of the listing that has WAL. ERROR_USAGE: the archive has no WAL
 * of that timeline. ERROR_ARCHIVE: its history file is missing or cannot be read. Free with
 * branch_free, also after failure. */
bool branch_make(const Archive *archive, const Listing *listing, Timeline target, Branch *ret,
                 Error *err) MUST_CHECK;
void branch_free(Branch *branch);

/* The span that holds the segment; NULL: a hole, or outside. */
const BranchSpan *branch_find(const Branch *branch, SegNo segno);
