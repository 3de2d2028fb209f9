/* SPDX-License-Identifier: PostgreSQL
 *
 * See waltwophase.h. A chain of steps: each skips what it must, gathers one value, and from that
 * value follows what to skip next.
 */
#include "walrx/proto/waltwophase.h"

#include <string.h>

/* rmgrlist.h, xact.h */
#define RMGR_XACT 1
#define XACT_OPERATION_MASK 0x70
#define XACT_COMMIT_PREPARED 0x30
#define XACT_ABORT_PREPARED 0x40
#define XACT_HAS_INFO 0x80

/* xl_xact_xinfo.xinfo */
#define HAS_DATABASE (UINT32_C(1) << 0)
#define HAS_SUBXACTS (UINT32_C(1) << 1)
#define HAS_RELATIONS (UINT32_C(1) << 2)
#define HAS_INVALIDATIONS (UINT32_C(1) << 3)
#define HAS_TWOPHASE (UINT32_C(1) << 4)
#define HAS_STATISTICS (UINT32_C(1) << 8)

#define TIME_SIZE 8
#define DATABASE_SIZE 8 /* two OIDs */

/* xlogrecord.h: these records refer to no blocks. */
#define ID_TOPLEVEL_XID 252
#define ID_ORIGIN 253
#define ID_DATA_LONG 254
#define ID_DATA_SHORT 255

typedef enum Step {
    STEP_PART, /* the ID of a header */
    STEP_LENGTH,
    STEP_INFO,
    STEP_SUBXACTS, /* from here on in the order in which they lie there */
    STEP_RELATIONS,
    STEP_STATISTICS,
    STEP_INVALIDATIONS,
    STEP_XID,
    STEP_FOUND,
    STEP_LOST, /* not a record of that kind */
} Step;

bool wal_twophase_ends(uint8_t rmgr, uint8_t info)
{
    uint8_t operation = info & XACT_OPERATION_MASK;

    return rmgr == RMGR_XACT &&
           (operation == XACT_COMMIT_PREPARED || operation == XACT_ABORT_PREPARED);
}

static void go_to(WalTwophase *twophase, Step step, uint64_t skip, uint32_t wanted)
{
    twophase->step = (int)step;
    twophase->skip = skip;
    twophase->wanted = wanted;
    twophase->gathered = 0;
}

void wal_twophase_begin(WalTwophase *twophase, uint8_t info, int major)
{
    memset(twophase, 0, sizeof(*twophase));
    twophase->major = major;
    twophase->has_info = (info & XACT_HAS_INFO) != 0;
    go_to(twophase, STEP_PART, 0, 1);
}

typedef struct List {
    uint32_t flag; /* of xinfo: it is there */
    uint32_t item_size;
} List;

static const List lists[] = {
    [STEP_SUBXACTS] = {HAS_SUBXACTS, 4},
    [STEP_RELATIONS] = {HAS_RELATIONS, 12},
    [STEP_STATISTICS] = {HAS_STATISTICS, 16}, /* until 17: 12 */
    [STEP_INVALIDATIONS] = {HAS_INVALIDATIONS, 16},
    [STEP_XID] = {HAS_TWOPHASE, 0},
};

static uint32_t item_size(const WalTwophase *twophase, Step step)
{
    return step == STEP_STATISTICS && twophase->major < 18 ? 12 : lists[step].item_size;
}

/* To the first list from `step` on that is there, behind `skip` bytes. */
static void go_to_list(WalTwophase *twophase, Step step, uint64_t skip)
{
    while (step < STEP_FOUND && (twophase->lists & lists[step].flag) == 0)
        step++;
    go_to(twophase, step, skip, 4);
}

static void take_part(WalTwophase *twophase)
{
    switch (twophase->value[0]) {
    case ID_ORIGIN:
        go_to(twophase, STEP_PART, 2, 1);
        break;
    case ID_TOPLEVEL_XID:
        go_to(twophase, STEP_PART, 4, 1);
        break;
    case ID_DATA_SHORT:
        go_to(twophase, STEP_LENGTH, 0, 1);
        break;
    case ID_DATA_LONG:
        go_to(twophase, STEP_LENGTH, 0, 4);
        break;
    default:
        go_to(twophase, STEP_LOST, 0, 0);
        break;
    }
}

static void take_value(WalTwophase *twophase)
{
    const uint8_t *bytes = twophase->value;
    uint32_t value = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                     (uint32_t)bytes[3] << 24;
    Step step = (Step)twophase->step;

    switch (step) {
    case STEP_PART:
        take_part(twophase);
        break;
    case STEP_LENGTH:
        /* Without xinfo there is nothing behind the time: no XID, as PostgreSQL sees it. */
        if (twophase->has_info)
            go_to(twophase, STEP_INFO, TIME_SIZE, 4);
        else
            go_to(twophase, STEP_FOUND, 0, 0);
        break;
    case STEP_INFO:
        twophase->lists = value;
        go_to_list(twophase, STEP_SUBXACTS, (value & HAS_DATABASE) != 0 ? DATABASE_SIZE : 0);
        break;
    case STEP_SUBXACTS:
    case STEP_RELATIONS:
    case STEP_STATISTICS:
    case STEP_INVALIDATIONS:
        go_to_list(twophase, step + 1, (uint64_t)value * item_size(twophase, step));
        break;
    case STEP_XID:
        twophase->xid = value;
        go_to(twophase, STEP_FOUND, 0, 0);
        break;
    case STEP_FOUND:
    case STEP_LOST:
        break;
    }
}

void wal_twophase_feed(WalTwophase *twophase, const uint8_t *bytes, size_t count)
{
    size_t at = 0;

    while (twophase->step < (int)STEP_FOUND) {
        size_t left = count - at;

        if (twophase->skip > 0) {
            size_t skipped = twophase->skip < left ? (size_t)twophase->skip : left;
            twophase->skip -= skipped;
            at += skipped;
        } else if (left > 0) {
            twophase->value[twophase->gathered++] = bytes[at++];
            if (twophase->gathered == twophase->wanted)
                take_value(twophase);
        }
        if (at == count)
            return;
    }
}

bool wal_twophase_xid(const WalTwophase *twophase, uint32_t *ret)
{
    if (twophase->step != (int)STEP_FOUND)
        return false;
    *ret = twophase->xid;
    return true;
}
