/* SPDX-License-Identifier: PostgreSQL
 *
 * The monitor's questions, over a plain connection. Private to src/stream.
 */
#pragma once

#include "monitor_facts.h"

#include "walrx/stream/connection.h"

/* So that no question takes long, waits for a lock, or could change anything. */
bool monitor_prepare(Connection *plain, Error *err) MUST_CHECK;

/* slot: NULL: there is none. sender_pid: of our walsender; 0: there is none. */
bool monitor_ask(Connection *plain, const char *slot, int sender_pid, MonitorFacts *ret,
                 Error *err) MUST_CHECK;
