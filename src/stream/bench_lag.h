/* SPDX-License-Identifier: PostgreSQL
 *
 * How long positions take to get from one stage to the next: (LSN, time) samples in a ring of fixed
 * size, as walsender's LagTracker keeps them (walsender.c, PostgreSQL 15). Pure. Private to
 * src/stream.
 */
#pragma once

#include "walrx/base/histogram.h"
#include "walrx/proto/lsn.h"

#include <stddef.h>
#include <stdint.h>

#define BENCH_LAG_SAMPLES 16384

typedef struct BenchLagSample {
    Lsn lsn;
    uint64_t at_ns;
} BenchLagSample;

typedef struct BenchLag {
    BenchLagSample samples[BENCH_LAG_SAMPLES];
    size_t head; /* oldest */
    size_t count;
} BenchLag;

/* Everything before `lsn` left the first stage at `at_ns`. Both do not go back. Where the ring is
 * full the sample is passed over. */
void bench_lag_add(BenchLag *lag, Lsn lsn, uint64_t at_ns);
/* Everything before `lsn` left the second stage at `now_ns`: records how long it took. */
void bench_lag_settle(BenchLag *lag, Lsn lsn, uint64_t now_ns, Histogram *histogram);
