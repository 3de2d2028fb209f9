/* SPDX-License-Identifier: PostgreSQL
 *
 * Holes that the user accepted (--on-gap=continue): one line each in .walrx/gaps, so that nobody
 * mistakes the archive for a whole one. Only a record: a hole also shows as missing segments.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"

#define GAP_FILE "gaps"

typedef struct Gap {
    Timeline timeline;
    Lsn begin; /* first byte that is missing */
    Lsn end;   /* first byte that is there again */
} Gap;

/* Appends; durable on return. `when` is a time stamp as text. */
bool gap_record(const Archive *archive, const Gap *gap, const char *when, Error *err) MUST_CHECK;
