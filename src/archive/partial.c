/* SPDX-License-Identifier: PostgreSQL
 *
 * See partial.h. The proof is the WAL itself: pages in place, the chain of xl_prev, the CRC of each
 * record. After a power cut blocks that were not synced may be missing anywhere behind the last
 * sync, and a scan that stops at the first break never trusts them.
 */
#include "walrx/archive/partial.h"

#include "walrx/archive/segment_file.h"
#include "walrx/os/durable.h"
#include "walrx/proto/walscan.h"

#include <stdio.h>
#include <stdlib.h>

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
    if (length > expansion->archive->segment_size - expansion->length)
        return error_set(err, ERROR_ARCHIVE, "the compressed partial is longer than a segment");
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    if (!file_write_at(&expansion->archive->private, expansion->name, expansion->fd, &part, 1,
                       expansion->length, err))
        return false;
    expansion->length += length;
    return true;
}

bool partial_expand(const Archive *archive, Timeline timeline, SegNo segno, WalCompression from,
                    Error *err)
{
    char packed[WAL_FILE_NAME_SIZE];
    char raw[WAL_FILE_NAME_SIZE];
    char temporary[WAL_FILE_NAME_SIZE + 8];
    bool exists;
    uint64_t size;
    wal_segment_name(timeline, segno, archive->segment_size, from, true, packed);
    wal_segment_name(timeline, segno, archive->segment_size, WAL_RAW, true, raw);
    if (!file_status(&archive->dir, raw, &exists, &size, err))
        return false;
    if (exists)
        return true; /* the raw one was written later: compressed partials come from clean stops */
    (void)snprintf(temporary, sizeof(temporary), "%s%s", raw, ARCHIVE_TEMP_SUFFIX);
    Expansion expansion = {.archive = archive, .name = temporary, .fd = -1};
    if (!file_open(&archive->private, temporary, FILE_CREATE, &expansion.fd, err))
        return false;
    bool ok = segment_file_read(&archive->dir, packed, from, expand_bytes, &expansion, err) ||
              err->class == ERROR_ARCHIVE;
    ok = ok &&
         file_allocate(&archive->private, temporary, expansion.fd, archive->segment_size, err) &&
         durable_file(&archive->private, temporary, expansion.fd, err);
    file_close(&archive->private, expansion.fd);
    return ok && durable_publish(&archive->private, temporary, &archive->dir, raw, &exists, err) &&
           durable_remove(&archive->dir, packed, err);
}
