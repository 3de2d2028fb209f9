/* SPDX-License-Identifier: PostgreSQL
 *
 * The open segment: bytes go into TTTTTTTTXXXXXXXXYYYYYYYY.partial at their place, and the file
 * gets its final name when it is complete and durable. Belongs to one thread (the store thread).
 *
 * What an earlier run proved durable is not written again but compared: a difference is a
 * divergence (ERROR_ARCHIVE, nothing overwritten). That holds for the partial the stream starts at
 * and for any it meets later.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/direct_file.h"
#include "walrx/archive/partial.h"
#include "walrx/archive/spare.h"
#include "walrx/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_BLOCK 4096 /* unit of direct writes */
/* The most that is written in one call. The kernel cuts it into requests that are under way
 * together, so the disk is never without one; more than this gains nothing (decision 9). */
#define WRITER_MAX ((size_t)4 << 20)

typedef struct SegmentWriter {
    const Archive *archive;
    DirectMode mode;
    bool told_buffered;
    Spare spare;
    Timeline timeline;
    SegNo segno; /* of the open file; meaningful when fd >= 0 */
    int fd;
    bool entry_durable; /* a power cut cannot take the open file's name */
    unsigned syncs;     /* of the open file */
    Lsn zeroed_end;     /* the open file's blocks up to here are more than allocated */
    char partial_name[WAL_FILE_NAME_SIZE];
    Lsn position;     /* next byte to write */
    Lsn reopened_end; /* below: the file is of an earlier run and keeps what lies behind our end */
    Lsn proven_begin; /* [begin, end): compare instead of write */
    Lsn proven_end;
    uint8_t *bounce; /* one extent of aligned memory, owned */
} SegmentWriter;

bool writer_init(SegmentWriter *writer, const Archive *archive, Error *err) MUST_CHECK;
void writer_deinit(SegmentWriter *writer);

/* Starts at `lsn`, the start of a segment of `timeline`. `trust` describes an existing .partial of
 * that segment. Opens nothing yet. */
void writer_start(SegmentWriter *writer, Timeline timeline, Lsn lsn, const PartialTrust *trust);

/* How much space the next write will take of the disk: where it begins a file, all of it. */
bool writer_needs(const SegmentWriter *writer, uint64_t *ret, Error *err) MUST_CHECK;

/* Writes up to `end` (beyond position, at most WRITER_MAX behind its block, not beyond the
 * segment). `data` holds the bytes from position rounded down to WRITER_BLOCK. Opens or creates the
 * file first, at its full size. After ERROR_NO_ROOM it may be called again with the same. */
bool writer_write(SegmentWriter *writer, const uint8_t *data, Lsn end, Error *err) MUST_CHECK;

/* Everything written is durable on return, the name of the file too. */
bool writer_sync(SegmentWriter *writer, Error *err) MUST_CHECK;

/* At a segment's end: syncs, gives the final name, syncs the directory. When the segment exists
 * already in any form: identical, the newcomer goes (*ret_new false); different, it goes to
 * quarantine (ERROR_ARCHIVE). After ERROR_NO_ROOM it may be called again. */
bool writer_complete(SegmentWriter *writer, bool *ret_new, Error *err) MUST_CHECK;

/* The segment at position, of which nothing was written, gets into the archive another way. */
void writer_skip_segment(SegmentWriter *writer);

/* Something to do while nothing is to be written: a step of some 100 us that makes a later write
 * or sync cheaper. *ret_worked false when there is nothing left. */
bool writer_can_prepare(const SegmentWriter *writer);
bool writer_prepare(SegmentWriter *writer, bool *ret_worked, Error *err) MUST_CHECK;

/* Syncs and closes the open file, which stays .partial. */
bool writer_close(SegmentWriter *writer, Error *err) MUST_CHECK;
