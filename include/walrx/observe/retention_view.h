/* SPDX-License-Identifier: PostgreSQL
 *
 * What a receiver that removes old WAL tells of that.
 */
#pragma once

#include "walrx/proto/copydata.h"
#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct RetentionView {
    bool enabled;
    PgTime at;   /* of the last look; PG_TIME_NONE: there was none */
    Lsn horizon; /* WAL stays from there on; LSN_INVALID: not known yet */
    uint64_t removed_files;
    uint64_t removed_bytes;
    uint64_t failing;  /* 1: the last try failed, else 0 */
    char held_by[128]; /* what keeps more than was asked for; "": nothing does */
    char problem[256]; /* why the last try failed; "": it did not */
} RetentionView;
