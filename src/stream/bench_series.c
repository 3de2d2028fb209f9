/* SPDX-License-Identifier: PostgreSQL
 *
 * See bench_series.h.
 */
#include "walrx/stream/bench_series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_MS 1000
#define SHORT_RUN_MS 4000

void bench_series_reset(BenchSeries *series)
{
    *series = (BenchSeries){.slot_ms = BENCH_SERIES_SLOT_MS};
}

/* Every two slots become one. */
static void fold(BenchSeries *series)
{
    size_t half = BENCH_SERIES_SLOTS / 2;
    for (size_t i = 0; i < half; i++)
        series->bytes[i] = series->bytes[2 * i] + series->bytes[2 * i + 1];
    memset(series->bytes + half, 0, half * sizeof(series->bytes[0]));
    series->slot_ms *= 2;
}

void bench_series_add(BenchSeries *series, uint64_t elapsed_ms, uint64_t bytes)
{
    while (elapsed_ms / series->slot_ms >= BENCH_SERIES_SLOTS)
        fold(series);
    series->bytes[elapsed_ms / series->slot_ms] += bytes;
    if (elapsed_ms > series->elapsed_ms)
        series->elapsed_ms = elapsed_ms;
}

uint64_t bench_series_window_ms(const BenchSeries *series)
{
    if (series->elapsed_ms < SHORT_RUN_MS)
        return series->slot_ms;
    return series->slot_ms > SECOND_MS ? series->slot_ms : SECOND_MS;
}

size_t bench_series_windows(const BenchSeries *series, uint64_t window_ms, BenchWindow *ret,
                            size_t capacity)
{
    assert(capacity > 0);
    uint64_t slots = (window_ms + series->slot_ms - 1) / series->slot_ms;
    uint64_t used = series->elapsed_ms / series->slot_ms + 1;
    if (slots == 0)
        slots = 1;
    if ((used + slots - 1) / slots > capacity)
        slots = (used + capacity - 1) / capacity;
    size_t count = 0;
    for (uint64_t first = 0; first < used; first += slots) {
        BenchWindow *window = &ret[count++];
        uint64_t behind = first + slots < used ? first + slots : used;
        *window = (BenchWindow){.begin_ms = first * series->slot_ms,
                                .end_ms = (first + slots) * series->slot_ms};
        if (window->end_ms > series->elapsed_ms)
            window->end_ms = series->elapsed_ms;
        for (uint64_t slot = first; slot < behind; slot++)
            window->bytes += series->bytes[slot];
    }
    /* The end fell on a border: what arrived at that very moment belongs to the window before. */
    if (count > 1 && ret[count - 1].begin_ms == ret[count - 1].end_ms) {
        count--;
        ret[count - 1].bytes += ret[count].bytes;
    }
    return count;
}

double bench_window_rate(const BenchWindow *window)
{
    uint64_t length = window->end_ms - window->begin_ms;
    return length == 0 ? 0 : (double)window->bytes * SECOND_MS / (double)length;
}

static int compare_rates(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

BenchRates bench_rates(const BenchWindow *windows, size_t count)
{
    double rates[BENCH_SERIES_SLOTS];
    size_t whole = 0;
    if (count == 0)
        return (BenchRates){0};
    uint64_t length = windows[0].end_ms - windows[0].begin_ms;
    for (size_t i = 0; i < count && whole < BENCH_SERIES_SLOTS; i++) {
        if (windows[i].end_ms - windows[i].begin_ms == length)
            rates[whole++] = bench_window_rate(&windows[i]);
    }
    qsort(rates, whole, sizeof(rates[0]), compare_rates);
    return (BenchRates){
        .minimum = rates[0],
        .median = (rates[(whole - 1) / 2] + rates[whole / 2]) / 2,
        .maximum = rates[whole - 1],
    };
}
