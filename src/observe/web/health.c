/* SPDX-License-Identifier: PostgreSQL
 *
 * See health.h.
 */
#include "walrx/observe/health.h"

#include "walrx/base/parse.h"

#include <stdio.h>

#define NS_PER_MS UINT64_C(1000000)
#define MS_PER_SECOND 1e3

static const char *const state_names[] = {"starting", "streaming", "restarting", "stopping",
                                          "stopped"};

bool health_ready(const Snapshot *snapshot, uint64_t max_lag_ms, char text[HEALTH_TEXT_SIZE])
{
    char limit[PARSE_TEXT_SIZE];
    bool failed = snapshot->failure.any && snapshot->failure.error.message[0] != '\0';
    if (snapshot->state != RECEIVER_STREAMING) {
        (void)snprintf(text, HEALTH_TEXT_SIZE, "not streaming: %s%s%s\n",
                       state_names[snapshot->state], failed ? ": " : "",
                       failed ? snapshot->failure.error.message : "");
        return false;
    }
    uint64_t behind = snapshot->lag[LAG_FLUSHED].ns;
    uint64_t behind_ms = behind / NS_PER_MS;
    if (behind == SNAPSHOT_UNKNOWN) {
        (void)snprintf(text, HEALTH_TEXT_SIZE,
                       "ok: streaming; the server has not said anything yet\n");
        return true;
    }
    if (max_lag_ms > 0 && behind_ms > max_lag_ms) {
        (void)snprintf(text, HEALTH_TEXT_SIZE, "behind: durable WAL by %.1f s, more than %s\n",
                       (double)behind_ms / MS_PER_SECOND, format_duration(max_lag_ms, limit));
        return false;
    }
    (void)snprintf(text, HEALTH_TEXT_SIZE, "ok: streaming, durable WAL is %.1f s behind\n",
                   (double)behind_ms / MS_PER_SECOND);
    return true;
}

bool health_live(const Snapshot *snapshot, char text[HEALTH_TEXT_SIZE])
{
    bool live = snapshot->state != RECEIVER_STOPPING && snapshot->state != RECEIVER_STOPPED;
    (void)snprintf(text, HEALTH_TEXT_SIZE, "%s%s\n",
                   live ? "ok: " : "ending: ", state_names[snapshot->state]);
    return live;
}
