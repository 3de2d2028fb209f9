/* SPDX-License-Identifier: PostgreSQL
 *
 * Makes valid WAL in memory for tests: records of any length laid over pages as CopyXLogRecordToWAL
 * (xlog.c, PostgreSQL 15) does. Its own arithmetic, on purpose: it must not share a mistake with
 * the scanner it tests.
 */
#pragma once

#include "walrx/proto/crc32c.h"
#include "walrx/proto/walpage.h"
#include "walrx/proto/walscan.h"

#include <assert.h>
#include <string.h>

#define MAKER_SYSTEM UINT64_C(0x123456789ABCDEF0)
#ifndef MAKER_RECORD_MAX
#define MAKER_RECORD_MAX 65536
#endif

typedef struct WalMaker {
    uint8_t *data; /* what was made: from `start` on, `length` bytes */
    size_t capacity;
    size_t length;
    Lsn start;
    Lsn previous; /* the last record */
    Timeline timeline;
    uint32_t segment_size;
    uint16_t extra_flags; /* for the next page header */
} WalMaker;

static inline WalMaker maker_over(uint8_t *data, size_t capacity, Lsn start, uint32_t segment_size)
{
    return (WalMaker){.data = data,
                      .capacity = capacity,
                      .start = start,
                      .timeline = 1,
                      .segment_size = segment_size};
}

static inline Lsn maker_end(const WalMaker *maker)
{
    return maker->start + maker->length;
}

static inline void maker_page(WalMaker *maker, uint32_t remaining)
{
    WalPageHeader header = {
        .magic = 0xD110,
        .info = maker->extra_flags,
        .timeline = maker->timeline,
        .address = maker_end(maker),
        .remaining = remaining,
    };

    if (remaining > 0)
        header.info |= WAL_PAGE_FIRST_IS_CONTRECORD;
    if (header.address % maker->segment_size == 0) {
        header.info |= WAL_PAGE_LONG;
        header.system_identifier = MAKER_SYSTEM;
        header.segment_size = maker->segment_size;
        header.block_size = WAL_PAGE_SIZE;
    }
    maker->extra_flags = 0;
    size_t written =
        wal_page_encode(&header, maker->data + maker->length, maker->capacity - maker->length);

    assert(written > 0);
    maker->length += written;
}

static inline void maker_bytes(WalMaker *maker, const uint8_t *bytes, size_t count,
                               uint32_t remaining)
{
    for (size_t i = 0; i < count; i++) {
        if (maker->length % WAL_PAGE_SIZE == 0)
            maker_page(maker, remaining > 0 ? remaining - (uint32_t)i : 0);
        assert(maker->length < maker->capacity);
        maker->data[maker->length++] = bytes[i];
    }
}

/* Fills up to a multiple of `unit` with zeros, pages included. */
static inline void maker_zeros(WalMaker *maker, size_t unit)
{
    size_t count = (unit - maker->length % unit) % unit;

    assert(count <= maker->capacity - maker->length);
    memset(maker->data + maker->length, 0, count);
    maker->length += count;
}

/* A record of `length` bytes, its header included; `body` NULL: any bytes behind it. Returns its
 * LSN. */
static inline Lsn maker_record_of(WalMaker *maker, uint32_t length, uint8_t rmgr, uint8_t info,
                                  const uint8_t *body)
{
    static uint8_t record[MAKER_RECORD_MAX];
    uint32_t crc = CRC32C_INIT;

    assert(length >= WAL_RECORD_HEADER_SIZE && length <= sizeof(record));
    if (maker->length % WAL_PAGE_SIZE == 0)
        maker_page(maker, 0);
    Lsn lsn = maker_end(maker);

    memset(record, 0, WAL_RECORD_HEADER_SIZE);
    for (int i = 0; i < 4; i++) {
        record[i] = (uint8_t)(length >> (8 * i));
        record[4 + i] = (uint8_t)(777U >> (8 * i));
    }
    for (int i = 0; i < 8; i++)
        record[8 + i] = (uint8_t)(maker->previous >> (8 * i));
    record[16] = info;
    record[17] = rmgr;
    for (uint32_t i = WAL_RECORD_HEADER_SIZE; i < length; i++)
        record[i] = body != NULL ? body[i - WAL_RECORD_HEADER_SIZE] : (uint8_t)(lsn * 31 + i * 7);
    crc =
        crc32c_update_table(crc, record + WAL_RECORD_HEADER_SIZE, length - WAL_RECORD_HEADER_SIZE);
    crc = crc32c_final(crc32c_update_table(crc, record, 20));
    for (int i = 0; i < 4; i++)
        record[20 + i] = (uint8_t)(crc >> (8 * i));
    maker_bytes(maker, record, length, length);
    maker_zeros(maker, 8);
    maker->previous = lsn;
    return lsn;
}

static inline Lsn maker_record(WalMaker *maker, uint32_t length, uint8_t rmgr, uint8_t info)
{
    return maker_record_of(maker, length, rmgr, info, NULL);
}

/* XLOG_SWITCH and the rest of the segment. */
static inline Lsn maker_switch(WalMaker *maker)
{
    Lsn lsn = maker_record(maker, WAL_RECORD_HEADER_SIZE, 0, 0x40);

    maker_zeros(maker, maker->segment_size);
    return lsn;
}

/* A filling record, so that `left` bytes (a multiple of 8) remain on the page. */
static inline void maker_fill_page(WalMaker *maker, uint32_t left)
{
    if (maker->length % WAL_PAGE_SIZE == 0)
        maker_page(maker, 0);
    uint32_t free_bytes = WAL_PAGE_SIZE - (uint32_t)(maker->length % WAL_PAGE_SIZE);

    assert(free_bytes >= left + WAL_RECORD_HEADER_SIZE);
    (void)maker_record(maker, free_bytes - left, 10, 0);
}
