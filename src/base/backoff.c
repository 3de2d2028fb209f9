/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: the random numbers come from splitmix64 (one addition and three mixing steps), which
 * needs no warm-up and accepts every seed.
 */
#include "walrx/base/backoff.h"

#include <limits.h>

Backoff backoff_init(uint64_t first_ms, uint64_t max_ms, uint64_t seed)
{
    return (Backoff){.first_ms = first_ms, .max_ms = max_ms, .random_state = seed};
}

static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

/* min(max_ms, first_ms * 2^attempt) without overflow. */
static uint64_t delay_limit(const Backoff *backoff)
{
    if (backoff->attempt >= 64)
        return backoff->first_ms == 0 ? 0 : backoff->max_ms;
    if (backoff->first_ms > backoff->max_ms >> backoff->attempt)
        return backoff->max_ms;
    return backoff->first_ms << backoff->attempt;
}

uint64_t backoff_next_ms(Backoff *backoff)
{
    uint64_t limit = delay_limit(backoff);
    uint64_t jitter = next_random(&backoff->random_state) % (limit / 2 + 1);

    if (backoff->attempt < UINT_MAX)
        backoff->attempt++;
    return limit - jitter;
}

void backoff_reset(Backoff *backoff)
{
    backoff->attempt = 0;
}
