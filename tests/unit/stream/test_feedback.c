/* SPDX-License-Identifier: PostgreSQL
 *
 * Feedback: scenarios one by one with a clock of their own, then a random server, disk and clock
 * over many seeds, with the promises of feedback.h checked after every step.
 */
#include "walrx/stream/feedback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const FeedbackConfig defaults = {
    .status_interval_ms = 10000,
    .flush_interval_ms = 1000,
    .receive_timeout_ms = 60000,
    .report_flush = true,
};

typedef struct Bench {
    Feedback feedback;
    FeedbackPositions at;
    uint64_t now;
} Bench;

static Bench bench_with(FeedbackConfig config)
{
    Bench bench = {.now = 5000, .at = {.received = 1000, .written = 1000, .flushed = 1000}};
    feedback_start(&bench.feedback, &config, bench.now);
    bench.feedback.reported_flush = config.report_flush ? 1000 : 0;
    return bench;
}

static FeedbackDecision decide(Bench *bench)
{
    return feedback_decide(&bench->feedback, &bench->at, false, bench->now);
}

static StandbyStatusMessage message(Bench *bench)
{
    return feedback_message(&bench->feedback, &bench->at, false, 42, bench->now);
}

static void receive(Bench *bench, Lsn count)
{
    bench->at.received += count;
    feedback_on_wal(&bench->feedback, bench->now);
}

static void nothing_to_do_waits_for_the_next_status(void **state)
{
    Bench bench = bench_with(defaults);
    FeedbackDecision decision = decide(&bench);

    (void)state;
    assert_false(decision.request_flush);
    assert_false(decision.send_status);
    assert_false(decision.peer_dead);
    assert_int_equal(decision.wait_until_ms, 15000);
    bench.now = 14999;
    assert_false(decide(&bench).send_status);
    bench.now = 15000;
    decision = decide(&bench);
    assert_true(decision.send_status);
    assert_false(decision.ask_reply);
    (void)message(&bench);
    assert_false(decide(&bench).send_status);
    assert_int_equal(decide(&bench).wait_until_ms, 25000);
}

static void all_intervals_off_waits_only_for_events(void **state)
{
    Bench bench = bench_with((FeedbackConfig){.report_flush = true});

    (void)state;
    receive(&bench, 100);
    bench.at.written = bench.at.received;
    bench.now += 100000000;
    FeedbackDecision decision = decide(&bench);
    assert_false(decision.request_flush);
    assert_false(decision.request_write);
    assert_false(decision.send_status);
    assert_false(decision.peer_dead);
    assert_true(decision.wait_until_ms == UINT64_MAX);
}

static void received_bytes_are_flushed_within_the_interval(void **state)
{
    Bench bench = bench_with(defaults);

    (void)state;
    receive(&bench, 100);
    FeedbackDecision decision = decide(&bench);
    assert_false(decision.request_flush);
    assert_int_equal(decision.wait_until_ms, 6000);
    bench.now = 5999;
    receive(&bench, 100); /* more bytes do not put it off */
    assert_false(decide(&bench).request_flush);
    bench.now = 6000;
    assert_true(decide(&bench).request_flush);
    assert_false(decide(&bench).request_flush); /* on its way */
    bench.at.flushed = bench.at.written = bench.at.received;
    assert_true(decide(&bench).send_status);
    assert_int_equal(message(&bench).flush, 1200);
}

static void bytes_behind_a_requested_flush_start_their_own_interval(void **state)
{
    Bench bench = bench_with(defaults);

    (void)state;
    receive(&bench, 100);
    (void)decide(&bench);
    bench.now += 1000;
    assert_true(decide(&bench).request_flush);
    bench.now += 10;
    receive(&bench, 50);
    assert_false(decide(&bench).request_flush);
    bench.now += 999;
    assert_false(decide(&bench).request_flush);
    bench.now += 1;
    assert_true(decide(&bench).request_flush);
}

