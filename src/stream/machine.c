/* SPDX-License-Identifier: PostgreSQL
 *
 * See machine.h. What pg_receivewal retries: everything after the first connection but a failed
 * identification, a damaged directory and a failed fsync (pg_receivewal.c, main and StreamLog,
 * PostgreSQL 15).
 */
#include "walrx/stream/machine.h"

#include <string.h>

#define PG_RECEIVEWAL_DELAY_MS 5000

void machine_init(Machine *machine, const MachineConfig *config)
{
    *machine = (Machine){.config = *config};
    machine->backoff = backoff_init(config->first_delay_ms, config->max_delay_ms, config->seed);
}

void machine_on_connected(Machine *machine)
{
    machine->ever_connected = true;
}

void machine_on_streaming(Machine *machine)
{
    machine->failing = false;
    backoff_reset(&machine->backoff);
}

static bool is_news(const Machine *machine, const Error *error)
{
    return !machine->failing || machine->last.class != error->class ||
           strcmp(machine->last.sqlstate, error->sqlstate) != 0 ||
           strcmp(machine->last.message, error->message) != 0;
}

static bool worth_retrying(const Machine *machine, const Error *error)
{
    if (machine->config.no_loop)
        return false;
    if (!machine->config.as_pg_receivewal)
        return error->class == ERROR_RETRY;
    if (!machine->ever_connected)
        return false;
    return error->class == ERROR_RETRY || error->class == ERROR_OPERATOR ||
           error->class == ERROR_PROTOCOL || strcmp(error->sqlstate, "58P01") == 0;
}

static int exit_status(const Machine *machine, const Error *error)
{
    int status = error_exit_status(error->class);
    return machine->config.as_pg_receivewal && status > 1 ? 1 : status;
}

MachineNext machine_after(Machine *machine, const Error *error)
{
    MachineNext next = {.retry = false};
    if (error->class == ERROR_STOPPED)
        return next;
    if (!worth_retrying(machine, error)) {
        next.exit_status = exit_status(machine, error);
        next.tell = true;
        return next;
    }
    next.retry = true;
    next.tell = machine->config.as_pg_receivewal || is_news(machine, error);
    next.delay_ms = machine->config.as_pg_receivewal ? PG_RECEIVEWAL_DELAY_MS
                                                     : backoff_next_ms(&machine->backoff);
    machine->failing = true;
    machine->last = *error;
    return next;
}
