/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL page headers. The magic number is looked at first: it tells the server's major version and,
 * byte-swapped, its byte order.
 * Source: XLOG_PAGE_MAGIC in xlog_internal.h of each major's release branch (that of 19 is what
 * 19rc1 writes, see vectors/19); the checks are those of XLogReaderValidatePageHeader
 * (xlogreader.c, PostgreSQL 15) that need no context.
 */
#include "walrx/proto/walpage.h"

#include "walrx/base/cursor.h"
#include "walrx/proto/segment.h"

#include <inttypes.h>

#define KNOWN_FLAGS                                                                                \
    (WAL_PAGE_FIRST_IS_CONTRECORD | WAL_PAGE_LONG | WAL_PAGE_BKP_REMOVABLE |                       \
     WAL_PAGE_FIRST_IS_OVERWRITE_CONTRECORD)

static const struct {
    uint16_t magic;
    int major;
} MAGICS[] = {
    {0xD097, 10}, {0xD098, 11}, {0xD101, 12}, {0xD106, 13}, {0xD10D, 14},
    {0xD110, 15}, {0xD113, 16}, {0xD116, 17}, {0xD118, 18}, {0xD122, 19},
};

int wal_page_major(uint16_t magic)
{
    for (size_t i = 0; i < sizeof(MAGICS) / sizeof(MAGICS[0]); i++) {
        if (MAGICS[i].magic == magic)
            return MAGICS[i].major;
    }
    return 0;
}

size_t wal_page_header_size(const WalPageHeader *header)
{
    return (header->info & WAL_PAGE_LONG) != 0 ? WAL_PAGE_LONG_HEADER : WAL_PAGE_SHORT_HEADER;
}

static bool check_magic(uint16_t magic, Error *err)
{
    uint16_t swapped = (uint16_t)((magic >> 8) | (magic << 8));

    if (wal_page_major(magic) != 0)
        return true;
    if (wal_page_major(swapped) != 0) {
        (void)error_set(err, ERROR_ARCHIVE, "WAL of a big-endian server is not supported");
        return error_detail(err, "The page header's magic number is %04X, of PostgreSQL %d.",
                            swapped, wal_page_major(swapped));
    }
    (void)error_set(err, ERROR_ARCHIVE, "unknown magic number %04X in WAL page header", magic);
    return error_detail(err, "Known are %04X (PostgreSQL %d) to %04X (PostgreSQL %d).",
                        MAGICS[0].magic, MAGICS[0].major,
                        MAGICS[sizeof(MAGICS) / sizeof(MAGICS[0]) - 1].magic,
                        MAGICS[sizeof(MAGICS) / sizeof(MAGICS[0]) - 1].major);
}

static bool check_long_header(const WalPageHeader *header, Error *err)
{
    if (!segment_size_valid(header->segment_size)) {
        (void)error_set(err, ERROR_ARCHIVE, "invalid segment size in WAL page header: %" PRIu32,
                        header->segment_size);
        return error_detail(err, "It must be a power of two from 1 MB to 1 GB.");
    }
    if (header->block_size != WAL_PAGE_SIZE) {
        (void)error_set(err, ERROR_ARCHIVE,
                        "unsupported WAL block size in WAL page header: %" PRIu32,
                        header->block_size);
        return error_detail(err, "Only %d is supported.", WAL_PAGE_SIZE);
    }
    return true;
}

static bool length_error(Error *err, size_t length, size_t expected)
{
    return error_set(err, ERROR_ARCHIVE, "WAL page header is cut: %zu bytes instead of %zu", length,
                     expected);
}

bool wal_page_decode(const void *data, size_t length, WalPageHeader *ret, Error *err)
{
    Reader reader = reader_over(data, length);
    WalPageHeader header = {0};

    if (length < WAL_PAGE_SHORT_HEADER)
        return length_error(err, length, WAL_PAGE_SHORT_HEADER);
    header.magic = read_u16_le(&reader);
    header.info = read_u16_le(&reader);
    header.timeline = read_u32_le(&reader);
    header.address = read_u64_le(&reader);
    header.remaining = read_u32_le(&reader);
    read_skip(&reader, 4); /* padding up to MAXALIGN */
    if (!check_magic(header.magic, err))
        return false;
    if ((header.info & ~KNOWN_FLAGS) != 0) {
        (void)error_set(err, ERROR_ARCHIVE, "unknown flags in WAL page header: %04X", header.info);
        return error_detail(err, "Known are %04X.", KNOWN_FLAGS);
    }
    if ((header.info & WAL_PAGE_LONG) != 0) {
        if (length < WAL_PAGE_LONG_HEADER)
            return length_error(err, length, WAL_PAGE_LONG_HEADER);
        header.system_identifier = read_u64_le(&reader);
        header.segment_size = read_u32_le(&reader);
        header.block_size = read_u32_le(&reader);
        if (!check_long_header(&header, err))
            return false;
    }
    *ret = header;
    return true;
}

size_t wal_page_encode(const WalPageHeader *header, void *buffer, size_t capacity)
{
    Writer writer = writer_over(buffer, capacity);

    write_u16_le(&writer, header->magic);
    write_u16_le(&writer, header->info);
    write_u32_le(&writer, header->timeline);
    write_u64_le(&writer, header->address);
    write_u32_le(&writer, header->remaining);
    write_u32_le(&writer, 0);
    if ((header->info & WAL_PAGE_LONG) != 0) {
        write_u64_le(&writer, header->system_identifier);
        write_u32_le(&writer, header->segment_size);
        write_u32_le(&writer, header->block_size);
    }
    return writer.failed ? 0 : writer.position;
}
