/* SPDX-License-Identifier: PostgreSQL
 *
 * The four streaming messages. Their sizes are fixed but for the data behind 'w', so the length is
 * checked first and each decoder then reads fields that are known to be there.
 * Source: walsender.c, PostgreSQL 15.
 */
#include "walrx/proto/copydata.h"

#include "walrx/base/cursor.h"

static bool length_error(Error *err, char type, size_t length, size_t expected)
{
    return error_set(err, ERROR_PROTOCOL,
                     "invalid length of streaming message \"%c\": %zu bytes instead of %zu", type,
                     length, expected);
}

static bool decode_wal(Reader *reader, WalDataMessage *ret, Error *err)
{
    Lsn end;

    ret->start = read_u64_be(reader);
    ret->server_end = read_u64_be(reader);
    ret->send_time = (PgTime)read_u64_be(reader);
    ret->length = reader_left(reader);
    ret->data = read_bytes(reader, ret->length);
    if (!lsn_add(ret->start, ret->length, &end) || end > LSN_LAST) {
        char text[LSN_TEXT_SIZE];

        return error_set(err, ERROR_PROTOCOL,
                         "invalid WAL data message: %zu bytes at %s do not fit the log",
                         ret->length, lsn_format(ret->start, text));
    }
    return true;
}

static void decode_keepalive(Reader *reader, KeepaliveMessage *ret)
{
    ret->server_end = read_u64_be(reader);
    ret->send_time = (PgTime)read_u64_be(reader);
    ret->reply_requested = read_u8(reader) != 0;
}

static void decode_status(Reader *reader, StandbyStatusMessage *ret)
{
    ret->write = read_u64_be(reader);
    ret->flush = read_u64_be(reader);
    ret->apply = read_u64_be(reader);
    ret->send_time = (PgTime)read_u64_be(reader);
    ret->reply_requested = read_u8(reader) != 0;
}

static void decode_feedback(Reader *reader, HotStandbyFeedbackMessage *ret)
{
    ret->send_time = (PgTime)read_u64_be(reader);
    ret->xmin = read_u32_be(reader);
    ret->xmin_epoch = read_u32_be(reader);
    ret->catalog_xmin = read_u32_be(reader);
    ret->catalog_xmin_epoch = read_u32_be(reader);
}

bool copy_message_decode(const void *data, size_t length, CopyMessage *ret, Error *err)
{
    Reader reader = reader_over(data, length);
    CopyMessage message = {0};
    uint8_t type = read_u8(&reader);

    if (length == 0)
        return error_set(err, ERROR_PROTOCOL, "empty streaming message");
    switch (type) {
    case COPY_WAL_DATA:
        if (length < COPY_WAL_HEADER_SIZE)
            return length_error(err, COPY_WAL_DATA, length, COPY_WAL_HEADER_SIZE);
        if (!decode_wal(&reader, &message.as.wal, err))
            return false;
        break;
    case COPY_KEEPALIVE:
        if (length != COPY_KEEPALIVE_SIZE)
            return length_error(err, COPY_KEEPALIVE, length, COPY_KEEPALIVE_SIZE);
        decode_keepalive(&reader, &message.as.keepalive);
        break;
    case COPY_STANDBY_STATUS:
        if (length != COPY_STATUS_SIZE)
            return length_error(err, COPY_STANDBY_STATUS, length, COPY_STATUS_SIZE);
        decode_status(&reader, &message.as.status);
        break;
    case COPY_HOT_STANDBY_FEEDBACK:
        if (length != COPY_FEEDBACK_SIZE)
            return length_error(err, COPY_HOT_STANDBY_FEEDBACK, length, COPY_FEEDBACK_SIZE);
        decode_feedback(&reader, &message.as.feedback);
        break;
    default:
        return error_set(err, ERROR_PROTOCOL, "unknown type of streaming message: 0x%02X", type);
    }
    message.type = (CopyMessageType)type;
    *ret = message;
    return true;
}

static void encode_wal(Writer *writer, const WalDataMessage *wal)
{
    write_u64_be(writer, wal->start);
    write_u64_be(writer, wal->server_end);
    write_u64_be(writer, (uint64_t)wal->send_time);
    if (wal->length > 0)
        write_bytes(writer, wal->data, wal->length);
}

static void encode_keepalive(Writer *writer, const KeepaliveMessage *keepalive)
{
    write_u64_be(writer, keepalive->server_end);
    write_u64_be(writer, (uint64_t)keepalive->send_time);
    write_u8(writer, keepalive->reply_requested ? 1 : 0);
}

static void encode_status(Writer *writer, const StandbyStatusMessage *status)
{
    write_u64_be(writer, status->write);
    write_u64_be(writer, status->flush);
    write_u64_be(writer, status->apply);
    write_u64_be(writer, (uint64_t)status->send_time);
    write_u8(writer, status->reply_requested ? 1 : 0);
}

static void encode_feedback(Writer *writer, const HotStandbyFeedbackMessage *feedback)
{
    write_u64_be(writer, (uint64_t)feedback->send_time);
    write_u32_be(writer, feedback->xmin);
    write_u32_be(writer, feedback->xmin_epoch);
    write_u32_be(writer, feedback->catalog_xmin);
    write_u32_be(writer, feedback->catalog_xmin_epoch);
}

size_t copy_message_encode(const CopyMessage *message, void *buffer, size_t capacity)
{
    Writer writer = writer_over(buffer, capacity);

    write_u8(&writer, (uint8_t)message->type);
    switch (message->type) {
    case COPY_WAL_DATA:
        encode_wal(&writer, &message->as.wal);
        break;
    case COPY_KEEPALIVE:
        encode_keepalive(&writer, &message->as.keepalive);
        break;
    case COPY_STANDBY_STATUS:
        encode_status(&writer, &message->as.status);
        break;
    case COPY_HOT_STANDBY_FEEDBACK:
        encode_feedback(&writer, &message->as.feedback);
        break;
    }
    return writer.failed ? 0 : writer.position;
}
