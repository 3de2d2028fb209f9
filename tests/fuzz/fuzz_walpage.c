/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL page headers: what is decoded encodes to the same bytes, but for the hole behind xlp_rem_len.
 */
#include "fuzz.h"
#include "walrx/proto/segment.h"
#include "walrx/proto/walpage.h"

#define HOLE_BEGIN 20
#define HOLE_END 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t buffer[WAL_PAGE_LONG_HEADER];
    WalPageHeader header;
    Error err;

    if (!wal_page_decode(data, size, &header, &err)) {
        require(err.class == ERROR_ARCHIVE && err.message[0] != '\0');
        return 0;
    }
    size_t length = wal_page_header_size(&header);

    require(length <= size);
    require(wal_page_major(header.magic) >= 10);
    require((header.info & WAL_PAGE_LONG) == 0 || segment_size_valid(header.segment_size));
    require((header.info & WAL_PAGE_LONG) != 0 || header.segment_size == 0);
    require(wal_page_encode(&header, buffer, length) == length);
    require(wal_page_encode(&header, buffer, length - 1) == 0);
    require(wal_page_encode(&header, buffer, sizeof(buffer)) == length);
    require(memcmp(buffer, data, HOLE_BEGIN) == 0);
    require(memcmp(buffer + HOLE_END, data + HOLE_END, length - HOLE_END) == 0);
    return 0;
}
