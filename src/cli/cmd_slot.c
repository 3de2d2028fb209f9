/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx slot create|drop|show`. Silent when all went well, but for what show prints.
 */
#include "command_begin.h"
#include "commands.h"
#include "receive_internal.h"
#include "slot_report.h"

#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"
#include "walrx/os/wakeup.h"

#include <string.h>
#include <unistd.h>

typedef struct SlotCall {
    const char *action;
    const Options *options;
    ConnectOptions connect;
    Control control;
} SlotCall;

static bool check_call(int argc, char **argv, int operand, const Options *options, Error *err)
{
    if (operand == argc)
        return options_refuse(COMMAND_SLOT, err, "no action given: create, drop or show");
    const char *action = argv[operand];
    bool is_create = strcmp(action, "create") == 0;
    bool is_show = strcmp(action, "show") == 0;
    if (!is_create && !is_show && strcmp(action, "drop") != 0)
        return options_refuse(COMMAND_SLOT, err, "unknown action \"%s\"", action);
    if (operand + 1 < argc)
        return options_refuse(COMMAND_SLOT, err,
                              "too many command-line arguments (first is \"%s\")",
                              argv[operand + 1]);
    if (options->slot == NULL && !is_show)
        return options_refuse(COMMAND_SLOT, err, "%s needs a slot to be specified using --slot",
                              action);
    if (options->if_not_exists && !is_create)
        return options_refuse(COMMAND_SLOT, err, "cannot use %s together with --if-not-exists",
                              action);
    if (options->json && !is_show)
        return options_refuse(COMMAND_SLOT, err, "cannot use %s together with --json", action);
    return true;
}

static bool show_one(SlotCall *call, Connection *connection, Error *err)
{
    const char *name = call->options->slot;
    SlotStatus status;
    if (!slot_status(connection, &call->connect, &call->control, name, &status, err))
        return false;
    if (!call->options->json)
        slot_print_one(stdout, name, &status);
    else if (!slot_print_json(stdout, json_pack("[o]", slot_to_json(name, &status)), err))
        return false;
    if (status.exists && !status.viewed)
        log_line(LOG_INFO, NULL, "what is unknown takes a connection to a database, too: %s",
                 status.refusal.message);
    return status.exists ||
           error_set(err, ERROR_OPERATOR, "replication slot \"%s\" does not exist", name);
}

/* Every physical slot. */
static bool show_all(const SlotCall *call, Connection *connection, Error *err)
{
    json_t *list = call->options->json ? json_array() : NULL;
    SlotStatus status = {.view = {.name = ""}};
    if (!call->options->json)
        slot_print_heading(stdout);
    for (;;) {
        char after[SLOT_NAME_SIZE];
        (void)snprintf(after, sizeof(after), "%s", status.view.name);
        if (!slot_status_next(connection, after, &status, err)) {
            json_decref(list);
            return false;
        }
        if (!status.exists)
            break;
        if (!call->options->json)
            slot_print_line(stdout, &status);
        else if (json_array_append_new(list, slot_to_json(status.view.name, &status)) != 0) {
            json_decref(list);
            return error_set(err, ERROR_MEMORY, "could not build the JSON of the result");
        }
    }
    return !call->options->json || slot_print_json(stdout, list, err);
}

static bool act(SlotCall *call, Connection *connection, Error *err)
{
    const Options *options = call->options;
    if (strcmp(call->action, "create") == 0)
        return slot_create(connection, options->slot, true, options->if_not_exists, err);
    if (strcmp(call->action, "drop") == 0)
        return slot_drop(connection, options->slot, err);
    return options->slot != NULL ? show_one(call, connection, err)
                                 : show_all(call, connection, err);
}

static bool run(SlotCall *call, Error *err)
{
    bool all = call->options->slot == NULL;
    Connection *connection;
    if (!connection_open(&call->connect, all ? CONNECTION_PLAIN : CONNECTION_REPLICATION,
                         &call->control, call->options->receive_timeout_ms, &connection, err)) {
        if (all && err->detail[0] == '\0')
            error_detail(err,
                         "To show all slots takes a connection to a database; with --slot it is "
                         "a replication connection.");
        return false;
    }
    bool ok = act(call, connection, err);
    connection_close(connection);
    return ok;
}

static int run_with_signals(SlotCall *call)
{
    Error error;
    if (!signals_open(&call->control.signal_fd, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return 1;
    }
    bool ok = run(call, &error);
    bool shown = help_finish(stdout);
    (void)close(call->control.signal_fd);
    if (!ok)
        log_error(LOG_ERROR, NULL, &error);
    return ok && shown ? 0 : 1;
}

int cmd_slot(int argc, char **argv)
{
    Options options;
    int operand;
    int status;
    Error error;
    if (!command_begin(COMMAND_SLOT, argc, argv, &options, &operand, &status))
        return status;
    if (!check_call(argc, argv, operand, &options, &error)) {
        log_error(LOG_ERROR, NULL, &error);
        return 1;
    }
    SlotCall call = {
        .action = argv[operand],
        .options = &options,
        .connect = connect_options_from(COMMAND_SLOT, &options),
        .control = {.signal_fd = -1},
    };
    return run_with_signals(&call);
}
