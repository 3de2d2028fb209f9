/* SPDX-License-Identifier: PostgreSQL
 *
 * See bench_lag.h.
 */
#include "bench_lag.h"

void bench_lag_add(BenchLag *lag, Lsn lsn, uint64_t at_ns)
{
    if (lag->count == BENCH_LAG_SAMPLES)
        return;
    lag->samples[(lag->head + lag->count) % BENCH_LAG_SAMPLES] =
        (BenchLagSample){.lsn = lsn, .at_ns = at_ns};
    lag->count++;
}

void bench_lag_settle(BenchLag *lag, Lsn lsn, uint64_t now_ns, Histogram *histogram)
{
    while (lag->count > 0 && lag->samples[lag->head].lsn <= lsn) {
        uint64_t at_ns = lag->samples[lag->head].at_ns;
        histogram_record(histogram, now_ns > at_ns ? now_ns - at_ns : 0);
        lag->head = (lag->head + 1) % BENCH_LAG_SAMPLES;
        lag->count--;
    }
}
