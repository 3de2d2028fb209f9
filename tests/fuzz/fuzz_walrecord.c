/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL records taken apart. The first four bytes choose resource manager, info bits, major version
 * and how much longer the record is than what is there (in units of 16 bytes); the rest is the
 * record's body.
 */
#include "fuzz.h"
#include "walrx/proto/walrecord.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WalRecordMain main_data;
    WalEvent event;
    Error err;

    if (size < 4)
        return 0;
    const uint8_t *body = data + 4;
    size_t available = size - 4;
    uint64_t total = WAL_RECORD_HEADER_SIZE + available + 16U * data[3];
    int major = 10 + data[2] % 10;

    if (total > WAL_RECORD_MAX_SIZE)
        return 0;
    WalRecordHeader header = {.total_length = (uint32_t)total, .rmgr = data[0], .info = data[1]};
    bool fine = wal_record_main(&header, body, available, major, &main_data, &err);

    require(fine || (err.class == ERROR_ARCHIVE && err.message[0] != '\0'));
    if (fine && main_data.data != NULL) {
        require(main_data.available > 0 && main_data.available <= main_data.length);
        require(main_data.data + main_data.available == body + available);
    }
    if (wal_record_event(&header, body, available, major, &event, &err)) {
        require((event.kind != WAL_EVENT_NONE) == wal_record_may_be_event(&header));
        require(event.kind == WAL_EVENT_NONE || (fine && main_data.available >= sizeof(PgTime)));
        require(memchr(event.name, 0, sizeof(event.name)) != NULL);
        require(event.kind == WAL_EVENT_RESTORE_POINT || event.name[0] == '\0');
    } else {
        require(wal_record_may_be_event(&header) && err.class == ERROR_ARCHIVE);
    }
    return 0;
}
