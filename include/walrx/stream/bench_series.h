/* SPDX-License-Identifier: PostgreSQL
 *
 * Bytes over time in bounded memory: slots of equal length, which double their length when time
 * outgrows them. Pure: time comes in as milliseconds since the beginning.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BENCH_SERIES_SLOTS 1024
#define BENCH_SERIES_SLOT_MS 125 /* at first; eight make a second */

typedef struct BenchSeries {
    uint64_t slot_ms;
    uint64_t elapsed_ms; /* the latest time seen */
    uint64_t bytes[BENCH_SERIES_SLOTS];
} BenchSeries;

void bench_series_reset(BenchSeries *series);
/* `bytes` arrived at `elapsed_ms`, which does not go back; 0 bytes only tell that time passed. */
void bench_series_add(BenchSeries *series, uint64_t elapsed_ms, uint64_t bytes);

/* A stretch of time, and what arrived in it. */
typedef struct BenchWindow {
    uint64_t begin_ms;
    uint64_t end_ms;
    uint64_t bytes;
} BenchWindow;

/* The windows from the beginning to the latest time, each one the shortest length that is at least
 * `window_ms` and keeps their number within `capacity`; the last one may be shorter. Returns their
 * number. */
size_t bench_series_windows(const BenchSeries *series, uint64_t window_ms, BenchWindow *ret,
                            size_t capacity);

/* What windows of a second are good for: shorter ones where a run lasts less than four. */
uint64_t bench_series_window_ms(const BenchSeries *series);

/* Bytes a second over the whole windows of a list, or over the only one. */
typedef struct BenchRates {
    double minimum;
    double median;
    double maximum;
} BenchRates;

double bench_window_rate(const BenchWindow *window);
BenchRates bench_rates(const BenchWindow *windows, size_t count);
