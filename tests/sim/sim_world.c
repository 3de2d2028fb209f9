/* SPDX-License-Identifier: PostgreSQL
 *
 * See sim.h. The wait is the scheduler: time moves to the next event of the server, the
 * connections, the disk or the user, until something the receiver waits for is ready.
 */
#include "sim.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORY_LINES 120
#define STORY_WIDTH 200
/* So much is never done in no time by a receiver that does not spin. */
#define STEPS_MAX 100000

World world;

static char story[STORY_LINES][STORY_WIDTH];
static unsigned story_count;
static uint64_t random_state;
static bool bell;

/* splitmix64 */
static uint64_t next_random(void)
{
    random_state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = random_state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

uint64_t sim_random(uint64_t below)
{
    return next_random() % below;
}

bool sim_chance(unsigned percent)
{
    return sim_random(100) < percent;
}

void sim_note(const char *format, ...)
{
    char *line = story[story_count++ % STORY_LINES];
    va_list arguments;
    int length = snprintf(line, STORY_WIDTH, "%9" PRIu64 " ", world.now_ms);
    va_start(arguments, format);
    (void)vsnprintf(line + length, STORY_WIDTH - (size_t)length, format, arguments);
    va_end(arguments);
    if (world.verbose)
        printf("%s\n", line);
}

void sim_fail(const char *format, ...)
{
    va_list arguments;
    unsigned first = story_count > STORY_LINES ? story_count - STORY_LINES : 0;
    (void)fflush(stdout);
    for (unsigned i = first; i < story_count && !world.verbose; i++)
        (void)fprintf(stderr, "%s\n", story[i % STORY_LINES]);
    (void)fprintf(stderr, "seed %" PRIu64 ", at %" PRIu64 " ms: ", world.seed, world.now_ms);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "\nagain: test_simulation %" PRIu64 "\n", world.seed);
    exit(1);
}

void sim_step(void)
{
    if (++world.steps > STEPS_MAX)
        sim_fail("the receiver spins: %d things done in no time", STEPS_MAX);
}

void sim_allow_end(int status)
{
    world.allowed_ends |= 1U << status;
}

void sim_met(ErrorClass class)
{
    const ReceiverOptions *options = &world.options;
    bool again = class == ERROR_RETRY;
    if (options->as_pg_receivewal)
        again = world.ever_connected && (again || class == ERROR_OPERATOR);
    again = again || class == ERROR_NO_ROOM;
    if (options->no_loop)
        again = false;
    sim_note("met: %s, %s", error_class_name(class), again ? "to be tried again" : "the end");
    if (again)
        return;
    world.must_end = true;
    sim_allow_end(options->as_pg_receivewal ? 1 : error_exit_status(class));
}

void sim_bell(bool rings)
{
    bell = rings;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_event(void)
{
    uint64_t next = earlier(server_next_ms(), store_next_ms());
    return earlier(next, earlier(libpq_next_ms(), fate_next_ms()));
}

static void move_to(uint64_t when)
{
    if (when > world.now_ms) {
        world.now_ms = when;
        world.steps = 0;
    }
    sim_step();
    if (server_next_ms() <= world.now_ms)
        server_step();
    if (store_next_ms() <= world.now_ms)
        store_step();
    if (fate_next_ms() <= world.now_ms)
        fate_step();
}

void sim_wait_until(uint64_t until_ms)
{
    while (world.now_ms < until_ms)
        move_to(earlier(next_event() > world.now_ms ? next_event() : world.now_ms, until_ms));
}

static short ready_events(const struct pollfd *polled)
{
    short ready = 0;
    if (polled->fd < 0)
        return 0;
    if (polled->fd == SIM_FD_SIGNAL)
        return fate_signal_pending() ? POLLIN : 0;
    if (polled->fd == SIM_FD_BELL)
        return bell ? POLLIN : 0;
    if ((polled->events & POLLIN) != 0 && libpq_readable(polled->fd))
        ready |= POLLIN;
    if ((polled->events & POLLOUT) != 0 && libpq_writable(polled->fd))
        ready |= POLLOUT;
    return ready;
}

static int look(struct pollfd *polled, nfds_t count, bool *ret_reading)
{
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        polled[i].revents = ready_events(&polled[i]);
        ready += polled[i].revents != 0;
        *ret_reading |= polled[i].fd >= SIM_FD_SOCKET && (polled[i].events & POLLIN) != 0;
    }
    return ready;
}

/* In place of poll, by the linker's --wrap. */
int __wrap_poll(struct pollfd *polled, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *polled, nfds_t count, int timeout_ms)
{
    uint64_t deadline = timeout_ms < 0 ? SIM_NEVER : world.now_ms + (uint64_t)timeout_ms;
    bool reading = false;
    sim_step();
    int ready = look(polled, count, &reading);
    if (ready == 0)
        libpq_check_promises(reading);
    while (ready == 0 && world.now_ms < deadline) {
        uint64_t next = earlier(next_event(), deadline);
        SIM_CHECK(next != SIM_NEVER, "the receiver hangs: it waits, and nothing will ever happen");
        move_to(next);
        /* Three descriptors: the stream's own wait, for which the bell is meant. */
        SIM_CHECK(count < 3 || !bell || polled[0].fd == SIM_FD_BELL, "sleeps through the bell");
        ready = look(polled, count, &reading);
    }
    return ready;
}

void world_begin(uint64_t seed, bool verbose)
{
    random_state = seed;
    (void)next_random();
    story_count = 0;
    bell = false;
    world = (World){.seed = seed, .now_ms = 1000000 + sim_random(1000000), .verbose = verbose};
}
