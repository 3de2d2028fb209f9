/* SPDX-License-Identifier: PostgreSQL
 *
 * How far the server's clock is from ours. Each message carries the server's time, which lies
 * before we read it; the reply to a question lies behind the question, too. The two kinds bound the
 * offset from both sides, and the tightest bounds of late give it with its error: no assumption
 * about the way there and back being alike. A bound widens as it ages, because clocks drift; where
 * the bounds contradict each other a clock was set, and both begin anew.
 *
 * The offset is kept against our monotonic clock, so that setting our wall clock is no event. Pure;
 * one thread.
 */
#pragma once

#include "walrx/proto/copydata.h"

#include <stdbool.h>
#include <stdint.h>

/* A bound widens by one part in so many of its age: 200 ppm, for two quartz clocks. */
#define CLOCK_DRIFT_SHARE 5000

typedef struct ClockBound {
    bool known;
    int64_t offset_us; /* server's time - our monotonic time */
    uint64_t at_ns;    /* as of then */
} ClockBound;

typedef struct ClockOffset {
    ClockBound at_least;
    ClockBound at_most;
    bool asked;
    uint64_t asked_ns; /* a reply was asked for then */
} ClockOffset;

typedef struct ClockEstimate {
    bool known;        /* a message has come */
    bool bounded;      /* a reply has come: the error is known */
    int64_t offset_us; /* server's time - our monotonic time */
    uint64_t error_us; /* either way; 0 when not bounded */
} ClockEstimate;

/* Knows nothing: a new connection, for it may be another server. */
void clock_offset_reset(ClockOffset *clock);

/* We ask the server for a reply. */
void clock_offset_ask(ClockOffset *clock, uint64_t now_ns);

/* A message of the server came. `reply`: it can only be the reply to the last question. */
void clock_offset_message(ClockOffset *clock, PgTime server_time, bool reply, uint64_t now_ns);

ClockEstimate clock_offset_estimate(const ClockOffset *clock, uint64_t now_ns);

/* A time of the server on our monotonic clock, never later than now_ns. */
uint64_t clock_offset_to_local(const ClockEstimate *estimate, PgTime server_time, uint64_t now_ns);
