/* SPDX-License-Identifier: PostgreSQL
 *
 * See notify.h. Without NOTIFY_SOCKET nobody listens; failures are not ours to handle: systemd then
 * sees a missing message and acts on it. libsystemd is loaded only where systemd started us.
 */
#include "walrx/os/notify.h"

#include "os_config.h"

#include <stdarg.h>
#include <stdio.h>

#ifdef HAVE_LIBSYSTEMD
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static void send_state(const char *state)
{
    if (getenv("NOTIFY_SOCKET") != NULL)
        (void)sd_notify(0, state);
}

uint64_t notify_watchdog_interval_ms(void)
{
    uint64_t usec = 0;
    if (getenv("WATCHDOG_USEC") == NULL || sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    uint64_t half = usec / 2000;
    return half > 0 ? half : 1;
}
#else
static void send_state(const char *state)
{
    (void)state;
}

uint64_t notify_watchdog_interval_ms(void)
{
    return 0;
}
#endif

void notify_ready(void)
{
    send_state("READY=1");
}

void notify_reloading(void)
{
#ifdef HAVE_LIBSYSTEMD
    struct timespec now;
    char state[96];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)now.tv_sec * 1000000ULL +
                       (unsigned long long)now.tv_nsec / 1000ULL);
    send_state(state);
#endif
}

void notify_stopping(void)
{
    send_state("STOPPING=1");
}

void notify_watchdog(void)
{
    send_state("WATCHDOG=1");
}

void notify_status(const char *format, ...)
{
    char text[512] = "STATUS=";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + 7, sizeof(text) - 7, format, args);
    va_end(args);
    /* A line break would begin another assignment, and the text may be the server's. */
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20)
            *at = ' ';
    }
    send_state(text);
}
