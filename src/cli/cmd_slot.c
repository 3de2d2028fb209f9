/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx slot create|drop|show`. Silent when all went well, but for what show prints.
 */
#include "command_begin.h"
#include "commands.h"
#include "receive_internal.h"

#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"
#include "walrx/os/wakeup.h"
#include "walrx/stream/slot.h"

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
    return true;
}

static bool show_one(SlotCall *call, Connection *connection, Error *err)
{
    const char *name = call->options->slot;
    char lsn[LSN_TEXT_SIZE];
    ReadSlotResult slot;
    if (!slot_read(connection, &call->connect, &call->control, name, &slot, err))
        return false;
    printf("slot_name         %s\nexists            %s\n", name, slot.exists ? "yes" : "no");
    if (!slot.exists)
        return error_set(err, ERROR_OPERATOR, "replication slot \"%s\" does not exist", name);
    printf("slot_type         %s\n", slot.physical ? "physical" : "logical");
    printf("restart_lsn       %s\n",
           slot.restart_lsn != LSN_INVALID ? lsn_format(slot.restart_lsn, lsn) : "-");
    /* Unknown without reserved WAL, and from servers before PostgreSQL 15. */
    if (slot.restart_timeline != 0)
        printf("restart_timeline  %u\n", slot.restart_timeline);
    else
        printf("restart_timeline  -\n");
    return true;
}

/* Every physical slot, one a line, as one value: connection_query reads one row. The zeros with
 * which PostgreSQL 19 fills an LSN's lower half go, as lsn_format writes none. */
static bool show_all(Connection *connection, Error *err)
{
    ResultRow row;
    if (!connection_query(connection,
                          "SELECT coalesce(string_agg(format(E'%-24s  %-6s  %s\\n', slot_name, "
                          "CASE WHEN active THEN 'yes' ELSE 'no' END, "
                          "coalesce(regexp_replace(restart_lsn::text, '/0+(.)', E'/\\\\1'), '-')), "
                          "'' ORDER BY slot_name), '') "
                          "FROM pg_catalog.pg_replication_slots WHERE slot_type = 'physical'",
                          &row, err))
        return false;
    if (row.count != 1 || row.values[0] == NULL)
        return error_set(err, ERROR_PROTOCOL, "the server's answer about its slots has no value");
    printf("%-24s  %-6s  %s\n", "slot_name", "active", "restart_lsn");
    (void)fwrite(row.values[0], 1, row.lengths[0], stdout);
    return true;
}

static bool act(SlotCall *call, Connection *connection, Error *err)
{
    const Options *options = call->options;
    if (strcmp(call->action, "create") == 0)
        return slot_create(connection, options->slot, true, options->if_not_exists, err);
    if (strcmp(call->action, "drop") == 0)
        return slot_drop(connection, options->slot, err);
    return options->slot != NULL ? show_one(call, connection, err) : show_all(connection, err);
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
