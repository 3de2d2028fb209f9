/* SPDX-License-Identifier: PostgreSQL
 *
 * See feedback.h.
 */
#include "walrx/stream/feedback.h"

/* While the ring is full the server's requests for a reply stay unread, so we speak unasked. */
#define STALLED_STATUS_MS 1000
/* Where flushes are rare (a long --flush-interval), received bytes still leave the process's
 * memory. */
#define WRITE_INTERVAL_MS 1000
/* A reply that waits for a slow flush goes out without it after this time. */
#define REPLY_PATIENCE_MS 1000
/* So often a status that goes out anyway asks for a reply: it bounds the server's clock. */
#define ASK_INTERVAL_MS 60000

void feedback_start(Feedback *feedback, const FeedbackConfig *config, uint64_t now_ms)
{
    *feedback = (Feedback){
        .config = *config,
        .last_status_ms = now_ms,
        .last_message_ms = now_ms,
        .asked_ms = now_ms,
    };
}

void feedback_configure(Feedback *feedback, const FeedbackConfig *config)
{
    feedback->config = *config;
}

static void sign_of_life(Feedback *feedback, uint64_t now_ms)
{
    feedback->last_message_ms = now_ms;
    feedback->ping_open = false;
}

void feedback_on_wal(Feedback *feedback, uint64_t now_ms)
{
    sign_of_life(feedback, now_ms);
    feedback->drained = false;
}

void feedback_on_keepalive(Feedback *feedback, bool reply_requested, Lsn received, uint64_t now_ms)
{
    sign_of_life(feedback, now_ms);
    if (reply_requested && !feedback->reply_wanted) {
        feedback->reply_wanted = true;
        feedback->reply_wanted_ms = now_ms;
        feedback->reply_target = received;
    }
}

void feedback_on_drained(Feedback *feedback)
{
    feedback->drained = true;
}

static void wait_at_most(FeedbackDecision *decision, uint64_t until_ms)
{
    if (until_ms < decision->wait_until_ms)
        decision->wait_until_ms = until_ms;
}

static Lsn reportable(const Feedback *feedback, Lsn flushed)
{
    return feedback->config.report_flush && flushed >= feedback->config.floor ? flushed
                                                                              : LSN_INVALID;
}

static void decide_flush(Feedback *feedback, const FeedbackPositions *positions,
                         FeedbackDecision *decision, uint64_t now_ms)
{
    const FeedbackConfig *config = &feedback->config;
    if (positions->received <= positions->flushed) {
        feedback->unflushed = false;
        return;
    }
    if (!feedback->unflushed) {
        feedback->unflushed = true;
        feedback->unflushed_since_ms = now_ms;
    }
    if (positions->received <= feedback->requested)
        return; /* on its way */
    bool due = config->flush_interval_ms > 0 &&
               now_ms - feedback->unflushed_since_ms >= config->flush_interval_ms;
    bool prompt = config->synchronous && feedback->drained;
    bool asked = feedback->reply_wanted && config->report_flush;
    if (due || prompt || asked) {
        decision->request_flush = true;
        feedback->requested = positions->received;
        feedback->unflushed = false; /* the next byte starts a new interval */
    } else if (config->flush_interval_ms > 0) {
        wait_at_most(decision, feedback->unflushed_since_ms + config->flush_interval_ms);
    }
}

static void decide_write(Feedback *feedback, const FeedbackPositions *positions,
                         FeedbackDecision *decision, uint64_t now_ms)
{
    if (positions->received <= positions->written) {
        feedback->unwritten = false;
        return;
    }
    if (!feedback->unwritten) {
        feedback->unwritten = true;
        feedback->unwritten_since_ms = now_ms;
    }
    if (decision->request_flush || positions->received <= feedback->requested ||
        positions->received <= feedback->write_requested)
        return; /* on its way */
    if (now_ms - feedback->unwritten_since_ms >= WRITE_INTERVAL_MS) {
        decision->request_write = true;
        feedback->write_requested = positions->received;
        feedback->unwritten = false; /* the next byte starts a new interval */
    } else {
        wait_at_most(decision, feedback->unwritten_since_ms + WRITE_INTERVAL_MS);
    }
}

