/* SPDX-License-Identifier: PostgreSQL
 *
 * One session of the synthetic walsender.
 */
#pragma once

#include "walgen.h"

#include "walrx/base/error.h"
#include "walrx/proto/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SENDER_SYSTEM_IDENTIFIER UINT64_C(7000000000000000001)
#define SENDER_MESSAGE_MAX ((size_t)128 * 1024) /* MAX_SEND_SIZE of walsender.c */

typedef struct SenderConfig {
    Lsn start;           /* first WAL that exists; rounded down to its segment */
    uint64_t bytes;      /* how much exists behind it, at last */
    uint64_t rate;       /* bytes a second that become available; 0: all at once */
    size_t message_size; /* WAL bytes of one message */
    uint64_t pause_ms;   /* after each message */
    uint32_t segment_size;
} SenderConfig;

typedef struct SenderReport {
    bool streamed;
    uint64_t sent_bytes;
    uint64_t messages;
    double seconds;         /* from START_REPLICATION to the end of the session */
    double drained_seconds; /* until the last byte was reported as flushed; 0 when it never was */
    uint64_t latency_count; /* sent byte -> reported flush, microseconds */
    uint64_t latency_p50_us;
    uint64_t latency_p99_us;
    uint64_t latency_max_us;
    Lsn flushed; /* last flush position the receiver reported */
} SenderReport;

/* Talks to one client until it leaves. False when the session broke; the report is filled anyway.
 */
bool sender_session(int fd, const SenderConfig *config, const WalGen *gen, SenderReport *report,
                    Error *err);

void sender_report_print(const SenderReport *report);
