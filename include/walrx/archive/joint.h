/* SPDX-License-Identifier: PostgreSQL
 *
 * Does the WAL that comes first continue what is archived? Where receiving starts right behind a
 * complete segment, there are no open bytes to compare with. The WAL itself tells: its first record
 * names the one before it, and a record that began in the archived segment has one checksum over
 * both parts. So the archived segment is scanned, and the scan goes on over what is received until
 * one record behind the joint is proven.
 *
 * It finds a server that was restored on the same timeline and has passed the archive's end.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"
#include "walrx/proto/walscan.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct Joint {
    bool active;     /* received bytes are to be fed */
    Error unchecked; /* class ERROR_NONE, or why the archived segment could not be followed */
    /* private */
    const Archive *archive;
    Lsn lsn;                       /* the end of the archived segment */
    char name[WAL_FILE_NAME_SIZE]; /* its file */
    WalScanner scanner;
} Joint;

/* Scans the complete segment before `lsn`, a segment's start, in whatever form it is there. None
 * on this timeline: not active. One that cannot be read, or whose WAL ends or breaks before its
 * end: not active, and ret->unchecked says so. `archive` must live as long as *ret. */
bool joint_prepare(const Archive *archive, Timeline timeline, Lsn lsn, Joint *ret,
                   Error *err) MUST_CHECK;

/* The next bytes received, in order from `lsn` on, while active. False with ERROR_ARCHIVE: they do
 * not continue the archived segment. */
bool joint_feed(Joint *joint, const void *data, size_t length, Error *err) MUST_CHECK;