static void received_bytes_are_written_within_a_second_when_flushes_are_rare(void **state)
{
    FeedbackConfig config = {.flush_interval_ms = 20000};
    Bench bench = bench_with(config);

    (void)state;
    receive(&bench, 100);
    assert_int_equal(decide(&bench).wait_until_ms, 6000);
    bench.now = 5999;
    receive(&bench, 100);
    assert_false(decide(&bench).request_write);
    bench.now = 6000;
    FeedbackDecision decision = decide(&bench);
    assert_true(decision.request_write);
    assert_false(decision.request_flush);
    assert_false(decide(&bench).request_write); /* on its way */
    receive(&bench, 100);
    bench.now += 1000;
    assert_true(decide(&bench).request_write); /* the new bytes have an interval of their own */
    bench.at.written = bench.at.received;
    bench.now = 25000;
    decision = decide(&bench);
    assert_true(decision.request_flush);
    assert_false(decision.request_write);
}

static void a_flush_writes_too(void **state)
{
    FeedbackConfig config = {.flush_interval_ms = 1000};
    Bench bench = bench_with(config);

    (void)state;
    receive(&bench, 100);
    (void)decide(&bench);
    bench.now += 1000;
    assert_true(decide(&bench).request_flush);
    bench.now += 1000;
    assert_false(decide(&bench).request_write);
}

static void synchronous_flushes_when_everything_there_was_received(void **state)
{
    FeedbackConfig config = defaults;
    config.synchronous = true;
    Bench bench = bench_with(config);

    (void)state;
    receive(&bench, 100);
    assert_false(decide(&bench).request_flush); /* the socket has more */
    receive(&bench, 100);
    feedback_on_drained(&bench.feedback);
    assert_true(decide(&bench).request_flush);
    receive(&bench, 100);
    assert_false(decide(&bench).request_flush);
    feedback_on_drained(&bench.feedback);
    assert_true(decide(&bench).request_flush); /* while the first is still on its way */
}

static void an_advance_of_flush_is_reported_at_once(void **state)
{
    Bench bench = bench_with(defaults);

    (void)state;
    receive(&bench, 500);
    bench.at.written = 1500;
    assert_false(decide(&bench).send_status); /* written alone is no news */
    bench.at.flushed = 1400;
    assert_true(decide(&bench).send_status);
    StandbyStatusMessage status = message(&bench);
    assert_int_equal(status.write, 1500);
    assert_int_equal(status.flush, 1400);
    assert_int_equal(status.apply, 0);
    assert_int_equal(status.send_time, 42);
    assert_false(decide(&bench).send_status);
}

static void a_wanted_reply_waits_for_the_flush_it_asks_about(void **state)
{
    Bench bench = bench_with(defaults);

    (void)state;
    receive(&bench, 100);
    feedback_on_keepalive(&bench.feedback, true, bench.at.received, bench.now);
    FeedbackDecision decision = decide(&bench);
    assert_true(decision.request_flush); /* at once, not after the interval */
    assert_false(decision.send_status);
    assert_int_equal(decision.wait_until_ms, 6000);
    bench.now += 30;
    bench.at.flushed = bench.at.written = 1100;
    assert_true(decide(&bench).send_status);
    assert_int_equal(message(&bench).flush, 1100);
    bench.now += 5000;
    feedback_on_keepalive(&bench.feedback, false, bench.at.received, bench.now);
    assert_false(decide(&bench).send_status);
}

static void a_wanted_reply_does_not_wait_longer_than_a_second(void **state)
{
    Bench bench = bench_with(defaults);

    (void)state;
    receive(&bench, 100);
    feedback_on_keepalive(&bench.feedback, true, bench.at.received, bench.now);
    (void)decide(&bench);
    bench.now += 600;
    feedback_on_keepalive(&bench.feedback, true, bench.at.received, bench.now); /* asks again */
    bench.now += 400;
    assert_true(decide(&bench).send_status);
    assert_int_equal(message(&bench).flush, 1000); /* what is durable, not what was asked about */
    bench.at.flushed = 1100;
    assert_true(decide(&bench).send_status); /* and the rest when it is */
}

