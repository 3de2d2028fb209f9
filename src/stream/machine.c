/* SPDX-License-Identifier: PostgreSQL
 *
 * See machine.h. What pg_receivewal retries: everything after the first connection, a full disk
 * too, but a failed identification, a damaged directory and a failed fsync (pg_receivewal.c, main
 * and StreamLog, PostgreSQL 15).
 */
#include "walrx/stream/machine.h"

#include <string.h>

#define PG_RECEIVEWAL_DELAY_MS 5000
#define REMINDER_MS 600000

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

/* Messages that differ in numbers only (a position that moves, a time) tell the same state. */
static bool same_but_numbers(const char *a, const char *b)
{
    static const char digits[] = "0123456789ABCDEF/";
    for (;;) {
        a += strspn(a, digits);
        b += strspn(b, digits);
        if (*a != *b)
            return false;
        if (*a == '\0')
            return true;
        a++;
        b++;
    }
}

static bool is_news(const Machine *machine, const Error *error, uint64_t now_ms)
{
    return !machine->failing || now_ms - machine->told_ms >= REMINDER_MS ||
           machine->last.class != error->class ||
           strcmp(machine->last.sqlstate, error->sqlstate) != 0 ||
           !same_but_numbers(machine->last.message, error->message);
}

static bool worth_retrying(const Machine *machine, const Error *error)
{
    if (machine->config.no_loop)
        return false;
    if (error->class == ERROR_NO_ROOM)
        return true;
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

MachineNext machine_after(Machine *machine, const Error *error, uint64_t now_ms)
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
    next.tell = machine->config.as_pg_receivewal || is_news(machine, error, now_ms);
    next.delay_ms = machine->config.as_pg_receivewal ? PG_RECEIVEWAL_DELAY_MS
                                                     : backoff_next_ms(&machine->backoff);
    if (next.tell)
        machine->told_ms = now_ms;
    machine->failing = true;
    machine->last = *error;
    return next;
}
