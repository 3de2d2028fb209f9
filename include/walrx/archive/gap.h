/* SPDX-License-Identifier: PostgreSQL
 *
 * Holes that the user accepted (--on-gap=continue): one line each in .walrx/gaps, so that nobody
 * mistakes the archive for a whole one. A hole also shows as missing segments; but when no segment
 * behind it is complete yet, only the record tells that receiving goes on there.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/archive/inventory.h"
#include "walrx/base/error.h"

#define GAP_FILE "gaps"

typedef struct Gap {
    Timeline timeline;
    Lsn begin; /* first byte that is missing */
    Lsn end;   /* first byte that is there again */
} Gap;

/* Appends, unless the last line is the same gap: a receiver that is behind a gap and has received
 * nothing yet meets it again with each connection. Durable on return. `when` is a time stamp as
 * text. */
bool gap_record(const Archive *archive, const Gap *gap, const char *when, Error *err) MUST_CHECK;

/* Sets timeline->resumed where a gap was recorded at the place that comes next and a partial lies
 * at its end: the next start goes on there. */
bool gap_resume(const Archive *archive, TimelineInventory *timeline, Error *err) MUST_CHECK;

/* Calls visit for each recorded gap, oldest record first; stops when it returns false. */
typedef bool (*GapVisit)(void *context, const Gap *gap);
bool gap_visit(const Archive *archive, GapVisit visit, void *context, Error *err) MUST_CHECK;
