/* SPDX-License-Identifier: PostgreSQL
 *
 * What can wake the stream thread besides its socket: an eventfd that other threads ring, and the
 * signals of the process as a descriptor.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdbool.h>

/* A bell: any thread rings, one thread polls bell_fd for reading and silences it. */
typedef struct Bell {
    int fd;
} Bell;

bool bell_open(Bell *ret, Error *err) MUST_CHECK;
void bell_ring(const Bell *bell);
void bell_silence(const Bell *bell);
void bell_close(Bell *bell); /* fd -1 is fine */

/* Blocks SIGINT, SIGTERM, SIGHUP in this thread and those it starts later, ignores SIGPIPE, and
 * gives a descriptor that becomes readable when one arrives. Call before any thread is started. */
bool signals_open(int *ret_fd, Error *err) MUST_CHECK;
/* The next pending signal number, 0 when there is none. */
int signals_next(int fd);
