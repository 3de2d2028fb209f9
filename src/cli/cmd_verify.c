/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx verify`: checks an archive, with a bar of progress on a terminal, and prints what it
 * found. The exit status says whether the archive is sound.
 */
#include "command_begin.h"
#include "commands.h"
#include "verify_report.h"

#include "walrx/cli/help.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define STATUS_NOT_SOUND 1
#define STATUS_UNREADABLE 3
#define BAR_WIDTH 30
#define LINE_WIDTH 78
#define ESTIMATE_FROM_MS 1000

static void show_progress(void *context, const VerifyProgress *progress)
{
    FILE *out = context;
    char bar[BAR_WIDTH + 1];
    double share = progress->total == 0 ? 1 : (double)progress->done / (double)progress->total;
    double seconds = (double)progress->elapsed_ms / 1000;
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = (double)i < share * BAR_WIDTH ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    (void)fprintf(out, "\r[%s] %3.0f %%  %7.0f MB/s", bar, share * 100,
                  seconds > 0 ? (double)progress->done / seconds / 1e6 : 0);
    if (progress->elapsed_ms >= ESTIMATE_FROM_MS && share > 0) {
        unsigned left = (unsigned)(seconds / share * (1 - share) + 0.5);
        (void)fprintf(out, "  %u:%02u:%02u left", left / 3600, left / 60 % 60, left % 60);
    }
    if (progress->problems > 0)
        (void)fprintf(out, "  %" PRIu64 " bad", progress->problems);
    (void)fflush(out);
}

static unsigned job_count(const Options *options)
{
    cpu_set_t set;
    if (options->jobs > 0)
        return (unsigned)options->jobs;
    if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) < 1)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

/* False, with an error told, when standard output does not take it. */
static bool print_result(const Options *options, const VerifyResult *result)
{
    Error failed;
    if (!options->json) {
        verify_print_text(stdout, options->directory, result);
    } else if (!verify_print_json(stdout, options->directory, result, &failed)) {
        log_error(LOG_ERROR, NULL, &failed);
        return false;
    }
    return help_finish(stdout);
}

static int run(const Options *options)
{
    VerifyOptions verify = {
        .directory = options->directory,
        .jobs = job_count(options),
        .files = file_table_kernel(),
    };
    VerifyResult result;
    Error error;
    bool has_bar = isatty(STDERR_FILENO) != 0;
    if (has_bar) {
        verify.progress = show_progress;
        verify.progress_context = stderr;
    }
    bool ok = verify_run(&verify, &result, &error);
    if (has_bar)
        (void)fprintf(stderr, "\r%*s\r", LINE_WIDTH, "");
    if (!ok) {
        log_error(LOG_ERROR, NULL, &error);
        return error.class == ERROR_STORAGE ? STATUS_UNREADABLE : 1;
    }
    int status = result.sound ? 0 : STATUS_NOT_SOUND;
    if (result.unreadable > 0)
        status = STATUS_UNREADABLE;
    if (!print_result(options, &result) && status == 0)
        status = 1;
    verify_result_free(&result);
    return status;
}

int cmd_verify(int argc, char **argv)
{
    return command_without_operands(COMMAND_VERIFY, argc, argv, run);
}
