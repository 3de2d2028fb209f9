/* SPDX-License-Identifier: PostgreSQL
 *
 * A segment that has arrived whole while the archive already has it, in some form: nothing under a
 * final name is overwritten. Private to src/archive.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Newcomer {
    const Dir *dir;   /* where it is */
    const char *name; /* under this name */
    Timeline timeline;
    SegNo segno;
    WalCompression form; /* its own */
} Newcomer;

/* *ret_exists false: the archive has no such segment, nothing was done. True: it has the same
 * content, and the newcomer was removed. Other content: the newcomer went to quarantine,
 * ERROR_ARCHIVE. */
bool duplicate_settle(const Archive *archive, const Newcomer *newcomer, bool *ret_exists,
                      Error *err) MUST_CHECK;
