/* SPDX-License-Identifier: PostgreSQL
 *
 * From the ring to durable segments: the store thread. The stream thread fills the ring and asks
 * for flushes; it never waits for the disk here (store_start and store_finish are the exceptions,
 * outside streaming, and store_flush_here).
 *
 *   stream thread                          store thread
 *   store_reserve / store_publish  ──ring──► writes full extents at once
 *   store_request_write            ───────► writes the tail
 *   store_request_flush            ───────► writes the tail, fdatasync
 *   store_flush_here                         the same, while the thread sleeps
 *   store_positions  ◄──atomics, bell──────  written, flushed, failed
 *
 * A checker (checker.h) reads what is in the ring, too. With VERIFY_STOP flush moves only over what
 * it found right, and damage fails the store (ERROR_ARCHIVE) once everything before it is durable.
 *
 * A full disk, or one with less than archive->min_free, is a pause, not a failure: the ring fills,
 * and what was refused is tried again until there is room (room.h). Only a sync that failed is
 * final.
 *
 * flush <= write <= received at every moment. Only store_advance_flush (store_step.c) moves flush,
 * after the bytes and the directory entry are durable; it never moves back, whatever happens.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/checker.h"
#include "walrx/archive/compressor.h"
#include "walrx/archive/partial.h"
#include "walrx/base/error.h"
#include "walrx/os/wakeup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Store Store;

typedef struct StorePositions {
    Lsn received; /* in the ring */
    Lsn written;  /* handed to the kernel */
    Lsn flushed;  /* durable; LSN_INVALID until something of this start is */
    bool failed;  /* store_error tells; nothing moves any more */
    bool no_room; /* the store waits for room on the disk; store_error tells more */
    bool packing; /* what is in the ring waits for the workers, not for the disk */
} StorePositions;

/* memory: bytes for the ring, at least two extents; with a compressor and room for two segments or
 * more, whole segments are compressed from it. compressor may be NULL. `bell` is rung whenever a
 * position moved that someone waits for (a requested flush, a full ring, a failure). All are
 * borrowed and outlive the store. */
bool store_open(const Archive *archive, size_t memory, Compressor *compressor, VerifyMode verify,
                const Bell *bell, Store **ret, Error *err) MUST_CHECK;

/* Begins at a segment's start: the first time, or again after store_finish. `flushed`: how far the
 * WAL of this timeline's history is known to be durable already (LSN_INVALID: not known); flushed
 * starts there, even when the bytes from `lsn` on arrive again. */
void store_start(Store *store, Timeline timeline, Lsn lsn, const PartialTrust *trust, Lsn flushed);

/* Where the next WAL bytes go; NULL when the ring is full: then stop reading and wait for the bell.
 */
uint8_t *store_reserve(Store *store, size_t *ret_length);
void store_publish(Store *store, size_t length);

/* Wants everything received so far to be durable; returns at once. */
void store_request_flush(Store *store);

/* As store_request_flush, but the caller does it, and it is done on return: where that is one small
 * write and one sync, on a disk that was quick so far, and the store thread sleeps. Two threads
 * need not be woken then for one commit. False: none of that holds, nothing was done. A failure
 * shows in the positions. */
bool store_flush_here(Store *store);

/* Wants everything received so far handed to the kernel; returns at once. */
void store_request_write(Store *store);

StorePositions store_positions(const Store *store);

/* Writes and syncs everything received, closes the open segment as .partial. Waits, but not for
 * room on the disk: ERROR_NO_ROOM when some of it is not durable and was dropped; store_start may
 * follow. */
bool store_finish(Store *store, Error *err) MUST_CHECK;

/* What the checker has seen since store_open; zeros with VERIFY_OFF. */
CheckCounts store_checks(Store *store);

/* The error behind `failed`, or behind `no_room`. */
void store_error(Store *store, Error *ret);

/* Ends the thread without writing anything more; NULL is fine. */
void store_close(Store *store);
