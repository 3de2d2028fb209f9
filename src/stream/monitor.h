/* SPDX-License-Identifier: PostgreSQL
 *
 * Asks the server, in a thread and over a connection of its own, what becomes of our slot and our
 * walsender. Nothing it meets ends the receiver or makes it wait. Private to src/stream.
 */
#pragma once

#include "monitor_judge.h"

#include "walrx/os/wakeup.h"
#include "walrx/stream/receiver.h"

#define MONITOR_HOST_SIZE 256

/* The connection that WAL streams over. */
typedef struct MonitorSession {
    char host[MONITOR_HOST_SIZE];
    char port[16];
    int sender_pid; /* 0: it is over */
    MonitorSelf self;
} MonitorSession;

typedef struct Monitor Monitor;

/* NULL where the options want none, or when it cannot be started (which is logged). `bell` is rung
 * when monitor_wants_prompt changes. All is borrowed until monitor_close. */
Monitor *monitor_open(const ReceiverOptions *options, const Bell *bell);
/* Within moments, whatever the server does. NULL is fine, here and below. */
void monitor_close(Monitor *monitor);

/* Asks at once where the session is a new one. */
void monitor_follow(Monitor *monitor, const MonitorSession *session);

/* Do commits wait for us? Takes no lock. */
bool monitor_wants_prompt(const Monitor *monitor);
