/* SPDX-License-Identifier: PostgreSQL
 *
 * Checked reading and writing of bytes. A cursor never steps outside its buffer: the first access
 * that would, sets `failed`, and every later one does nothing (reads give 0 / NULL). So a decoder
 * reads all its fields and checks `failed` once.
 *
 * Borrows the buffer; the caller keeps it alive. No allocation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Reader {
    const uint8_t *data;
    size_t length;
    size_t position; /* always <= length */
    bool failed;
} Reader;

typedef struct Writer {
    uint8_t *data;
    size_t capacity;
    size_t position; /* always <= capacity: bytes written so far */
    bool failed;
} Writer;

Reader reader_over(const void *data, size_t length);
size_t reader_left(const Reader *reader);
uint8_t read_u8(Reader *reader);
/* be: network order, as in protocol messages. le: as in WAL of little-endian servers. */
uint32_t read_u32_be(Reader *reader);
uint64_t read_u64_be(Reader *reader);
uint16_t read_u16_le(Reader *reader);
uint32_t read_u32_le(Reader *reader);
uint64_t read_u64_le(Reader *reader);
/* The next `count` bytes as a view into the buffer, NULL (and failed) when there are fewer. */
const uint8_t *read_bytes(Reader *reader, size_t count);
void read_skip(Reader *reader, size_t count);

Writer writer_over(void *data, size_t capacity);
void write_u8(Writer *writer, uint8_t value);
void write_u32_be(Writer *writer, uint32_t value);
void write_u64_be(Writer *writer, uint64_t value);
void write_u16_le(Writer *writer, uint16_t value);
void write_u32_le(Writer *writer, uint32_t value);
void write_u64_le(Writer *writer, uint64_t value);
void write_bytes(Writer *writer, const void *data, size_t count);
