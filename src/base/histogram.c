/* SPDX-License-Identifier: PostgreSQL
 *
 * See histogram.h. A value's bucket is its length in bits and the five bits behind the leading one.
 * Only one thread writes, so an increment is a load and a store, not a locked instruction.
 */
#include "walrx/base/histogram.h"

#include <assert.h>

#define SUB_BUCKETS (UINT64_C(1) << HISTOGRAM_SUB_BITS)
#define EXACT_BELOW (2 * SUB_BUCKETS)

static uint64_t load(const _Atomic uint64_t *place)
{
    return atomic_load_explicit(place, memory_order_relaxed);
}

static void store(_Atomic uint64_t *place, uint64_t value)
{
    atomic_store_explicit(place, value, memory_order_relaxed);
}

static size_t bucket_of(uint64_t value)
{
    if (value < EXACT_BELOW)
        return (size_t)value;
    unsigned shift = 63U - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (size_t)(shift * SUB_BUCKETS + (value >> shift));
}

/* The middle of what falls into a bucket. */
static uint64_t bucket_value(size_t bucket)
{
    if (bucket < EXACT_BELOW)
        return bucket;
    unsigned shift = (unsigned)(bucket / SUB_BUCKETS) - 1;
    uint64_t low = (SUB_BUCKETS + bucket % SUB_BUCKETS) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

void histogram_reset(Histogram *histogram)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        store(&histogram->buckets[i], 0);
    store(&histogram->sum, 0);
    store(&histogram->min, UINT64_MAX);
    store(&histogram->max, 0);
}

void histogram_record(Histogram *histogram, uint64_t value)
{
    uint64_t sum = load(&histogram->sum);
    /* Bounds first, so that a reader of percentiles seldom meets a value outside them. */
    if (value < load(&histogram->min))
        store(&histogram->min, value);
    if (value > load(&histogram->max))
        store(&histogram->max, value);
    store(&histogram->sum, sum <= UINT64_MAX - value ? sum + value : UINT64_MAX);
    _Atomic uint64_t *bucket = &histogram->buckets[bucket_of(value)];
    store(bucket, load(bucket) + 1);
}

uint64_t histogram_count(const Histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += load(&histogram->buckets[i]);
    return count;
}

uint64_t histogram_sum(const Histogram *histogram)
{
    return load(&histogram->sum);
}

uint64_t histogram_min(const Histogram *histogram)
{
    uint64_t min = load(&histogram->min);
    uint64_t max = load(&histogram->max);
    return min <= max ? min : max; /* empty: 0 */
}

uint64_t histogram_max(const Histogram *histogram)
{
    return load(&histogram->max);
}

uint64_t histogram_mean(const Histogram *histogram)
{
    uint64_t count = histogram_count(histogram);
    return count == 0 ? 0 : histogram_sum(histogram) / count;
}

uint64_t histogram_percentile(const Histogram *histogram, unsigned per_mille)
{
    assert(per_mille <= 1000);
    uint64_t count = histogram_count(histogram);
    uint64_t min = histogram_min(histogram);
    uint64_t max = histogram_max(histogram);
    if (count == 0)
        return 0;
    /* The smallest rank that covers the share, without a product that overflows. */
    uint64_t rank = count / 1000 * per_mille + (count % 1000 * per_mille + 999) / 1000;
    uint64_t seen = 0;
    size_t bucket = 0;
    if (rank == 0)
        return min;
    if (rank == count)
        return max;
    /* Counts only grow, so a count behind the one above is reached. */
    for (; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
        seen += load(&histogram->buckets[bucket]);
        if (seen >= rank)
            break;
    }
    uint64_t value = bucket_value(bucket);
    if (value < min)
        return min;
    return value < max ? value : max;
}

void histogram_cumulate(const Histogram *histogram, const uint64_t *bounds, size_t count,
                        uint64_t *ret)
{
    uint64_t seen = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < count; i++) {
        assert(i == 0 || bounds[i] > bounds[i - 1]);
        for (; bucket < HISTOGRAM_BUCKETS && bucket_value(bucket) <= bounds[i]; bucket++)
            seen += load(&histogram->buckets[bucket]);
        ret[i] = seen;
    }
    for (; bucket < HISTOGRAM_BUCKETS; bucket++)
        seen += load(&histogram->buckets[bucket]);
    ret[count] = seen;
}
