/* SPDX-License-Identifier: PostgreSQL
 *
 * The server: timelines, WAL that grows now and then, a slot, failovers and restarts. Its WAL is a
 * pattern that depends on position and timeline, so that a byte in the wrong place is seen.
 */
#include "sim.h"

#include <string.h>

#define PATTERN 65536

Server server;

static uint8_t pattern[PATTERN + SIM_MESSAGE_MAX];

static void make_pattern(void)
{
    uint32_t value = 1;
    if (pattern[0] != 0)
        return;
    for (size_t i = 0; i < PATTERN; i++) {
        value = value * 1664525 + 1013904223;
        pattern[i] = (uint8_t)(value >> 24) | 1;
    }
    for (size_t i = PATTERN; i < sizeof(pattern); i++)
        pattern[i] = pattern[i - PATTERN];
}

const uint8_t *server_wal(Timeline timeline, Lsn lsn)
{
    return pattern + (lsn + (Lsn)timeline * 7919) % PATTERN;
}

Timeline server_owner(Timeline timeline, Lsn lsn)
{
    while (server.timelines[timeline].parent != 0 && lsn < server.timelines[timeline].begin)
        timeline = server.timelines[timeline].parent;
    return timeline;
}

static uint64_t pause_ms(void)
{
    static const uint64_t pauses[] = {1, 5, 50, 500, 3000, 20000};
    return 1 + sim_random(pauses[sim_random(sizeof(pauses) / sizeof(pauses[0]))]);
}

void server_begin(void)
{
    make_pattern();
    server = (Server){.timeline = 1, .slot_exists = true};
    server.timelines[1].end = SIM_NEVER;
    server.end = 16 * (Lsn)SIM_SEGMENT + sim_random(3 * (uint64_t)SIM_SEGMENT);
    server.oldest = server.end / SIM_SEGMENT * SIM_SEGMENT - 2 * SIM_SEGMENT;
    server.slot_restart = sim_chance(80) ? server.end - sim_random(SIM_SEGMENT) : LSN_INVALID;
    server.told_flush = LSN_INVALID;
    server.promote_at_ms = SIM_NEVER;
    server.write_at_ms = world.now_ms + pause_ms();
    server.writes_left = (unsigned)sim_random(300);
}

uint64_t server_next_ms(void)
{
    uint64_t write_at = server.writes_left > 0 ? server.write_at_ms : SIM_NEVER;
    return server.standby && server.promote_at_ms < write_at ? server.promote_at_ms : write_at;
}

/* A standby only goes on while there is something upstream: that is left out. */
void server_step(void)
{
    static const uint64_t sizes[] = {64, 8192, 65536, 500000};
    if (server.standby && server.promote_at_ms <= world.now_ms)
        server_promote();
    if (server.writes_left == 0 || server.write_at_ms > world.now_ms)
        return;
    uint64_t count = 1 + sim_random(sizes[sim_random(sizeof(sizes) / sizeof(sizes[0]))]);
    server.writes_left--;
    server.write_at_ms = world.now_ms + pause_ms();
    if (server.standby)
        return;
    if (sim_chance(5))
        count = SIM_SEGMENT - server.end % SIM_SEGMENT; /* right up to a segment's end */
    server.end += count;
}

void server_promote(void)
{
    ServerTimeline *old = &server.timelines[server.timeline];
    server.standby = false;
    server.promote_at_ms = SIM_NEVER;
    if (server.timeline + 1 >= SIM_TIMELINES)
        return;
    old->end = server.end;
    server.timelines[server.timeline + 1] =
        (ServerTimeline){.parent = server.timeline, .begin = server.end, .end = SIM_NEVER};
    server.timeline++;
    server.end += 1 + sim_random(1000); /* the record of the promotion */
    sim_note("server: promoted to timeline %u at %llx", server.timeline,
             (unsigned long long)old->end);
}

/* Another one takes over; what the old one had not sent to it is lost. */
static void fail_over(void)
{
    Lsn least = server.timelines[server.timeline].begin + 1;
    Lsn lag = sim_chance(50) ? 0 : sim_random(SIM_SEGMENT / 2);
    libpq_all_down(false);
    if (server.end > least + lag)
        server.end -= lag;
    server.standby = true;
    if (server.oldest > server.end)
        server.oldest = server.end - server.end % SIM_SEGMENT;
    if (server.slot_restart > server.end)
        server.slot_restart = server.end;
    server.told_flush = world.options.slot != NULL ? server.slot_restart : LSN_INVALID;
    sim_note("server: fails over to a standby at %llx", (unsigned long long)server.end);
    if (sim_chance(40))
        server_promote();
    else if (sim_chance(50))
        server.promote_at_ms = world.now_ms + sim_random(1500); /* while somebody connects */
}

static void shut_down(bool politely)
{
    sim_note("server: %s", politely ? "shuts down" : "crashes");
    libpq_all_down(politely);
    server.up_at_ms = world.now_ms + sim_random(60000);
}

/* Much is written, and old WAL removed: with a slot only what it does not need. */
static void recycle(void)
{
    if (!server.standby)
        server.end += sim_random(2 * SIM_SEGMENT);
    Lsn most = server.end;
    if (world.options.slot != NULL && server.slot_restart != LSN_INVALID)
        most = server.slot_restart;
    most = most / SIM_SEGMENT * SIM_SEGMENT;
    if (most <= server.oldest || world.calm)
        return;
    server.oldest += (sim_random((most - server.oldest) / SIM_SEGMENT) + 1) * SIM_SEGMENT;
    sim_note("server: keeps WAL from %llx", (unsigned long long)server.oldest);
}

void server_fault(void)
{
    switch (sim_random(13)) {
    case 0:
        fail_over();
        break;
    case 1:
        shut_down(true);
        break;
    case 2:
        shut_down(false);
        break;
    case 3:
        if (server.standby)
            server_promote(); /* with the connections it has */
        break;
    case 4:
    case 5:
        recycle();
        break;
    default:
        libpq_fault((unsigned)sim_random(LIBPQ_FAULTS));
        break;
    }
}

void server_calm(void)
{
    if (server.standby)
        server_promote();
    if (server.up_at_ms > world.now_ms + 1000)
        server.up_at_ms = world.now_ms + 1000;
    server.writes_left = 1;
    server.write_at_ms = world.now_ms + 1;
    server.slot_exists = true;
}
