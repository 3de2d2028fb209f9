/* SPDX-License-Identifier: PostgreSQL
 *
 * The store in the simulated world, in place of store.c: one operation on the disk at a time, which
 * takes its time or fails. What the disk has survives the process; what was only written survives
 * it unless the power goes away.
 */
#include "sim.h"

#include "walrx/archive/store.h"

#include <string.h>

#define EXTENT ((size_t)1 << 17)
#define CAPACITY_MAX (4 * EXTENT)
#define LOOK_MS 1000
#define ROOM_PATIENCE_MS 1000

typedef enum Operation {
    NOTHING,
    WRITES,
    SYNCS,
    WAITS, /* for room */
} Operation;

struct Store {
    Timeline timeline;
    size_t capacity;
    Lsn received;
    Lsn written;
    Lsn flushed;
    Lsn flush_goal;
    Lsn write_goal;
    Operation operation;
    Lsn target;
    uint64_t done_ms;
    bool at_rest;
    bool failed;
    bool no_room;
    bool unfinished; /* finishing dropped WAL */
    bool producer_waits;
    Error error;
    uint8_t memory[CAPACITY_MAX];
};

Disk disk;
static Store the_store;

void disk_begin(void)
{
    disk = (Disk){.slowness = 0};
}

void disk_lose_unsynced(void)
{
    for (Timeline at = 1; at < SIM_TIMELINES; at++) {
        DiskLine *line = &disk.lines[at];
        if (line->written > line->durable)
            line->written = line->durable + sim_random(line->written - line->durable + 1);
        line->exists = line->exists && line->written > line->begin;
    }
}

Lsn disk_durable(Timeline timeline)
{
    Lsn end = SIM_NEVER;
    Lsn durable = LSN_INVALID;
    for (Timeline at = timeline; at > 0; at = server.timelines[at].parent) {
        const DiskLine *line = &disk.lines[at];
        Lsn here = line->durable < end ? line->durable : end;
        if (line->exists && here > durable)
            durable = here;
        end = server.timelines[at].begin;
    }
    return durable;
}

bool disk_has_all(void)
{
    Lsn durable = disk_durable(server.timeline);
    return (durable != LSN_INVALID ? durable : disk.start) == server.end;
}

static uint64_t takes_ms(void)
{
    if (disk.slowness == 2 && sim_chance(20))
        return sim_random(60000);
    if (disk.slowness >= 1)
        return sim_random(1500);
    return sim_chance(90) ? 0 : sim_random(20);
}

static Lsn earlier(Lsn a, Lsn b)
{
    return a < b ? a : b;
}

/* What the disk refuses is tried again later. */
static void pause(Store *store)
{
    store->operation = WAITS;
    store->done_ms = world.now_ms + LOOK_MS;
    if (store->no_room)
        return;
    store->no_room = true;
    (void)error_set(&store->error, ERROR_NO_ROOM, "sim: the disk is full");
    sim_note("disk: refuses");
    sim_bell(true);
}

/* Takes on the next operation, if there is one. */
static void begin_operation(Store *store)
{
    Lsn goal = store->received - store->received % EXTENT;
    bool flush = store->flush_goal > store->flushed;
    if (store->operation != NOTHING || store->failed || store->at_rest)
        return;
    if (flush || store->write_goal > store->written)
        goal = store->received;
    if (flush && store->written >= store->flush_goal) {
        store->operation = SYNCS;
        store->target = store->written;
    } else if (goal > store->written) {
        store->operation = WRITES;
        store->target = earlier(goal, store->written + EXTENT * 2);
        store->target =
            earlier(store->target, store->written - store->written % SIM_SEGMENT + SIM_SEGMENT);
    } else {
        return;
    }
    store->done_ms = world.now_ms + takes_ms();
    if (store->operation == WRITES && disk.full)
        pause(store);
}

static void fail(Store *store)
{
    store->failed = true;
    store->at_rest = true;
    (void)error_set(&store->error, ERROR_STORAGE, "sim: the disk failed");
    sim_note("disk: fails");
    disk.broken = false;
    sim_met(ERROR_STORAGE);
    sim_bell(true);
}

