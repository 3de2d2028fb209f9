/* SPDX-License-Identifier: PostgreSQL
 *
 * libsystemd, loaded where systemd started us (notify.c).
 */
#include "walrx/os/library.h"

#include <stdint.h>
#include <systemd/sd-daemon.h>

#define LIBSYSTEMD "libsystemd.so.0"

LIBRARY_FORWARD(LIBSYSTEMD, int, sd_notify, (int unset, const char *state), (unset, state))
LIBRARY_FORWARD(LIBSYSTEMD, int, sd_watchdog_enabled, (int unset, uint64_t *usec), (unset, usec))
