/* SPDX-License-Identifier: PostgreSQL
 *
 * What an archive does besides streaming, one thing at a time: what start-up mends, compression by
 * each codec, quarantine, gaps, a failover, verify and list. Through fake_files_table, so that any
 * call can fail.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct Job {
    const char *name;
    /* What is in the directory before; closes what it opens. */
    void (*prepare)(void);
    /* True when it was done. Opens and closes the archive by itself. */
    bool (*run)(const char *path, Error *err);
    bool refuses; /* untouched, it ends with ERROR_ARCHIVE */
    bool looks;   /* changes nothing, and tells what it cannot read in its result */
    bool stores;  /* through a store: a full disk may be waited for */
    bool brief;   /* differs from the one before in little: one kind of fault will do */
} Job;

extern const Job jobs[];
extern const size_t job_count;
