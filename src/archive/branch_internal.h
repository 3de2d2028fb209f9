/* SPDX-License-Identifier: PostgreSQL
 *
 * What a branch is made from: a history file, and the listing's ranges along it.
 */
#pragma once

#include "walrx/archive/branch.h"
#include "walrx/proto/timeline.h"

/* The history of `timeline` by its file, raw or as pg_receivewal compresses it; timeline 1 needs
 * none. *ret_known false: there is no file, and *ret knows of no ancestors. `switches`: room for
 * TIMELINE_MAX_SWITCHES. ERROR_ARCHIVE: the file cannot be understood. *ret is usable in any case.
 */
bool branch_history(const Archive *archive, Timeline timeline, TimelineSwitch *switches,
                    TimelineHistory *ret, bool *ret_known, Error *err) MUST_CHECK;

/* The spans along a history. */
bool branch_lay(const Listing *listing, const TimelineHistory *history, Branch *ret,
                Error *err) MUST_CHECK;
