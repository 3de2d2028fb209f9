/* SPDX-License-Identifier: PostgreSQL
 *
 * An entry as bytes, little-endian: a fixed part, a row for each resource manager that has records,
 * a row for each restore point, a CRC-32C over all of it. The fixed part:
 *
 *    0 magic   4 length   8 version   10 flags   12 timeline   16 system identifier
 *   24 segment size   28 lowest XID   32 highest XID   36 restore points   40 segment number
 *   48 when the segment's file was changed   56 first record   64 last end   72 commits   80 aborts
 *   88 first commit: LSN, time   104 last commit: LSN, time   120 oldest   128 newest time
 *  136 rows of resource managers   138 rows of restore points
 *
 * A reader that meets anything else looks for the next magic: a torn entry loses only itself.
 */
#include "index_internal.h"

#include "walrx/base/cursor.h"
#include "walrx/proto/crc32c.h"

#include <string.h>

#define MAGIC "WXI\x1a"
#define MAGIC_SIZE 4
#define VERSION 1
#define FLAG_HEAD_UNKNOWN 1
#define FIXED_SIZE 140
#define CRC_SIZE 4
#define LENGTH_OFFSET 4
#define SEGNO_OFFSET 40

static uint16_t count_rows(const IndexEntry *entry)
{
    uint16_t rows = 0;
    for (size_t i = 0; i < INDEX_RMGRS; i++)
        rows = (uint16_t)(rows + (entry->rmgrs[i].records > 0 ? 1 : 0));
    return rows;
}

static uint16_t count_points(const IndexEntry *entry)
{
    return (uint16_t)(entry->point_count < INDEX_POINTS_MAX ? entry->point_count
                                                            : INDEX_POINTS_MAX);
}

static void write_end(Writer *writer, const IndexEnd *end)
{
    write_u64_le(writer, end->lsn);
    write_u64_le(writer, (uint64_t)end->time);
}

static void write_fixed(Writer *writer, const Archive *archive, const IndexEntry *entry)
{
    write_bytes(writer, MAGIC, MAGIC_SIZE);
    write_u32_le(writer, 0); /* the length, later */
    write_u16_le(writer, VERSION);
    write_u16_le(writer, entry->head_unknown ? FLAG_HEAD_UNKNOWN : 0);
    write_u32_le(writer, entry->timeline);
    write_u64_le(writer, archive->system_identifier);
    write_u32_le(writer, archive->segment_size);
    write_u32_le(writer, entry->xid_low);
    write_u32_le(writer, entry->xid_high);
    write_u32_le(writer, entry->point_count);
    write_u64_le(writer, entry->segno);
    write_u64_le(writer, (uint64_t)entry->modified);
    write_u64_le(writer, entry->first_record);
    write_u64_le(writer, entry->last_end);
    write_u64_le(writer, entry->commits);
    write_u64_le(writer, entry->aborts);
    write_end(writer, &entry->first_commit);
    write_end(writer, &entry->last_commit);
    write_u64_le(writer, (uint64_t)entry->oldest);
    write_u64_le(writer, (uint64_t)entry->newest);
    write_u16_le(writer, count_rows(entry));
    write_u16_le(writer, count_points(entry));
}

static void write_counts(Writer *writer, uint8_t rmgr, const IndexCounts *counts)
{
    write_u8(writer, rmgr);
    write_u64_le(writer, counts->records);
    write_u64_le(writer, counts->bytes);
    write_u64_le(writer, counts->image_bytes);
}

static void write_point(Writer *writer, const IndexPoint *point)
{
    size_t length = strnlen(point->name, sizeof(point->name) - 1);
    write_u64_le(writer, point->lsn);
    write_u64_le(writer, point->end);
    write_u64_le(writer, (uint64_t)point->time);
    write_u8(writer, (uint8_t)length);
    write_bytes(writer, point->name, length);
}

size_t index_encode(const Archive *archive, const IndexEntry *entry,
                    uint8_t buffer[INDEX_ENTRY_MAX])
{
    Writer writer = writer_over(buffer, INDEX_ENTRY_MAX);
    write_fixed(&writer, archive, entry);
    for (size_t i = 0; i < INDEX_RMGRS; i++) {
        if (entry->rmgrs[i].records > 0)
            write_counts(&writer, (uint8_t)i, &entry->rmgrs[i]);
    }
    for (uint16_t i = 0; i < count_points(entry); i++)
        write_point(&writer, &entry->points[i]);
    size_t body = writer.position;
    Writer length = writer_over(buffer + LENGTH_OFFSET, sizeof(uint32_t));
    write_u32_le(&length, (uint32_t)(body + CRC_SIZE));
    write_u32_le(&writer, crc32c_final(crc32c_update(CRC32C_INIT, buffer, body)));
    return writer.position;
}

