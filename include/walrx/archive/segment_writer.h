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
#include "walrx/archive/partial.h"
#include "walrx/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_BLOCK 4096 /* unit of direct writes */

typedef struct SegmentWriter {
    const Archive *archive;
    bool direct; /* O_DIRECT works here; turned off the first time it does not */
    Timeline timeline;
    SegNo segno; /* of the open file; meaningful when fd >= 0 */
    int fd;
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

/* Writes up to `end` (beyond position, at most the extent's edge). `data` holds the bytes from
 * position rounded down to WRITER_BLOCK. Opens or creates the file first; a created one has its
 * full size, and its directory entry is durable, before a byte is written. */
bool writer_write(SegmentWriter *writer, const uint8_t *data, Lsn end, Error *err) MUST_CHECK;

/* Everything written is durable on return. */
bool writer_sync(SegmentWriter *writer, Error *err) MUST_CHECK;

/* At a segment's end: syncs, gives the final name, syncs the directory. When the segment exists
 * already in any form: identical, the newcomer goes (*ret_new false); different, it goes to
 * quarantine (ERROR_ARCHIVE). */
bool writer_complete(SegmentWriter *writer, bool *ret_new, Error *err) MUST_CHECK;

/* The segment at position, of which nothing was written, gets into the archive another way. */
void writer_skip_segment(SegmentWriter *writer);

/* Syncs and closes the open file, which stays .partial. */
bool writer_close(SegmentWriter *writer, Error *err) MUST_CHECK;
