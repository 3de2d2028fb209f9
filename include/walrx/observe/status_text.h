/* SPDX-License-Identifier: PostgreSQL
 *
 * The figures of a snapshot as people read them. kB, MB and GB are powers of 1024, as PostgreSQL
 * counts. Pure.
 */
#pragma once

#include "walrx/observe/snapshot.h"
#include "walrx/os/clock.h"

#define STATUS_SIZE_TEXT 32

/* "12.3 MB", "1.5 ms"; "-" for what is not known. */
const char *status_bytes(uint64_t bytes, char buffer[STATUS_SIZE_TEXT]);
const char *status_time(uint64_t ns, char buffer[STATUS_SIZE_TEXT]);
/* "2026-03-01T12:00:00Z"; "-" for what has not happened. */
const char *status_moment(PgTime time, char buffer[CLOCK_TEXT_SIZE]);
