/* SPDX-License-Identifier: PostgreSQL
 *
 * Is receiving held up, and by what? A full ring for a moment means nothing; one that is full for
 * most of the time is news, once, and so is its end. Pure: time and state come in as values.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum HoldCause {
    HOLD_NONE, /* the ring has room */
    HOLD_DISK,
    HOLD_COMPRESSION,
    HOLD_ROOM, /* the disk is full */
} HoldCause;
#define HOLD_CAUSE_COUNT (HOLD_ROOM + 1)

typedef struct HoldUp {
    uint64_t window_ms; /* when the window began */
    uint64_t noted_ms;
    HoldCause noted; /* since noted_ms */
    uint64_t held_ms[HOLD_CAUSE_COUNT];
    HoldCause told; /* the state of which the caller knows */
    uint64_t since_ms;
} HoldUp;

typedef struct HoldNews {
    bool any;
    HoldCause cause;      /* HOLD_NONE: over */
    HoldCause before;     /* what was told before */
    uint64_t duration_ms; /* of what is over */
} HoldNews;

void holdup_start(HoldUp *holdup, uint64_t now_ms);
/* What holds receiving up from now on. */
HoldNews holdup_note(HoldUp *holdup, HoldCause cause, uint64_t now_ms);
