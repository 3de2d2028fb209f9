/* SPDX-License-Identifier: PostgreSQL
 *
 * Segments that are being compressed straight from the ring, in WAL order: until its job is over a
 * segment's bytes stay in the ring, and what was not durable as a raw file gets its final name only
 * when everything before it has one. (A crash must not leave a later segment without an earlier
 * one: start-up would not see the hole.) Private to src/archive; belongs to the store thread.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/compressor.h"
#include "walrx/base/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct PackedSegment {
    CompressTicket ticket;
    Timeline timeline;
    SegNo segno;
    bool has_raw;
} PackedSegment;

typedef struct Packing {
    const Archive *archive;
    Compressor *compressor;
    PackedSegment *segments; /* a ring of `capacity` */
    size_t capacity;
    size_t head;
    size_t count;
    size_t without_raw; /* of them, how many are not durable yet */
    bool withdrawn;     /* they are no longer wanted */
} Packing;

bool packing_init(Packing *packing, const Archive *archive, Compressor *compressor, size_t capacity,
                  Error *err) MUST_CHECK;
void packing_deinit(Packing *packing);

/* Hands a whole segment to the workers. There must be room. False when a worker failed. */
bool packing_add(Packing *packing, Timeline timeline, SegNo segno, const uint8_t *memory,
                 bool has_raw, Error *err) MUST_CHECK;

/* Takes the oldest segment out when its job is over (*ret_retired), after giving a copy without raw
 * file its final name: then everything up to *ret_end is durable. */
bool packing_retire(Packing *packing, bool *ret_retired, Lsn *ret_end, Error *err) MUST_CHECK;

/* Nobody waits for the workers any longer: what they have not finished is given up. Once no job is
 * busy and packing_retire takes nothing more out, packing_drop takes out what is left, all of it
 * without raw file, and tells where it begins; nothing left, *ret_begin stays. */
void packing_withdraw(Packing *packing);
bool packing_drop(Packing *packing, Lsn *ret_begin, Error *err) MUST_CHECK;

/* Is some job still using the ring's memory? */
bool packing_busy(const Packing *packing);
