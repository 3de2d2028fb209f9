/* SPDX-License-Identifier: PostgreSQL
 *
 * See walrecord.h. The headers of a record's parts come first, then the parts in the same order,
 * the main data last: so it is the end of the record, and where it begins follows from its length.
 * The lengths of all parts must add up to the record's.
 */
#include "walrx/proto/walrecord.h"

#include "walrx/base/cursor.h"
#include "walrx/proto/waltwophase.h"

#include <inttypes.h>
#include <string.h>

/* xlogrecord.h */
#define MAX_BLOCK_ID 32
#define ID_TOPLEVEL_XID 252
#define ID_ORIGIN 253
#define ID_DATA_LONG 254
#define ID_DATA_SHORT 255
#define BLOCK_HAS_IMAGE 0x10
#define BLOCK_SAME_RELATION 0x80
#define IMAGE_HAS_HOLE 0x01
#define IMAGE_COMPRESSED_TO_14 0x02
#define IMAGE_COMPRESSED 0x1C
#define ORIGIN_SIZE 2
#define XID_SIZE 4
#define RELATION_SIZE 12 /* three OIDs */
#define BLOCK_NUMBER_SIZE 4
#define BLOCK_HEADER_SIZE 3 /* behind its ID: flags and length of its data */
#define PLAIN_END_SIZE 10   /* ID, length, time */
#define IMAGE_HEADER_SIZE 5 /* length, where the hole is, flags */

/* rmgrlist.h, pg_control.h, xact.h */
#define RMGR_XLOG 0
#define RMGR_XACT 1
#define INFO_MASK 0xF0
#define INFO_RESTORE_POINT 0x70
#define XACT_OPERATION_MASK 0x70
#define XACT_COMMIT 0x00
#define XACT_ABORT 0x20
#define XACT_COMMIT_PREPARED 0x30
#define XACT_ABORT_PREPARED 0x40

static bool image_has_hole_length(uint8_t info, int major)
{
    uint8_t compressed = major >= 15 ? IMAGE_COMPRESSED : IMAGE_COMPRESSED_TO_14;

    return (info & IMAGE_HAS_HOLE) != 0 && (info & compressed) != 0;
}

/* The header of a block reference behind its ID; *total grows by what it announces. */
static void read_block(Reader *reader, int major, uint64_t *total)
{
    uint8_t flags = read_u8(reader);

    *total += read_u16_le(reader);
    if ((flags & BLOCK_HAS_IMAGE) != 0) {
        *total += read_u16_le(reader);
        (void)read_u16_le(reader); /* where the hole is */
        if (image_has_hole_length(read_u8(reader), major))
            (void)read_u16_le(reader);
    }
    if ((flags & BLOCK_SAME_RELATION) == 0)
        read_skip(reader, RELATION_SIZE);
    read_skip(reader, BLOCK_NUMBER_SIZE);
}

/* Reads headers until the one of the main data or the end of all. *total: bytes of all parts.
 * False: an ID that does not exist. */
static bool read_headers(Reader *reader, uint64_t body_length, int major, uint32_t *ret_main,
                         uint64_t *total)
{
    while (!reader->failed && body_length - reader->position > *total) {
        uint8_t id = read_u8(reader);

        if (id == ID_DATA_SHORT || id == ID_DATA_LONG) {
            *ret_main = id == ID_DATA_SHORT ? read_u8(reader) : read_u32_le(reader);
            *total += *ret_main;
            return true;
        }
        if (id == ID_ORIGIN)
            read_skip(reader, ORIGIN_SIZE);
        else if (id == ID_TOPLEVEL_XID)
            read_skip(reader, XID_SIZE);
        else if (id <= MAX_BLOCK_ID)
            read_block(reader, major, total);
        else
            return false;
    }
    return true;
}

bool wal_record_main(const WalRecordHeader *header, const uint8_t *body, size_t available,
                     int major, WalRecordMain *ret, Error *err)
{
    WalRecordMain main_data = {.length = 0};
    uint64_t total = 0;

    if (header->total_length < WAL_RECORD_HEADER_SIZE)
        return error_set(err, ERROR_ARCHIVE, "WAL record of %" PRIu32 " bytes",
                         header->total_length);
    uint64_t length = header->total_length - WAL_RECORD_HEADER_SIZE;
    if (available > length)
        available = (size_t)length;
    Reader reader = reader_over(body, available);
    if (!read_headers(&reader, length, major, &main_data.length, &total))
        return error_set(err, ERROR_ARCHIVE, "WAL record has a part of unknown kind");
    if (reader.failed)
        return error_set(err, ERROR_ARCHIVE, "headers of a WAL record are longer than %zu bytes",
                         available);
    if (reader.position + total != length)
        return error_set(err, ERROR_ARCHIVE,
                         "parts of a WAL record have %" PRIu64
                         " bytes together instead of %" PRIu64,
                         reader.position + total, length);
    uint64_t begin = length - main_data.length;
    if (main_data.length > 0 && begin < available) {
        main_data.data = body + begin;
        main_data.available = (uint32_t)(available - begin);
    }
    *ret = main_data;
    return true;
}

