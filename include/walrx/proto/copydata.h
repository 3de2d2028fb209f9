/* SPDX-License-Identifier: PostgreSQL
 *
 * The messages inside CopyData while WAL streams. Both directions: a receiver decodes 'w' and 'k'
 * and encodes 'r' and 'h'; a sender does the reverse. All integers in network order.
 * Source: PostgreSQL 15 documentation, "Streaming Replication Protocol"; walsender.c
 * (XLogSendPhysical, WalSndKeepalive, ProcessStandbyReplyMessage, ProcessStandbyHSFeedbackMessage).
 *
 * Pure. Decoded messages are views: `data` points into the caller's buffer.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"

#include <stddef.h>
#include <stdint.h>

/* Microseconds since 2000-01-01 00:00:00 UTC: PostgreSQL's TimestampTz. */
typedef int64_t PgTime;
#define PG_EPOCH_UNIX_SECONDS INT64_C(946684800)

typedef enum CopyMessageType {
    COPY_WAL_DATA = 'w',
    COPY_KEEPALIVE = 'k',
    COPY_STANDBY_STATUS = 'r',
    COPY_HOT_STANDBY_FEEDBACK = 'h',
} CopyMessageType;

typedef struct WalDataMessage {
    Lsn start;      /* LSN of data[0] */
    Lsn server_end; /* the server's current end of WAL */
    PgTime send_time;
    const uint8_t *data; /* borrowed */
    size_t length;
} WalDataMessage;

typedef struct KeepaliveMessage {
    Lsn server_end;
    PgTime send_time;
    bool reply_requested;
} KeepaliveMessage;

typedef struct StandbyStatusMessage {
    Lsn write; /* last byte + 1 received and written, 0 = unknown */
    Lsn flush; /* last byte + 1 durable, 0 = not reported */
    Lsn apply; /* last byte + 1 applied, 0 = not reported */
    PgTime send_time;
    bool reply_requested;
} StandbyStatusMessage;

typedef struct HotStandbyFeedbackMessage {
    PgTime send_time;
    uint32_t xmin;
    uint32_t xmin_epoch;
    uint32_t catalog_xmin;
    uint32_t catalog_xmin_epoch;
} HotStandbyFeedbackMessage;

typedef struct CopyMessage {
    CopyMessageType type;
    union {
        WalDataMessage wal;
        KeepaliveMessage keepalive;
        StandbyStatusMessage status;
        HotStandbyFeedbackMessage feedback;
    } as;
} CopyMessage;

#define COPY_WAL_HEADER_SIZE 25
#define COPY_KEEPALIVE_SIZE 18
#define COPY_STATUS_SIZE 34
#define COPY_FEEDBACK_SIZE 25

/* ERROR_PROTOCOL when the type is unknown, the length is not the type's, a flag is neither 0 nor 1
 * is accepted as PostgreSQL does (non-zero = true), or start + length of 'w' does not fit 64 bits.
 */
bool copy_message_decode(const void *data, size_t length, CopyMessage *ret, Error *err) MUST_CHECK;

/* Bytes written, or 0 when they do not fit `capacity`. For 'w' the data is copied behind the
 * header. */
size_t copy_message_encode(const CopyMessage *message, void *buffer, size_t capacity);
