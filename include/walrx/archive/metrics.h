/* SPDX-License-Identifier: PostgreSQL
 *
 * What writing and compressing cost: filled by the store's and the workers' threads, read by any.
 * Histograms are in nanoseconds; each has one recorder at a time, as histogram.h asks.
 */
#pragma once

#include "walrx/base/histogram.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct ArchiveMetrics {
    Histogram write_ns;                  /* one write of the open segment */
    Histogram sync_ns;                   /* one fdatasync or fsync that flush waits for */
    Histogram compress_ns;               /* one segment, from taking the job to the durable copy */
    _Atomic uint64_t bytes_written;      /* of WAL, raw */
    _Atomic uint64_t segments_completed; /* got their final name, raw or compressed */
    _Atomic uint64_t segments_compressed;
    _Atomic uint64_t compressed_in;   /* bytes of WAL in them */
    _Atomic uint64_t compressed_out;  /* bytes of their copies */
    _Atomic uint64_t queued_segments; /* wait for a worker or are with one */
} ArchiveMetrics;

/* Empties it; nobody may use it meanwhile. */
void archive_metrics_reset(ArchiveMetrics *metrics);

/* All take NULL: nobody looks. The first three by whoever has the writer. */
void archive_metrics_wrote(ArchiveMetrics *metrics, uint64_t ns, uint64_t bytes);
void archive_metrics_synced(ArchiveMetrics *metrics, uint64_t ns);
void archive_metrics_completed(ArchiveMetrics *metrics);
/* By one worker at a time. */
void archive_metrics_compressed(ArchiveMetrics *metrics, uint64_t ns, uint64_t in, uint64_t out);
void archive_metrics_queued(ArchiveMetrics *metrics, uint64_t segments);