static void move_flush(Store *store)
{
    DiskLine *line = &disk.lines[store->timeline];
    if (store->written > line->durable)
        line->durable = store->written;
    if (line->durable > line->written)
        line->written = line->durable;
    if (store->written > store->flushed)
        store->flushed = store->written;
    sim_bell(true);
}

static void note_written(Store *store)
{
    DiskLine *line = &disk.lines[store->timeline];
    if (!line->exists) {
        Lsn begin = store->written - 1 - (store->written - 1) % SIM_SEGMENT;
        *line = (DiskLine){.exists = true, .begin = begin, .durable = begin};
    }
    if (store->written > line->written)
        line->written = store->written;
}

/* The operation at hand is done. */
static void end_operation(Store *store)
{
    Operation operation = store->operation;
    store->operation = NOTHING;
    if (operation == WAITS)
        return;
    if (disk.broken && (operation == SYNCS || sim_chance(30))) {
        fail(store);
        return;
    }
    if (operation == WRITES) {
        store->no_room = false;
        store->written = store->target;
        note_written(store);
        if (store->producer_waits)
            sim_bell(true);
        store->producer_waits = false;
    }
    if (operation == SYNCS || store->written % SIM_SEGMENT == 0)
        move_flush(store);
}

uint64_t store_next_ms(void)
{
    return the_store.operation != NOTHING ? the_store.done_ms : SIM_NEVER;
}

void store_step(void)
{
    end_operation(&the_store);
    begin_operation(&the_store);
}

void store_forget(void)
{
    the_store.operation = NOTHING;
    the_store.at_rest = true;
}

bool store_rests(void)
{
    return the_store.at_rest;
}

Lsn store_received(void)
{
    return the_store.received;
}

bool store_dropped(void)
{
    return the_store.unfinished;
}

/* --- store.h --- */

bool store_open(const Archive *archive, size_t memory, Compressor *compressor, VerifyMode verify,
                const Bell *bell, Store **ret, Error *err)
{
    (void)archive;
    (void)memory;
    (void)compressor;
    (void)verify;
    (void)bell;
    (void)err;
    the_store = (Store){.at_rest = true, .capacity = (2 + (size_t)sim_random(3)) * EXTENT};
    *ret = &the_store;
    return true;
}

/* Nothing between what is archived and `lsn` may be missing. */
static void check_no_hole(Timeline timeline, Lsn lsn)
{
    const DiskLine *line = &disk.lines[timeline];
    Lsn there = line->exists ? line->written : disk_durable(timeline);
    if (disk.gap && lsn == disk.gap_end)
        return;
    SIM_CHECK(there == LSN_INVALID || lsn <= there,
              "timeline %u goes on at %llX, the archive ends at %llX", timeline,
              (unsigned long long)lsn, (unsigned long long)there);
}

void store_start(Store *store, Timeline timeline, Lsn lsn, const PartialTrust *trust, Lsn flushed)
{
    (void)trust;
    SIM_CHECK(store->at_rest && !store->failed, "the store is started while it is at work");
    SIM_CHECK(lsn % SIM_SEGMENT == 0, "the store is started inside a segment");
    SIM_CHECK(flushed <= disk_durable(timeline) || flushed == disk.start,
              "taken for durable: %llX, which is not", (unsigned long long)flushed);
    check_no_hole(timeline, lsn);
    SIM_CHECK(timeline == 1 || disk.history[timeline],
              "WAL of timeline %u, whose history file is not archived", timeline);
    if (disk_durable(timeline) == LSN_INVALID)
        disk.start = lsn;
    store->timeline = timeline;
    store->received = store->written = lsn;
    store->flushed = flushed;
    store->flush_goal = store->write_goal = LSN_INVALID;
    store->producer_waits = store->at_rest = store->unfinished = false;
}

