/* SPDX-License-Identifier: PostgreSQL
 *
 * How fast WAL comes and how fast the server makes it, over the last second, minute and ten
 * minutes, from samples of two counters. Samples come about once a second while something moves,
 * and rarely while nothing does. Pure but for its memory being the caller's; one thread.
 */
#pragma once

#include "walrx/observe/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ten minutes of one a second, and then some. */
#define RATE_SAMPLES 768

typedef struct RateSample {
    uint64_t at_ns;
    uint64_t from_ns; /* since then the counter moved to here from the sample before */
    uint64_t value;
} RateSample;

typedef struct RateSeries {
    size_t first;
    size_t count;
    RateSample samples[RATE_SAMPLES]; /* a ring */
} RateSeries;

typedef struct RateTrack {
    RateSeries received;
    RateSeries generated;
    Lsn server_end; /* the newest seen; LSN_INVALID: none yet */
    uint64_t made;  /* bytes, since then */
    bool away;      /* the newest sample knew nothing of the server */
} RateTrack;

typedef struct RateInput {
    uint64_t at_ns;
    uint64_t received_bytes; /* since the start; never less than before */
    bool streaming;          /* the server tells its end */
    Lsn server_end;          /* LSN_INVALID: it has not been told */
    uint64_t behind_bytes;   /* what is missing up to there */
} RateInput;

void rates_init(RateTrack *track);

/* Takes a sample, and gives the rates as of now. at_ns never goes back. */
void rates_add(RateTrack *track, const RateInput *input, Rates *ret);
