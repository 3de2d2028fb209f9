/* SPDX-License-Identifier: PostgreSQL
 *
 * One receiver per archive: flock on .walrx/lock, which holds the owner's pid as text. The kernel
 * drops the lock with the process, so nothing is ever stale.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"

#define DIRLOCK_NAME "lock"

typedef struct DirLock {
    int fd; /* -1: not held */
} DirLock;

/* ERROR_ARCHIVE naming the process when another one holds it. */
bool dirlock_acquire(const Dir *private_dir, const char *archive_path, DirLock *ret,
                     Error *err) MUST_CHECK;
/* Lets go; with `remove` the file goes first (while still locked, so that nobody else can hold it).
 */
void dirlock_release(const Dir *private_dir, DirLock *lock, bool remove);
