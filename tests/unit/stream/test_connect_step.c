/* SPDX-License-Identifier: PostgreSQL
 *
 * A step that does not come back in time, with two of libpq's functions made here: a program's own
 * symbols come before those of its libraries.
 */
#include "../../../src/stream/connect_step.h"

#include "walrx/os/clock.h"
#include "walrx/stream/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000
#define LOOK_US 1000

static char connection;
static atomic_bool poll_may_return;
static atomic_bool finish_may_return;
static atomic_int finishing;

static void await(const atomic_bool *gate)
{
    while (!atomic_load(gate))
        (void)usleep(LOOK_US);
}

PostgresPollingStatusType PQconnectPoll(PGconn *conn)
{
    (void)conn;
    await(&poll_may_return);
    return PGRES_POLLING_OK;
}

void PQfinish(PGconn *conn)
{
    if (conn == NULL)
        return;
    (void)atomic_fetch_add(&finishing, 1);
    await(&finish_may_return);
}

static ControlWait take_step(PGconn **pg, uint64_t patience_ms)
{
    Control control = {.signal_fd = -1};
    ReceiveMeter meter = {.received = 0};
    ConnectStep step = {
        .control = &control, .meter = &meter, .deadline_ms = clock_monotonic_ms() + patience_ms};
    ConnectStepResult result;
    Error error;
    return connect_step(&step, pg, &result, &error);
}

static bool comes_to_its_end(void)
{
    uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (connection_attempts_left() && clock_monotonic_ms() < deadline_ms)
        (void)usleep(LOOK_US);
    return !connection_attempts_left();
}

static void a_step_gives_the_connection_back(void **state)
{
    PGconn *pg = (PGconn *)(void *)&connection;
    (void)state;
    atomic_store(&poll_may_return, true);
    assert_int_equal(take_step(&pg, PATIENCE_MS), CONTROL_READY);
    assert_ptr_equal(pg, &connection);
    assert_true(comes_to_its_end());
    assert_int_equal(atomic_load(&finishing), 0);
}

/* Whoever ends the process must not pull libpq down under a thread that closes a connection. */
static void a_step_counts_until_its_connection_is_closed(void **state)
{
    PGconn *pg = (PGconn *)(void *)&connection;
    (void)state;
    atomic_store(&poll_may_return, false);
    assert_int_equal(take_step(&pg, 1), CONTROL_TIMEOUT);
    assert_null(pg);
    assert_true(connection_attempts_left());
    atomic_store(&poll_may_return, true);
    while (atomic_load(&finishing) == 0)
        (void)usleep(LOOK_US);
    assert_true(connection_attempts_left());
    atomic_store(&finish_may_return, true);
    assert_true(comes_to_its_end());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_gives_the_connection_back),
        cmocka_unit_test(a_step_counts_until_its_connection_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
