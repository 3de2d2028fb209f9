/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx stage`: checks, copies, starts, and says at each step what there is.
 */
#include "command_begin.h"
#include "commands.h"
#include "stage_report.h"
#include "target_options.h"

#include "walrx/cli/help.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_STOPPED 1
#define SHOW_MS 500
#define LINE_WIDTH 78

/* One line on a terminal, drawn over again. */
typedef struct Progress {
    bool shown;
    bool drawn;
    uint64_t next_ms;
} Progress;

static void wipe(Progress *progress)
{
    if (progress->drawn)
        (void)fprintf(stderr, "\r%*s\r", LINE_WIDTH, "");
    progress->drawn = false;
}

static bool is_time(Progress *progress)
{
    uint64_t now = clock_monotonic_ms();
    if (!progress->shown || now < progress->next_ms)
        return false;
    progress->next_ms = now + SHOW_MS;
    progress->drawn = true;
    return true;
}

static void tell(void *context, const Error *warning)
{
    wipe(context);
    log_error(LOG_WARNING, NULL, warning);
}

static void show_copied(void *context, uint64_t done, uint64_t total)
{
    if (is_time(context))
        (void)fprintf(stderr, "\rcopied %.1f of %.1f MB  ", (double)done / 1e6,
                      (double)total / 1e6);
}

static void show_replayed(void *context, const char *lsn, const char *time)
{
    if (is_time(context))
        (void)fprintf(stderr, "\rreplayed up to %s  %s  ", lsn, time);
}

static StageAction action_of(const Options *options)
{
    if (options->target_latest ||
        (options->action != NULL && strcmp(options->action, "promote") == 0))
        return STAGE_PROMOTE;
    return options->action == NULL || strcmp(options->action, "pause") == 0 ? STAGE_PAUSE
                                                                            : STAGE_SHUTDOWN;
}

static void tell_log(const char *log)
{
    if (log[0] != '\0')
        (void)fprintf(stderr, "---- the end of the server's log ----\n%s----\n", log);
}

/* From the copy on; *ret_made: it is there. */
static bool make_and_start(const StageRequest *request, Stage *stage, uint64_t timeout_ms,
                           StageReached *ret, bool *ret_made, Error *err)
{
    char log[STAGE_LOG_TAIL_SIZE];
    Progress *progress = request->context;
    *ret_made = stage_make(request, stage, err);
    wipe(progress);
    if (!*ret_made || !request->start)
        return *ret_made;
    bool ok = stage_start(request, stage, timeout_ms, ret, log, err);
    wipe(progress);
    if (!ok)
        tell_log(log);
    return ok;
}

static int fail(const Stage *stage, bool made, Error *err)
{
    log_error(LOG_ERROR, NULL, err);
    if (made)
        log_line(LOG_INFO, NULL, "the copy in \"%s\" stays; its server does not run", stage->into);
    return err->class == ERROR_STOPPED ? STATUS_STOPPED : error_exit_status(err->class);
}

static int stage_all(const Options *options, const StageRequest *request, Stage *stage)
{
    StageReached reached;
    bool made = false;
    Error error;
    if (!stage_check(request, stage, &error))
        return fail(stage, false, &error);
    if (!options->json) {
        stage_print_plan(stdout, request, stage);
        (void)fflush(stdout);
    }
    /* Until here a signal ends the program at once: there is nothing to take back. */
    if (!signals_open(&request->control->signal_fd, &error) ||
        !make_and_start(request, stage, options->timeout_ms, &reached, &made, &error))
        return fail(stage, made, &error);
    const StageReached *how = request->start ? &reached : NULL;
    if (!options->json) {
        stage_print_result(stdout, request, stage, how);
    } else if (!stage_print_json(stdout, request, stage, how, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return 1;
    }
    return help_finish(stdout) ? 0 : 1;
}

static int run(const Options *options)
{
    Control control = {.signal_fd = -1};
    Progress progress = {.shown = isatty(STDERR_FILENO) != 0};
    StageRequest request = {
        .archive = options->directory,
        .backup = options->backup,
        .into = options->into,
        .action = action_of(options),
        .bindir = options->bindir,
        .port = (uint16_t)options->stage_port,
        .mappings = {options->tablespace_mapping.items, options->tablespace_mapping.count},
        .settings = {options->set.items, options->set.count},
        .start = options->start,
        .username = options->username,
        .files = file_table_kernel(),
        .tell = tell,
        .copied = show_copied,
        .replayed = show_replayed,
        .context = &progress,
        .control = &control,
    };
    Error error;
    Stage *stage = calloc(1, sizeof(*stage));
    bool ok = stage != NULL || error_set(&error, ERROR_MEMORY, "out of memory");
    ok = ok && target_read(COMMAND_STAGE, options, &request.target, &error);
    int status = 1;
    if (ok) {
        status = stage_all(options, &request, stage);
        stage_free(stage);
    } else {
        log_error(LOG_ERROR, NULL, &error);
    }
    free(stage);
    return status;
}

int cmd_stage(int argc, char **argv)
{
    return command_without_operands(COMMAND_STAGE, argc, argv, run);
}
