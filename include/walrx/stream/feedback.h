/* SPDX-License-Identifier: PostgreSQL
 *
 * When to tell the server what, when to ask the store for a flush, and when the server counts as
 * dead (DESIGN 5). Pure: time in monotonic milliseconds and positions come in as values, decisions
 * go out.
 *
 * The rule behind it: what is reported as flushed was durable before, and is never taken back. A
 * flush position below `floor` (what the server knows from an earlier connection) is therefore
 * withheld.
 */
#pragma once

#include "walrx/proto/copydata.h"
#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct FeedbackConfig {
    uint64_t status_interval_ms; /* 0: no periodic status */
    uint64_t flush_interval_ms;  /* received bytes are durable within; 0: at segment ends only */
    uint64_t receive_timeout_ms; /* 0: wait for the server for ever */
    bool synchronous;
    bool report_flush; /* a slot or --synchronous: otherwise flush is 0/0 */
    bool report_apply;
    Lsn floor; /* no flush below is reported */
} FeedbackConfig;

typedef struct Feedback {
    FeedbackConfig config;
    uint64_t last_status_ms;
    uint64_t last_message_ms; /* the server's last sign of life */
    bool ping_open;           /* we asked for a reply since then */
    bool reply_wanted;        /* the server asked for one */
    uint64_t reply_wanted_ms;
    Lsn reply_target; /* received when it asked: the reply waits for this flush */
    bool drained;     /* all that was there has been received */
    bool unflushed;   /* something received is not durable, since: */
    uint64_t unflushed_since_ms;
    Lsn requested;  /* highest flush asked of the store */
    bool unwritten; /* something received is not handed to the kernel, since: */
    uint64_t unwritten_since_ms;
    Lsn write_requested; /* highest write asked of the store */
    uint64_t asked_ms;   /* we asked for a reply last, or the stream began */
    Lsn reported_flush;  /* highest ever sent */
    Lsn reported_write;
} Feedback;

/* Positions as the store has them: flushed <= written <= received. */
typedef struct FeedbackPositions {
    Lsn received;
    Lsn written;
    Lsn flushed;
} FeedbackPositions;

typedef struct FeedbackDecision {
    bool request_flush; /* of everything received */
    bool request_write; /* the same, to the kernel only: at most a second after it came */
    bool send_status;
    bool ask_reply;         /* the status asks the server for a keepalive */
    bool peer_dead;         /* no sign of life within receive_timeout */
    uint64_t wait_until_ms; /* decide again then, at the latest; UINT64_MAX: only on events */
} FeedbackDecision;

/* A new stream begins. What was reported on an earlier stream of the same history stays (pass the
 * old object's reported_flush as floor). */
void feedback_start(Feedback *feedback, const FeedbackConfig *config, uint64_t now_ms);
/* Other intervals from now on (SIGHUP); what was reported stays. */
void feedback_configure(Feedback *feedback, const FeedbackConfig *config);

void feedback_on_wal(Feedback *feedback, uint64_t now_ms);
void feedback_on_keepalive(Feedback *feedback, bool reply_requested, Lsn received, uint64_t now_ms);
/* The socket is empty. */
void feedback_on_drained(Feedback *feedback);

/* stalled: the ring is full and the socket is not read, so silence says nothing about the server.
 */
FeedbackDecision feedback_decide(Feedback *feedback, const FeedbackPositions *positions,
                                 bool stalled, uint64_t now_ms);

/* The status message for these positions; notes it as sent. */
StandbyStatusMessage feedback_message(Feedback *feedback, const FeedbackPositions *positions,
                                      bool ask_reply, PgTime now, uint64_t now_ms);
