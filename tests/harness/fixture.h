/* SPDX-License-Identifier: PostgreSQL
 *
 * An archive to test with: a scratch directory, opened through fake_files and bound to the cluster
 * of the WAL that walmaker.h makes, with segments of 1 MB; and that WAL.
 */
#pragma once

#include "scratch.h"

#include "walrx/archive/archive.h"

#define FIXTURE_SIZE SEGMENT_SIZE_MIN
#define FIXTURE_SEGNO 5 /* the WAL begins with this segment */
#define FIXTURE_START ((Lsn)FIXTURE_SEGNO * FIXTURE_SIZE)
#define FIXTURE_LENGTH (5 * (size_t)FIXTURE_SIZE)
#define FIXTURE_END (FIXTURE_START + FIXTURE_LENGTH)

typedef struct Fixture {
    char path[SCRATCH_PATH_SIZE];
    Archive archive;
    Error error;
} Fixture;
extern Fixture fixture;

/* As cmocka's setup and teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* The byte at a position, and all that follow. */
const uint8_t *fixture_wal(Lsn lsn);
/* The start of the first record at or behind lsn; the end of the last one that ends at or before
 * it. */
Lsn fixture_record_from(Lsn lsn);
Lsn fixture_record_before(Lsn lsn);
/* How many records begin and end in there. */
size_t fixture_records(Lsn begin, Lsn end);

/* The name of a segment of timeline 1; valid until the eighth call after this one. */
const char *fixture_name(SegNo segno, WalCompression form, bool partial);

/* Writes `length` bytes at `data` in that form under the name of the segment. */
void fixture_archive(SegNo segno, WalCompression form, bool partial, const void *data,
                     size_t length);
/* Is there a file of that form with just these bytes? */
bool fixture_holds(SegNo segno, WalCompression form, bool partial, const void *data, size_t length);
