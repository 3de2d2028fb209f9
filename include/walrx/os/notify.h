/* SPDX-License-Identifier: PostgreSQL
 *
 * Messages to systemd (sd_notify(3)); without libsystemd or NOTIFY_SOCKET they do nothing.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_status(const char *format, ...) PRINTF_LIKE(1, 2);
/* How often the watchdog wants to be fed, in ms (half of WATCHDOG_USEC); 0 = not at all. */
uint64_t notify_watchdog_interval_ms(void);
void notify_watchdog(void);
