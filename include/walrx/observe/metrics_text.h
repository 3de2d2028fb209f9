/* SPDX-License-Identifier: PostgreSQL
 *
 * A snapshot in the text format of Prometheus, version 0.0.4. docs/metrics.md describes each
 * metric; a test holds the two against each other. No I/O, no clock.
 */
#pragma once

#include "walrx/base/histogram.h"
#include "walrx/observe/snapshot.h"

#include <stddef.h>

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* `latency` are the histograms, in nanoseconds, behind the snapshot's figures; NULL: left out.
 * free() the text; NULL when out of memory. What the snapshot does not know has no sample. */
char *metrics_text(const Snapshot *snapshot, const Histogram *const latency[LATENCY_KIND_COUNT],
                   size_t *ret_length);
