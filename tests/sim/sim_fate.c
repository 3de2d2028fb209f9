/* SPDX-License-Identifier: PostgreSQL
 *
 * What happens to the receiver from outside: signals, kills, power cuts, pauses, other options, a
 * bad disk, a bad server. After some of it the world turns calm, and the receiver must come to
 * rights by itself; then it is stopped.
 */
#include "fake_memory.h"
#include "sim.h"

#include <signal.h>

#define CALM_MS (20 * UINT64_C(60000))
#define LOOK_MS 500
#define PAUSE_MAX_MS 120000
#define STOP_BOUND_MS 15000
#define STOP_BOUND_BAD_DISK_MS 135000

static struct {
    unsigned left;
    uint64_t next_ms;
    uint64_t calm_until_ms;
    int signals[8];
    unsigned signal_count;
    ReceiverTunables tunables; /* in force */
    uint64_t watchdog_ms;
    uint64_t fed_ms;
} fate;

static void choose_tunables(ReceiverTunables *tunables)
{
    static const uint64_t status[] = {0, 1000, 10000, 10000};
    static const uint64_t flush[] = {0, 100, 1000, 1000, 20000};
    static const uint64_t receive[] = {0, 5000, 60000, 60000};
    *tunables = (ReceiverTunables){
        .status_interval_ms = status[sim_random(4)],
        .flush_interval_ms = flush[sim_random(5)],
        .receive_timeout_ms = receive[sim_random(4)],
        .synchronous = sim_chance(40),
        .report_apply = sim_chance(20),
    };
}

static bool reload(void *context, ReceiverTunables *tunables)
{
    (void)context;
    if (sim_chance(20))
        return false; /* a mistake in the file of options */
    choose_tunables(tunables);
    fate.tunables = *tunables;
    libpq_reloaded();
    return true;
}

static void choose_options(void)
{
    ReceiverOptions *options = &world.options;
    *options = (ReceiverOptions){
        .connect = {.host = "/sim", .program = "sim", .never_password = true},
        .directory = "/sim",
        .slot = sim_chance(70) ? "sim" : NULL,
        .end_position = sim_chance(7) ? server.end + sim_random(2 * SIM_SEGMENT) : LSN_INVALID,
        .no_loop = sim_chance(5),
        .continue_on_gap = sim_chance(50),
        .verify = VERIFY_ON,
        .compress_workers = 1,
        .memory = 64 << 20,
        .as_pg_receivewal = sim_chance(15),
        .reload = reload,
    };
    choose_tunables(&options->tunables);
}

static uint64_t pause_ms(void)
{
    static const uint64_t pauses[] = {10, 500, 5000, 60000};
    return 1 + sim_random(pauses[sim_random(4)]);
}

void fate_begin(void)
{
    fate.left = (unsigned)sim_random(25);
    fate.next_ms = world.now_ms + pause_ms();
    fate.watchdog_ms = sim_chance(30) ? 15000 : 0;
    choose_options();
}

void fate_new_process(void)
{
    if (world.calm) {
        /* A person has seen to it. */
        world.options.no_loop = false;
        world.options.continue_on_gap = true;
    }
    fate.signal_count = 0;
    fate.tunables = world.options.tunables;
    world.stop_asked = world.must_end = world.ever_connected = false;
    world.short_of_memory = false;
    fake_memory_fail(0, false);
    world.allowed_ends = 0;
    /* Whatever ends the first session ends these. */
    if (world.options.no_loop || world.options.as_pg_receivewal)
        sim_allow_end(1);
}

uint64_t fate_next_ms(void)
{
    return fate.next_ms;
}

bool fate_signal_pending(void)
{
    return fate.signal_count > 0;
}

int fate_signal(void)
{
    return fate.signal_count > 0 ? fate.signals[--fate.signal_count] : 0;
}

