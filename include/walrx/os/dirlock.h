/* SPDX-License-Identifier: PostgreSQL
 *
 * One receiver per archive: flock on the directory itself, which changes nothing in it, and on
 * .walrx/lock, which scripts can look at. The kernel drops both with the process, so nothing is
 * ever stale.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"

#include <stdbool.h>
#include <stdint.h>

#define DIRLOCK_NAME "lock"

typedef struct DirLock {
    int fd; /* -1: not held */
} DirLock;

/* Locks the directory, until dir_close. ERROR_ARCHIVE naming the process when another one holds it.
 * A filesystem that cannot lock directories (NFS) is passed over: there the lock file decides. */
bool dirlock_directory(const Dir *dir, Error *err) MUST_CHECK;

/* The same for any directory and without waiting or a message; false also where that cannot be. */
bool dirlock_try_directory(const Dir *dir);

/* Locks the file, made where it is missing. archive_path is for the message. */
bool dirlock_file(const Dir *private_dir, const char *archive_path, DirLock *ret,
                  Error *err) MUST_CHECK;
typedef struct LockHolder {
    bool held;
    uint64_t pid; /* 0: not known, for example in another container */
} LockHolder;

/* Who holds the locks, for those who only look; private_dir may have fd -1. /proc/locks tells
 * without touching them, but not about every container: with `probe`, where it tells nothing, a
 * shared lock is tried for a moment. */
LockHolder dirlock_holder(const Dir *dir, const Dir *private_dir, bool probe);

/* Another lock file of the directory, for what may go on beside a receiver. ret->fd is -1 when
 * somebody else holds it, who is told. */
bool dirlock_try(const Dir *private_dir, const char *name, DirLock *ret, LockHolder *ret_holder,
                 Error *err) MUST_CHECK;

void dirlock_release(const Dir *private_dir, DirLock *lock);