static void
a_wanted_reply_is_sent_at_once_when_all_is_durable_or_flush_is_not_reported(void **state)
{
    Bench bench = bench_with(defaults);
    FeedbackConfig silent = defaults;
    silent.report_flush = false;

    (void)state;
    feedback_on_keepalive(&bench.feedback, true, bench.at.received, bench.now);
    assert_true(decide(&bench).send_status);
    bench = bench_with(silent);
    receive(&bench, 100);
    feedback_on_keepalive(&bench.feedback, true, bench.at.received, bench.now);
    FeedbackDecision decision = decide(&bench);
    assert_true(decision.send_status);
    assert_false(decision.request_flush);
}

static void a_keepalive_without_a_request_needs_no_answer(void **state)
{
    Bench bench = bench_with(defaults);

    (void)state;
    feedback_on_keepalive(&bench.feedback, false, bench.at.received, bench.now);
    assert_false(decide(&bench).send_status);
}

static void a_flush_below_the_floor_is_withheld(void **state)
{
    FeedbackConfig config = defaults;
    config.floor = 2000;
    Bench bench = bench_with(config);

    (void)state;
    bench.feedback.reported_flush = 0;
    bench.at = (FeedbackPositions){.received = 1999, .written = 1999, .flushed = 1999};
    assert_false(decide(&bench).send_status);
    assert_int_equal(message(&bench).flush, 0);
    bench.at = (FeedbackPositions){.received = 2000, .written = 2000, .flushed = 2000};
    assert_true(decide(&bench).send_status);
    assert_int_equal(message(&bench).flush, 2000);
}

static void what_was_reported_is_never_taken_back(void **state)
{
    Bench bench = bench_with(defaults);

    (void)state;
    bench.at = (FeedbackPositions){.received = 3000, .written = 3000, .flushed = 3000};
    assert_int_equal(message(&bench).flush, 3000);
    bench.at = (FeedbackPositions){.received = 2000, .written = 2000, .flushed = 2000};
    assert_int_equal(message(&bench).flush, 3000);
    assert_int_equal(message(&bench).write, 3000);
}

static void apply_is_zero_or_flush(void **state)
{
    FeedbackConfig config = defaults;
    config.report_apply = true;
    Bench bench = bench_with(config);

    (void)state;
    bench.at = (FeedbackPositions){.received = 3000, .written = 2500, .flushed = 2400};
    assert_int_equal(message(&bench).apply, 2400);
    config.report_flush = false;
    bench = bench_with(config);
    assert_int_equal(message(&bench).apply, 0);
    assert_int_equal(message(&bench).flush, 0);
}

/* A frozen position would keep us a candidate for synchronous standby and hang every commit. */
static void flush_becomes_zero_when_it_is_no_longer_to_be_reported(void **state)
{
    FeedbackConfig config = defaults;
    config.report_apply = true;
    Bench bench = bench_with(config);

    (void)state;
    bench.at = (FeedbackPositions){.received = 3000, .written = 3000, .flushed = 3000};
    assert_int_equal(message(&bench).flush, 3000);
    config.report_flush = false;
    feedback_configure(&bench.feedback, &config);
    assert_false(decide(&bench).send_status);
    assert_int_equal(message(&bench).flush, 0);
    assert_int_equal(message(&bench).apply, 0);
    config.report_flush = true;
    feedback_configure(&bench.feedback, &config);
    bench.at = (FeedbackPositions){.received = 2500, .written = 2500, .flushed = 2500};
    assert_int_equal(message(&bench).flush, 3000);
}

static void new_intervals_count_from_the_last_status(void **state)
{
    FeedbackConfig config = defaults;
    Bench bench = bench_with(config);

    (void)state;
    bench.now += 3000;
    config.status_interval_ms = 2000;
    feedback_configure(&bench.feedback, &config);
    assert_true(decide(&bench).send_status);
}

