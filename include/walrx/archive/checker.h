/* SPDX-License-Identifier: PostgreSQL
 *
 * Checks WAL while it arrives: page headers, record lengths, xl_prev links and CRCs, in the order
 * of the log, by a thread of its own that reads the ring. Bytes stay in the ring until they were
 * checked.
 *
 * One scanner goes over everything, so no record and no link at a joint of pieces escapes it; it is
 * several times faster than a disk (docs/decisions/0011).
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"
#include "walrx/base/ring.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum VerifyMode {
    VERIFY_OFF,
    VERIFY_ON,   /* damage is told and counted, and archived as it is */
    VERIFY_STOP, /* damage ends the stream before it is acknowledged */
} VerifyMode;

/* Since the checker was opened. */
typedef struct CheckCounts {
    uint64_t records;
    uint64_t faults;
    Lsn latest_fault; /* LSN_INVALID: none */
} CheckCounts;

typedef struct Checker Checker;
struct Indexer;

/* `indexer`: gets what each segment holds; NULL: nobody wants to know. `moved` is called by the
 * checking thread when checker_position moved or a fault must end the stream. `ring` outlives the
 * checker. */
bool checker_open(const Archive *archive, const Ring *ring, VerifyMode mode,
                  struct Indexer *indexer, void (*moved)(void *context), void *context,
                  Checker **ret, Error *err) MUST_CHECK;
/* Begins at a segment's start, after checker_open or checker_rest. */
void checker_start(Checker *checker, Timeline timeline, Lsn lsn);
/* On return nothing reads the ring any more, until checker_start. */
void checker_rest(Checker *checker);
/* A full extent is in the ring. */
void checker_poke(Checker *checker);
/* Everything received below `lsn` is checked on return, by the caller where the thread is not at
 * it. Ends early at a fault that ends the stream. */
void checker_reach(Checker *checker, Lsn lsn);

/* What lies below is no longer needed. */
Lsn checker_position(const Checker *checker);
/* What may be acknowledged: VERIFY_STOP only up to the last record that is whole and right. */
Lsn checker_safe(const Checker *checker);
/* VERIFY_STOP: has a fault ended the stream? ERROR_ARCHIVE. */
bool checker_fault(Checker *checker, Error *ret);
CheckCounts checker_counts(Checker *checker);

void checker_close(Checker *checker); /* NULL is fine */
