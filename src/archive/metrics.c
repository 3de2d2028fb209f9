/* SPDX-License-Identifier: PostgreSQL
 *
 * See metrics.h.
 */
#include "walrx/archive/metrics.h"

#include <stddef.h>

void archive_metrics_reset(ArchiveMetrics *metrics)
{
    histogram_reset(&metrics->write_ns);
    histogram_reset(&metrics->sync_ns);
    histogram_reset(&metrics->compress_ns);
    atomic_store(&metrics->bytes_written, 0);
    atomic_store(&metrics->segments_completed, 0);
    atomic_store(&metrics->segments_compressed, 0);
    atomic_store(&metrics->compressed_in, 0);
    atomic_store(&metrics->compressed_out, 0);
    atomic_store(&metrics->queued_segments, 0);
}

/* One thread adds at a time. */
static void add(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t sum = atomic_load_explicit(counter, memory_order_relaxed) + more;
    atomic_store_explicit(counter, sum, memory_order_relaxed);
}

void archive_metrics_wrote(ArchiveMetrics *metrics, uint64_t ns, uint64_t bytes)
{
    if (metrics == NULL)
        return;
    histogram_record(&metrics->write_ns, ns);
    add(&metrics->bytes_written, bytes);
}

void archive_metrics_synced(ArchiveMetrics *metrics, uint64_t ns)
{
    if (metrics != NULL)
        histogram_record(&metrics->sync_ns, ns);
}

void archive_metrics_completed(ArchiveMetrics *metrics)
{
    if (metrics != NULL)
        add(&metrics->segments_completed, 1);
}

void archive_metrics_compressed(ArchiveMetrics *metrics, uint64_t ns, uint64_t in, uint64_t out)
{
    if (metrics == NULL)
        return;
    histogram_record(&metrics->compress_ns, ns);
    add(&metrics->segments_compressed, 1);
    add(&metrics->compressed_in, in);
    add(&metrics->compressed_out, out);
}

void archive_metrics_queued(ArchiveMetrics *metrics, uint64_t segments)
{
    if (metrics != NULL)
        atomic_store_explicit(&metrics->queued_segments, segments, memory_order_relaxed);
}
