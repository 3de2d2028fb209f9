/* SPDX-License-Identifier: PostgreSQL
 *
 * How old is the first byte that a stage has not done yet? Samples (LSN, time) of the stage before,
 * as walsender's LagTracker keeps them (walsender.c, PostgreSQL 15), in fixed memory and with a
 * bounded relative error: where walsender overwrites samples once its ring is full, neighbours are
 * joined here, and only those that lie close together measured by their age.
 *
 * A sample says: the bytes from the LSN of the sample before up to `lsn` came between begin_ns and
 * end_ns. Within it time is interpolated. Pure; one thread.
 */
#pragma once

#include "walrx/base/histogram.h"
#include "walrx/proto/lsn.h"

#include <stddef.h>
#include <stdint.h>

#define LAG_SAMPLES 4096
/* Joined samples span at most this part of their age: 1/64, so that an age is 1.6 % off at most. */
#define LAG_JOIN_SHARE 64

typedef struct LagSample {
    Lsn lsn;
    uint64_t begin_ns;
    uint64_t end_ns;
} LagSample;

typedef struct LagTrack {
    Lsn done; /* everything below is forgotten */
    size_t first;
    size_t count;
    LagSample samples[LAG_SAMPLES]; /* oldest first; lsn rises, times do not fall */
} LagTrack;

/* Empties it; the first byte it will be asked for is `lsn`. */
void lag_track_reset(LagTrack *track, Lsn lsn);

/* The bytes up to `lsn` came between begin_ns and end_ns, now. An LSN that is not higher than the
 * newest says nothing new; times before the newest sample's count as its end. */
void lag_track_add(LagTrack *track, Lsn lsn, uint64_t begin_ns, uint64_t end_ns);

/* The newest LSN known, the last forgotten one when there is no sample. */
Lsn lag_track_newest(const LagTrack *track);

/* The age of the byte at `lsn`: 0 where nothing at or above it has come. */
uint64_t lag_track_age(const LagTrack *track, Lsn lsn, uint64_t now_ns);

/* The stage has done everything below `lsn`, and nobody will ask for less again. */
void lag_track_forget(LagTrack *track, Lsn lsn);

/* The same; records how long each sample that is done now took. */
void lag_track_settle(LagTrack *track, Lsn lsn, uint64_t now_ns, Histogram *histogram);
