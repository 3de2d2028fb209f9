/* SPDX-License-Identifier: PostgreSQL
 *
 * The WAL scanner over arbitrary bytes. The first byte chooses how the input is cut into pieces and
 * whether page headers and record checksums are put right first (else an engine would hardly ever
 * get past a CRC); the rest is WAL of a 1 MB segment. However it is cut, the result is the same,
 * and what is proven only grows and never passes what was fed, but for the alignment of the last
 * record.
 */
#include "fuzz.h"
#include "wal_repair.h"

#define SEGMENT REPAIR_SEGMENT
#define START REPAIR_START
#define INPUT_MAX (8 * WAL_PAGE_SIZE)
#define CHOICE_REPAIR 0x80

static uint8_t wal[INPUT_MAX];

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
        repair_pages(wal, length);
        repair_records(wal, length);
    }
    scan(&whole, length, length);
    scan(&pieces, length, 1 + (data[0] & 0x7F) * 61U);
    require(whole.state == pieces.state && whole.records == pieces.records);
    require(whole.proven_end == pieces.proven_end && whole.fault_lsn == pieces.fault_lsn);
    require(whole.first_record == pieces.first_record && whole.last_record == pieces.last_record);
    require(strcmp(whole.error.message, pieces.error.message) == 0);
    return 0;
}
