/* SPDX-License-Identifier: PostgreSQL
 *
 * What a WAL record holds: where its main data lies, and of the few kinds that carry a time, the
 * time.
 * Source: XLogRecord and the headers behind it (src/include/access/xlogrecord.h, DecodeXLogRecord
 * in xlogreader.c), xl_xact_commit and xl_xact_abort (xact.h), xl_restore_point (xlog_internal.h),
 * pg_control.h; checked with PostgreSQL 15.
 *
 * 10 to 19 agree in all of this but:
 * - bimg_info: until 14 the flags were HAS_HOLE 1, IS_COMPRESSED 2, APPLY 4; since 15 they are
 *   HAS_HOLE 1, APPLY 2, and one of 4, 8, 16 for the method. It decides whether the length of the
 *   hole follows, so the major version must be given;
 * - the top-level transaction (block ID 252) comes since 14.
 *
 * Pure. Made for records whose bytes are proven (walscan.h), but safe with any.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/copydata.h"
#include "walrx/proto/walscan.h"

#include <stddef.h>
#include <stdint.h>

/* So many bytes of a record's body hold all its headers, also of one that refers to 33 blocks (27
 * bytes each), and all that wal_record_event wants to know: these records refer to no blocks, and
 * what may lie further behind, the XID of a prepared transaction, a scan with a collector puts into
 * the header. */
#define WAL_RECORD_HEAD_SIZE 1024

typedef struct WalRecordMain {
    uint32_t length;     /* of the main data; 0: there is none */
    const uint8_t *data; /* borrowed from `body`; NULL when it begins behind `available` */
    uint32_t available;  /* how many of its bytes are there */
} WalRecordMain;

/* `body`: what follows the record's header, its first `available` bytes. `major`: of the server
 * (wal_page_major). ERROR_ARCHIVE: the headers contradict each other or the record's length, or
 * they are longer than what is available. */
bool wal_record_main(const WalRecordHeader *header, const uint8_t *body, size_t available,
                     int major, WalRecordMain *ret, Error *err) MUST_CHECK;

typedef enum WalEventKind {
    WAL_EVENT_NONE, /* any other record */
    WAL_EVENT_COMMIT,
    WAL_EVENT_ABORT,
    WAL_EVENT_RESTORE_POINT,
} WalEventKind;

#define WAL_RESTORE_POINT_NAME_SIZE 64 /* MAXFNAMELEN */

typedef struct WalEvent {
    WalEventKind kind;
    bool prepared; /* commit or abort of a prepared transaction */
    PgTime time;
    uint32_t xid; /* whose end it is, that of the prepared transaction for its end; 0: nobody's */
    char name[WAL_RESTORE_POINT_NAME_SIZE]; /* restore points only, else "" */
} WalEvent;

/* Can the record be one? Cheap: by its resource manager and info bits alone. */
bool wal_record_may_be_event(const WalRecordHeader *header);

/* ERROR_ARCHIVE as above, or when a record of such a kind is too short for it, or when the XID of a
 * prepared transaction lies behind `available` and is not in the header either. */
bool wal_record_event(const WalRecordHeader *header, const uint8_t *body, size_t available,
                      int major, WalEvent *ret, Error *err) MUST_CHECK;

/* A commit or abort, not of a prepared transaction, without headers in front of its data, as nearly
 * all are: quicker than wal_record_event, which tells the same. Its XID is the header's. False: it
 * is something else, or a part is missing. */
bool wal_record_plain_end(const WalRecordHeader *header, const uint8_t *body, size_t available,
                          bool *ret_commit, PgTime *ret_time);

/* No shorter record holds a full page image. */
#define WAL_RECORD_IMAGE_MIN 49

/* How many bytes of the record are full page images, without their holes, as they lie there: what
 * pg_waldump --stats counts (XLogRecGetLen, xlogstats.c). As far as the headers tell, where these
 * are not all there. */
uint32_t wal_record_image_bytes(const WalRecordHeader *header, const uint8_t *body,
                                size_t available, int major);

/* Does the record begin with one block without an image, and its data behind that? Most do; they
 * hold no image. In line, as it is asked for each record that arrives. */
static inline bool wal_record_is_imageless(const uint8_t *body, size_t available)
{
    const size_t next = 20;                    /* ID, flags, length, relation, block number */
    const uint8_t flags = 0x10 | 0x80;         /* an image, or the relation of the block before */
    const uint8_t last_block = 32, data = 254; /* IDs */
    return available > next && body[0] <= last_block && (body[1] & flags) == 0 &&
           body[next] >= data;
}
