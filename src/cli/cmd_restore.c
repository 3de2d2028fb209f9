/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx restore`: for restore_command. PostgreSQL takes any status from 1 to 125 for "the archive
 * does not have it" and ends recovery there; above, it stops with FATAL (RestoreArchivedFile,
 * xlogarchive.c, PostgreSQL 15). So 1 means just that here, and a wrong option is trouble, too. The
 * statuses lie above those a shell makes of signals.
 */
#include "command_begin.h"
#include "commands.h"

#include "walrx/cli/option_parse.h"
#include "walrx/observe/look.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"
#include "walrx/restore/get.h"

#include <poll.h>
#include <string.h>

#define STATUS_ABSENT 1
#define STATUS_UNREADABLE 200
#define STATUS_REFUSED 201
#define STATUS_USAGE 202

#define LOOK_MS 20
/* While WAL arrives, a receiver tells so within a second; what it has is durable within
 * --flush-interval (1 s), and that is told at once. */
#define REST_MS 1200
#define SETTLE_MS 4000

/* What the last look was: a Snapshot is large. */
static Look look;

static bool look_again(const Options *options)
{
    Error error;
    if (look_at(options->directory, &look, &error))
        return true;
    log_error(LOG_WARNING, NULL, &error);
    return false;
}

/* When that cannot be known, one may run. */
static bool receiver_runs(void *context)
{
    return !look_again(context) || look.running;
}

typedef struct Settling {
    PgTime began;
    uint64_t began_ms;
    Lsn goal; /* what had been received at a moment after that */
} Settling;

/* Has all that the receiver had received when it began become durable? */
static bool has_settled(Settling *settling)
{
    Lsn received = look.snapshot.lag[LAG_RECEIVED].lsn;
    Lsn flushed = look.snapshot.lag[LAG_FLUSHED].lsn;
    if (!look.running || !look.is_its_own || received == LSN_INVALID)
        return true; /* nothing more is to be learnt */
    if (settling->goal == LSN_INVALID && look.snapshot.at >= settling->began)
        settling->goal = received;
    if (settling->goal != LSN_INVALID)
        return flushed >= settling->goal;
    /* It has told nothing new: nothing has arrived. */
    return flushed >= received && clock_monotonic_ms() - settling->began_ms >= REST_MS;
}

static void receiver_settle(void *context)
{
    Settling settling = {
        .began = clock_pg_time(), .began_ms = clock_monotonic_ms(), .goal = LSN_INVALID};
    while (look_again(context) && !has_settled(&settling)) {
        if (clock_monotonic_ms() - settling.began_ms >= SETTLE_MS) {
            log_line(LOG_WARNING, NULL,
                     "the receiver has not made durable what it has; restoring what is in its "
                     "files");
            return;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

static void tell(void *context, const Error *warning)
{
    (void)context;
    log_error(LOG_WARNING, NULL, warning);
}

static GetPartial partial_mode(const Options *options)
{
    if (strcmp(options->partial, "always") == 0)
        return GET_PARTIAL_ALWAYS;
    return strcmp(options->partial, "never") == 0 ? GET_PARTIAL_NEVER : GET_PARTIAL_AUTO;
}

static int status_of(const Error *error)
{
    if (error->class == ERROR_USAGE)
        return STATUS_USAGE;
    return error->class == ERROR_ARCHIVE ? STATUS_REFUSED : STATUS_UNREADABLE;
}

static int restore(Options *options, const char *name, const char *target)
{
    GetRequest request = {
        .directory = options->directory,
        .name = name,
        .target = target,
        .partial = partial_mode(options),
        .pass_gaps = strcmp(options->on_gap, "continue") == 0,
        .sync = options->sync,
        .prefetch = options->prefetch,
        .files = file_table_kernel(),
        .receiver_runs = receiver_runs,
        .receiver_settle = receiver_settle,
        .tell = tell,
        .context = options,
    };
    Error error;
    bool placed;
    if (get_file(&request, &placed, &error))
        return placed ? 0 : STATUS_ABSENT;
    log_error(LOG_ERROR, NULL, &error);
    return status_of(&error);
}

int cmd_restore(int argc, char **argv)
{
    Options options;
    int operand;
    int status;
    Error error;
    if (!command_begin(COMMAND_RESTORE, argc, argv, &options, &operand, &status))
        return status == 0 ? 0 : STATUS_USAGE;
    if (argc - operand == 2)
        return restore(&options, argv[operand], argv[operand + 1]);
    options_refuse(COMMAND_RESTORE, &error, "%d arguments instead of two, the file and the target",
                   argc - operand);
    log_error(LOG_ERROR, NULL, &error);
    return STATUS_USAGE;
}
