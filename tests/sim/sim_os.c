/* SPDX-License-Identifier: PostgreSQL
 *
 * The clock, the bell, the signals, systemd and the log of the simulated world.
 */
#include "sim.h"

#include "walrx/os/clock.h"
#include "walrx/os/log.h"
#include "walrx/os/notify.h"
#include "walrx/os/wakeup.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t clock_monotonic_ms(void)
{
    return world.now_ms;
}

uint64_t clock_monotonic_ns(void)
{
    return world.now_ms * 1000000;
}

PgTime clock_pg_time(void)
{
    return (PgTime)world.now_ms * 1000 + world.wall_offset_us;
}

const char *clock_utc_text(char buffer[CLOCK_TEXT_SIZE])
{
    (void)snprintf(buffer, CLOCK_TEXT_SIZE, "2026-03-01T12:00:00.000Z");
    return buffer;
}

uint64_t clock_seed(void)
{
    return sim_random(UINT64_MAX);
}

bool bell_open(Bell *ret, Error *err)
{
    (void)err;
    ret->fd = SIM_FD_BELL;
    sim_bell(false);
    return true;
}

/* Of whoever looks on: nobody does. */
void bell_ring(const Bell *theirs)
{
    (void)theirs;
}

void bell_silence(const Bell *ours)
{
    (void)ours;
    sim_bell(false);
}

void bell_close(Bell *ours)
{
    ours->fd = -1;
}

int signals_next(int fd)
{
    (void)fd;
    return fate_signal();
}

void notify_ready(void)
{
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

void notify_status(const char *format, ...)
{
    (void)format;
}

uint64_t notify_watchdog_interval_ms(void)
{
    return sim_watchdog_ms();
}

void notify_watchdog(void)
{
    sim_watchdog_fed();
}

void log_line(LogLevel level, const LogField *fields, const char *format, ...)
{
    char text[512];
    va_list arguments;
    (void)fields;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    sim_note("  log %d: %s", (int)level, text);
}

void log_error(LogLevel level, const LogField *fields, const Error *error)
{
    (void)fields;
    sim_note("  log %d: %s: %s", (int)level, error_class_name(error->class), error->message);
}
