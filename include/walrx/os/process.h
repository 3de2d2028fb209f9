/* SPDX-License-Identifier: PostgreSQL
 *
 * Processes: one that stays behind when its command has ended, and what tells whether another one
 * still runs.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Runs `run` in a process of its own that nobody waits for: in a session of its own, in "/", with
 * nothing open but /dev/null and the descriptors to keep (any that is -1 is passed over). It ends
 * with status 0 when `run` returns. Call while there is one thread. False: there is none. */
bool process_detach(const char *name, const int *keep, size_t keep_count,
                    void (*run)(void *context), void *context);

/* Also where it belongs to somebody else. */
bool process_exists(pid_t pid);

/* The cores this process may use, which a container or taskset can make fewer; at least 1. */
unsigned process_cores(void);
/* Bytes of memory of the machine; 0: not known. */
uint64_t process_machine_memory(void);

/* What names the time since the machine was started. */
#define BOOT_ID_SIZE 40
bool process_boot_id(char ret[BOOT_ID_SIZE]);
