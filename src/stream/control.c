/* SPDX-License-Identifier: PostgreSQL
 *
 * See control.h.
 */
#include "walrx/stream/control.h"

#include "walrx/os/clock.h"
#include "walrx/os/wakeup.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>

static void take_signals(Control *control)
{
    for (int signal = signals_next(control->signal_fd); signal != 0;
         signal = signals_next(control->signal_fd)) {
        if (signal == SIGHUP)
            control->reload = true;
        else
            control->stop_count++;
    }
}

bool control_running(Control *control)
{
    take_signals(control);
    return control->stop_count == 0;
}

static int timeout_until(uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX)
        return -1;
    uint64_t now = clock_monotonic_ms();
    if (deadline_ms <= now)
        return 0;
    uint64_t left = deadline_ms - now;
    return left < INT_MAX ? (int)left : INT_MAX;
}

ControlWait control_wait(Control *control, int fd, short events, uint64_t deadline_ms)
{
    unsigned stops = control->stop_count;
    for (;;) {
        struct pollfd polled[3] = {
            {.fd = control->signal_fd, .events = POLLIN},
            {.fd = fd, .events = events},
            {.fd = control->ended != NULL ? control->ended->fd : -1, .events = POLLIN},
        };
        int timeout = timeout_until(deadline_ms);
        int n = poll(polled, control->ended != NULL ? 3 : 2, timeout);
        take_signals(control);
        if (polled[2].revents != 0)
            control->stop_count++;
        if (control->stop_count > stops)
            return CONTROL_STOP;
        if (n > 0 && polled[1].revents != 0)
            return CONTROL_READY;
        if (timeout == 0)
            return CONTROL_TIMEOUT;
    }
}