static void silence_is_pinged_at_half_and_dead_at_the_timeout(void **state)
{
    FeedbackConfig config = {.receive_timeout_ms = 60000};
    Bench bench = bench_with(config);

    (void)state;
    assert_int_equal(decide(&bench).wait_until_ms, 35000);
    bench.now = 34999;
    assert_false(decide(&bench).send_status);
    bench.now = 35000;
    FeedbackDecision decision = decide(&bench);
    assert_true(decision.send_status);
    assert_true(decision.ask_reply);
    assert_int_equal(decision.wait_until_ms, 65000);
    assert_true(feedback_message(&bench.feedback, &bench.at, true, 0, bench.now).reply_requested);
    bench.now = 40000;
    assert_false(decide(&bench).send_status); /* one ping is enough */
    bench.now = 64999;
    assert_false(decide(&bench).peer_dead);
    bench.now = 65000;
    assert_true(decide(&bench).peer_dead);
}

/* For the server's clock: no message is sent for that alone. */
static void a_status_that_goes_out_anyway_asks_for_a_reply_once_a_minute(void **state)
{
    Bench bench = bench_with(defaults);
    unsigned asked = 0;

    (void)state;
    for (int i = 0; i < 60; i++) { /* ten minutes */
        bench.now += 10000;
        FeedbackDecision decision = decide(&bench);
        feedback_on_keepalive(&bench.feedback, false, bench.at.received, bench.now);
        assert_true(decision.send_status);
        asked += decision.ask_reply ? 1 : 0;
        (void)feedback_message(&bench.feedback, &bench.at, decision.ask_reply, 0, bench.now);
        assert_false(decide(&bench).send_status);
    }
    assert_int_equal(asked, 10);
}

static void any_message_is_a_sign_of_life(void **state)
{
    FeedbackConfig config = {.receive_timeout_ms = 60000};
    Bench bench = bench_with(config);

    (void)state;
    bench.now += 40000;
    assert_true(decide(&bench).ask_reply);
    feedback_on_keepalive(&bench.feedback, false, bench.at.received, bench.now);
    bench.now += 59999;
    assert_false(decide(&bench).peer_dead);
    receive(&bench, 1);
    bench.now += 30000;
    assert_true(decide(&bench).ask_reply);
    assert_false(decide(&bench).peer_dead);
}

static void a_full_ring_says_nothing_about_the_server_but_we_keep_speaking(void **state)
{
    FeedbackConfig config = {.receive_timeout_ms = 60000, .status_interval_ms = 0};
    Bench bench = bench_with(config);

    (void)state;
    for (int i = 0; i < 200; i++) {
        bench.now += 1000;
        FeedbackDecision decision = feedback_decide(&bench.feedback, &bench.at, true, bench.now);
        assert_false(decision.peer_dead);
        assert_false(decision.ask_reply);
        assert_true(decision.send_status);
        (void)message(&bench);
    }
    FeedbackDecision decision = decide(&bench);
    assert_false(decision.peer_dead);
    assert_int_equal(decision.wait_until_ms, bench.now + 30000);
}

/* --- the simulation --- */

#define SEEDS 10000
#define STEPS 200

typedef struct Simulation {
    Bench bench;
    FeedbackConfig config;
    uint64_t random;
    uint64_t goal;          /* of the disk */
    uint64_t disk_done_ms;  /* when the flush under way ends; 0: none */
    uint64_t wait_until;    /* what the last decision said */
    uint64_t last_sent_ms;  /* of our status messages */
    uint64_t last_heard_ms; /* of the server's */
    uint64_t wanted_ms;     /* an unanswered request for a reply; 0: none */
    uint64_t unflushed_ms;  /* bytes since then nobody asked to flush; 0: none */
    uint64_t unwritten_ms;  /* the same for writes */
    Lsn write_asked;        /* highest write we were told to make */
    Lsn asked;              /* highest flush we were told to make */
    Lsn reported;
    bool pinged;
    uint64_t asked_ms; /* of any request for a reply of ours */
    bool stalled;
    uint64_t seed;
    int step;
} Simulation;

