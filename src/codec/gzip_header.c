/* SPDX-License-Identifier: PostgreSQL
 *
 * See gzip_header.h. One byte at a time: headers have ten bytes, and a name at times.
 */
#include "gzip_header.h"

#include <zlib.h>

enum { FIXED_LENGTH = 10, METHOD_AT = 2, FLAGS_AT = 3, DEFLATE = 8 };
enum { HAS_CHECKSUM = 2, HAS_EXTRA = 4, HAS_NAME = 8, HAS_COMMENT = 16, RESERVED = 0xE0 };

static bool has_part(const GzipHeader *header, GzipHeaderPart part)
{
    switch (part) {
    case GZIP_HEADER_EXTRA_LENGTH:
    case GZIP_HEADER_EXTRA:
        return (header->flags & HAS_EXTRA) != 0;
    case GZIP_HEADER_NAME:
        return (header->flags & HAS_NAME) != 0;
    case GZIP_HEADER_COMMENT:
        return (header->flags & HAS_COMMENT) != 0;
    case GZIP_HEADER_CHECKSUM:
        return (header->flags & HAS_CHECKSUM) != 0;
    case GZIP_HEADER_FIXED:
    case GZIP_HEADER_OVER:
        break;
    }
    return true;
}

static void next_part(GzipHeader *header)
{
    header->taken = 0;
    do
        header->part++;
    while (!has_part(header, header->part) ||
           (header->part == GZIP_HEADER_EXTRA && header->extra == 0));
}

/* Notes the byte, the header->taken-th of its part (from 1). True: it is the part's last. */
static bool is_last(GzipHeader *header, uint8_t byte)
{
    switch (header->part) {
    case GZIP_HEADER_FIXED:
        if (header->taken == FLAGS_AT + 1)
            header->flags = byte;
        return header->taken == FIXED_LENGTH;
    case GZIP_HEADER_EXTRA_LENGTH:
        header->extra |= (uint32_t)byte << 8 * (header->taken - 1);
        return header->taken == 2;
    case GZIP_HEADER_EXTRA:
        return header->taken == header->extra;
    case GZIP_HEADER_NAME:
    case GZIP_HEADER_COMMENT:
        return byte == 0;
    case GZIP_HEADER_CHECKSUM:
        header->checksum |= (uint32_t)byte << 8 * (header->taken - 1);
        return header->taken == 2;
    case GZIP_HEADER_OVER:
        break;
    }
    return false;
}

static bool check(const GzipHeader *header, uint8_t byte, Error *err)
{
    if (header->part == GZIP_HEADER_FIXED && header->taken == METHOD_AT + 1 && byte != DEFLATE)
        return error_set(err, ERROR_ARCHIVE, "unknown compression method");
    if ((header->flags & RESERVED) != 0)
        return error_set(err, ERROR_ARCHIVE, "unknown header flags set");
    if (header->part == GZIP_HEADER_CHECKSUM && header->taken == 2 &&
        header->checksum != (header->crc & 0xFFFF))
        return error_set(err, ERROR_ARCHIVE, "header crc mismatch");
    return true;
}

bool gzip_header_read(GzipHeader *header, CodecInput *input, Error *err)
{
    while (header->part != GZIP_HEADER_OVER && input->position < input->length) {
        uint8_t byte = input->data[input->position++];
        if (header->part != GZIP_HEADER_CHECKSUM)
            header->crc = (uint32_t)crc32(header->crc, &byte, 1);
        header->taken += header->taken < UINT32_MAX; /* a name may have any length */
        bool last = is_last(header, byte);
        if (!check(header, byte, err))
            return false;
        if (last)
            next_part(header);
    }
    return true;
}