/* Is there a whole entry at `at`? */
static bool is_whole(const Archive *archive, const uint8_t *bytes, size_t left, IndexPlace *ret)
{
    if (left < FIXED_SIZE + CRC_SIZE || memcmp(bytes, MAGIC, MAGIC_SIZE) != 0)
        return false;
    Reader reader = reader_over(bytes, left);
    read_skip(&reader, LENGTH_OFFSET);
    size_t length = read_u32_le(&reader);
    uint16_t version = read_u16_le(&reader);
    (void)read_u16_le(&reader); /* flags */
    ret->timeline = read_u32_le(&reader);
    uint64_t system_identifier = read_u64_le(&reader);
    uint32_t segment_size = read_u32_le(&reader);
    if (length < FIXED_SIZE + CRC_SIZE || length > INDEX_ENTRY_MAX || length > left ||
        version != VERSION || system_identifier != archive->system_identifier ||
        segment_size != archive->segment_size)
        return false;
    Reader crc = reader_over(bytes + length - CRC_SIZE, CRC_SIZE);
    if (crc32c_final(crc32c_update(CRC32C_INIT, bytes, length - CRC_SIZE)) != read_u32_le(&crc))
        return false;
    Reader segno = reader_over(bytes + SEGNO_OFFSET, sizeof(uint64_t));
    ret->segno = read_u64_le(&segno);
    ret->length = length;
    return true;
}

bool index_next(const Archive *archive, const uint8_t *bytes, size_t length, size_t at,
                IndexPlace *ret)
{
    while (at < length) {
        const uint8_t *found = memchr(bytes + at, MAGIC[0], length - at);
        if (found == NULL)
            return false;
        at = (size_t)(found - bytes);
        ret->begin = at;
        if (is_whole(archive, found, length - at, ret))
            return true;
        at++;
    }
    return false;
}

static void read_end(Reader *reader, IndexEnd *ret)
{
    ret->lsn = read_u64_le(reader);
    ret->time = (PgTime)read_u64_le(reader);
}

static void read_fixed(Reader *reader, IndexEntry *ret, uint16_t *ret_rows, uint16_t *ret_points)
{
    read_skip(reader, 10); /* magic, length, version */
    ret->head_unknown = (read_u16_le(reader) & FLAG_HEAD_UNKNOWN) != 0;
    ret->timeline = read_u32_le(reader);
    read_skip(reader, 12); /* the archive's identity */
    ret->xid_low = read_u32_le(reader);
    ret->xid_high = read_u32_le(reader);
    ret->point_count = read_u32_le(reader);
    ret->segno = read_u64_le(reader);
    ret->modified = (int64_t)read_u64_le(reader);
    ret->first_record = read_u64_le(reader);
    ret->last_end = read_u64_le(reader);
    ret->commits = read_u64_le(reader);
    ret->aborts = read_u64_le(reader);
    read_end(reader, &ret->first_commit);
    read_end(reader, &ret->last_commit);
    ret->oldest = (PgTime)read_u64_le(reader);
    ret->newest = (PgTime)read_u64_le(reader);
    *ret_rows = read_u16_le(reader);
    *ret_points = read_u16_le(reader);
}

/* Rows ascend. */
static bool read_rows(Reader *reader, uint16_t rows, IndexEntry *ret)
{
    int before = -1;
    for (uint16_t i = 0; i < rows; i++) {
        uint8_t rmgr = read_u8(reader);
        IndexCounts *counts = &ret->rmgrs[rmgr];
        if (reader->failed || (int)rmgr <= before)
            return false;
        before = rmgr;
        counts->records = read_u64_le(reader);
        counts->bytes = read_u64_le(reader);
        counts->image_bytes = read_u64_le(reader);
        if (counts->records == 0 || counts->image_bytes > counts->bytes)
            return false;
    }
    return true;
}

static bool read_points(Reader *reader, uint16_t rows, IndexEntry *ret)
{
    if (rows > INDEX_POINTS_MAX || rows > ret->point_count ||
        (rows < ret->point_count && rows < INDEX_POINTS_MAX))
        return false;
    for (uint16_t i = 0; i < rows; i++) {
        IndexPoint *point = &ret->points[i];
        point->lsn = read_u64_le(reader);
        point->end = read_u64_le(reader);
        point->time = (PgTime)read_u64_le(reader);
        size_t length = read_u8(reader);
        const uint8_t *name = length < sizeof(point->name) ? read_bytes(reader, length) : NULL;
        if (name == NULL || memchr(name, '\0', length) != NULL)
            return false;
        memcpy(point->name, name, length);
    }
    return true;
}

bool index_decode(const uint8_t *bytes, size_t length, IndexEntry *ret)
{
    Reader reader = reader_over(bytes, length);
    uint16_t rows;
    uint16_t points;
    memset(ret, 0, sizeof(*ret));
    read_fixed(&reader, ret, &rows, &points);
    return !reader.failed && read_rows(&reader, rows, ret) && read_points(&reader, points, ret) &&
           !reader.failed && reader_left(&reader) == CRC_SIZE;
}
