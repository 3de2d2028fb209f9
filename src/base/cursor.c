/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: every access first takes its bytes through one function that checks the room; integers
 * are put together byte by byte, so that alignment and the machine's byte order do not matter.
 */
#include "walrx/base/cursor.h"

#include <string.h>

Reader reader_over(const void *data, size_t length)
{
    return (Reader){.data = data, .length = length};
}

size_t reader_left(const Reader *reader)
{
    return reader->length - reader->position;
}

const uint8_t *read_bytes(Reader *reader, size_t count)
{
    if (reader->failed || count > reader_left(reader)) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *view = reader->data;
    if (reader->position > 0) /* an empty buffer may be NULL, to which nothing may be added */
        view += reader->position;
    reader->position += count;
    return view;
}

void read_skip(Reader *reader, size_t count)
{
    (void)read_bytes(reader, count); /* a failure is kept in the reader */
}

uint8_t read_u8(Reader *reader)
{
    const uint8_t *bytes = read_bytes(reader, 1);
    return bytes ? bytes[0] : 0;
}

uint32_t read_u32_be(Reader *reader)
{
    const uint8_t *bytes = read_bytes(reader, 4);
    if (!bytes)
        return 0;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           (uint32_t)bytes[3];
}

/* All eight bytes or none: a failed read must not move the position. */
uint64_t read_u64_be(Reader *reader)
{
    const uint8_t *bytes = read_bytes(reader, 8);
    uint64_t value = 0;

    for (size_t i = 0; bytes && i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

uint16_t read_u16_le(Reader *reader)
{
    const uint8_t *bytes = read_bytes(reader, 2);
    if (!bytes)
        return 0;
    return (uint16_t)((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8);
}

uint32_t read_u32_le(Reader *reader)
{
    const uint8_t *bytes = read_bytes(reader, 4);
    if (!bytes)
        return 0;
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 |
           (uint32_t)bytes[0];
}

uint64_t read_u64_le(Reader *reader)
{
    const uint8_t *bytes = read_bytes(reader, 8);
    uint64_t value = 0;

    for (size_t i = 8; bytes && i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

Writer writer_over(void *data, size_t capacity)
{
    return (Writer){.data = data, .capacity = capacity};
}

void write_bytes(Writer *writer, const void *data, size_t count)
{
    if (writer->failed || count > writer->capacity - writer->position) {
        writer->failed = true;
        return;
    }
    if (count > 0)
        memcpy(writer->data + writer->position, data, count);
    writer->position += count;
}

/* The low `size` bytes of value, highest first. */
static void write_be(Writer *writer, uint64_t value, size_t size)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    write_bytes(writer, bytes, size);
}

/* The low `size` bytes of value, lowest first. */
static void write_le(Writer *writer, uint64_t value, size_t size)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    write_bytes(writer, bytes, size);
}

void write_u8(Writer *writer, uint8_t value)
{
    write_bytes(writer, &value, 1);
}

void write_u32_be(Writer *writer, uint32_t value)
{
    write_be(writer, value, 4);
}

void write_u64_be(Writer *writer, uint64_t value)
{
    write_be(writer, value, 8);
}

void write_u16_le(Writer *writer, uint16_t value)
{
    write_le(writer, value, 2);
}

void write_u32_le(Writer *writer, uint32_t value)
{
    write_le(writer, value, 4);
}

void write_u64_le(Writer *writer, uint64_t value)
{
    write_le(writer, value, 8);
}
