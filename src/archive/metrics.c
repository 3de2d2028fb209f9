/* SPDX-License-Identifier: PostgreSQL
 *
 * See metrics.h.
 */
#include "walrx/archive/metrics.h"

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
