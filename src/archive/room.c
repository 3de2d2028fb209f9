/* SPDX-License-Identifier: PostgreSQL
 *
 * See room.h. A refusal may be over at once, a full disk stays full for long: the pause between two
 * looks grows.
 */
#include "walrx/archive/room.h"

#define FIRST_PAUSE_MS 20
#define MAX_PAUSE_MS 1000
#define MARGIN_SHARE 8 /* of min_free, where that is more than a segment */

void room_init(Room *room, uint64_t min_free, uint64_t segment_size)
{
    uint64_t share = min_free / MARGIN_SHARE;
    *room = (Room){.min_free = min_free, .margin = share > segment_size ? share : segment_size};
}

uint64_t room_wanted(const Room *room, uint64_t needed)
{
    uint64_t wanted;
    uint64_t margin = (room->blocked & ROOM_SEGMENT) != 0 ? room->margin : 0;
    if (__builtin_add_overflow(room->min_free, needed, &wanted) ||
        __builtin_add_overflow(wanted, margin, &wanted))
        return UINT64_MAX;
    return wanted;
}

bool room_enough(const Room *room, uint64_t free_bytes, uint64_t needed)
{
    bool waits = (room->blocked & ROOM_SEGMENT) != 0;
    /* What takes nothing leaves as much free as there was. */
    if (needed == 0 && !(waits && room->refused))
        return true;
    return (room->min_free == 0 && !waits) || free_bytes >= room_wanted(room, needed);
}

bool room_block(Room *room, RoomBlock what, bool refused, uint64_t now_ms)
{
    bool first = room->blocked == 0;
    if ((room->blocked & what) == 0)
        room->pause_ms = FIRST_PAUSE_MS;
    else
        room->pause_ms = room->pause_ms < MAX_PAUSE_MS / 2 ? room->pause_ms * 2 : MAX_PAUSE_MS;
    room->look_ms = now_ms + room->pause_ms;
    if (first)
        room->since_ms = now_ms;
    if (what == ROOM_SEGMENT)
        room->refused = refused || (room->refused && (room->blocked & ROOM_SEGMENT) != 0);
    room->blocked |= what;
    return first;
}

bool room_unblock(Room *room, RoomBlock what)
{
    bool waited = room->blocked != 0;
    room->blocked &= ~(unsigned)what;
    return waited && room->blocked == 0;
}

void room_restart(Room *room, uint64_t now_ms)
{
    if (room->blocked == 0)
        return;
    if (room->blocked != ROOM_SEGMENT)
        room->refused = true;
    room->blocked = ROOM_SEGMENT;
    room->since_ms = now_ms;
    room->look_ms = now_ms;
}

uint64_t room_next_look(const Room *room, uint64_t now_ms)
{
    if (room->blocked == 0)
        return UINT64_MAX;
    return room->look_ms > now_ms ? room->look_ms : now_ms + MAX_PAUSE_MS;
}
