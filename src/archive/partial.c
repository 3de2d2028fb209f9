/* SPDX-License-Identifier: PostgreSQL
 *
 * See partial.h. The proof is the WAL itself: pages in place, the chain of xl_prev, the CRC of each
 * record. After a power cut blocks that were not synced may be missing anywhere behind the last
 * sync, and a scan that stops at the first break never trusts them.
 *
 * A compressed partial and a raw one of the same segment say nothing about which is the newer:
 * walrx may have written the raw one before pg_receivewal -Z the other, or after. Only the bytes
 * tell.
 */
#include "walrx/archive/partial.h"

#include "walrx/archive/quarantine.h"
#include "walrx/archive/segment_file.h"
#include "walrx/os/durable.h"
#include "walrx/proto/walscan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_CHUNK ((size_t)256 * 1024)

static bool mend_size(const Archive *archive, const char *name, int fd, uint64_t size, Error *err)
{
    if (size < archive->segment_size)
        return file_allocate(&archive->dir, name, fd, archive->segment_size, err);
    if (size > archive->segment_size)
        return file_truncate(&archive->dir, name, fd, archive->segment_size, err);
    return true;
}

static bool scan_file(const Archive *archive, const char *name, int fd, WalScanner *scanner,
                      Error *err)
{
    char *chunk = malloc(SCAN_CHUNK);
    if (chunk == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    bool ok = true;
    for (uint64_t offset = 0; ok && offset < archive->segment_size; offset += SCAN_CHUNK) {
        size_t count;
        ok = file_read_at(&archive->dir, name, fd, chunk, SCAN_CHUNK, offset, &count, err);
        if (ok && wal_scan_feed(scanner, chunk, count) != WAL_SCAN_RUNNING)
            break;
    }
    free(chunk);
    return ok;
}

bool partial_examine(const Archive *archive, Timeline timeline, SegNo segno, PartialTrust *ret,
                     uint64_t *ret_old_size, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    Lsn start = segment_start(segno, archive->segment_size);
    PartialTrust trust = {.exists = false, .proven_begin = start, .proven_end = start};
    uint64_t size;
    int fd;
    wal_segment_name(timeline, segno, archive->segment_size, WAL_RAW, true, name);
    if (!file_status(&archive->dir, name, &trust.exists, &size, err))
        return false;
    *ret_old_size = trust.exists ? size : archive->segment_size;
    if (!trust.exists) {
        *ret = trust;
        return true;
    }
    if (!file_open(&archive->dir, name, FILE_WRITE, &fd, err))
        return false;
    WalScanner scanner;
    wal_scan_init(&scanner, start, archive->segment_size, archive->system_identifier);
    bool ok = mend_size(archive, name, fd, size, err) &&
              durable_file(&archive->dir, name, fd, err) &&
              scan_file(archive, name, fd, &scanner, err);
    file_close(&archive->dir, fd);
    if (!ok)
        return false;
    if (scanner.records > 0) {
        trust.proven_begin = scanner.first_record;
        trust.proven_end = scanner.proven_end;
    }
    *ret = trust;
    return true;
}

typedef struct Expansion {
    const Archive *archive;
    const char *name;
    int fd;
    uint64_t length;
} Expansion;

static bool expand_bytes(void *context, const void *data, size_t length, Error *err)
{
    Expansion *expansion = context;
    uint64_t room = expansion->archive->segment_size - expansion->length;
    struct iovec part = {.iov_base = (void *)(uintptr_t)data,
                         .iov_len = length < room ? length : (size_t)room};
    if (part.iov_len > 0 && !file_write_at(&expansion->archive->private, expansion->name,
                                           expansion->fd, &part, 1, expansion->length, err))
        return false;
    expansion->length += part.iov_len;
    return length <= room ||
           error_set(err, ERROR_ARCHIVE, "the compressed partial is longer than a segment");
}

/* Decompresses into a durable temporary of segment size. */
static bool expand_to(const Archive *archive, const char *packed, WalCompression from,
                      const char *temporary, PartialExpansion *ret, Error *err)
{
    Expansion expansion = {.archive = archive, .name = temporary, .fd = -1};
    if (!file_open(&archive->private, temporary, FILE_CREATE, &expansion.fd, err))
        return false;
    bool ok = segment_file_read(&archive->dir, packed, from, expand_bytes, &expansion, err);
    if (!ok && err->class == ERROR_ARCHIVE) {
        ret->damaged = true;
        ok = true;
    }
    ok = ok &&
         file_allocate(&archive->private, temporary, expansion.fd, archive->segment_size, err) &&
         durable_file(&archive->private, temporary, expansion.fd, err);
    file_close(&archive->private, expansion.fd);
    ret->bytes = expansion.length;
    return ok;
}

/* One of two files that are compared. */
typedef struct Side {
    const Dir *dir;
    const char *name;
    int fd;
    uint8_t *chunk;
    uint64_t end; /* of its content: behind the last byte that is not zero */
} Side;

static bool side_read(Side *side, uint64_t offset, Error *err)
{
    size_t count;
    if (!file_read_at(side->dir, side->name, side->fd, side->chunk, SCAN_CHUNK, offset, &count,
                      err))
        return false;
    memset(side->chunk + count, 0, SCAN_CHUNK - count);
    for (size_t i = SCAN_CHUNK; i > 0; i--) {
        if (side->chunk[i - 1] != 0) {
            side->end = offset + i;
            break;
        }
    }
    return true;
}

/* Finds the first byte that differs (the size when none does) and the end of both contents. */
static bool compare_sides(Side *left, Side *right, uint64_t size, uint64_t *ret_same, Error *err)
{
    uint64_t same = size;
    for (uint64_t offset = 0; offset < size; offset += SCAN_CHUNK) {
        if (!side_read(left, offset, err) || !side_read(right, offset, err))
            return false;
        if (same < size || memcmp(left->chunk, right->chunk, SCAN_CHUNK) == 0)
            continue;
        size_t at = 0;
        while (left->chunk[at] == right->chunk[at])
            at++;
        same = offset + at;
    }
    *ret_same = same;
    return true;
}

static bool side_open(Side *side, FileOpen how, Error *err)
{
    side->chunk = malloc(SCAN_CHUNK);
    if (side->chunk == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", side->name);
    return file_open(side->dir, side->name, how, &side->fd, err);
}

static void side_close(Side *side)
{
    file_close(side->dir, side->fd);
    free(side->chunk);
}

/* Which of the two is the raw partial from now on? What the raw one holds is durable on return: a
 * process that was killed may have left it to the kernel. */
static bool compare_with_raw(const Archive *archive, const char *raw, const char *temporary,
                             bool *ret_take, bool *ret_differs, Error *err)
{
    Side old = {.dir = &archive->dir, .name = raw, .fd = -1};
    Side expanded = {.dir = &archive->private, .name = temporary, .fd = -1};
    uint64_t same = 0;
    bool ok = side_open(&old, FILE_WRITE, err) && side_open(&expanded, FILE_READ, err) &&
              compare_sides(&old, &expanded, archive->segment_size, &same, err) &&
              durable_file(&archive->dir, raw, old.fd, err);
    side_close(&old);
    side_close(&expanded);
    *ret_differs = same < old.end && same < expanded.end;
    *ret_take = !*ret_differs && expanded.end > old.end;
    return ok;
}

bool partial_expand(const Archive *archive, Timeline timeline, SegNo segno, WalCompression from,
                    PartialExpansion *ret, Error *err)
{
    char packed[WAL_FILE_NAME_SIZE];
    char raw[WAL_FILE_NAME_SIZE];
    char temporary[WAL_FILE_NAME_SIZE + 8];
    bool exists;
    bool take = true;
    uint64_t size;
    PartialExpansion expansion = {.damaged = false};
    wal_segment_name(timeline, segno, archive->segment_size, from, true, packed);
    wal_segment_name(timeline, segno, archive->segment_size, WAL_RAW, true, raw);
    (void)snprintf(temporary, sizeof(temporary), "%s%s", raw, ARCHIVE_TEMP_SUFFIX);
    if (!file_status(&archive->dir, raw, &exists, &size, err) ||
        !expand_to(archive, packed, from, temporary, &expansion, err) ||
        (exists && !compare_with_raw(archive, raw, temporary, &take, &expansion.differs, err)))
        return false;
    *ret = expansion;
    if (take ? !durable_replace(&archive->private, temporary, &archive->dir, raw, err)
             : !durable_remove(&archive->private, temporary, err))
        return false;
    /* Only what is whole in the raw one may go. */
    if (expansion.damaged || expansion.differs)
        return quarantine_move(archive, &archive->dir, packed, packed, err);
    return durable_remove(&archive->dir, packed, err);
}

bool partial_content_end(const Archive *archive, Timeline timeline, SegNo segno, uint64_t *ret_end,
                         Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    wal_segment_name(timeline, segno, archive->segment_size, WAL_RAW, true, name);
    Side side = {.dir = &archive->dir, .name = name, .fd = -1};
    bool ok = side_open(&side, FILE_READ, err);
    /* The segment size is a multiple of SCAN_CHUNK. Backwards, as most of it may be zeros. */
    for (uint64_t offset = archive->segment_size; ok && offset > 0 && side.end == 0;) {
        offset -= SCAN_CHUNK;
        ok = side_read(&side, offset, err);
    }
    side_close(&side);
    *ret_end = side.end;
    return ok;
}