static uint64_t draw(Simulation *simulation, uint64_t below)
{
    simulation->random ^= simulation->random << 13;
    simulation->random ^= simulation->random >> 7;
    simulation->random ^= simulation->random << 17;
    return below == 0 ? 0 : simulation->random % below;
}

static void promise(const Simulation *simulation, bool kept, const char *what)
{
    if (!kept)
        fail_msg("seed %llu step %d: %s", (unsigned long long)simulation->seed, simulation->step,
                 what);
}

static Simulation simulate_from(uint64_t seed)
{
    static const uint64_t status[] = {0, 100, 1000, 10000};
    static const uint64_t flush[] = {0, 1, 200, 1000};
    static const uint64_t timeout[] = {0, 1, 500, 3000, 60000};
    Simulation simulation = {.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1, .seed = seed};
    simulation.config = (FeedbackConfig){
        .status_interval_ms = status[draw(&simulation, 4)],
        .flush_interval_ms = flush[draw(&simulation, 4)],
        .receive_timeout_ms = timeout[draw(&simulation, 5)],
        .synchronous = draw(&simulation, 2) == 0,
        .report_flush = draw(&simulation, 3) > 0,
        .report_apply = draw(&simulation, 2) == 0,
        .floor = draw(&simulation, 2) == 0 ? 0 : 1000 + draw(&simulation, 20000),
    };
    simulation.bench.now = 1 + draw(&simulation, 100000);
    simulation.bench.at = (FeedbackPositions){.received = 1000, .written = 1000};
    simulation.last_sent_ms = simulation.last_heard_ms = simulation.bench.now;
    simulation.asked_ms = simulation.bench.now;
    simulation.wait_until = simulation.bench.now;
    feedback_start(&simulation.bench.feedback, &simulation.config, simulation.bench.now);
    return simulation;
}

/* Time goes to the moment the decision asked for, or to an event before it. */
static void advance_time(Simulation *simulation)
{
    uint64_t next = simulation->wait_until;
    uint64_t event = simulation->bench.now + draw(simulation, 2500);
    if (simulation->disk_done_ms != 0 && simulation->disk_done_ms < event)
        event = simulation->disk_done_ms;
    if (event < next)
        next = event;
    if (next > simulation->bench.now)
        simulation->bench.now = next;
}

static void disk_works(Simulation *simulation)
{
    FeedbackPositions *at = &simulation->bench.at;
    if (simulation->disk_done_ms != 0 && simulation->bench.now >= simulation->disk_done_ms) {
        if (simulation->goal > at->written)
            at->written = simulation->goal;
        if (simulation->goal > at->flushed)
            at->flushed = simulation->goal;
        simulation->disk_done_ms = 0;
    }
    if (simulation->asked > at->flushed && simulation->disk_done_ms == 0) {
        simulation->goal = simulation->asked;
        simulation->disk_done_ms = simulation->bench.now + 1 + draw(simulation, 3000);
    }
    if (simulation->write_asked > at->written && draw(simulation, 2) == 0)
        at->written = simulation->write_asked;
    if (draw(simulation, 4) == 0) /* full extents are written unasked */
        at->written += draw(simulation, at->received - at->written + 1);
    if (draw(simulation, 20) == 0 && at->written > at->flushed)
        at->flushed = at->written; /* a segment was completed */
}

