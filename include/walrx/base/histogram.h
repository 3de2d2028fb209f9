/* SPDX-License-Identifier: PostgreSQL
 *
 * How values (nanoseconds, bytes) are distributed, in fixed memory: exact below 64, above it 32
 * buckets for every power of two, so that a percentile is at most 1.6 % off. count, sum, min and
 * max are exact.
 *
 * One thread records, without a lock and at the cost of a few plain stores; any other may read at
 * the same time. A reader sees every value whole, but not necessarily all that was recorded up to
 * one moment: count, sum and percentiles read one after the other may differ by what came in
 * between. Pure.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 5
/* Values of 6 bits and less have a bucket of their own; each of the 58 longer lengths has 32. */
#define HISTOGRAM_BUCKETS ((size_t)(64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

typedef struct Histogram {
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum;
    _Atomic uint64_t min; /* UINT64_MAX while empty */
    _Atomic uint64_t max;
} Histogram;

/* Empties it: needed before the first use. No other thread may use it meanwhile. */
void histogram_reset(Histogram *histogram);

/* By the one thread that records. */
void histogram_record(Histogram *histogram, uint64_t value);

uint64_t histogram_count(const Histogram *histogram);
uint64_t histogram_sum(const Histogram *histogram); /* UINT64_MAX when it did not fit */
uint64_t histogram_min(const Histogram *histogram); /* these four: 0 while empty */
uint64_t histogram_max(const Histogram *histogram);
uint64_t histogram_mean(const Histogram *histogram);
/* A value that so many of 1000 do not exceed: 500 gives the median, 999 what people call p99.9.
 * Never outside min..max. */
uint64_t histogram_percentile(const Histogram *histogram, unsigned per_mille);
/* How many values do not exceed each of `count` bounds, which ascend, and last how many there are:
 * ret has count + 1 places. One reading, so that no figure is smaller than the one before it. A
 * value within 1.6 % of a bound may count on either side of it. */
void histogram_cumulate(const Histogram *histogram, const uint64_t *bounds, size_t count,
                        uint64_t *ret);
