/* SPDX-License-Identifier: PostgreSQL
 *
 * A process that stays behind when its command has ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Runs `run` in a process of its own that nobody waits for: in a session of its own, in "/", with
 * nothing open but /dev/null and the descriptors to keep (any that is -1 is passed over). It ends
 * with status 0 when `run` returns. Call while there is one thread. False: there is none. */
bool background_run(const char *name, const int *keep, size_t keep_count,
                    void (*run)(void *context), void *context);
