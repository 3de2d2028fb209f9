/* SPDX-License-Identifier: PostgreSQL
 *
 * The open segment a former run left behind: what of it can be trusted, and the compressed form
 * that pg_receivewal leaves after a clean stop.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"

#include <stdbool.h>

typedef struct PartialTrust {
    bool exists;
    /* Every byte of [proven_begin, proven_end) belongs to a whole record with the right CRC; equal
     * when nothing is proven. Bytes before are the tail of a record that began in an earlier
     * segment. */
    Lsn proven_begin;
    Lsn proven_end;
} PartialTrust;

/* Looks at the raw `.partial` of a segment. A wrong size is mended (cut, or extended with zeros)
 * and told in *ret_old_size (otherwise the segment size). On return what the file holds is durable.
 */
bool partial_examine(const Archive *archive, Timeline timeline, SegNo segno, PartialTrust *ret,
                     uint64_t *ret_old_size, Error *err) MUST_CHECK;

/* Makes a raw `.partial` out of a compressed one when there is no raw one; the compressed one goes
 * after the raw one is durable. What cannot be decompressed any more is left out: the bytes before
 * it count. */
bool partial_expand(const Archive *archive, Timeline timeline, SegNo segno, WalCompression from,
                    Error *err) MUST_CHECK;
