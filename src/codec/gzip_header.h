/* SPDX-License-Identifier: PostgreSQL
 *
 * The header of a gzip member (RFC 1952, section 2.3), read from pieces of any size. For engines
 * that read deflate only. What it tells (a name, a time) is not wanted; that it is whole is.
 */
#pragma once

#include "codec_internal.h"

typedef enum GzipHeaderPart {
    GZIP_HEADER_FIXED,
    GZIP_HEADER_EXTRA_LENGTH,
    GZIP_HEADER_EXTRA,
    GZIP_HEADER_NAME,
    GZIP_HEADER_COMMENT,
    GZIP_HEADER_CHECKSUM,
    GZIP_HEADER_OVER,
} GzipHeaderPart;

/* Zeroed before the first byte. */
typedef struct GzipHeader {
    GzipHeaderPart part; /* to which the next byte belongs */
    uint32_t taken;      /* bytes of that part */
    uint32_t extra;      /* length of the extra field */
    uint32_t crc;        /* of all bytes before the checksum */
    uint32_t checksum;
    uint8_t flags;
} GzipHeader;

/* Takes bytes until the header is over or the input empty. ERROR_ARCHIVE with the reason. */
bool gzip_header_read(GzipHeader *header, CodecInput *input, Error *err) MUST_CHECK;
