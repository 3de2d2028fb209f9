/* SPDX-License-Identifier: PostgreSQL
 *
 * When a receiver counts as well, and what it says when it is not.
 */
#include "walrx/observe/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)

static Snapshot snapshot;
static char text[HEALTH_TEXT_SIZE];

static int streaming(void **state)
{
    (void)state;
    snapshot_clear(&snapshot);
    snapshot.state = RECEIVER_STREAMING;
    return 0;
}

static void a_stream_within_the_limit_is_ready(void **state)
{
    (void)state;
    assert_true(health_ready(&snapshot, 1000, text)); /* nothing is known of lag yet */
    assert_string_equal(text, "ok: streaming; the server has not said anything yet\n");
    snapshot.lag[LAG_FLUSHED].ns = 300 * SECOND_NS;
    assert_true(health_ready(&snapshot, 300000, text));
    assert_string_equal(text, "ok: streaming, durable WAL is 300.0 s behind\n");
}

static void a_stream_too_far_behind_is_not_ready_and_says_by_how_much(void **state)
{
    (void)state;
    snapshot.lag[LAG_FLUSHED].ns = 300 * SECOND_NS + SECOND_NS / 2;
    assert_true(health_ready(&snapshot, 0, text));
    assert_false(health_ready(&snapshot, 300000, text));
    assert_string_equal(text, "behind: durable WAL by 300.5 s, more than 5min\n");
    snapshot.lag[LAG_FLUSHED].ns = 452 * SECOND_NS;
    assert_false(health_ready(&snapshot, 300000, text));
    assert_string_equal(text, "behind: durable WAL by 452.0 s, more than 5min\n");
}

static void without_a_stream_it_is_not_ready_and_says_why(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= RECEIVER_STOPPED; i++) {
        snapshot.state = (ReceiverState)i;
        assert_int_equal(health_ready(&snapshot, 0, text), i == RECEIVER_STREAMING);
    }
    snapshot.state = RECEIVER_RESTARTING;
    snapshot.failure.any = true;
    (void)snprintf(snapshot.failure.error.message, sizeof(snapshot.failure.error.message),
                   "connection refused");
    assert_false(health_ready(&snapshot, 0, text));
    assert_string_equal(text, "not streaming: restarting: connection refused\n");
}

static void whoever_waits_for_a_server_is_alive(void **state)
{
    (void)state;
    snapshot.state = RECEIVER_RESTARTING;
    assert_true(health_live(&snapshot, text));
    snapshot.state = RECEIVER_STOPPING;
    assert_false(health_live(&snapshot, text));
    assert_string_equal(text, "ending: stopping\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_stream_within_the_limit_is_ready, streaming),
        cmocka_unit_test_setup(a_stream_too_far_behind_is_not_ready_and_says_by_how_much,
                               streaming),
        cmocka_unit_test_setup(without_a_stream_it_is_not_ready_and_says_why, streaming),
        cmocka_unit_test_setup(whoever_waits_for_a_server_is_alive, streaming),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
