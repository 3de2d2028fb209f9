/* SPDX-License-Identifier: PostgreSQL
 *
 * See segment_writer.h. Writes are whole blocks, because O_DIRECT wants them. The block that holds
 * the current end is therefore written again as it fills, always with the same bytes in front: a
 * torn write leaves 512-byte sectors of the old or the new version, which agree on everything
 * acknowledged.
 *
 * Behind the end, a new file gets zeros. A file of an earlier run keeps what it has: bytes that
 * were acknowledged but lie in a record that is not whole yet are not proven, and must survive
 * until they have arrived again.
 */
#include "walrx/archive/segment_writer.h"

#include "duplicate.h"

#include "walrx/archive/leftover.h"
#include "walrx/os/clock.h"
#include "walrx/os/durable.h"
#include "walrx/os/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOUNCE_SIZE ((size_t)1 << 20)
/* A segment that was synced so often in the middle is a trickle: the next one will be, too. */
#define ZEROS_AFTER_SYNCS 8

static uint64_t block_floor(uint64_t position)
{
    return position - position % WRITER_BLOCK;
}

static uint64_t block_ceil(uint64_t position)
{
    return block_floor(position + WRITER_BLOCK - 1);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool writer_init(SegmentWriter *writer, const Archive *archive, Error *err)
{
    *writer = (SegmentWriter){.archive = archive, .fd = -1};
    spare_init(&writer->spare, archive, &writer->mode);
    void *memory;
    if (posix_memalign(&memory, WRITER_BLOCK, BOUNCE_SIZE) != 0)
        return error_set(err, ERROR_MEMORY, "out of memory for the segment writer");
    writer->bounce = memory;
    return true;
}

void writer_deinit(SegmentWriter *writer)
{
    spare_deinit(&writer->spare);
    file_close(&writer->archive->dir, writer->fd);
    writer->fd = -1;
    free(writer->bounce);
    writer->bounce = NULL;
}

void writer_start(SegmentWriter *writer, Timeline timeline, Lsn lsn, const PartialTrust *trust)
{
    assert(writer->fd < 0);
    assert(segment_offset(lsn, writer->archive->segment_size) == 0);
    writer->timeline = timeline;
    writer->position = lsn;
    writer->reopened_end = trust->exists ? lsn + writer->archive->segment_size : lsn;
    writer->proven_begin = trust->proven_begin;
    writer->proven_end = trust->proven_end;
}

/* The stream has come to a segment nobody examined before: a run that went over a hole, or another
 * program, may have left a partial of it. */
static bool examine_leftover(SegmentWriter *writer, Error *err)
{
    const Archive *archive = writer->archive;
    PartialTrust trust;
    if (!leftover_examine(archive, writer->timeline, writer->segno, &trust, err))
        return false;
    if (!trust.exists)
        return true;
    writer->reopened_end = writer->position + archive->segment_size;
    writer->proven_begin = trust.proven_begin;
    writer->proven_end = trust.proven_end;
    return true;
}

static void tell_buffered(SegmentWriter *writer)
{
    if (!writer->mode.off || writer->told_buffered)
        return;
    writer->told_buffered = true;
    log_line(LOG_INFO, NULL,
             "the filesystem of \"%s\" does not take O_DIRECT: segments are written through the "
             "page cache",
             writer->archive->dir.path);
}

static bool open_segment(SegmentWriter *writer, Error *err)
{
    const Archive *archive = writer->archive;
    writer->segno = segment_of(writer->position, archive->segment_size);
    wal_segment_name(writer->timeline, writer->segno, archive->segment_size, WAL_RAW, true,
                     writer->partial_name);
    writer->syncs = 0;
    if (writer->position >= writer->reopened_end && !examine_leftover(writer, err))
        return false;
    /* What was found has been made durable by whoever examined it (partial.h), its name when the
     * archive was bound. */
    writer->entry_durable = writer->position < writer->reopened_end;
    writer->zeroed_end = writer->reopened_end; /* what a file of an earlier run has is kept */
    if (writer->entry_durable)
        return direct_file_open(&writer->mode, &archive->dir, writer->partial_name, &writer->fd,
                                err);
    uint64_t zeroed;
    if (!spare_take(&writer->spare, writer->partial_name, &writer->fd, &zeroed, err))
        return false;
    writer->zeroed_end = writer->position + zeroed;
    return true;
}

/* Reads whole blocks of the open file into the bounce buffer. */
static bool read_blocks(SegmentWriter *writer, Lsn begin, Lsn end, Error *err)
{
    size_t wanted = (size_t)(end - begin);
    size_t count;
    if (!file_read_at(&writer->archive->dir, writer->partial_name, writer->fd, writer->bounce,
                      wanted, segment_offset(begin, writer->archive->segment_size), &count, err))
        return false;
    if (count != wanted)
        return error_set(err, ERROR_STORAGE, "file \"%s/%s\" became shorter while it was open",
                         writer->archive->dir.path, writer->partial_name);
    return true;
}

/* Writes [begin, end) in whole blocks; `data` holds the bytes from data_lsn on. */
static bool write_range(SegmentWriter *writer, const uint8_t *data, Lsn data_lsn, Lsn begin,
                        Lsn end, Error *err)
{
    Lsn first = block_floor(begin);
    Lsn tail = block_floor(end);
    struct iovec parts[2];
    int count = 0;
    if (tail > first) {
        parts[count].iov_base = (void *)(uintptr_t)(data + (first - data_lsn));
        parts[count++].iov_len = (size_t)(tail - first);
    }
    if (end > tail) {
        size_t used = (size_t)(end - tail);
        if (tail < writer->reopened_end) {
            if (!read_blocks(writer, tail, tail + WRITER_BLOCK, err))
                return false;
        } else {
            memset(writer->bounce + used, 0, WRITER_BLOCK - used);
        }
        memcpy(writer->bounce, data + (tail - data_lsn), used);
        parts[count].iov_base = writer->bounce;
        parts[count++].iov_len = WRITER_BLOCK;
    }
    uint64_t began_ns = clock_monotonic_ns();
    bool ok =
        direct_file_write(&writer->mode, &writer->archive->dir, writer->partial_name, &writer->fd,
                          parts, count, segment_offset(first, writer->archive->segment_size), err);
    archive_metrics_wrote(writer->archive->metrics, clock_monotonic_ns() - began_ns, end - begin);
    return ok;
}

/* At most as much as the bounce buffer holds. */
static bool compare_piece(SegmentWriter *writer, const uint8_t *data, Lsn data_lsn, Lsn begin,
                          Lsn end, Error *err)
{
    Lsn first = block_floor(begin);
    if (!read_blocks(writer, first, block_ceil(end), err))
        return false;
    const uint8_t *disk = writer->bounce + (begin - first);
    const uint8_t *received = data + (begin - data_lsn);
    for (Lsn lsn = begin; lsn < end; lsn++, disk++, received++) {
        if (*disk == *received)
            continue;
        char text[LSN_TEXT_SIZE];
        error_set(err, ERROR_ARCHIVE,
                  "the server's WAL differs from the archived file \"%s/%s\" at %s: the archive "
                  "has 0x%02X, the server sends 0x%02X",
                  writer->archive->dir.path, writer->partial_name, lsn_format(lsn, text), *disk,
                  *received);
        error_detail(err, "The archived bytes are a whole record with a correct checksum. Nothing "
                          "was changed.");
        return error_hint(err, "The server was restored, or is another branch of the cluster: "
                               "receive from it into another directory.");
    }
    return true;
}

static bool compare_range(SegmentWriter *writer, const uint8_t *data, Lsn data_lsn, Lsn begin,
                          Lsn end, Error *err)
{
    while (begin < end) {
        Lsn piece_end = earlier(end, block_floor(begin) + BOUNCE_SIZE);
        if (!compare_piece(writer, data, data_lsn, begin, piece_end, err))
            return false;
        begin = piece_end;
    }
    return true;
}

bool writer_write(SegmentWriter *writer, const uint8_t *data, Lsn end, Error *err)
{
    Lsn position = writer->position;
    Lsn data_lsn = block_floor(position);
    assert(end > position && end - data_lsn <= WRITER_MAX);
    if (writer->fd < 0 && !open_segment(writer, err))
        return false;
    /* Compared first: a server on another branch is found out before it spoils the bytes in front.
     */
    Lsn compare_from = later(position, writer->proven_begin);
    Lsn compare_to = earlier(end, writer->proven_end);
    if (compare_from < compare_to &&
        !compare_range(writer, data, data_lsn, compare_from, compare_to, err))
        return false;
    Lsn head_end = earlier(end, writer->proven_begin);
    if (position < head_end && !write_range(writer, data, data_lsn, position, head_end, err))
        return false;
    Lsn write_from = later(position, writer->proven_end);
    if (write_from < end && !write_range(writer, data, data_lsn, write_from, end, err))
        return false;
    writer->position = end;
    tell_buffered(writer);
    return true;
}

/* The wait that began then is over. */
static bool note_sync(const SegmentWriter *writer, uint64_t began_ns, bool ok)
{
    if (writer->archive->dir.sync)
        archive_metrics_synced(writer->archive->metrics, clock_monotonic_ns() - began_ns);
    return ok;
}

static bool sync_file(const SegmentWriter *writer, Error *err)
{
    uint64_t began_ns = clock_monotonic_ns();
    return note_sync(writer, began_ns,
                     durable_file(&writer->archive->dir, writer->partial_name, writer->fd, err));
}

static bool sync_directory(const SegmentWriter *writer, Error *err)
{
    uint64_t began_ns = clock_monotonic_ns();
    return note_sync(writer, began_ns, durable_directory(&writer->archive->dir, err));
}

bool writer_sync(SegmentWriter *writer, Error *err)
{
    if (writer->fd < 0)
        return true;
    if (!sync_file(writer, err))
        return false;
    writer->syncs++;
    if (!writer->entry_durable && !sync_directory(writer, err))
        return false;
    writer->entry_durable = true;
    return true;
}

bool writer_complete(SegmentWriter *writer, bool *ret_new, Error *err)
{
    const Archive *archive = writer->archive;
    char final[WAL_FILE_NAME_SIZE];
    bool exists;
    assert(writer->fd >= 0);
    assert(segment_offset(writer->position, archive->segment_size) == 0);
    if (!sync_file(writer, err))
        return false;
    file_close(&archive->dir, writer->fd);
    writer->fd = -1;
    Newcomer newcomer = {
        .dir = &archive->dir,
        .name = writer->partial_name,
        .timeline = writer->timeline,
        .segno = writer->segno,
        .form = WAL_RAW,
    };
    if (!duplicate_settle(archive, &newcomer, &exists, err))
        return false;
    *ret_new = !exists;
    if (exists)
        return true;
    wal_segment_name(writer->timeline, writer->segno, archive->segment_size, WAL_RAW, false, final);
    uint64_t began_ns = clock_monotonic_ns();
    if (!note_sync(writer, began_ns,
                   durable_publish(&archive->dir, writer->partial_name, &archive->dir, final,
                                   &exists, err)))
        return false;
    archive_metrics_completed(archive->metrics);
    return !exists ||
           error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" appeared while the archive was locked",
                     archive->dir.path, final);
}

