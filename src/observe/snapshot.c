/* SPDX-License-Identifier: PostgreSQL
 *
 * See snapshot.h.
 */
#include "walrx/observe/snapshot.h"

void snapshot_clear(Snapshot *ret)
{
    *ret = (Snapshot){
        .at = PG_TIME_NONE,
        .started = PG_TIME_NONE,
        .stopped = PG_TIME_NONE,
        .exit_status = EXIT_STATUS_NONE,
        .state_since = PG_TIME_NONE,
        .failure = {.at = PG_TIME_NONE},
        .server_end_at = PG_TIME_NONE,
        .server_end_sent = PG_TIME_NONE,
        .last_message_at = PG_TIME_NONE,
        .last_message_sent = PG_TIME_NONE,
        .last_message_age_ns = SNAPSHOT_UNKNOWN,
        .free_bytes = SNAPSHOT_UNKNOWN,
        .monitor =
            {
                .at = PG_TIME_NONE,
                .safe_wal_size = SNAPSHOT_UNKNOWN,
                .retained_bytes = SNAPSHOT_UNKNOWN,
                .connections = SNAPSHOT_UNKNOWN,
                .max_connections = SNAPSHOT_UNKNOWN,
                .walsenders = SNAPSHOT_UNKNOWN,
                .max_walsenders = SNAPSHOT_UNKNOWN,
            },
    };
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++)
        ret->lag[stage] = (StageLag){.bytes = SNAPSHOT_UNKNOWN, .ns = SNAPSHOT_UNKNOWN};
    for (int window = 0; window < RATE_WINDOW_COUNT; window++) {
        ret->rates.received[window] = SNAPSHOT_UNKNOWN;
        ret->rates.generated[window] = SNAPSHOT_UNKNOWN;
    }
    ret->rates.catch_up_ms = SNAPSHOT_UNKNOWN;
}
