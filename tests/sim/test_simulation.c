/* SPDX-License-Identifier: PostgreSQL
 *
 * The whole receiver in a simulated world (sim.h), one seed after the other. After every step:
 * flush <= write <= received, never ahead of the disk, never taken back, not over reconnects,
 * restarts and failovers; replies, statuses and time-outs in their bounds; each failure leads to
 * another try in time, or to the end with its exit status. At the end all is calm, and then
 * everything the server has must be archived, durable and reported, and a stop must end the process
 * cleanly.
 *
 *   test_simulation                  the seeds of a normal run
 *   test_simulation SEED             that one, and tells its story
 *   test_simulation SEED COUNT       so many from that one on
 */
#include "fake_memory.h"
#include "sim.h"

#include "walrx/stream/telemetry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 4000
#define LIVES_MAX 200

static void check_end(int status)
{
    uint64_t took = world.now_ms - world.stop_asked_ms;
    sim_note("receiver: ends with %d", status);
    if (status != 0) {
        SIM_CHECK((world.allowed_ends & 1U << status) != 0, "ends with status %d", status);
        return;
    }
    SIM_CHECK(store_rests(), "ends without finishing the store");
    if (!world.stop_asked) {
        SIM_CHECK(!store_dropped(), "ends without some of what it received");
        SIM_CHECK(world.options.end_position != LSN_INVALID &&
                      store_received() >= world.options.end_position,
                  "ends, which nobody asked for");
        return;
    }
    SIM_CHECK(took <= world.stop_bound_ms, "a stop takes %" PRIu64 " ms", took);
}

/* One process. True: it ended with status 0. */
static bool live(void)
{
    Control control = {.signal_fd = SIM_FD_SIGNAL};
    Telemetry *telemetry; /* a killed process lets go of it with all its memory */
    Error error;
    if (!telemetry_open(&telemetry, &error))
        return false; /* the command ends before it is a receiver */
    world.options.telemetry = telemetry;
    libpq_forget();
    store_forget();
    fate_new_process();
    sim_note("receiver: starts");
    if (setjmp(world.killed) != 0) {
        fake_memory_drop();
        libpq_forget();
        store_forget();
        return false;
    }
    world.alive = true;
    int status = receiver_run(&world.options, &control);
    world.alive = false;
    telemetry_close(telemetry);
    check_end(status);
    return status == 0;
}

static bool over(bool clean)
{
    if (!clean)
        return false;
    if (!world.stop_asked)
        return true; /* the end position */
    return world.calm && disk_has_all();
}

static void run(uint64_t seed, bool verbose)
{
    world_begin(seed, verbose);
    server_begin();
    disk_begin();
    fate_begin();
    for (unsigned lives = 0; !over(live()); lives++) {
        SIM_CHECK(lives < LIVES_MAX, "does not come to an end");
        sim_wait_until(world.now_ms + sim_random(30000));
    }
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        (void)fprintf(stderr, "not a number: %s\n", text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? number(argv[1]) : 1;
    uint64_t count = argc > 2 ? number(argv[2]) : argc > 1 ? 1 : SEEDS;
    fake_memory_remember();
    for (uint64_t i = 0; i < count; i++) {
        run(first + i, count == 1);
        if (i % 10000 == 9999) {
            printf("%" PRIu64 " seeds\n", i + 1);
            (void)fflush(stdout);
        }
    }
    printf("seeds %" PRIu64 " to %" PRIu64 ": all promises kept\n", first, first + count - 1);
    return 0;
}
