/* SPDX-License-Identifier: PostgreSQL
 *
 * See bench_verdict.h.
 */
#include "walrx/stream/bench_verdict.h"

#include <string.h>

/* A walsender that is woken for new WAL has this much to send now and then without being held up:
 * two of its largest messages (MAX_SEND_SIZE in walsender.c, PostgreSQL 15). */
#define HELD_UP_BYTES (2 * UINT64_C(131072))
#define ENOUGH_SAMPLES 5

BenchSenderState bench_sender_state(const char *type, const char *event, uint64_t unsent_bytes)
{
    if (type[0] == '\0')
        return BENCH_SENDER_RUNNING;
    if (strcmp(type, "IO") == 0)
        return BENCH_SENDER_READING;
    if (strcmp(type, "Client") == 0)
        return strcmp(event, "WalSenderWaitForWAL") == 0 ? BENCH_SENDER_IDLE : BENCH_SENDER_SENDING;
    if (strcmp(type, "Activity") == 0)
        return unsent_bytes > HELD_UP_BYTES ? BENCH_SENDER_SENDING : BENCH_SENDER_IDLE;
    return BENCH_SENDER_OTHER;
}

/* The receiver waited, and the server had more. */
static BenchLimit upstream(const BenchEvidence *evidence)
{
    const uint64_t *samples = evidence->samples;
    uint64_t sending = samples[BENCH_SENDER_SENDING];
    uint64_t working = samples[BENCH_SENDER_RUNNING] + samples[BENCH_SENDER_READING];
    if (evidence->local)
        return BENCH_LIMIT_WALSENDER;
    if (sending + working < ENOUGH_SAMPLES)
        return BENCH_LIMIT_WALSENDER_OR_NETWORK;
    return sending >= working ? BENCH_LIMIT_NETWORK : BENCH_LIMIT_WALSENDER;
}

/* The ring was full: the disk, or workers that compress most of the time (they also write). */
static BenchLimit downstream(const BenchEvidence *evidence, uint64_t total_ns)
{
    uint64_t possible = total_ns * evidence->workers;
    return evidence->workers > 0 && evidence->worker_cpu_ns >= possible / 2
               ? BENCH_LIMIT_COMPRESSION
               : BENCH_LIMIT_DISK;
}

BenchLimit bench_verdict(const BenchEvidence *evidence)
{
    const BenchShares *shares = &evidence->shares;
    uint64_t waited = shares->behind_ns + shares->idle_ns + shares->stall_ns;
    uint64_t total = waited + shares->busy_ns;
    if (total == 0)
        return BENCH_LIMIT_UNKNOWN;
    if (shares->busy_ns / 3 >= waited)
        return BENCH_LIMIT_RECEIVER;
    if (shares->stall_ns >= shares->behind_ns && shares->stall_ns >= shares->idle_ns)
        return downstream(evidence, total);
    return shares->idle_ns >= shares->behind_ns ? BENCH_LIMIT_PRIMARY : upstream(evidence);
}

const char *bench_limit_name(BenchLimit limit)
{
    static const char *const names[] = {
        [BENCH_LIMIT_UNKNOWN] = "unknown",
        [BENCH_LIMIT_PRIMARY] = "primary",
        [BENCH_LIMIT_WALSENDER] = "walsender",
        [BENCH_LIMIT_NETWORK] = "network",
        [BENCH_LIMIT_WALSENDER_OR_NETWORK] = "walsender-or-network",
        [BENCH_LIMIT_RECEIVER] = "receiver",
        [BENCH_LIMIT_DISK] = "disk",
        [BENCH_LIMIT_COMPRESSION] = "compression",
    };
    return names[limit];
}
