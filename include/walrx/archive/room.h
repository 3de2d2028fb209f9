/* SPDX-License-Identifier: PostgreSQL
 *
 * When to stop for a disk that is nearly full, and when to go on. Pure: free bytes and time come in
 * as values.
 *
 * What takes space may begin while `min_free` bytes stay free behind it. What had to wait goes on
 * only when there is a margin more, so that a disk around the limit does not switch to and fro. A
 * disk that refuses a write in spite of all (another program, a quota) makes wait, too; then a look
 * now and then is worth a try, whatever seems to be free.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Who waits. */
typedef enum RoomBlock {
    ROOM_SEGMENT = 1, /* bytes of a segment, a new file for it, or its final name */
    ROOM_NAME = 2,    /* the final name of a compressed segment */
    ROOM_COPY = 4,    /* a compressed copy, in a worker */
} RoomBlock;

typedef struct Room {
    uint64_t min_free; /* 0: no limit, only refusals count */
    uint64_t margin;
    unsigned blocked; /* RoomBlock bits; 0: nothing waits */
    bool refused;     /* ROOM_SEGMENT: by the disk, not by the limit */
    uint64_t since_ms;
    uint64_t look_ms; /* the next look at the disk is worth it then */
    uint64_t pause_ms;
} Room;

void room_init(Room *room, uint64_t min_free, uint64_t segment_size);

/* So much must be free for something that takes `needed` bytes. */
uint64_t room_wanted(const Room *room, uint64_t needed);
bool room_enough(const Room *room, uint64_t free_bytes, uint64_t needed);

/* Something must wait from now on, or still. `refused`: the disk said so. True: nothing waited
 * before. */
bool room_block(Room *room, RoomBlock what, bool refused, uint64_t now_ms);
/* It waits no longer. True: nothing waits any more. */
bool room_unblock(Room *room, RoomBlock what);

/* A new beginning, with nothing under way. Whatever waited before, whoever comes first looks at the
 * disk at once, also where he takes nothing: what the disk refused may have been any of it. */
void room_restart(Room *room, uint64_t now_ms);

/* When to look again, at the latest; nothing waits: never (UINT64_MAX). */
uint64_t room_next_look(const Room *room, uint64_t now_ms);