static void server_speaks(Simulation *simulation)
{
    Bench *bench = &simulation->bench;
    simulation->stalled = draw(simulation, 10) == 0;
    if (simulation->stalled || draw(simulation, 3) == 0)
        return;
    if (draw(simulation, 2) == 0) {
        receive(bench, 1 + draw(simulation, 5000));
    } else {
        bool wants = draw(simulation, 3) == 0;
        feedback_on_keepalive(&bench->feedback, wants, bench->at.received, bench->now);
        if (wants && simulation->wanted_ms == 0)
            simulation->wanted_ms = bench->now;
    }
    simulation->last_heard_ms = bench->now;
    simulation->pinged = false;
    if (draw(simulation, 2) == 0)
        feedback_on_drained(&bench->feedback);
}

static void check_message(Simulation *simulation, const FeedbackDecision *decision)
{
    Bench *bench = &simulation->bench;
    const FeedbackConfig *config = &simulation->config;
    StandbyStatusMessage sent =
        feedback_message(&bench->feedback, &bench->at, decision->ask_reply, 0, bench->now);
    promise(simulation, sent.flush <= bench->at.flushed, "flush beyond what is durable");
    promise(simulation, sent.flush >= simulation->reported, "flush went back");
    promise(simulation, sent.flush == 0 || sent.flush >= config->floor, "flush below the floor");
    promise(simulation, config->report_flush || sent.flush == 0, "flush reported unasked");
    promise(simulation, sent.apply == (config->report_apply ? sent.flush : 0), "apply");
    promise(simulation, sent.write <= bench->at.written, "write beyond what was written");
    promise(simulation, sent.flush <= sent.write, "flush beyond write");
    promise(simulation, sent.reply_requested == decision->ask_reply, "ask_reply");
    simulation->reported = sent.flush;
    simulation->last_sent_ms = bench->now;
    simulation->wanted_ms = 0;
}

static void check_liveness(Simulation *simulation, const FeedbackDecision *decision)
{
    uint64_t timeout = simulation->config.receive_timeout_ms;
    uint64_t silent = simulation->bench.now - simulation->last_heard_ms;
    promise(simulation, decision->peer_dead == (timeout > 0 && silent >= timeout), "peer_dead");
    if (decision->peer_dead)
        return;
    bool ping = timeout > 0 && silent >= timeout / 2 && !simulation->pinged && !simulation->stalled;
    bool minute = decision->send_status && !simulation->stalled &&
                  simulation->bench.now - simulation->asked_ms >= 60000;
    promise(simulation, decision->ask_reply == (ping || minute),
            "ping at half the timeout, or ask once a minute");
    promise(simulation, !decision->ask_reply || decision->send_status, "a ping is a status");
    simulation->pinged |= ping;
    if (decision->ask_reply)
        simulation->asked_ms = simulation->bench.now;
}

/* What had to happen by now, after the decision was carried out. */
static void check_deadlines(Simulation *simulation, const FeedbackDecision *decision)
{
    const FeedbackConfig *config = &simulation->config;
    const Bench *bench = &simulation->bench;
    uint64_t now = bench->now;
    promise(simulation, simulation->wanted_ms == 0 || now - simulation->wanted_ms < 1000,
            "a wanted reply waits longer than a second");
    promise(simulation,
            config->status_interval_ms == 0 ||
                now - simulation->last_sent_ms < config->status_interval_ms,
            "no status within the interval");
    promise(simulation, !simulation->stalled || now - simulation->last_sent_ms < 1000,
            "silent while stalled");
    if (bench->at.received <= simulation->asked || bench->at.received <= bench->at.flushed)
        simulation->unflushed_ms = 0;
    else if (simulation->unflushed_ms == 0)
        simulation->unflushed_ms = now;
    promise(simulation,
            simulation->unflushed_ms == 0 || config->flush_interval_ms == 0 ||
                now - simulation->unflushed_ms < config->flush_interval_ms,
            "received bytes are not flushed within the interval");
    if (bench->at.received <= simulation->asked || bench->at.received <= simulation->write_asked ||
        bench->at.received <= bench->at.written)
        simulation->unwritten_ms = 0;
    else if (simulation->unwritten_ms == 0)
        simulation->unwritten_ms = now;
    promise(simulation, simulation->unwritten_ms == 0 || now - simulation->unwritten_ms < 1000,
            "received bytes are not written within a second");
    promise(simulation, decision->wait_until_ms > now, "a loop that spins");
    promise(simulation,
            !config->synchronous || !bench->feedback.drained ||
                bench->at.received <= simulation->asked || bench->at.received <= bench->at.flushed,
            "synchronous and drained, but no flush was asked for");
}