static WalEvent event_of(const WalRecordHeader *header)
{
    WalEvent event = {.kind = WAL_EVENT_NONE};

    if (header->rmgr == RMGR_XLOG && (header->info & INFO_MASK) == INFO_RESTORE_POINT)
        event.kind = WAL_EVENT_RESTORE_POINT;
    if (header->rmgr != RMGR_XACT)
        return event;
    switch (header->info & XACT_OPERATION_MASK) {
    case XACT_COMMIT_PREPARED:
        event.prepared = true;
        event.kind = WAL_EVENT_COMMIT;
        break;
    case XACT_COMMIT:
        event.kind = WAL_EVENT_COMMIT;
        break;
    case XACT_ABORT_PREPARED:
        event.prepared = true;
        event.kind = WAL_EVENT_ABORT;
        break;
    case XACT_ABORT:
        event.kind = WAL_EVENT_ABORT;
        break;
    default:
        break;
    }
    return event;
}

bool wal_record_may_be_event(const WalRecordHeader *header)
{
    return event_of(header).kind != WAL_EVENT_NONE;
}

static bool find_xid(const WalRecordHeader *header, const uint8_t *body, size_t available,
                     int major, WalEvent *event, Error *err)
{
    WalTwophase twophase;
    size_t length = header->total_length - WAL_RECORD_HEADER_SIZE;

    event->xid = header->xid;
    if (!event->prepared)
        return true;
    event->xid = header->inner_xid;
    if (header->inner_xid != 0)
        return true;
    wal_twophase_begin(&twophase, header->info, major);
    wal_twophase_feed(&twophase, body, available < length ? available : length);
    if (wal_twophase_xid(&twophase, &event->xid))
        return true;
    return error_set(err, ERROR_ARCHIVE,
                     "end of a prepared transaction does not tell which one in its first %zu bytes",
                     available);
}

bool wal_record_event(const WalRecordHeader *header, const uint8_t *body, size_t available,
                      int major, WalEvent *ret, Error *err)
{
    WalEvent event = event_of(header);
    WalRecordMain main_data;

    if (event.kind == WAL_EVENT_NONE) {
        *ret = event;
        return true;
    }
    if (!wal_record_main(header, body, available, major, &main_data, err))
        return false;
    Reader reader = reader_over(main_data.data, main_data.available);
    /* The time comes first in all of them. */
    event.time = (PgTime)read_u64_le(&reader);
    if (event.kind == WAL_EVENT_RESTORE_POINT) {
        const uint8_t *name = read_bytes(&reader, sizeof(event.name));

        if (name != NULL)
            memcpy(event.name, name, sizeof(event.name) - 1);
    }
    if (reader.failed)
        return error_set(err, ERROR_ARCHIVE,
                         "WAL record with a time has only %" PRIu32 " bytes of data",
                         main_data.available);
    if (event.kind != WAL_EVENT_RESTORE_POINT &&
        !find_xid(header, body, available, major, &event, err))
        return false;
    *ret = event;
    return true;
}

bool wal_record_plain_end(const WalRecordHeader *header, const uint8_t *body, size_t available,
                          bool *ret_commit, PgTime *ret_time)
{
    uint8_t operation = header->info & XACT_OPERATION_MASK;

    if (header->rmgr != RMGR_XACT || (operation != XACT_COMMIT && operation != XACT_ABORT) ||
        available < PLAIN_END_SIZE || body[0] != ID_DATA_SHORT ||
        header->total_length != WAL_RECORD_HEADER_SIZE + 2U + body[1])
        return false;
    Reader reader = reader_over(body + 2, PLAIN_END_SIZE - 2);
    *ret_commit = operation == XACT_COMMIT;
    *ret_time = (PgTime)read_u64_le(&reader);
    return true;
}

static uint32_t load_u16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

/* This runs for every record that arrives, so it is without a cursor: `at` may step beyond what is
 * available, and is compared before each look. */
uint32_t wal_record_image_bytes(const WalRecordHeader *header, const uint8_t *body,
                                size_t available, int major)
{
    uint64_t length = header->total_length - WAL_RECORD_HEADER_SIZE;
    uint64_t total = 0; /* of the parts that the headers announced so far */
    uint32_t images = 0;
    size_t at = 0;

    if (header->total_length < WAL_RECORD_IMAGE_MIN)
        return 0;
    if (available > length)
        available = (size_t)length;
    while (at < available && length - at > total) {
        uint8_t id = body[at++];

        if (id > MAX_BLOCK_ID) {
            if (id != ID_ORIGIN && id != ID_TOPLEVEL_XID)
                break; /* the main data, whose header is the last */
            at += (size_t)(id == ID_ORIGIN ? ORIGIN_SIZE : XID_SIZE);
            continue;
        }
        if (available - at < BLOCK_HEADER_SIZE)
            break;
        uint8_t flags = body[at];
        total += load_u16(body + at + 1);
        at += BLOCK_HEADER_SIZE;
        if ((flags & BLOCK_HAS_IMAGE) != 0) {
            if (available - at < IMAGE_HEADER_SIZE)
                break;
            uint32_t image = load_u16(body + at);
            total += image;
            images += image;
            at +=
                (size_t)(IMAGE_HEADER_SIZE + (image_has_hole_length(body[at + 4], major) ? 2 : 0));
        }
        at += BLOCK_NUMBER_SIZE;
        at += (size_t)((flags & BLOCK_SAME_RELATION) != 0 ? 0 : RELATION_SIZE);
    }
    return images;
}
