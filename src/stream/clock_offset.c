/* SPDX-License-Identifier: PostgreSQL
 *
 * See clock_offset.h. Times of the server come from outside: sums are checked, and what does not
 * fit says nothing.
 */
#include "walrx/stream/clock_offset.h"

#define NS_PER_US UINT64_C(1000)

void clock_offset_reset(ClockOffset *clock)
{
    *clock = (ClockOffset){.asked = false};
}

void clock_offset_ask(ClockOffset *clock, uint64_t now_ns)
{
    if (clock->asked)
        return;
    clock->asked = true;
    clock->asked_ns = now_ns;
}

static int64_t monotonic_us(uint64_t ns)
{
    return (int64_t)(ns / NS_PER_US);
}

/* How much a bound has widened. */
static int64_t drift_us(const ClockBound *bound, uint64_t now_ns)
{
    return now_ns > bound->at_ns ? monotonic_us((now_ns - bound->at_ns) / CLOCK_DRIFT_SHARE) : 0;
}

static bool offset_of(PgTime server_time, uint64_t local_ns, int64_t *ret)
{
    /* Half of the range: sums of two offsets and of drifts fit, too. */
    return !__builtin_sub_overflow(server_time, monotonic_us(local_ns), ret) &&
           *ret > INT64_MIN / 2 && *ret < INT64_MAX / 2;
}

static void raise(ClockBound *bound, const ClockBound *news)
{
    if (!bound->known || news->offset_us >= bound->offset_us - drift_us(bound, news->at_ns))
        *bound = *news;
}

static void lower(ClockBound *bound, const ClockBound *news)
{
    if (!bound->known || news->offset_us <= bound->offset_us + drift_us(bound, news->at_ns))
        *bound = *news;
}

static bool contradict(const ClockOffset *clock, uint64_t now_ns)
{
    return clock->at_least.known && clock->at_most.known &&
           clock->at_least.offset_us - drift_us(&clock->at_least, now_ns) >
               clock->at_most.offset_us + drift_us(&clock->at_most, now_ns);
}

void clock_offset_message(ClockOffset *clock, PgTime server_time, bool reply, uint64_t now_ns)
{
    bool answered = reply && clock->asked;
    ClockBound least = {.at_ns = now_ns};
    ClockBound most = {.at_ns = clock->asked_ns}; /* it drifts from the question on */
    if (reply)
        clock->asked = false;
    least.known = offset_of(server_time, now_ns, &least.offset_us);
    most.known = answered && offset_of(server_time, clock->asked_ns, &most.offset_us);
    if (least.known)
        raise(&clock->at_least, &least);
    if (most.known)
        lower(&clock->at_most, &most);
    if (contradict(clock, now_ns)) {
        clock->at_least = least;
        clock->at_most = most;
    }
}

ClockEstimate clock_offset_estimate(const ClockOffset *clock, uint64_t now_ns)
{
    const ClockBound *least = &clock->at_least;
    const ClockBound *most = &clock->at_most;
    if (!least->known)
        return (ClockEstimate){.known = false};
    if (!most->known)
        return (ClockEstimate){.known = true, .offset_us = least->offset_us};
    int64_t low = least->offset_us - drift_us(least, now_ns);
    int64_t high = most->offset_us + drift_us(most, now_ns);
    return (ClockEstimate){
        .known = true,
        .bounded = true,
        .offset_us = low + (high - low) / 2,
        .error_us = (uint64_t)(high - low + 1) / 2,
    };
}

uint64_t clock_offset_to_local(const ClockEstimate *estimate, PgTime server_time, uint64_t now_ns)
{
    int64_t local_us;
    if (!estimate->known || __builtin_sub_overflow(server_time, estimate->offset_us, &local_us))
        return now_ns;
    if (local_us < 0)
        return 0;
    return (uint64_t)local_us >= now_ns / NS_PER_US ? now_ns : (uint64_t)local_us * NS_PER_US;
}