/* False once the server counts as dead. */
static bool simulate_step(Simulation *simulation)
{
    Bench *bench = &simulation->bench;
    advance_time(simulation);
    disk_works(simulation);
    server_speaks(simulation);
    if (simulation->stalled) {
        simulation->last_heard_ms = bench->now;
        simulation->pinged = false;
    }
    FeedbackDecision decision =
        feedback_decide(&bench->feedback, &bench->at, simulation->stalled, bench->now);
    check_liveness(simulation, &decision);
    if (decision.peer_dead)
        return false;
    if (decision.request_flush) {
        promise(simulation, bench->at.received > simulation->asked, "the same flush twice");
        simulation->asked = bench->at.received;
    }
    if (decision.request_write) {
        promise(simulation, bench->at.received > simulation->write_asked, "the same write twice");
        simulation->write_asked = bench->at.received;
    }
    bool advance = simulation->config.report_flush && bench->at.flushed > simulation->reported &&
                   bench->at.flushed >= simulation->config.floor;
    promise(simulation, !advance || decision.send_status, "an advance is not reported at once");
    if (decision.send_status)
        check_message(simulation, &decision);
    check_deadlines(simulation, &decision);
    simulation->wait_until = decision.wait_until_ms;
    return true;
}

static void random_servers_disks_and_clocks_keep_every_promise(void **state)
{
    uint64_t dead = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        Simulation simulation = simulate_from(seed);
        bool alive = true;
        for (simulation.step = 0; alive && simulation.step < STEPS; simulation.step++)
            alive = simulate_step(&simulation);
        dead += !alive;
    }
    assert_true(dead > 0 && dead < SEEDS / 2); /* both ends were seen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_do_waits_for_the_next_status),
        cmocka_unit_test(all_intervals_off_waits_only_for_events),
        cmocka_unit_test(received_bytes_are_flushed_within_the_interval),
        cmocka_unit_test(bytes_behind_a_requested_flush_start_their_own_interval),
        cmocka_unit_test(received_bytes_are_written_within_a_second_when_flushes_are_rare),
        cmocka_unit_test(a_flush_writes_too),
        cmocka_unit_test(synchronous_flushes_when_everything_there_was_received),
        cmocka_unit_test(an_advance_of_flush_is_reported_at_once),
        cmocka_unit_test(a_wanted_reply_waits_for_the_flush_it_asks_about),
        cmocka_unit_test(a_wanted_reply_does_not_wait_longer_than_a_second),
        cmocka_unit_test(
            a_wanted_reply_is_sent_at_once_when_all_is_durable_or_flush_is_not_reported),
        cmocka_unit_test(a_keepalive_without_a_request_needs_no_answer),
        cmocka_unit_test(a_flush_below_the_floor_is_withheld),
        cmocka_unit_test(what_was_reported_is_never_taken_back),
        cmocka_unit_test(apply_is_zero_or_flush),
        cmocka_unit_test(flush_becomes_zero_when_it_is_no_longer_to_be_reported),
        cmocka_unit_test(new_intervals_count_from_the_last_status),
        cmocka_unit_test(silence_is_pinged_at_half_and_dead_at_the_timeout),
        cmocka_unit_test(a_status_that_goes_out_anyway_asks_for_a_reply_once_a_minute),
        cmocka_unit_test(any_message_is_a_sign_of_life),
        cmocka_unit_test(a_full_ring_says_nothing_about_the_server_but_we_keep_speaking),
        cmocka_unit_test(random_servers_disks_and_clocks_keep_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