void writer_skip_segment(SegmentWriter *writer)
{
    assert(writer->fd < 0);
    assert(segment_offset(writer->position, writer->archive->segment_size) == 0);
    writer->position += writer->archive->segment_size;
}

static bool is_trickle(const SegmentWriter *writer)
{
    /* Through the page cache zeros would only be in the way of the next sync. */
    return writer->archive->dir.sync && !writer->mode.off && writer->syncs >= ZEROS_AFTER_SYNCS;
}

/* Where zeros are to be written ahead of the position (see spare.h); the segment's end: nowhere. */
static Lsn next_zeros(const SegmentWriter *writer)
{
    Lsn end = segment_start(writer->segno + 1, writer->archive->segment_size);
    Lsn from = later(writer->zeroed_end, writer->position) + DIRECT_ZEROS - 1;
    from -= from % DIRECT_ZEROS;
    return is_trickle(writer) && from < end ? from : end;
}

static bool zero_ahead(SegmentWriter *writer, Lsn from, Error *err)
{
    writer->zeroed_end = from + DIRECT_ZEROS;
    if (direct_file_write_zeros(&writer->mode, &writer->archive->dir, writer->partial_name,
                                &writer->fd, segment_offset(from, writer->archive->segment_size),
                                err))
        return true;
    /* Where allocating reserves nothing, zeros must not take the room that WAL may yet find. */
    writer->zeroed_end = segment_start(writer->segno + 1, writer->archive->segment_size);
    return err->os_errno == ENOSPC || err->os_errno == EDQUOT;
}

bool writer_can_prepare(const SegmentWriter *writer)
{
    return writer->fd >= 0 &&
           (segment_of(next_zeros(writer), writer->archive->segment_size) == writer->segno ||
            spare_can_prepare(&writer->spare, is_trickle(writer)));
}

bool writer_prepare(SegmentWriter *writer, bool *ret_worked, Error *err)
{
    *ret_worked = writer_can_prepare(writer);
    if (!*ret_worked)
        return true;
    Lsn from = next_zeros(writer);
    if (segment_of(from, writer->archive->segment_size) == writer->segno)
        return zero_ahead(writer, from, err);
    return spare_prepare(&writer->spare, is_trickle(writer), ret_worked, err);
}

bool writer_close(SegmentWriter *writer, Error *err)
{
    bool ok = writer_sync(writer, err);
    file_close(&writer->archive->dir, writer->fd);
    writer->fd = -1;
    return ok;
}
