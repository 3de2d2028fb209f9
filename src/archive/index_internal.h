/* SPDX-License-Identifier: PostgreSQL
 *
 * The parts of the index: entries as bytes (index_entry.c), the files they lie in (index_file.c),
 * and what is made of both (index.c).
 */
#pragma once

#include "walrx/archive/index.h"

#define INDEX_DIR "index"
#define INDEX_NAME_SIZE 24 /* TTTTTTTTXXXXXXXX and its NUL */
/* Longest entry: the fixed part, 256 resource managers, 16 restore points, the CRC. */
#define INDEX_ENTRY_MAX 8192

/* Returns the length. */
size_t index_encode(const Archive *archive, const IndexEntry *entry,
                    uint8_t buffer[INDEX_ENTRY_MAX]);

/* What is known of an entry before it is decoded. */
typedef struct IndexPlace {
    size_t begin;
    size_t length;
    Timeline timeline;
    SegNo segno;
} IndexPlace;

/* The first entry at or behind `at` that is whole and of this archive; whatever lies before it is
 * passed over. False: there is none. */
bool index_next(const Archive *archive, const uint8_t *bytes, size_t length, size_t at,
                IndexPlace *ret);
/* False: it contradicts itself. */
bool index_decode(const uint8_t *bytes, size_t length, IndexEntry *ret);

/* One file of the index, as it was when it was read. All zeros is one that was not read. */
typedef struct IndexFile {
    Timeline timeline;
    uint32_t log; /* the upper half of its positions */
    bool loaded;
    uint8_t *bytes;
    size_t length;
    uint32_t *places; /* by segment: 1 + where its last entry begins, 0: there is none */
    int form;         /* WalCompression of the segment that was looked for last */
} IndexFile;

/* The entry of a segment; loads the file it lies in unless that was the last one. False: there is
 * none, or the index cannot be read, which is the same. */
bool index_file_find(IndexFile *file, const Archive *archive, Timeline timeline, SegNo segno,
                     IndexEntry *ret);
void index_file_free(IndexFile *file);

/* When the segment's file was last changed. `hint`: the form to try first, then the one found. */
bool index_file_date(const Archive *archive, Timeline timeline, SegNo segno, int *hint,
                     bool *ret_exists, int64_t *ret_ns, Error *err) MUST_CHECK;

/* The entry of a segment of the branch that can be believed: it is there, its segment's file has
 * not changed since, and no record at its beginning is unknown that the branch knows. */
bool index_find(IndexFile *file, const Archive *archive, const Branch *branch, Timeline timeline,
                SegNo segno, IndexEntry *ret);
