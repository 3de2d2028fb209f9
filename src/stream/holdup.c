/* SPDX-License-Identifier: PostgreSQL
 *
 * See holdup.h. Time is cut into windows. Held up is who could not receive for half of one; over is
 * it after one with less than a tenth. In between all stays as it was told.
 */
#include "walrx/stream/holdup.h"

#define HOLDUP_WINDOW_MS 5000

void holdup_start(HoldUp *holdup, uint64_t now_ms)
{
    *holdup = (HoldUp){.window_ms = now_ms, .noted_ms = now_ms};
}

static HoldNews judge(HoldUp *holdup, uint64_t now_ms)
{
    uint64_t window = now_ms - holdup->window_ms;
    uint64_t held = 0;
    HoldCause worst = HOLD_DISK;
    HoldCause cause = holdup->told;
    for (int i = HOLD_DISK; i < HOLD_CAUSE_COUNT; i++) {
        held += holdup->held_ms[i];
        if (holdup->held_ms[i] > holdup->held_ms[worst])
            worst = (HoldCause)i;
    }
    if (held >= window / 2)
        cause = worst;
    else if (held < window / 10)
        cause = HOLD_NONE;
    HoldNews news = {.any = cause != holdup->told, .cause = cause, .before = holdup->told};
    if (news.any && holdup->told != HOLD_NONE)
        news.duration_ms = holdup->window_ms - holdup->since_ms;
    if (news.any)
        holdup->since_ms = holdup->window_ms;
    holdup->told = cause;
    return news;
}

HoldNews holdup_note(HoldUp *holdup, HoldCause cause, uint64_t now_ms)
{
    HoldNews news = {.any = false};
    holdup->held_ms[holdup->noted] += now_ms - holdup->noted_ms;
    holdup->noted = cause;
    holdup->noted_ms = now_ms;
    if (now_ms - holdup->window_ms < HOLDUP_WINDOW_MS)
        return news;
    news = judge(holdup, now_ms);
    holdup->window_ms = now_ms;
    for (int i = 0; i < HOLD_CAUSE_COUNT; i++)
        holdup->held_ms[i] = 0;
    return news;
}
