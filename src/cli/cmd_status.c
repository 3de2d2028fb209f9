/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx status`: what the receiver of an archive does, by its state file and its lock. --watch
 * draws it again and again on a terminal, with a history of its own; into a pipe it writes lines.
 */
#include "command_begin.h"
#include "commands.h"
#include "status_graph.h"
#include "status_report.h"

#include "walrx/cli/help.h"
#include "walrx/os/log.h"
#include "walrx/os/terminal.h"
#include "walrx/os/wakeup.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_NOT_RUNNING 3
#define GRAPH_LABEL 20
#define GRAPH_FIGURE 26

typedef struct Watch {
    const char *directory;
    Graph lag;
    Graph rate;
    Look look;
} Watch;

static const char *directory_of(const Options *options)
{
    return options->directory != NULL ? options->directory : ".";
}

static int fail(const Error *error)
{
    log_error(LOG_ERROR, NULL, error);
    return 1;
}

static int show_once(const Options *options)
{
    const char *directory = directory_of(options);
    Look look;
    Error error;
    if (!look_at(directory, &look, &error))
        return fail(&error);
    if (!options->json)
        status_print(stdout, directory, &look, "\n");
    else if (!status_print_json(stdout, &look, &error))
        return fail(&error);
    if (!help_finish(stdout))
        return 1;
    return look.running ? 0 : STATUS_NOT_RUNNING;
}

static void note_history(Watch *watch)
{
    const Snapshot *snapshot = &watch->look.snapshot;
    uint64_t lag = watch->look.is_its_own ? snapshot->lag[LAG_FLUSHED].ns : 0;
    uint64_t rate = watch->look.is_its_own ? snapshot->rates.received[RATE_SECOND] : 0;
    graph_add(&watch->lag, lag == SNAPSHOT_UNKNOWN ? 0 : lag);
    graph_add(&watch->rate, rate == SNAPSHOT_UNKNOWN ? 0 : rate);
}

static void draw_graph(FILE *out, const char *name, const Graph *graph, size_t width,
                       const char *peak)
{
    (void)fprintf(out, "%-*s", GRAPH_LABEL, name);
    graph_print(out, graph, width);
    (void)fprintf(out, " %s at most" TERMINAL_END_OF_LINE "\n", peak);
}

/* As many of its lines as the screen has. */
static void put_frame(const char *frame, unsigned rows)
{
    size_t length = 0;
    (void)fputs(TERMINAL_HOME, stdout);
    for (; frame[length] != '\0' && rows > 1; length++)
        rows -= frame[length] == '\n' ? 1 : 0;
    (void)fwrite(frame, 1, length, stdout);
    (void)fputs(TERMINAL_END_OF_SCREEN, stdout);
}

static bool draw(const Watch *watch, const TerminalSize *size, Error *err)
{
    char *frame = NULL;
    size_t length;
    char text[STATUS_SIZE_TEXT];
    char rate[STATUS_SIZE_TEXT + 4];
    size_t width = size->columns > GRAPH_LABEL + GRAPH_FIGURE + 8
                       ? size->columns - GRAPH_LABEL - GRAPH_FIGURE
                       : 8;
    FILE *out = open_memstream(&frame, &length);
    if (out == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the screen");
    width = width < GRAPH_POINTS ? width : GRAPH_POINTS;
    draw_graph(out, "flush lag", &watch->lag, width,
               status_time(graph_peak(&watch->lag, width), text));
    (void)snprintf(rate, sizeof(rate), "%s/s", status_bytes(graph_peak(&watch->rate, width), text));
    draw_graph(out, "receiving", &watch->rate, width, rate);
    (void)fputs(TERMINAL_END_OF_LINE "\n", out);
    status_print(out, watch->directory, &watch->look, TERMINAL_END_OF_LINE "\n");
    if (fclose(out) == 0)
        put_frame(frame, size->rows);
    free(frame);
    return true;
}

/* False: told to end. */
static bool pause_for(int signal_fd, uint64_t interval_ms)
{
    struct pollfd polled = {.fd = signal_fd, .events = POLLIN};
    return poll(&polled, 1, (int)interval_ms) == 0;
}

static bool watch_until_told(const Options *options, int signal_fd, Watch *watch, Error *err)
{
    TerminalSize size;
    do {
        if (!look_at(watch->directory, &watch->look, err))
            return false;
        note_history(watch);
        if (!terminal_shows(&size))
            status_print_line(stdout, &watch->look);
        else if (!draw(watch, &size, err))
            return false;
        if (fflush(stdout) != 0)
            return true; /* whoever read the lines has gone */
    } while (pause_for(signal_fd, options->interval_ms));
    return true;
}

static int watch(const Options *options)
{
    static Watch watch;
    TerminalSize size;
    Error error;
    int signal_fd;
    watch.directory = directory_of(options);
    if (!signals_open(&signal_fd, &error))
        return fail(&error);
    bool screen = terminal_shows(&size);
    if (screen)
        (void)fputs(TERMINAL_ENTER, stdout);
    bool ok = watch_until_told(options, signal_fd, &watch, &error);
    if (screen)
        (void)fputs(TERMINAL_LEAVE, stdout);
    (void)fflush(stdout);
    (void)close(signal_fd);
    if (!ok)
        return fail(&error);
    return watch.look.running ? 0 : STATUS_NOT_RUNNING;
}

static int run(const Options *options)
{
    return options->watch ? watch(options) : show_once(options);
}

int cmd_status(int argc, char **argv)
{
    return command_without_operands(COMMAND_STATUS, argc, argv, run);
}
