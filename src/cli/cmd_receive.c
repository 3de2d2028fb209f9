/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx receive`, also for the front pg_receivewal: from the options to the receiver, or to one of
 * the two actions on slots. SIGHUP loads the options as at the start, so the command line still
 * wins over the file.
 */
#include "cli_config.h"
#include "commands.h"
#include "receive_internal.h"

#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"
#include "walrx/cli/option_value.h"
#include "walrx/cli/options_load.h"
#include "walrx/observe/observer.h"
#include "walrx/observe/retention.h"
#include "walrx/os/host.h"
#include "walrx/os/wakeup.h"
#include "walrx/stream/receiver.h"
#include "walrx/stream/slot.h"

#include <string.h>
#include <unistd.h>

#define MAX_DEFAULT_WORKERS 16

typedef struct Reload {
    CommandBit command;
    int argc;
    char **argv;
    const Options *running;
    Retention *retention;
} Reload;

ConnectOptions connect_options_from(CommandBit command, const Options *options)
{
    return (ConnectOptions){
        .conninfo = options->dbname,
        .host = options->host,
        .port = options->port,
        .user = options->username,
        .program = command == COMMAND_FRONT ? "pg_receivewal" : "walrx",
        .force_password = options->password,
        .never_password = options->no_password,
        .ask_without_terminal = command == COMMAND_FRONT,
    };
}

static LogLevel threshold_of(CommandBit command, const Options *options)
{
    if (command == COMMAND_FRONT)
        return options->verbose ? LOG_INFO : LOG_NOTICE;
    return options->verbose ? LOG_DEBUG : LOG_INFO;
}

static void setup_log(CommandBit command, const Options *options)
{
    LogLevel threshold = threshold_of(command, options);
    if (command == COMMAND_FRONT)
        log_setup("pg_receivewal", LOG_CLIENT, threshold);
    else
        log_setup("walrx", strcmp(options->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT,
                  threshold);
}

static ReceiverTunables tunables_from(const Options *options)
{
    return (ReceiverTunables){
        .status_interval_ms = options->status_interval_ms,
        .flush_interval_ms = options->flush_interval_ms,
        .receive_timeout_ms = options->receive_timeout_ms,
        .synchronous = options->synchronous,
        .report_apply = options->report_apply,
    };
}

static RetentionKeep keep_from(const Options *options)
{
    return (RetentionKeep){.time_ms = options->keep_time_ms, .size = options->keep_size};
}

unsigned compress_workers_from(const Options *options)
{
    unsigned cores = host_cores();
    if (options->compress_workers > 0)
        return (unsigned)options->compress_workers;
    return cores < MAX_DEFAULT_WORKERS ? cores : MAX_DEFAULT_WORKERS;
}

static VerifyMode verify_mode_from(const Options *options)
{
    if (strcmp(options->verify, "stop") == 0)
        return VERIFY_STOP;
    return strcmp(options->verify, "off") == 0 ? VERIFY_OFF : VERIFY_ON;
}

static bool reload_options(void *context, ReceiverTunables *tunables)
{
    const Reload *reload = context;
    Options options;
    ConfigFile file;
    int operand;
    Error error;
    if (!options_load(reload->command, reload->argc, reload->argv, &options, &file, &operand,
                      &error)) {
        log_error(LOG_ERROR, NULL, &error);
        log_line(LOG_WARNING, NULL, "options were not reloaded, the old ones stay in use");
        return false;
    }
    for (size_t i = 0; i < option_spec_count; i++) {
        const OptionSpec *spec = &option_specs[i];
        if ((spec->commands & reload->command) != 0 && !spec->reloadable &&
            !option_same(spec, reload->running, &options))
            log_line(LOG_WARNING, NULL,
                     "option \"%s\" has changed; walrx must be restarted to use the new value",
                     spec->name);
    }
    *tunables = tunables_from(&options);
    RetentionKeep keep = keep_from(&options);
    retention_keep(reload->retention, &keep);
    log_set_threshold(threshold_of(reload->command, &options));
    log_line(LOG_INFO, NULL, "options reloaded from file \"%s\"", options.config);
    config_file_free(&file); /* nothing that is kept points into it */
    return true;
}

static bool open_watch(const Options *options, Telemetry **ret_telemetry, Observer **ret_observer,
                       Error *err)
{
    if (!telemetry_open(ret_telemetry, err))
        return false;
    ObserverOptions observer = {
        .telemetry = *ret_telemetry,
        .version = WALRX_VERSION,
        .directory = options->directory,
        .verify = verify_mode_from(options),
        .status_interval_ms = options->status_interval_ms,
    };
    if (observer_open(&observer, ret_observer, err))
        return true;
    telemetry_close(*ret_telemetry);
    return false;
}

static void show_retention(void *context, const RetentionView *view)
{
    observer_set_retention(context, view);
}

static bool open_retention(const Options *options, Observer *observer, Telemetry *telemetry,
                           Retention **ret, Error *err)
{
    const RetentionOptions retention = {
        .directory = options->directory,
        .sync = !options->no_sync,
        .telemetry = telemetry,
        .keep = keep_from(options),
        .watch = observer_watch(observer),
        .show = show_retention,
        .show_context = observer,
    };
    return retention_open(&retention, ret, err);
}

/* Under the name pg_receivewal there is none. */
static bool monitor_from(CommandBit command, const Options *options, MonitorOptions *ret,
                         Error *err)
{
    bool plain = strcmp(options->monitor, MONITOR_ON) == 0;
    *ret = (MonitorOptions){
        .enabled = command != COMMAND_FRONT && strcmp(options->monitor, MONITOR_OFF) != 0,
        .conninfo = plain ? NULL : options->monitor,
    };
    const ConnectOptions own = {.conninfo = ret->conninfo};
    return !ret->enabled || connect_options_check(&own, err);
}

static int run_receiver(CommandBit command, const Options *options, Reload *reload,
                        Control *control)
{
    MonitorOptions monitor;
    Telemetry *telemetry = NULL;
    Observer *observer = NULL;
    Web *web = NULL;
    Error error;
    if (!monitor_from(command, options, &monitor, &error) ||
        !open_watch(options, &telemetry, &observer, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return 1;
    }
    if (!open_retention(options, observer, telemetry, &reload->retention, &error) ||
        !receive_web_open(options, observer, telemetry, &web, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        retention_close(reload->retention);
        observer_close(observer);
        telemetry_close(telemetry);
        return 1;
    }
    ReceiverOptions receiver = {
        .connect = connect_options_from(command, options),
        .monitor = monitor,
        .directory = options->directory,
        .slot = options->slot,
        .end_position = options->endpos,
        .no_loop = options->no_loop,
        .no_sync = options->no_sync,
        .continue_on_gap = strcmp(options->on_gap, "continue") == 0,
        .create_slot_if_missing = options->create_slot_if_missing,
        .verify = verify_mode_from(options),
        .compress = options->compress,
        .compress_workers = compress_workers_from(options),
        .memory = (size_t)options->memory,
        .min_free = options->min_free,
        .as_pg_receivewal = command == COMMAND_FRONT,
        .verbose = options->verbose,
        .tunables = tunables_from(options),
        .reload = options->config != NULL ? reload_options : NULL,
        .reload_context = reload,
        .telemetry = telemetry,
        .watch = retention_watch(reload->retention),
    };
    int status = receiver_run(&receiver, control);
    web_close(web);
    retention_close(reload->retention);
    observer_close(observer);
    telemetry_close(telemetry);
    return status;
}

/* --create-slot and --drop-slot. pg_receivewal creates slots without reserving WAL. */
static bool act_on_slot(CommandBit command, const Options *options, Control *control, Error *err)
{
    ConnectOptions connect = connect_options_from(command, options);
    Connection *connection;
    bool create = options->create_slot;
    log_line(command == COMMAND_FRONT ? LOG_INFO : LOG_DEBUG, NULL, "%s replication slot \"%s\"",
             create ? "creating" : "dropping", options->slot);
    if (!connection_open(&connect, CONNECTION_REPLICATION, control, options->receive_timeout_ms,
                         &connection, err))
        return false;
    bool ok = create ? slot_create(connection, options->slot, command != COMMAND_FRONT,
                                   options->if_not_exists, err)
                     : slot_drop(connection, options->slot, err);
    connection_close(connection);
    return ok;
}

static int run(CommandBit command, const Options *options, Reload *reload)
{
    Control control = {.signal_fd = -1};
    Error error;
    int status = 1;
    if (!signals_open(&control.signal_fd, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return 1;
    }
    if (!options->create_slot && !options->drop_slot)
        status = run_receiver(command, options, reload, &control);
    else if (act_on_slot(command, options, &control, &error))
        status = 0;
    else
        log_error(LOG_ERROR, NULL, &error); /* also when interrupted: nothing was done */
    (void)close(control.signal_fd);
    return status;
}

int receive_run(CommandBit command, int argc, char **argv)
{
    Options options;
    ConfigFile file;
    int operand;
    Error error;
    if (!options_load(command, argc, argv, &options, &file, &operand, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return 1;
    }
    int status = 1;
    if (options.help || options.version) {
        if (options.help)
            help_print_command(stdout, command);
        else
            help_print_version(stdout, command);
        status = help_finish(stdout) ? 0 : 1;
    } else if (operand < argc) {
        options_refuse(command, &error, "too many command-line arguments (first is \"%s\")",
                       argv[operand]);
        log_error(LOG_ERROR, NULL, &error);
    } else {
        Reload reload = {.command = command, .argc = argc, .argv = argv, .running = &options};
        setup_log(command, &options);
        if (file.exposed)
            log_line(LOG_WARNING, NULL,
                     "file \"%s\" holds a password and can be read by others; it should have mode "
                     "0600",
                     options.config);
        status = run(command, &options, &reload);
    }
    config_file_free(&file);
    return status;
}

int cmd_receive(int argc, char **argv)
{
    return receive_run(COMMAND_RECEIVE, argc, argv);
}
