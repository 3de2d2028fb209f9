/* SPDX-License-Identifier: PostgreSQL
 *
 * LSN: a byte position in the write-ahead log (XLogRecPtr, src/include/access/xlogdefs.h,
 * PostgreSQL 15). 64 bits, unsigned; 0 is invalid. Shown as %X/%X.
 * TimeLineID: 32 bits, 1 is the first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t Lsn;
typedef uint32_t Timeline;

#define LSN_INVALID ((Lsn)0)
/* No WAL is received behind it: the end of a segment of any size, and of a block that is filled up,
 * is still a position. */
#define LSN_LAST (UINT64_MAX - ((Lsn)2 << 30))
#define LSN_TEXT_SIZE 18 /* "FFFFFFFF/FFFFFFFF" and the final NUL */

/* Writes e.g. "16/B374D848" into the buffer and returns the buffer. */
const char *lsn_format(Lsn lsn, char buffer[LSN_TEXT_SIZE]);

/* Accepts one to eight hexadecimal digits, a slash, one to eight hexadecimal digits, and nothing
 * else (leading zeros as PostgreSQL 19 writes them are fine). */
bool lsn_parse(const char *text, Lsn *ret);

/* lsn + bytes when that fits into 64 bits; false and *ret untouched when not. */
bool lsn_add(Lsn lsn, uint64_t bytes, Lsn *ret);
