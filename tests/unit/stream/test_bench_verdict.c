/* SPDX-License-Identifier: PostgreSQL
 *
 * The verdict of a measurement from made-up figures, and what a wait event says of a walsender.
 */
#include "walrx/stream/bench_verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MB ((uint64_t)1 << 20)

typedef struct Case {
    const char *what;
    BenchEvidence evidence;
    BenchLimit limit;
} Case;

static const Case cases[] = {
    {"nothing measured", {.local = true}, BENCH_LIMIT_UNKNOWN},
    {"caught up most of the time",
     {.shares = {.behind_ns = 10, .idle_ns = 60, .busy_ns = 30}},
     BENCH_LIMIT_PRIMARY},
    {"a quiet server", {.shares = {.idle_ns = 1000}, .local = true}, BENCH_LIMIT_PRIMARY},
    {"busy three quarters",
     {.shares = {.behind_ns = 20, .idle_ns = 5, .busy_ns = 75}},
     BENCH_LIMIT_RECEIVER},
    {"busy, but not enough of it",
     {.shares = {.behind_ns = 30, .busy_ns = 70}, .local = true},
     BENCH_LIMIT_WALSENDER},
    {"the ring was full",
     {.shares = {.behind_ns = 30, .stall_ns = 40, .busy_ns = 30}, .local = true},
     BENCH_LIMIT_DISK},
    {"the ring was full, workers worked",
     {.shares = {.stall_ns = 80, .busy_ns = 20}, .workers = 2, .worker_cpu_ns = 150},
     BENCH_LIMIT_COMPRESSION},
    {"the ring was full, workers waited",
     {.shares = {.stall_ns = 80, .busy_ns = 20}, .workers = 2, .worker_cpu_ns = 50},
     BENCH_LIMIT_DISK},
    {"behind on the same machine, whatever the samples say",
     {.shares = {.behind_ns = 80, .busy_ns = 20}, .local = true, .samples = {0, 0, 100, 0, 0}},
     BENCH_LIMIT_WALSENDER},
    {"behind, the walsender waits to send",
     {.shares = {.behind_ns = 80, .busy_ns = 20}, .samples = {10, 5, 85, 0, 0}},
     BENCH_LIMIT_NETWORK},
    {"behind, the walsender works",
     {.shares = {.behind_ns = 80, .busy_ns = 20}, .samples = {80, 5, 15, 0, 0}},
     BENCH_LIMIT_WALSENDER},
    {"behind, the walsender reads from its disk",
     {.shares = {.behind_ns = 80, .busy_ns = 20}, .samples = {5, 80, 15, 0, 0}},
     BENCH_LIMIT_WALSENDER},
    {"behind, and nothing is known of the walsender",
     {.shares = {.behind_ns = 80, .busy_ns = 20}},
     BENCH_LIMIT_WALSENDER_OR_NETWORK},
    {"behind, with too few samples that say anything",
     {.shares = {.behind_ns = 80, .busy_ns = 20}, .samples = {1, 1, 2, 50, 50}},
     BENCH_LIMIT_WALSENDER_OR_NETWORK},
};

static void the_limit_is_what_was_waited_for_most(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        BenchLimit limit = bench_verdict(&cases[i].evidence);
        if (limit != cases[i].limit)
            fail_msg("%s: %s", cases[i].what, bench_limit_name(limit));
    }
}

/* Days of nanoseconds times many workers. */
static void large_figures_do_not_overflow(void **state)
{
    uint64_t week = UINT64_C(7) * 86400 * 1000000000;
    BenchEvidence evidence = {.shares = {.stall_ns = week}, .workers = 256};
    (void)state;
    assert_int_equal(bench_verdict(&evidence), BENCH_LIMIT_DISK);
    evidence.worker_cpu_ns = week * 256;
    assert_int_equal(bench_verdict(&evidence), BENCH_LIMIT_COMPRESSION);
}

static void wait_events_tell_what_a_walsender_does(void **state)
{
    (void)state;
    assert_int_equal(bench_sender_state("", "", 0), BENCH_SENDER_RUNNING);
    assert_int_equal(bench_sender_state("IO", "WALRead", 100 * MB), BENCH_SENDER_READING);
    assert_int_equal(bench_sender_state("Activity", "WalSenderMain", 0), BENCH_SENDER_IDLE);
    assert_int_equal(bench_sender_state("Activity", "WalSenderMain", 8192), BENCH_SENDER_IDLE);
    assert_int_equal(bench_sender_state("Activity", "WalSenderMain", MB), BENCH_SENDER_SENDING);
    assert_int_equal(bench_sender_state("Client", "ClientWrite", 0), BENCH_SENDER_SENDING);
    assert_int_equal(bench_sender_state("Client", "WalSenderWriteData", 0), BENCH_SENDER_SENDING);
    assert_int_equal(bench_sender_state("Client", "WalSenderWaitForWAL", MB), BENCH_SENDER_IDLE);
    assert_int_equal(bench_sender_state("LWLock", "WALWrite", 0), BENCH_SENDER_OTHER);
}

static void every_limit_has_its_own_name(void **state)
{
    (void)state;
    for (int a = BENCH_LIMIT_UNKNOWN; a <= BENCH_LIMIT_COMPRESSION; a++) {
        assert_non_null(bench_limit_name((BenchLimit)a));
        for (int b = BENCH_LIMIT_UNKNOWN; b < a; b++)
            assert_string_not_equal(bench_limit_name((BenchLimit)a),
                                    bench_limit_name((BenchLimit)b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_what_was_waited_for_most),
        cmocka_unit_test(large_figures_do_not_overflow),
        cmocka_unit_test(wait_events_tell_what_a_walsender_does),
        cmocka_unit_test(every_limit_has_its_own_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
