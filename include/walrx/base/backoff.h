/* SPDX-License-Identifier: PostgreSQL
 *
 * Exponential backoff with jitter: the n-th delay lies between half and all of
 * min(max_ms, first_ms * 2^n). Pure: the seed comes from the caller, so a test can repeat it.
 */
#pragma once

#include <stdint.h>

typedef struct Backoff {
    uint64_t first_ms;
    uint64_t max_ms;
    unsigned attempt; /* delays given since the last reset */
    uint64_t random_state;
} Backoff;

Backoff backoff_init(uint64_t first_ms, uint64_t max_ms, uint64_t seed);
uint64_t backoff_next_ms(Backoff *backoff);
/* After a success: the next delay is the first one again. */
void backoff_reset(Backoff *backoff);
