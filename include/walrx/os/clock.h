/* SPDX-License-Identifier: PostgreSQL
 *
 * Time. Monotonic for intervals and time-outs, wall clock for what is shown or sent.
 */
#pragma once

#include "walrx/proto/copydata.h"

#include <stddef.h>
#include <stdint.h>

uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void); /* the same clock, finer */
/* Now as PostgreSQL counts: microseconds since 2000-01-01 UTC. */
PgTime clock_pg_time(void);
/* "2026-03-01T12:00:00.123Z" of now; the buffer holds 32 bytes. */
#define CLOCK_TEXT_SIZE 32
const char *clock_utc_text(char buffer[CLOCK_TEXT_SIZE]);
/* "2026-03-01T12:00:00.123456Z" of a time as PostgreSQL counts. */
const char *clock_pg_text(PgTime time, char buffer[CLOCK_TEXT_SIZE]);
/* An unpredictable seed for jitter. */
uint64_t clock_seed(void);
