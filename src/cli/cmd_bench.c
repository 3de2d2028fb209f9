/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx bench`: from the options to the measurement, a line of progress on a terminal, and the
 * result. What was measured is printed also when the measurement ended with an error.
 */
#include "bench_report.h"
#include "command_begin.h"
#include "commands.h"
#include "receive_internal.h"

#include "walrx/cli/help.h"
#include "walrx/os/wakeup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_DURATION_MS 10000

static void show_progress(void *context, const BenchProgress *progress)
{
    FILE *out = context;
    char text[LSN_TEXT_SIZE];
    double rate = progress->recent_ms == 0
                      ? 0
                      : (double)progress->recent_bytes / (double)progress->recent_ms / 1000;
    (void)fprintf(out, "\r%7.1f s  %8.1f MB/s  %10.1f MB  at %-17s",
                  (double)progress->elapsed_ms / 1000, rate, (double)progress->bytes / 1e6,
                  lsn_format(progress->position, text));
    (void)fflush(out);
}

static void clear_progress(const BenchOptions *bench)
{
    if (bench->progress != NULL)
        (void)fprintf(stderr, "\r%*s\r", 72, "");
}

static BenchOptions bench_options_from(const Options *options)
{
    BenchOptions bench = {
        .connect = connect_options_from(COMMAND_BENCH, options),
        .directory = options->directory,
        .from = options->from,
        .end_position = options->endpos,
        .duration_ms = options->duration_ms,
        .synchronous = options->synchronous,
        .compress = options->compress,
        .compress_workers = compress_workers_from(options),
        .memory = (size_t)options->memory,
        .receive_timeout_ms = options->receive_timeout_ms,
    };
    /* Not the name that synchronous_standby_names lists for an archive. */
    bench.connect.program = "walrx_bench";
    if (options->duration_ms == 0 && options->endpos == LSN_INVALID)
        bench.duration_ms = DEFAULT_DURATION_MS;
    if (isatty(STDERR_FILENO)) {
        bench.progress = show_progress;
        bench.progress_context = stderr;
    }
    return bench;
}

/* False, with an error told, when standard output does not take it. */
static bool print_result(const Options *options, const BenchResult *result, const Error *error)
{
    Error failed;
    if (!options->json) {
        bench_print_text(stdout, options, result);
    } else if (!bench_print_json(stdout, options, result, error, &failed)) {
        log_error(LOG_ERROR, NULL, &failed);
        return false;
    }
    return help_finish(stdout);
}

static int measure(const Options *options, Control *control, BenchResult *result)
{
    BenchOptions bench = bench_options_from(options);
    Error error;
    bool ok = bench_run(&bench, control, result, &error);
    clear_progress(&bench);
    /* A failure before the first byte leaves nothing to tell but itself. */
    bool measured = result->measured && (ok || result->bytes > 0);
    bool printed = !measured || print_result(options, result, ok ? NULL : &error);
    if (!ok) {
        if (error.class == ERROR_STOPPED)
            error_set(&error, ERROR_STOPPED, "stopped before anything was measured");
        log_error(LOG_ERROR, NULL, &error);
        int status = error_exit_status(error.class);
        return status > 0 ? status : 1; /* stopped before there was a result */
    }
    return printed ? 0 : 1;
}

static int run(const Options *options)
{
    Control control = {.signal_fd = -1};
    Error error;
    BenchResult *result = calloc(1, sizeof(*result));
    if (result == NULL || !signals_open(&control.signal_fd, &error)) {
        if (result == NULL)
            error_set(&error, ERROR_MEMORY, "out of memory for the result");
        log_error(LOG_ERROR, NULL, &error);
        free(result);
        return 1;
    }
    int status = measure(options, &control, result);
    (void)close(control.signal_fd);
    free(result);
    return status;
}

int cmd_bench(int argc, char **argv)
{
    return command_without_operands(COMMAND_BENCH, argc, argv, run);
}
