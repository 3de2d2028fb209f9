/* SPDX-License-Identifier: PostgreSQL
 *
 * What the user asks of a running receiver: signals, seen by whoever waits. SIGINT and SIGTERM ask
 * to stop; a second one asks not to wait for the server or for compression. SIGHUP asks to read the
 * file of options again. Belongs to one thread: the stream thread, or with `ended` another one that
 * waits for servers too.
 */
#pragma once

#include "walrx/os/wakeup.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Control {
    int signal_fd;       /* from signals_open; -1: signals are another thread's */
    const Bell *ended;   /* rung once: a stop, too; NULL: there is none */
    unsigned stop_count; /* how often a stop was asked for */
    bool reload;         /* SIGHUP came; whoever reads the options again clears it */
} Control;

/* Takes pending signals in. True while no stop was asked for. */
bool control_running(Control *control);

typedef enum ControlWait {
    CONTROL_READY,   /* the descriptor has something */
    CONTROL_TIMEOUT, /* the deadline passed */
    CONTROL_STOP,    /* a (further) stop was asked for */
} ControlWait;

/* Waits for poll events on fd (-1: only for time or a stop) until the monotonic deadline in ms
 * (UINT64_MAX: none). A reload request does not end the wait. */
ControlWait control_wait(Control *control, int fd, short events, uint64_t deadline_ms);
