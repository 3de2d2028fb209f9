/* SPDX-License-Identifier: PostgreSQL
 *
 * The header of a WAL page, and the long one on the first page of a segment.
 * Source: XLogPageHeaderData, XLogLongPageHeaderData and XLOG_PAGE_MAGIC in
 * src/include/access/xlog_internal.h, PostgreSQL 10 to 19; validation as
 * XLogReaderValidatePageHeader in xlogreader.c. On disk in the server's byte order; walrx reads
 * little-endian WAL and names big-endian WAL as such instead of calling it damaged.
 *
 * Pure.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"

#include <stddef.h>
#include <stdint.h>

#define WAL_PAGE_SIZE 8192 /* XLOG_BLCKSZ of every build walrx supports */
#define WAL_PAGE_SHORT_HEADER 24
#define WAL_PAGE_LONG_HEADER 40

#define WAL_PAGE_FIRST_IS_CONTRECORD 0x0001
#define WAL_PAGE_LONG 0x0002
#define WAL_PAGE_BKP_REMOVABLE 0x0004
#define WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD 0x0008

typedef struct WalPageHeader {
    uint16_t magic;
    uint16_t info;
    Timeline timeline;
    Lsn address;                /* LSN of this page's first byte */
    uint32_t remaining;         /* bytes of the record continued from the page before */
    uint64_t system_identifier; /* the last three only with WAL_PAGE_LONG, else 0 */
    uint32_t segment_size;
    uint32_t block_size;
} WalPageHeader;

/* The major version whose WAL carries this magic ("10" ... ), 0 when unknown. */
int wal_page_major(uint16_t magic);

/* Size of the header in bytes: 24 or 40. */
size_t wal_page_header_size(const WalPageHeader *header);

/* Decodes and checks what can be checked from the bytes alone: known magic, known flag bits, a long
 * header where its flag is set and valid sizes in it. `length` may be less than a page but must
 * hold the header. ERROR_ARCHIVE with what was expected and found. */
bool wal_page_decode(const void *data, size_t length, WalPageHeader *ret, Error *err) MUST_CHECK;

/* Writes the header (24 or 40 bytes, by info & WAL_PAGE_LONG); 0 when it does not fit. */
size_t wal_page_encode(const WalPageHeader *header, void *buffer, size_t capacity);
