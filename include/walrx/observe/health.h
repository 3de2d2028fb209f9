/* SPDX-License-Identifier: PostgreSQL
 *
 * Is a receiver well? For load balancers, orchestrators and people who ask with curl. Pure.
 */
#pragma once

#include "walrx/observe/snapshot.h"

#define HEALTH_TEXT_SIZE 1024

/* Does it receive: it streams, and its durable WAL is not further behind than `max_lag_ms` (0: any
 * lag will do). One line that says so, or why not. */
bool health_ready(const Snapshot *snapshot, uint64_t max_lag_ms, char text[HEALTH_TEXT_SIZE]);

/* Is the process at work: also while it waits for a server that is away. A restart mends nothing
 * then. */
bool health_live(const Snapshot *snapshot, char text[HEALTH_TEXT_SIZE]);
