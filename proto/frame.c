/* SPDX-License-Identifier: PostgreSQL
 *
 * See frame.h. A message is written with a length of zero first, which is filled in at its end.
 */
#include "walrx/proto/frame.h"

#include <string.h>

#define PROTOCOL_3_0 196608u
#define CANCEL_REQUEST 80877102u
#define SSL_REQUEST 80877103u
#define GSS_REQUEST 80877104u
#define TEXT_OID 25u
#define TEXT_LENGTH_VARIABLE 0xFFFFu

bool frame_length_decode(const uint8_t bytes[4], size_t *ret, Error *err)
{
    Reader reader = reader_over(bytes, 4);
    uint32_t length = read_u32_be(&reader);
    if (length < 4 || length > FRAME_MAX_CLIENT_MESSAGE)
        return error_set(err, ERROR_PROTOCOL, "invalid length %u of a message from the client",
                         length);
    *ret = length;
    return true;
}

bool frame_startup_decode(const void *packet, size_t length, StartupKind *ret, Error *err)
{
    Reader reader = reader_over(packet, length);
    uint32_t stated = read_u32_be(&reader);
    uint32_t code = read_u32_be(&reader);
    if (reader.failed || stated != length)
        return error_set(err, ERROR_PROTOCOL, "invalid startup packet of %zu bytes", length);
    switch (code) {
    case PROTOCOL_3_0:
        *ret = STARTUP_SESSION;
        return true;
    case SSL_REQUEST:
        *ret = STARTUP_SSL_REQUEST;
        return true;
    case GSS_REQUEST:
        *ret = STARTUP_GSS_REQUEST;
        return true;
    case CANCEL_REQUEST:
        *ret = STARTUP_CANCEL_REQUEST;
        return true;
    default:
        return error_set(err, ERROR_PROTOCOL, "unsupported frontend protocol %u.%u", code >> 16,
                         code & 0xFFFF);
    }
}

static size_t begin(Writer *writer, char type)
{
    write_u8(writer, (uint8_t)type);
    size_t at = writer->position;
    write_u32_be(writer, 0);
    return at;
}

static void end(Writer *writer, size_t at)
{
    if (writer->failed)
        return;
    Writer length = writer_over(writer->data + at, 4);
    write_u32_be(&length, (uint32_t)(writer->position - at));
}

static void write_text(Writer *writer, const char *text)
{
    write_bytes(writer, text, strlen(text) + 1);
}

static void write_u16_be(Writer *writer, unsigned value)
{
    write_u8(writer, (uint8_t)(value >> 8));
    write_u8(writer, (uint8_t)value);
}

void frame_authentication_ok(Writer *writer)
{
    size_t at = begin(writer, 'R');
    write_u32_be(writer, 0);
    end(writer, at);
}

void frame_parameter_status(Writer *writer, const char *name, const char *value)
{
    size_t at = begin(writer, 'S');
    write_text(writer, name);
    write_text(writer, value);
    end(writer, at);
}

void frame_backend_key(Writer *writer, uint32_t pid, uint32_t secret)
{
    size_t at = begin(writer, 'K');
    write_u32_be(writer, pid);
    write_u32_be(writer, secret);
    end(writer, at);
}

void frame_ready(Writer *writer)
{
    size_t at = begin(writer, 'Z');
    write_u8(writer, 'I');
    end(writer, at);
}

static void write_description(Writer *writer, const char *const *names, size_t count)
{
    size_t at = begin(writer, 'T');
    write_u16_be(writer, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        write_text(writer, names[i]);
        write_u32_be(writer, 0); /* no table */
        write_u16_be(writer, 0);
        write_u32_be(writer, TEXT_OID);
        write_u16_be(writer, TEXT_LENGTH_VARIABLE);
        write_u32_be(writer, UINT32_MAX); /* type modifier -1 */
        write_u16_be(writer, 0);          /* text format */
    }
    end(writer, at);
}

void frame_row(Writer *writer, const char *const *names, const ResultRow *row)
{
    write_description(writer, names, row->count);
    size_t at = begin(writer, 'D');
    write_u16_be(writer, (unsigned)row->count);
    for (size_t i = 0; i < row->count; i++) {
        if (row->values[i] == NULL) {
            write_u32_be(writer, UINT32_MAX);
            continue;
        }
        write_u32_be(writer, (uint32_t)row->lengths[i]);
        write_bytes(writer, row->values[i], row->lengths[i]);
    }
    end(writer, at);
}

void frame_command_complete(Writer *writer, const char *tag)
{
    size_t at = begin(writer, 'C');
    write_text(writer, tag);
    end(writer, at);
}

void frame_error(Writer *writer, const char *severity, const char *sqlstate, const char *text)
{
    size_t at = begin(writer, 'E');
    write_u8(writer, 'S');
    write_text(writer, severity);
    write_u8(writer, 'V');
    write_text(writer, severity);
    write_u8(writer, 'C');
    write_text(writer, sqlstate);
    write_u8(writer, 'M');
    write_text(writer, text);
    write_u8(writer, 0);
    end(writer, at);
}

void frame_copy_both(Writer *writer)
{
    size_t at = begin(writer, 'W');
    write_u8(writer, 0); /* text; WAL senders say so and mean bytes */
    write_u16_be(writer, 0);
    end(writer, at);
}

void frame_copy_done(Writer *writer)
{
    size_t at = begin(writer, 'c');
    end(writer, at);
}

void frame_copy_data_header(Writer *writer, size_t length)
{
    write_u8(writer, 'd');
    write_u32_be(writer, (uint32_t)(length + 4));
}
