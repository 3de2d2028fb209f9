/* SPDX-License-Identifier: PostgreSQL
 *
 * Memory that files are written from with O_DIRECT.
 */
#pragma once

#include <stddef.h>

/* Aligned for O_DIRECT and, where the kernel has them to give, in huge pages: a write then goes to
 * the disk in few large requests instead of one for each megabyte, for a disk's request holds a
 * limited number of pieces of memory (docs/decisions/0009). Free with free(). NULL when out of
 * memory. */
void *memory_for_disk(size_t size);
