/* SPDX-License-Identifier: PostgreSQL
 *
 * Times as PostgreSQL's users write them.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/copydata.h"

#include <stdbool.h>

/* "2026-03-01 12:00:00.123456+01": a date, a blank or T, hours and minutes; seconds with up to six
 * digits behind the point, and a zone (Z, UTC, or an offset: +01, -0330, +05:45), may be missing. A
 * date alone is its midnight. Without a zone: the zone of the process (TZ). ERROR_USAGE, with what
 * is wrong as the detail; also for a local time that does not exist, or exists twice, when clocks
 * are changed. */
bool timestamp_parse(const char *text, PgTime *ret, Error *err) MUST_CHECK;
