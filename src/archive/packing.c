/* SPDX-License-Identifier: PostgreSQL
 *
 * See packing.h.
 */
#include "packing.h"

#include "compress_job.h"
#include "duplicate.h"

#include "walrx/os/durable.h"

#include <assert.h>
#include <stdlib.h>

bool packing_init(Packing *packing, const Archive *archive, Compressor *compressor, size_t capacity,
                  Error *err)
{
    *packing = (Packing){.archive = archive, .compressor = compressor, .capacity = capacity};
    packing->segments = calloc(capacity, sizeof(packing->segments[0]));
    return packing->segments != NULL ||
           error_set(err, ERROR_MEMORY, "out of memory for %zu segments in work", capacity);
}

void packing_deinit(Packing *packing)
{
    free(packing->segments);
    packing->segments = NULL;
}

static bool interrupted(const Packing *packing, Error *err)
{
    return !compressor_error(packing->compressor, err) &&
           error_set(err, ERROR_STOPPED, "compression was interrupted");
}

bool packing_add(Packing *packing, Timeline timeline, SegNo segno, const uint8_t *memory,
                 bool has_raw, Error *err)
{
    assert(packing->count < packing->capacity);
    PackedSegment *segment =
        &packing->segments[(packing->head + packing->count) % packing->capacity];
    segment->timeline = timeline;
    segment->segno = segno;
    segment->has_raw = has_raw;
    atomic_store(&segment->ticket.outcome, COMPRESS_PENDING);
    atomic_store(&segment->ticket.withdrawn, false);
    CompressJob job = {
        .timeline = timeline,
        .segno = segno,
        .memory = memory,
        .has_raw = has_raw,
        .ticket = &segment->ticket,
    };
    if (!compressor_submit(packing->compressor, &job))
        return interrupted(packing, err);
    packing->count++;
    if (!has_raw)
        packing->without_raw++;
    return true;
}

static bool publish(const Packing *packing, const PackedSegment *segment, Error *err)
{
    const Archive *archive = packing->archive;
    WalCompression form = compressor_spec(packing->compressor).method;
    char packed[WAL_FILE_NAME_SIZE];
    char temporary[COMPRESS_TEMP_SIZE];
    bool exists;
    wal_segment_name(segment->timeline, segment->segno, archive->segment_size, form, false, packed);
    compress_job_temporary(packed, temporary);
    Newcomer newcomer = {
        .dir = &archive->private,
        .name = temporary,
        .timeline = segment->timeline,
        .segno = segment->segno,
        .form = form,
    };
    if (!duplicate_settle(archive, &newcomer, &exists, err))
        return false;
    if (exists)
        return true;
    if (!durable_publish(&archive->private, temporary, &archive->dir, packed, &exists, err))
        return false;
    archive_metrics_completed(archive->metrics);
    return !exists ||
           error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" appeared while the archive was locked",
                     archive->dir.path, packed);
}

/* From its raw file. A worker that failed has told the receiver. */
static void compress_later(const Packing *packing, const PackedSegment *segment)
{
    CompressJob job = {.timeline = segment->timeline, .segno = segment->segno, .has_raw = true};
    (void)compressor_submit(packing->compressor, &job);
}

bool packing_retire(Packing *packing, bool *ret_retired, Lsn *ret_end, Error *err)
{
    PackedSegment *segment = &packing->segments[packing->head];
    *ret_retired = false;
    if (packing->count == 0)
        return true;
    int outcome = atomic_load(&segment->ticket.outcome);
    if (outcome == COMPRESS_PENDING)
        return true;
    if (outcome == COMPRESS_FAILED && !segment->has_raw)
        return (packing->withdrawn && !compressor_error(packing->compressor, err)) ||
               interrupted(packing, err);
    if (!segment->has_raw && !publish(packing, segment, err))
        return false;
    if (outcome == COMPRESS_FAILED && packing->withdrawn)
        compress_later(packing, segment);
    *ret_end = segment_start(segment->segno + 1, packing->archive->segment_size);
    *ret_retired = true;
    packing->head = (packing->head + 1) % packing->capacity;
    packing->count--;
    if (!segment->has_raw)
        packing->without_raw--;
    return true;
}

void packing_withdraw(Packing *packing)
{
    packing->withdrawn = true;
    for (size_t i = 0; i < packing->count; i++)
        compressor_withdraw(packing->compressor,
                            &packing->segments[(packing->head + i) % packing->capacity].ticket);
}

bool packing_drop(Packing *packing, Lsn *ret_begin, Error *err)
{
    const Archive *archive = packing->archive;
    WalCompression form = compressor_spec(packing->compressor).method;
    if (packing->count > 0)
        *ret_begin = segment_start(packing->segments[packing->head].segno, archive->segment_size);
    packing->withdrawn = false;
    for (; packing->count > 0; packing->count--, packing->without_raw--) {
        const PackedSegment *segment = &packing->segments[packing->head];
        char packed[WAL_FILE_NAME_SIZE];
        char temporary[COMPRESS_TEMP_SIZE];
        assert(!segment->has_raw);
        wal_segment_name(segment->timeline, segment->segno, archive->segment_size, form, false,
                         packed);
        compress_job_temporary(packed, temporary);
        if (!durable_remove(&archive->private, temporary, err))
            return false;
        packing->head = (packing->head + 1) % packing->capacity;
    }
    return true;
}

bool packing_busy(const Packing *packing)
{
    for (size_t i = 0; i < packing->count; i++) {
        const PackedSegment *segment = &packing->segments[(packing->head + i) % packing->capacity];
        if (atomic_load(&segment->ticket.outcome) == COMPRESS_PENDING)
            return true;
    }
    return false;
}
