/* SPDX-License-Identifier: PostgreSQL
 *
 * The WAL scanner over arbitrary bytes. The first byte chooses how the input is cut into pieces and
 * whether page headers and record checksums are put right first (else an engine would hardly ever
 * get past a CRC); the rest is WAL of a 1 MB segment. However it is cut, the result is the same,
 * and what is proven only grows and never passes what was fed, but for the alignment of the last
 * record.
 */
#include "fuzz.h"
#include "walrx/proto/crc32c.h"
#include "walrx/proto/segment.h"
#include "walrx/proto/walpage.h"
#include "walrx/proto/walscan.h"

#define SEGMENT SEGMENT_SIZE_MIN
#define START ((Lsn)5 * SEGMENT)
#define INPUT_MAX (8 * WAL_PAGE_SIZE)
#define CHOICE_REPAIR 0x80

static uint8_t wal[INPUT_MAX];

static uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static void store_u32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

/* Gives every page a header that is its own; flags and lengths stay the input's. */
static void repair_pages(size_t length)
{
    for (size_t page = 0; page + WAL_PAGE_LONG_HEADER <= length; page += WAL_PAGE_SIZE) {
        uint16_t info = wal[page + 2] & 0x0B;
        WalPageHeader header = {
            .magic = 0xD110,
            .info = page == 0 ? info | WAL_PAGE_LONG : info & (uint16_t)~WAL_PAGE_LONG,
            .timeline = 1,
            .address = START + page,
            .remaining = load_u32(wal + page + 16),
            .system_identifier = 1,
            .segment_size = SEGMENT,
            .block_size = WAL_PAGE_SIZE,
        };

        (void)wal_page_encode(&header, wal + page, length - page);
    }
}

/* Gives the records that lie on one page a previous LSN and a checksum, as far as their lengths
 * lead. */
static void repair_records(size_t length)
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
        previous = START + at;
        at += (total + 7) / 8 * 8;
    }
}

static void check_invariants(const WalScanner *scanner, Lsn fed)
{
    require(scanner->position <= fed);
    require(scanner->proven_end >= START);
    require(scanner->records == 0 || scanner->proven_end <= scanner->position + 7);
    require(scanner->records > 0 || scanner->proven_end == START);
    require((scanner->records > 0) == (scanner->first_record != LSN_INVALID));
    require(scanner->first_record <= scanner->last_record);
    require(scanner->last_record < scanner->proven_end);
    require(scanner->state == WAL_SCAN_RUNNING || scanner->fault_lsn <= fed);
    require((scanner->state == WAL_SCAN_DAMAGED) == (scanner->error.class == ERROR_ARCHIVE));
    if (scanner->state == WAL_SCAN_RUNNING)
        require(scanner->position == fed);
}

static void scan(WalScanner *scanner, size_t length, size_t piece)
{
    wal_scan_init(scanner, START, SEGMENT, 0);
    for (size_t at = 0; at < length; at += piece) {
        size_t count = length - at < piece ? length - at : piece;
        Lsn proven = scanner->proven_end;

        (void)wal_scan_feed(scanner, wal + at, count);
        require(scanner->proven_end >= proven);
        check_invariants(scanner, START + at + count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static WalScanner whole;
    static WalScanner pieces;

    if (size < 2 || size - 1 > sizeof(wal))
        return 0;
    size_t length = size - 1;

    memcpy(wal, data + 1, length);
    if ((data[0] & CHOICE_REPAIR) != 0) {
        repair_pages(length);
        repair_records(length);
    }
    scan(&whole, length, length);
    scan(&pieces, length, 1 + (data[0] & 0x7F) * 61U);
    require(whole.state == pieces.state && whole.records == pieces.records);
    require(whole.proven_end == pieces.proven_end && whole.fault_lsn == pieces.fault_lsn);
    require(whole.first_record == pieces.first_record && whole.last_record == pieces.last_record);
    require(strcmp(whole.error.message, pieces.error.message) == 0);
    return 0;
}
