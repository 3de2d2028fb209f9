/* SPDX-License-Identifier: PostgreSQL
 *
 * The machine this process runs on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The cores this process may use, which a container or taskset can make fewer; at least 1. */
unsigned host_cores(void);
/* Bytes of memory; 0: not known. */
uint64_t host_memory(void);

/* What names the time since the machine was started. */
#define BOOT_ID_SIZE 40
bool host_boot_id(char ret[BOOT_ID_SIZE]);
