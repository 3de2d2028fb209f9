/* SPDX-License-Identifier: PostgreSQL
 *
 * A file of the segment index with arbitrary content. The first byte chooses whether the checksums
 * of what looks like entries are mended, so that what lies behind them is reached. Every entry that
 * is found lies inside of the file, is behind the one before it, and what can be decoded is encoded
 * to the same bytes again.
 */
#include "fuzz.h"
#include "index_internal.h"

#include "walrx/proto/crc32c.h"

#define INPUT_MAX 32768
#define MENDS 1
#define LENGTH_OFFSET 4
#define CRC_SIZE 4

static uint8_t bytes[INPUT_MAX];

static uint32_t load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void mend(size_t length)
{
    for (size_t at = 0; at + LENGTH_OFFSET + 4 <= length; at++) {
        uint32_t claimed = load_u32(bytes + at + LENGTH_OFFSET);
        if (memcmp(bytes + at, "WXI\x1a", 4) != 0 || claimed < 2 * CRC_SIZE ||
            claimed > length - at)
            continue;
        uint32_t crc =
            crc32c_final(crc32c_update(CRC32C_INIT, bytes + at, claimed - (size_t)CRC_SIZE));
        for (int i = 0; i < CRC_SIZE; i++)
            bytes[at + claimed - CRC_SIZE + (size_t)i] = (uint8_t)(crc >> (8 * i));
        at += claimed - 1;
    }
}

static void check_entry(const Archive *archive, const IndexPlace *place)
{
    static IndexEntry entry;
    static uint8_t again[INDEX_ENTRY_MAX];

    if (!index_decode(bytes + place->begin, place->length, &entry))
        return;
    require(entry.timeline == place->timeline && entry.segno == place->segno);
    size_t length = index_encode(archive, &entry, again);
    require(length == place->length);
    /* Flags that mean nothing are not kept. */
    again[10] = bytes[place->begin + 10];
    again[11] = bytes[place->begin + 11];
    require(memcmp(again, bytes + place->begin, length - CRC_SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const Archive archive = {.segment_size = SEGMENT_SIZE_MIN,
                             .system_identifier = UINT64_C(0x123456789ABCDEF0)};
    IndexPlace place;
    size_t at = 0;

    if (size < 1 || size - 1 > sizeof(bytes))
        return 0;
    size_t length = size - 1;
    memcpy(bytes, data + 1, length);
    if ((data[0] & MENDS) != 0)
        mend(length);
    while (index_next(&archive, bytes, length, at, &place)) {
        require(place.begin >= at && place.length > 0 && place.length <= length - place.begin);
        check_entry(&archive, &place);
        at = place.begin + place.length;
    }
    return 0;
}
