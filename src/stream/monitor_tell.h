/* SPDX-License-Identifier: PostgreSQL
 *
 * The monitor's news in words, to the log. Private to src/stream.
 */
#pragma once

#include "monitor_judge.h"

/* news: MonitorNews. slot: NULL: there is none. */
void monitor_tell(unsigned news, const MonitorFacts *facts, const char *slot);