static void send(int signal)
{
    if (fate.signal_count == sizeof(fate.signals) / sizeof(fate.signals[0]))
        return;
    sim_note("user: signal %d", signal);
    fate.signals[fate.signal_count++] = signal;
    if (signal == SIGHUP || world.stop_asked)
        return;
    world.stop_asked = true;
    world.stop_asked_ms = world.now_ms;
    bool idle = world.calm && store_next_ms() == SIM_NEVER;
    world.stop_bound_ms = idle ? STOP_BOUND_MS : STOP_BOUND_BAD_DISK_MS;
}

static void pause_all(void)
{
    uint64_t ms = sim_random(PAUSE_MAX_MS);
    sim_note("machine: stands still for %llu ms", (unsigned long long)ms);
    world.now_ms += ms;
    fate.fed_ms += ms;
    world.stop_asked_ms += ms;
    libpq_shift(ms);
}

static void be_killed(bool power_cut)
{
    if (power_cut)
        disk_lose_unsynced();
    if (!world.alive)
        return;
    sim_note("receiver: killed%s", power_cut ? " by a power cut" : "");
    world.alive = false;
    longjmp(world.killed, 1);
}

static void become_calm(void)
{
    sim_note("--- calm ---");
    world.calm = true;
    fate.calm_until_ms = world.now_ms + CALM_MS;
    disk.slowness = 0;
    disk.broken = disk.full = false;
    fake_memory_fail(0, false);
    server_calm();
    if (world.options.as_pg_receivewal)
        server.oldest = 0; /* a person has put it back: it never goes on behind a gap */
    libpq_calm();
}

static bool all_is_well(void)
{
    const ReceiverTunables *tunables = &fate.tunables;
    if (!world.alive || !libpq_sent_all() || store_received() != server.end)
        return false;
    bool flushes = tunables->flush_interval_ms > 0 || tunables->synchronous;
    if (flushes && !disk_has_all())
        return false;
    return !flushes || !sim_reports_flush() || libpq_told_all();
}

static void look_in_calm(void)
{
    fate.next_ms = world.now_ms + LOOK_MS;
    SIM_CHECK(world.now_ms < fate.calm_until_ms,
              "nothing is wrong any more, but the receiver does not come to rights");
    if (world.alive && !world.stop_asked && all_is_well()) {
        SIM_CHECK(server.timeline == 1 || disk.history[server.timeline],
                  "a timeline without its history file");
        send(SIGTERM);
    }
}

void fate_step(void)
{
    if (world.calm) {
        look_in_calm();
        return;
    }
    fate.next_ms = world.now_ms + pause_ms();
    if (fate.left == 0) {
        become_calm();
        return;
    }
    fate.left--;
    switch (sim_random(21)) {
    case 0:
        send(sim_chance(50) ? SIGTERM : SIGINT);
        break;
    case 1:
        be_killed(false);
        break;
    case 2:
        be_killed(true);
        break;
    case 3:
        send(SIGHUP);
        break;
    case 4:
        pause_all();
        break;
    case 5:
    case 6:
        disk.slowness = (unsigned)sim_random(3);
        sim_note("disk: slowness %u", disk.slowness);
        break;
    case 7:
        disk.broken = true;
        break;
    case 8:
        disk.full = !disk.full;
        sim_note("disk: %s", disk.full ? "is full" : "has room");
        break;
    case 9:
        world.wall_offset_us += (int64_t)sim_random(UINT64_C(7200000000)) - INT64_C(3600000000);
        break;
    case 10:
        sim_note("machine: is short of memory");
        world.short_of_memory = true;
        fake_memory_fail(1 + (unsigned)sim_random(3), false);
        sim_allow_end(1);
        break;
    default:
        server_fault();
        break;
    }
}

const ReceiverTunables *sim_tunables(void)
{
    return &fate.tunables;
}

bool sim_reports_flush(void)
{
    return world.options.slot != NULL || fate.tunables.synchronous;
}

uint64_t sim_watchdog_ms(void)
{
    return fate.watchdog_ms;
}

void sim_watchdog_fed(void)
{
    fate.fed_ms = world.now_ms;
}

void sim_watchdog_check(void)
{
    SIM_CHECK(fate.watchdog_ms == 0 || world.now_ms - fate.fed_ms <= fate.watchdog_ms,
              "the watchdog is hungry");
}
