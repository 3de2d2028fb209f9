/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx wait`: until WAL up to a position is durable in an archive. The receiver tells its state
 * as soon as all it has is durable, so a short look every now and then is enough, and needs no more
 * than to read the archive.
 */
#include "command_begin.h"
#include "commands.h"

#include "walrx/observe/look.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"

#include <poll.h>

#define LOOK_MS 50
/* An archive without a receiver: its names are read. */
#define SCAN_MS 1000

typedef struct Wait {
    const char *directory;
    Lsn goal;
    Lsn reached;
    uint64_t next_scan_ms;
    bool told; /* that no receiver runs */
    Look look;
} Wait;

static bool look_again(Wait *wait, Error *err)
{
    Lsn durable;
    uint64_t now = clock_monotonic_ms();
    if (!look_at(wait->directory, &wait->look, err))
        return false;
    if (!wait->look.is_its_own) {
        if (now < wait->next_scan_ms)
            return true;
        wait->next_scan_ms = now + SCAN_MS;
    }
    if (!look_durable(wait->directory, &wait->look, &durable, err))
        return false;
    wait->reached = durable;
    if (!wait->look.running && !wait->told && durable < wait->goal) {
        wait->told = true;
        log_line(LOG_WARNING, NULL, "no receiver runs in \"%s\"; waiting for one", wait->directory);
    }
    return true;
}

static bool wait_for_goal(Wait *wait, uint64_t deadline_ms, Error *err)
{
    char text[2][LSN_TEXT_SIZE];
    for (;;) {
        if (!look_again(wait, err))
            return false;
        if (wait->reached >= wait->goal)
            return true;
        uint64_t now = clock_monotonic_ms();
        if (now >= deadline_ms)
            break;
        uint64_t left = deadline_ms - now;
        (void)poll(NULL, 0, left < LOOK_MS ? (int)left : LOOK_MS);
    }
    error_set(err, ERROR_OPERATOR, "timed out while waiting for WAL up to %s",
              lsn_format(wait->goal, text[0]));
    if (wait->reached == LSN_INVALID)
        return error_detail(err, "It is not known how far the archive is durable.");
    return error_detail(err, "The archive is durable up to %s; %s.",
                        lsn_format(wait->reached, text[1]),
                        wait->look.running ? "its receiver runs" : "no receiver runs");
}

static int run(const Options *options)
{
    static Wait wait;
    Error error;
    uint64_t timeout = options->timeout_ms;
    wait.directory = options->directory != NULL ? options->directory : ".";
    wait.goal = options->lsn;
    if (wait_for_goal(&wait, timeout != 0 ? clock_monotonic_ms() + timeout : UINT64_MAX, &error))
        return 0;
    log_error(LOG_ERROR, NULL, &error);
    return error_exit_status(error.class);
}

int cmd_wait(int argc, char **argv)
{
    return command_without_operands(COMMAND_WAIT, argc, argv, run);
}
