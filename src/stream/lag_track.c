/* SPDX-License-Identifier: PostgreSQL
 *
 * See lag_track.h: a sorted array, searched by halves, whose front moves on as samples are
 * forgotten; it is moved back or joined when its end is reached.
 */
#include "walrx/stream/lag_track.h"

#include <stdbool.h>
#include <string.h>

void lag_track_reset(LagTrack *track, Lsn lsn)
{
    track->done = lsn;
    track->first = 0;
    track->count = 0;
}

static const LagSample *sample_at(const LagTrack *track, size_t index)
{
    return &track->samples[track->first + index];
}

/* LSN of the first byte of a sample. */
static Lsn start_of(const LagTrack *track, size_t index)
{
    return index > 0 ? sample_at(track, index - 1)->lsn : track->done;
}

Lsn lag_track_newest(const LagTrack *track)
{
    return start_of(track, track->count);
}

static bool close_together(const LagSample *a, const LagSample *b, uint64_t now_ns)
{
    return b->end_ns - a->begin_ns <= (now_ns - b->end_ns) / LAG_JOIN_SHARE;
}

/* Joins what lies close together measured by its age, or every pair; moves the rest to the front.
 */
static void join(LagTrack *track, uint64_t now_ns, bool every_pair)
{
    size_t kept = 0;
    if (track->count == 0)
        return;
    track->samples[0] = *sample_at(track, 0);
    for (size_t i = 1; i < track->count; i++) {
        LagSample *last = &track->samples[kept];
        const LagSample *next = sample_at(track, i);
        if (every_pair ? i % 2 == 1 : close_together(last, next, now_ns)) {
            last->lsn = next->lsn;
            last->end_ns = next->end_ns;
        } else {
            track->samples[++kept] = *next;
        }
    }
    track->first = 0;
    track->count = kept + 1;
}

static void make_room(LagTrack *track, uint64_t now_ns)
{
    if (track->first + track->count < LAG_SAMPLES)
        return;
    if (track->first < LAG_SAMPLES / 2) {
        join(track, now_ns, false);
        /* Thousands of samples in a moment: none is old enough to be told from its neighbour. */
        if (track->count > LAG_SAMPLES / 2)
            join(track, now_ns, true);
        return;
    }
    memmove(track->samples, sample_at(track, 0), track->count * sizeof(track->samples[0]));
    track->first = 0;
}

void lag_track_add(LagTrack *track, Lsn lsn, uint64_t begin_ns, uint64_t end_ns)
{
    if (lsn <= lag_track_newest(track))
        return;
    uint64_t floor_ns = track->count > 0 ? sample_at(track, track->count - 1)->end_ns : 0;
    if (begin_ns < floor_ns)
        begin_ns = floor_ns;
    if (end_ns < begin_ns)
        end_ns = begin_ns;
    make_room(track, end_ns);
    track->samples[track->first + track->count] =
        (LagSample){.lsn = lsn, .begin_ns = begin_ns, .end_ns = end_ns};
    track->count++;
}

/* How many samples end at `lsn` or below. */
static size_t count_done(const LagTrack *track, Lsn lsn)
{
    size_t low = 0;
    size_t high = track->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sample_at(track, middle)->lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* When the byte at `lsn` came, which sample `index` holds. */
static uint64_t came_ns(const LagTrack *track, size_t index, Lsn lsn)
{
    const LagSample *sample = sample_at(track, index);
    Lsn start = start_of(track, index);
    if (lsn <= start)
        return sample->begin_ns;
    double part = (double)(lsn - start) / (double)(sample->lsn - start);
    return sample->begin_ns + (uint64_t)(part * (double)(sample->end_ns - sample->begin_ns));
}

uint64_t lag_track_age(const LagTrack *track, Lsn lsn, uint64_t now_ns)
{
    size_t index = count_done(track, lsn);
    if (index == track->count)
        return 0;
    uint64_t came = came_ns(track, index, lsn);
    return now_ns > came ? now_ns - came : 0;
}

/* What is left of a sample that `lsn` cuts begins when the byte at `lsn` came. */
static void drop(LagTrack *track, size_t count, Lsn lsn)
{
    if (count < track->count)
        track->samples[track->first + count].begin_ns = came_ns(track, count, lsn);
    if (lsn > track->done)
        track->done = lsn;
    track->first += count;
    track->count -= count;
}

void lag_track_forget(LagTrack *track, Lsn lsn)
{
    drop(track, count_done(track, lsn), lsn);
}

void lag_track_settle(LagTrack *track, Lsn lsn, uint64_t now_ns, Histogram *histogram)
{
    size_t count = count_done(track, lsn);
    for (size_t i = 0; i < count; i++) {
        uint64_t came = sample_at(track, i)->end_ns;
        histogram_record(histogram, now_ns > came ? now_ns - came : 0);
    }
    drop(track, count, lsn);
}