uint8_t *store_reserve(Store *store, size_t *ret_length)
{
    size_t used = (size_t)(store->received - (store->written - store->written % EXTENT));
    sim_step();
    SIM_CHECK(!store->at_rest || store->failed, "WAL for a store at rest");
    if (used >= store->capacity) {
        store->producer_waits = true;
        return NULL;
    }
    *ret_length = store->capacity - used;
    return store->memory;
}

/* The pattern tells whether these are the right bytes: looked at where they begin and end. */
static void check_bytes(const Store *store, size_t length)
{
    const Lsn at[] = {store->received, store->received + length - 1};
    for (size_t i = 0; i < 2; i++) {
        Timeline owner = server_owner(store->timeline, at[i]);
        SIM_CHECK(store->memory[at[i] - store->received] == server_wal(owner, at[i])[0],
                  "wrong bytes at %llX", (unsigned long long)at[i]);
    }
}

void store_publish(Store *store, size_t length)
{
    if (length == 0)
        return;
    check_bytes(store, length);
    store->received += length;
    begin_operation(store);
}

void store_request_flush(Store *store)
{
    store->flush_goal = store->received;
    begin_operation(store);
}

void store_request_write(Store *store)
{
    store->write_goal = store->received;
    begin_operation(store);
}

bool store_flush_here(Store *store)
{
    if (store->failed || store->operation != NOTHING || disk.full || sim_chance(30) ||
        store->received / SIM_SEGMENT != store->written / SIM_SEGMENT)
        return false;
    sim_wait_until(world.now_ms + (sim_chance(90) ? 0 : sim_random(5)));
    store->written = store->received;
    store->flush_goal = store->received;
    if (store->written == store->flushed || store->written % SIM_SEGMENT == 0)
        return false;
    note_written(store);
    if (disk.broken)
        fail(store);
    else
        move_flush(store);
    return true;
}

StorePositions store_positions(const Store *store)
{
    StorePositions positions = {.flushed = store->flushed,
                                .written = store->written,
                                .received = store->received,
                                .failed = store->failed,
                                .no_room = store->no_room};
    if (positions.written < positions.flushed)
        positions.written = positions.flushed;
    if (positions.received < positions.written)
        positions.received = positions.written;
    return positions;
}

/* What is written becomes durable, the rest is dropped. */
static bool give_up(Store *store, Error *err)
{
    store->operation = NOTHING;
    if (store->written > store->flushed) {
        if (disk.broken)
            fail(store);
        else
            move_flush(store);
    }
    if (!store->failed) {
        sim_note("store: drops WAL from %llX to %llX", (unsigned long long)store->written,
                 (unsigned long long)store->received);
        (void)error_set(&store->error, ERROR_NO_ROOM, "sim: no room for what was received");
        store->at_rest = store->unfinished = true;
        /* What the server had to say is met again once there is room. */
        world.must_end = false;
        sim_met(ERROR_NO_ROOM);
    }
    *err = store->error;
    return false;
}

bool store_finish(Store *store, Error *err)
{
    uint64_t until_ms = world.now_ms + ROOM_PATIENCE_MS;
    while (!store->at_rest && (store->written < store->received || store->operation != NOTHING ||
                               store->flushed < store->received)) {
        store->flush_goal = store->write_goal = store->received;
        begin_operation(store);
        if (store->operation == NOTHING)
            break; /* nothing was received beyond what was durable before */
        if (store->operation == WAITS && world.now_ms >= until_ms)
            return give_up(store, err);
        sim_wait_until(store->done_ms > world.now_ms ? store->done_ms : world.now_ms + 1);
    }
    if (!store->failed)
        store->at_rest = true;
    if (store->failed || store->unfinished)
        *err = store->error;
    return !store->failed && !store->unfinished;
}

CheckCounts store_checks(Store *store)
{
    (void)store;
    return (CheckCounts){.faults = 0};
}

void store_error(Store *store, Error *ret)
{
    *ret = store->error;
}

void store_close(Store *store)
{
    if (store != NULL)
        store->operation = NOTHING;
}
