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

typedef struct PartialExpansion {
    bool damaged;   /* not all of it could be decompressed: only `bytes` count */
    bool differs;   /* from bytes that the raw partial holds too: the raw one stays as it was */
    uint64_t bytes; /* decompressed */
} PartialExpansion;

/* Merges a compressed partial into the raw `.partial` of the segment. Without a raw one it becomes
 * that. When one holds the beginning of the other (zeros at the end do not count), the longer one
 * is the raw partial from then on. The compressed one goes after the raw one is durable; one that
 * is damaged or differs goes to the quarantine instead, which the caller tells. */
bool partial_expand(const Archive *archive, Timeline timeline, SegNo segno, WalCompression from,
                    PartialExpansion *ret, Error *err) MUST_CHECK;

/* Where the content of the raw `.partial` ends: behind its last byte that is not zero. */
bool partial_content_end(const Archive *archive, Timeline timeline, SegNo segno, uint64_t *ret_end,
                         Error *err) MUST_CHECK;
