/* SPDX-License-Identifier: PostgreSQL
 *
 * See rates.h. Between two samples a counter stood still and then moved, within a second at most,
 * because whoever samples is woken when something moves. Only what the server generated while we
 * were not connected is spread over all of that time.
 */
#include "walrx/observe/rates.h"

#define SECOND UINT64_C(1000000000)
/* Behind by less than this, or by less than a second's WAL, is not behind. */
#define NEAR_BYTES (UINT64_C(1) << 20)

static const uint64_t windows_ns[RATE_WINDOW_COUNT] = {
    [RATE_SECOND] = SECOND,
    [RATE_MINUTE] = 60 * SECOND,
    [RATE_TEN_MINUTES] = 600 * SECOND,
};

void rates_init(RateTrack *track)
{
    track->received.first = track->received.count = 0;
    track->generated.first = track->generated.count = 0;
    track->server_end = LSN_INVALID;
    track->made = 0;
    track->away = false;
}

static const RateSample *sample_at(const RateSeries *series, size_t index)
{
    return &series->samples[(series->first + index) % RATE_SAMPLES];
}

/* `spread`: it may have moved at any time since the sample before. */
static void series_add(RateSeries *series, uint64_t at_ns, uint64_t value, bool spread)
{
    RateSample sample = {.at_ns = at_ns, .value = value};
    uint64_t before_ns = series->count > 0 ? sample_at(series, series->count - 1)->at_ns : 0;
    bool close_by = at_ns - before_ns < SECOND + SECOND / 2;
    sample.from_ns = spread || close_by ? before_ns : at_ns - SECOND;
    if (series->count == RATE_SAMPLES) {
        series->first = (series->first + 1) % RATE_SAMPLES;
        series->count--;
    }
    series->samples[(series->first + series->count) % RATE_SAMPLES] = sample;
    series->count++;
}

/* The counter at a time not before the first sample nor behind the last one. */
static double value_at(const RateSeries *series, uint64_t at_ns)
{
    size_t low = 0; /* its sample is not later than at_ns */
    size_t high = series->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (sample_at(series, middle)->at_ns <= at_ns)
            low = middle;
        else
            high = middle;
    }
    const RateSample *before = sample_at(series, low);
    if (low + 1 == series->count)
        return (double)before->value;
    const RateSample *after = sample_at(series, low + 1);
    if (at_ns <= after->from_ns)
        return (double)before->value;
    double part = (double)(at_ns - after->from_ns) / (double)(after->at_ns - after->from_ns);
    return (double)before->value + part * (double)(after->value - before->value);
}

static uint64_t rate_over(const RateSeries *series, uint64_t window_ns, uint64_t now_ns)
{
    if (series->count == 0)
        return SNAPSHOT_UNKNOWN;
    const RateSample *oldest = sample_at(series, 0);
    const RateSample *newest = sample_at(series, series->count - 1);
    uint64_t begin_ns = now_ns > window_ns ? now_ns - window_ns : 0;
    if (begin_ns < oldest->at_ns)
        begin_ns = oldest->at_ns;
    /* What moved in less than a second says little. */
    if (now_ns - begin_ns < SECOND)
        return SNAPSHOT_UNKNOWN;
    double moved = (double)newest->value - value_at(series, begin_ns);
    return (uint64_t)(moved * (double)SECOND / (double)(now_ns - begin_ns) + 0.5);
}

static void add_generated(RateTrack *track, const RateInput *input)
{
    bool away = track->away;
    track->away = !input->streaming || input->server_end == LSN_INVALID;
    if (track->away)
        return;
    /* On another timeline the end may lie before. */
    if (track->server_end != LSN_INVALID && input->server_end > track->server_end)
        track->made += input->server_end - track->server_end;
    track->server_end = input->server_end;
    series_add(&track->generated, input->at_ns, track->made, away);
}

static uint64_t catch_up_ms(const RateInput *input, const Rates *rates)
{
    uint64_t received = rates->received[RATE_MINUTE];
    uint64_t generated = rates->generated[RATE_MINUTE];
    if (input->behind_bytes == SNAPSHOT_UNKNOWN)
        return SNAPSHOT_UNKNOWN;
    if (input->behind_bytes <= NEAR_BYTES ||
        (generated != SNAPSHOT_UNKNOWN && input->behind_bytes <= generated))
        return 0;
    if (!input->streaming || received == SNAPSHOT_UNKNOWN || generated == SNAPSHOT_UNKNOWN ||
        received <= generated)
        return SNAPSHOT_UNKNOWN;
    return (uint64_t)((double)input->behind_bytes * 1000 / (double)(received - generated));
}

void rates_add(RateTrack *track, const RateInput *input, Rates *ret)
{
    series_add(&track->received, input->at_ns, input->received_bytes, false);
    add_generated(track, input);
    for (int i = 0; i < RATE_WINDOW_COUNT; i++) {
        ret->received[i] = rate_over(&track->received, windows_ns[i], input->at_ns);
        ret->generated[i] = track->away ? SNAPSHOT_UNKNOWN
                                        : rate_over(&track->generated, windows_ns[i], input->at_ns);
    }
    ret->catch_up_ms = catch_up_ms(input, ret);
}
