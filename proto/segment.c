/* SPDX-License-Identifier: PostgreSQL
 *
 * Segment arithmetic and file names. Names are read strictly from left to right: fixed runs of
 * upper-case hexadecimal digits, then a suffix that must match to its last character.
 * Facts: src/include/access/xlog_internal.h, PostgreSQL 15.
 */
#include "walrx/proto/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOG_SIZE (UINT64_C(1) << 32) /* bytes that share one XXXXXXXX */
#define FIELD_DIGITS 8
#define PARTIAL_SUFFIX ".partial"
#define HISTORY_SUFFIX ".history"
#define BACKUP_SUFFIX ".backup"

static const char *const COMPRESSION_SUFFIXES[WAL_COMPRESSION_COUNT] = {
    [WAL_RAW] = "",
    [WAL_GZIP] = ".gz",
    [WAL_LZ4] = ".lz4",
    [WAL_ZSTD] = ".zst",
};

bool segment_size_valid(uint64_t size)
{
    return size >= SEGMENT_SIZE_MIN && size <= SEGMENT_SIZE_MAX && (size & (size - 1)) == 0;
}

SegNo segment_of(Lsn lsn, uint32_t segment_size)
{
    return lsn / segment_size;
}

Lsn segment_start(SegNo segno, uint32_t segment_size)
{
    return segno * segment_size;
}

Lsn segment_floor(Lsn lsn, uint32_t segment_size)
{
    return lsn - segment_offset(lsn, segment_size);
}

uint32_t segment_offset(Lsn lsn, uint32_t segment_size)
{
    return (uint32_t)(lsn & (segment_size - 1));
}

SegNo segment_last(uint32_t segment_size)
{
    return UINT64_MAX / segment_size;
}

const char *wal_compression_suffix(WalCompression compression)
{
    return COMPRESSION_SUFFIXES[compression];
}

/* Reads eight upper-case digits at *cursor and moves it behind them. */
static bool take_field(const char **cursor, uint32_t *ret)
{
    const char *text = *cursor;
    uint32_t value = 0;

    for (size_t i = 0; i < FIELD_DIGITS; i++) {
        uint32_t digit;

        if (text[i] >= '0' && text[i] <= '9')
            digit = (uint32_t)(text[i] - '0');
        else if (text[i] >= 'A' && text[i] <= 'F')
            digit = (uint32_t)(text[i] - 'A') + 10;
        else
            return false;
        value = (value << 4) | digit;
    }
    *cursor = text + FIELD_DIGITS;
    *ret = value;
    return true;
}

static bool take_text(const char **cursor, const char *expected)
{
    size_t length = strlen(expected);

    if (strncmp(*cursor, expected, length) != 0)
        return false;
    *cursor += length;
    return true;
}

static WalCompression take_compression(const char **cursor)
{
    for (int i = WAL_RAW + 1; i < WAL_COMPRESSION_COUNT; i++) {
        if (take_text(cursor, COMPRESSION_SUFFIXES[i]))
            return (WalCompression)i;
    }
    return WAL_RAW;
}

/* What follows the timeline, log and segment fields. */
static bool parse_segment_tail(const char *tail, WalFileName *file)
{
    const char *backup = tail;

    if (take_text(&backup, ".") && take_field(&backup, &file->backup_offset)) {
        file->kind = WAL_FILE_BACKUP_HISTORY;
        return strcmp(backup, BACKUP_SUFFIX) == 0;
    }
    file->kind = WAL_FILE_SEGMENT;
    file->compression = take_compression(&tail);
    file->partial = take_text(&tail, PARTIAL_SUFFIX);
    return *tail == '\0';
}

bool wal_file_parse(const char *name, WalFileName *ret)
{
    WalFileName file = {.kind = WAL_FILE_HISTORY};
    const char *cursor = name;

    /* Timeline 0 does not exist (xlogdefs.h: timelines count from 1). */
    if (!take_field(&cursor, &file.timeline) || file.timeline == 0)
        return false;
    if (take_text(&cursor, HISTORY_SUFFIX)) {
        file.compression = take_compression(&cursor);
        if (*cursor != '\0')
            return false;
    } else if (!take_field(&cursor, &file.log) || !take_field(&cursor, &file.seg) ||
               !parse_segment_tail(cursor, &file)) {
        return false;
    }
    *ret = file;
    return true;
}

bool wal_file_segno(const WalFileName *file, uint32_t segment_size, SegNo *ret)
{
    uint64_t per_log = LOG_SIZE / segment_size;

    if (file->seg >= per_log)
        return false;
    *ret = file->log * per_log + file->seg;
    return true;
}

const char *wal_segment_name(Timeline timeline, SegNo segno, uint32_t segment_size,
                             WalCompression compression, bool partial,
                             char buffer[WAL_FILE_NAME_SIZE])
{
    uint64_t per_log = LOG_SIZE / segment_size;

    (void)snprintf(buffer, WAL_FILE_NAME_SIZE, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32 "%s%s",
                   timeline, (uint32_t)(segno / per_log), (uint32_t)(segno % per_log),
                   wal_compression_suffix(compression), partial ? PARTIAL_SUFFIX : "");
    return buffer;
}

const char *wal_history_name(Timeline timeline, char buffer[WAL_FILE_NAME_SIZE])
{
    (void)snprintf(buffer, WAL_FILE_NAME_SIZE, "%08" PRIX32 HISTORY_SUFFIX, timeline);
    return buffer;
}
