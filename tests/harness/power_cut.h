/* SPDX-License-Identifier: PostgreSQL
 *
 * What a disk holds after a power cut. While calls go through fake_files, every change is noted;
 * then the directory can be built as it may look when the power went away before the Nth change:
 * data of a file is sure up to its last fdatasync, names of a directory up to its last fsync, and
 * of what came later anything may be there or not.
 *
 * Harsher than real filesystems: names that were not synced may come and go in any combination. A
 * file moved to another directory may be under both names, once the new one is synced never under
 * none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum PowerVariant {
    POWER_LOSES_ALL,   /* nothing that was not synced */
    POWER_KEEPS_ALL,   /* everything */
    POWER_KEEPS_NAMES, /* names, but no data */
    POWER_MIXES,       /* each name by the toss of a coin, data by sectors of 512 bytes */
} PowerVariant;
#define POWER_VARIANT_COUNT 4

/* Notes what happens in this empty directory from now on. `mark` is called with each change; its
 * value is kept with it. */
void power_begin(const char *path, uint64_t (*mark)(void));
/* Forgets everything. */
void power_end(void);

/* How many changes there were, and what mark said when the change `at` came. */
size_t power_changes(void);
uint64_t power_mark(size_t at);

/* Builds the directory, as of before change `at`, at `path`, which must be empty. */
void power_build(size_t at, PowerVariant variant, uint64_t seed, const char *path);
