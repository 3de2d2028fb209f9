/* SPDX-License-Identifier: PostgreSQL
 *
 * Puts headers and checksums of arbitrary bytes right, so that an engine gets past them. The bytes
 * become the beginning of one segment.
 */
#pragma once

#include "walrx/proto/crc32c.h"
#include "walrx/proto/segment.h"
#include "walrx/proto/walpage.h"
#include "walrx/proto/walscan.h"

#define REPAIR_SEGMENT SEGMENT_SIZE_MIN
#define REPAIR_START ((Lsn)5 * REPAIR_SEGMENT)
#define REPAIR_SYSTEM 1

static inline uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline void store_u32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Gives every page a header that is its own; flags and lengths stay the input's. */
static inline void repair_pages(uint8_t *wal, size_t length)
{
    for (size_t page = 0; page + WAL_PAGE_LONG_HEADER <= length; page += WAL_PAGE_SIZE) {
        uint16_t info = wal[page + 2] & 0x0B;
        WalPageHeader header = {
            .magic = 0xD110,
            .info = page == 0 ? info | WAL_PAGE_LONG : info & (uint16_t)~WAL_PAGE_LONG,
            .timeline = 1,
            .address = REPAIR_START + page,
            .remaining = load_u32(wal + page + 16),
            .system_identifier = REPAIR_SYSTEM,
            .segment_size = REPAIR_SEGMENT,
            .block_size = WAL_PAGE_SIZE,
        };

        (void)wal_page_encode(&header, wal + page, length - page);
    }
}

/* Gives the records that lie on one page a previous LSN and a checksum, as far as their lengths
 * lead. */
static inline void repair_records(uint8_t *wal, size_t length)
{
    size_t at = WAL_PAGE_LONG_HEADER;
    Lsn previous = 0;

    while (at + WAL_RECORD_HEADER_SIZE <= length && at < WAL_PAGE_SIZE) {
        uint32_t total = load_u32(wal + at) % 512;
        uint32_t crc = CRC32C_INIT;

        if (total < WAL_RECORD_HEADER_SIZE || total > length - at || total > WAL_PAGE_SIZE - at)
            return;
        store_u32(wal + at, total);
        store_u32(wal + at + 8, (uint32_t)previous);
        store_u32(wal + at + 12, (uint32_t)(previous >> 32));
        crc = crc32c_update(crc, wal + at + WAL_RECORD_HEADER_SIZE, total - WAL_RECORD_HEADER_SIZE);
        store_u32(wal + at + 20, crc32c_final(crc32c_update(crc, wal + at, 20)));
        previous = REPAIR_START + at;
        at += (total + 7) / 8 * 8;
    }
}
