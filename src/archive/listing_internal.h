/* SPDX-License-Identifier: PostgreSQL
 *
 * The parts of the listing: its files (listing.c), what follows from their names
 * (listing_ranges.c), from the history files (listing_branches.c), and from WAL
 * (listing_commits.c).
 */
#pragma once

#include "walrx/archive/branch.h"
#include "walrx/archive/listing.h"

/* One file of a segment. */
typedef struct ListedFile {
    SegNo segno;
    uint64_t disk_bytes;
    Timeline timeline;
    uint8_t form; /* WalCompression */
    bool partial;
} ListedFile;

typedef struct FileList {
    ListedFile *items; /* by timeline, segment, complete ones first, form */
    size_t count;
    size_t capacity;
} FileList;

void file_list_sort(FileList *list);

/* Looks for a complete segment by its names, now; adds what is there. *ret_found tells. */
bool listing_look_again(const Archive *archive, FileList *files, Timeline timeline, SegNo segno,
                        bool *ret_found, Error *err) MUST_CHECK;

/* Timelines, ranges, open segments, totals. */
bool listing_ranges(const Archive *archive, FileList *files, Listing *listing,
                    Error *err) MUST_CHECK;

/* Where timelines were left, the current branch, all gaps. branch_free frees *ret. */
bool listing_branches(const Archive *archive, Listing *listing, Branch *ret, Error *err) MUST_CHECK;

/* How far open segments are proven, and the commit times. */
bool listing_commits(const Archive *archive, const Branch *branch, Listing *listing,
                     Error *err) MUST_CHECK;

/* Room for one more; false when there is no memory. */
bool listing_grow(void **items, size_t *capacity, size_t count, size_t item_size,
                  Error *err) MUST_CHECK;

/* Keeps the first. */
void listing_unreadable(Listing *listing, const Error *why);
