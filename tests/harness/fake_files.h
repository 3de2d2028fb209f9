/* SPDX-License-Identifier: PostgreSQL
 *
 * A FileTable over the kernel's calls that tests can spoil: the Nth call fails, transfers less than
 * it was asked to, or all calls from the Nth on fail as if the process had died there. Syncs do
 * nothing, so tests are quick and any filesystem will do. O_DIRECT is imitated, with its rules
 * about alignment, so that it works the same everywhere.
 *
 * One for the whole process, for any number of threads: calls are made one at a time.
 */
#pragma once

#include "walrx/os/files.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum FakeCall {
    FAKE_OPENAT,
    FAKE_CLOSE,
    FAKE_PREAD,
    FAKE_PWRITEV,
    FAKE_FDATASYNC,
    FAKE_FSYNC,
    FAKE_FALLOCATE,
    FAKE_FTRUNCATE,
    FAKE_RENAME,
    FAKE_UNLINK,
    FAKE_MKDIR,
    FAKE_STAT,
    FAKE_CHMOD,
    FAKE_TIMES,
    FAKE_READDIR,
    FAKE_ANY, /* counts them all */
} FakeCall;
#define FAKE_CALL_COUNT (FAKE_ANY + 1)

typedef enum FakeDirect {
    FAKE_DIRECT_WORKS,
    FAKE_DIRECT_REFUSED_AT_OPEN,
    FAKE_DIRECT_REFUSED_AT_WRITE,
} FakeDirect;

const FileTable *fake_files_table(void);

/* Counts from zero, nothing spoiled, O_DIRECT works, no observer. */
void fake_files_reset(void);

/* The nth (1...) call of that kind fails once with this errno, before it does anything. */
void fake_files_fail(FakeCall call, unsigned nth, int error);
/* It and all later ones of that kind. */
void fake_files_fail_from(FakeCall call, unsigned nth, int error);
/* Of the calls that take space (creating, writing, allocating, growing, naming) the nth and `count`
 * - 1 after it fail with ENOSPC; then there is room again. */
void fake_files_full(unsigned nth, unsigned count);
/* What fstatvfs tells is free; UINT64_MAX, as at first: what the filesystem tells. */
void fake_files_space(uint64_t free_bytes);
/* The nth pread or pwritev (or the first of either after the nth call) transfers about half. */
void fake_files_shorten(FakeCall call, unsigned nth);
void fake_files_direct(FakeDirect mode);

/* Was the spoiled call made? Which was it? */
bool fake_files_struck(FakeCall *ret_call);
unsigned fake_files_count(FakeCall call);
const char *fake_files_call_name(FakeCall call);

/* What a successful call has just done, told while no other call runs. */
typedef struct FakeEvent {
    FakeCall call;
    int fd;       /* openat: the new one; rename and unlink: the directory */
    int other_fd; /* openat: the directory; rename: the directory of the new name */
    const char *name;
    const char *other_name; /* rename: the new name */
    bool created;           /* openat */
    bool truncated;         /* openat */
    const struct iovec *parts;
    size_t length; /* pwritev: bytes written */
    off_t offset;  /* pwritev; fallocate, ftruncate: the size */
} FakeEvent;
typedef void (*FakeObserver)(const FakeEvent *event);
void fake_files_observe(FakeObserver observer);
