/* SPDX-License-Identifier: PostgreSQL
 *
 * Is the newest complete segment one? Receiving starts behind it, so a file that has the name but
 * not the content of a segment (cut by another program, empty after a power cut without syncs)
 * would leave a hole that nobody sees. Such a file goes to quarantine, and the segment is received
 * again.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"

#include <stdbool.h>

/* Compressed segments up to this size are decompressed as a whole, of larger ones only the first
 * page: a start must not take seconds. */
#define NEWEST_DECODE_MAX ((uint32_t)64 * 1024 * 1024)

/* Raw: the size is a segment's. Compressed: it decompresses to that size. *ret_sound false: look at
 * the archive again; the file was moved, and ret_moved says why, or it is gone (its class is
 * ERROR_NONE): a compressor has put another form in its place. */
bool newest_check(const Archive *archive, Timeline timeline, SegNo segno, bool *ret_sound,
                  Error *ret_moved, Error *err) MUST_CHECK;
