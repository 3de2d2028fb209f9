/* SPDX-License-Identifier: PostgreSQL
 *
 * The open segment a former run left, in whatever forms: first made one raw file, then examined.
 * What had to be mended is logged, for it happens in whatever thread opens the segment.
 */
#pragma once

#include "walrx/archive/partial.h"

/* As partial_examine, after merging the compressed partials of the segment (partial_expand). */
bool leftover_examine(const Archive *archive, Timeline timeline, SegNo segno, PartialTrust *ret,
                      Error *err) MUST_CHECK;

/* Is there a partial of the segment, in any form? */
bool leftover_exists(const Archive *archive, Timeline timeline, SegNo segno, bool *ret,
                     Error *err) MUST_CHECK;