/* The server asked for a reply: due once what it asked about is durable, or patience is over. */
static bool reply_due(const Feedback *feedback, const FeedbackPositions *positions,
                      FeedbackDecision *decision, uint64_t now_ms)
{
    if (!feedback->reply_wanted)
        return false;
    if (!feedback->config.report_flush || positions->flushed >= feedback->reply_target ||
        now_ms - feedback->reply_wanted_ms >= REPLY_PATIENCE_MS)
        return true;
    wait_at_most(decision, feedback->reply_wanted_ms + REPLY_PATIENCE_MS);
    return false;
}

static void decide_status(Feedback *feedback, const FeedbackPositions *positions, bool stalled,
                          FeedbackDecision *decision, uint64_t now_ms)
{
    uint64_t interval = feedback->config.status_interval_ms;
    if (stalled && (interval == 0 || interval > STALLED_STATUS_MS))
        interval = STALLED_STATUS_MS;
    bool advanced = reportable(feedback, positions->flushed) > feedback->reported_flush;
    bool due = interval > 0 && now_ms - feedback->last_status_ms >= interval;
    if (advanced || due || reply_due(feedback, positions, decision, now_ms))
        decision->send_status = true;
    if (interval > 0)
        wait_at_most(decision, (due ? now_ms : feedback->last_status_ms) + interval);
}

static void decide_liveness(Feedback *feedback, bool stalled, FeedbackDecision *decision,
                            uint64_t now_ms)
{
    uint64_t timeout = feedback->config.receive_timeout_ms;
    if (timeout == 0)
        return;
    if (stalled) {
        feedback->last_message_ms = now_ms;
        feedback->ping_open = false;
        return;
    }
    uint64_t silent = now_ms - feedback->last_message_ms;
    if (silent >= timeout) {
        decision->peer_dead = true;
        return;
    }
    if (silent >= timeout / 2 && !feedback->ping_open) {
        feedback->ping_open = true;
        decision->send_status = true;
        decision->ask_reply = true;
    }
    wait_at_most(decision,
                 feedback->last_message_ms + (feedback->ping_open ? timeout : timeout / 2));
}

FeedbackDecision feedback_decide(Feedback *feedback, const FeedbackPositions *positions,
                                 bool stalled, uint64_t now_ms)
{
    FeedbackDecision decision = {.wait_until_ms = UINT64_MAX};
    decide_flush(feedback, positions, &decision, now_ms);
    decide_write(feedback, positions, &decision, now_ms);
    decide_status(feedback, positions, stalled, &decision, now_ms);
    decide_liveness(feedback, stalled, &decision, now_ms);
    if (decision.send_status && !stalled && now_ms - feedback->asked_ms >= ASK_INTERVAL_MS)
        decision.ask_reply = true;
    return decision;
}

StandbyStatusMessage feedback_message(Feedback *feedback, const FeedbackPositions *positions,
                                      bool ask_reply, PgTime now, uint64_t now_ms)
{
    Lsn flush = reportable(feedback, positions->flushed);
    if (flush > feedback->reported_flush)
        feedback->reported_flush = flush;
    if (positions->written > feedback->reported_write)
        feedback->reported_write = positions->written;
    /* A position that stands still would keep us a candidate for synchronous standby (syncrep.c,
     * SyncRepGetCandidateStandbys, PostgreSQL 15), and every commit would wait for it. */
    Lsn shown = feedback->config.report_flush ? feedback->reported_flush : LSN_INVALID;
    /* Asked and answered, unless the flush is still on its way: then the advance sends the rest. */
    feedback->reply_wanted = false;
    feedback->last_status_ms = now_ms;
    if (ask_reply)
        feedback->asked_ms = now_ms;
    return (StandbyStatusMessage){
        .write = feedback->reported_write,
        .flush = shown,
        .apply = feedback->config.report_apply ? shown : LSN_INVALID,
        .send_time = now,
        .reply_requested = ask_reply,
    };
}
