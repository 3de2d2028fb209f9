/* SPDX-License-Identifier: PostgreSQL
 *
 * Machine: which ends are tried again, when, with which exit status, and what is news.
 */
#include "walrx/stream/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static Machine machine_with(bool no_loop, bool as_pg_receivewal)
{
    Machine machine;
    MachineConfig config = {.no_loop = no_loop,
                            .as_pg_receivewal = as_pg_receivewal,
                            .first_delay_ms = 1000,
                            .max_delay_ms = 8000,
                            .seed = 1};
    machine_init(&machine, &config);
    return machine;
}

static Error error_of(ErrorClass class, const char *sqlstate, const char *message)
{
    Error error;
    (void)error_set(&error, class, "%s", message);
    (void)snprintf(error.sqlstate, sizeof(error.sqlstate), "%s", sqlstate);
    return error;
}

static const ErrorClass failures[] = {ERROR_USAGE,   ERROR_RETRY,   ERROR_OPERATOR, ERROR_PROTOCOL,
                                      ERROR_ARCHIVE, ERROR_STORAGE, ERROR_NO_ROOM,  ERROR_MEMORY};
#define FAILURES (sizeof(failures) / sizeof(failures[0]))

static void only_what_another_try_can_mend_is_tried_again(void **state)
{
    (void)state;
    for (int connected = 0; connected < 2; connected++) {
        for (size_t i = 0; i < FAILURES; i++) {
            Machine machine = machine_with(false, false);
            Error error = error_of(failures[i], "", "x");
            if (connected)
                machine_on_connected(&machine);
            MachineNext next = machine_after(&machine, &error, 0);
            assert_int_equal(next.retry,
                             failures[i] == ERROR_RETRY || failures[i] == ERROR_NO_ROOM);
            assert_true(next.tell);
            if (!next.retry)
                assert_int_equal(next.exit_status, error_exit_status(failures[i]));
        }
    }
}

static void without_the_loop_every_end_is_final(void **state)
{
    (void)state;
    for (int as_pg = 0; as_pg < 2; as_pg++) {
        for (size_t i = 0; i < FAILURES; i++) {
            Machine machine = machine_with(true, as_pg);
            Error error = error_of(failures[i], "58P01", "x");
            machine_on_connected(&machine);
            MachineNext next = machine_after(&machine, &error, 0);
            assert_false(next.retry);
            assert_true(next.tell);
            assert_true(next.exit_status > 0);
        }
    }
}

static void a_failure_that_stays_is_told_again_after_ten_minutes(void **state)
{
    Machine machine = machine_with(false, false);
    Error error = error_of(ERROR_RETRY, "", "refused");
    (void)state;
    assert_true(machine_after(&machine, &error, 1000).tell);
    assert_false(machine_after(&machine, &error, 600999).tell);
    assert_true(machine_after(&machine, &error, 601000).tell);
    assert_false(machine_after(&machine, &error, 601001).tell);
}

static void a_stop_ends_with_status_0_and_no_word(void **state)
{
    (void)state;
    for (int as_pg = 0; as_pg < 2; as_pg++) {
        Machine machine = machine_with(false, as_pg);
        Error stop = error_of(ERROR_STOPPED, "", "stopped");
        machine_on_connected(&machine);
        MachineNext next = machine_after(&machine, &stop, 0);
        assert_false(next.retry);
        assert_false(next.tell);
        assert_int_equal(next.exit_status, 0);
    }
}

static void delays_grow_to_the_largest_and_start_again_after_streaming(void **state)
{
    Machine machine = machine_with(false, false);
    Error error = error_of(ERROR_RETRY, "", "x");
    uint64_t limit = 1000;

    (void)state;
    for (int i = 0; i < 10; i++) {
        uint64_t delay = machine_after(&machine, &error, 0).delay_ms;
        assert_in_range(delay, limit / 2, limit);
        limit = limit * 2 > 8000 ? 8000 : limit * 2;
    }
    machine_on_connected(&machine);
    assert_in_range(machine_after(&machine, &error, 0).delay_ms, 4000, 8000);
    machine_on_streaming(&machine);
    assert_in_range(machine_after(&machine, &error, 0).delay_ms, 500, 1000);
}

static void a_repeated_failure_is_told_once(void **state)
{
    Machine machine = machine_with(false, false);
    Error error = error_of(ERROR_RETRY, "57P03", "starting up");

    (void)state;
    assert_true(machine_after(&machine, &error, 0).tell);
    assert_false(machine_after(&machine, &error, 0).tell);
    machine_on_connected(&machine);
    assert_false(machine_after(&machine, &error, 0).tell);
}

static void another_failure_or_a_stream_in_between_is_news(void **state)
{
    Machine machine = machine_with(false, false);
    Error first = error_of(ERROR_RETRY, "57P03", "starting up");
    Error other_code = error_of(ERROR_RETRY, "57P01", "starting up");
    Error other_text = error_of(ERROR_RETRY, "57P01", "shutting down");

    (void)state;
    assert_true(machine_after(&machine, &first, 0).tell);
    assert_true(machine_after(&machine, &other_code, 0).tell);
    assert_true(machine_after(&machine, &other_text, 0).tell);
    assert_false(machine_after(&machine, &other_text, 0).tell);
    assert_true(machine_after(&machine, &first, 0).tell);
    machine_on_streaming(&machine);
    assert_true(machine_after(&machine, &first, 0).tell);
}

static void a_failure_that_ends_the_run_is_told_even_when_it_is_known(void **state)
{
    Machine machine = machine_with(false, false);
    Error retry = error_of(ERROR_RETRY, "", "x");
    Error final = error_of(ERROR_STORAGE, "", "x");

    (void)state;
    (void)machine_after(&machine, &retry, 0);
    MachineNext next = machine_after(&machine, &final, 0);
    assert_false(next.retry);
    assert_true(next.tell);
    assert_int_equal(next.exit_status, 3);
}

static void as_pg_receivewal_the_first_connect_is_not_tried_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAILURES; i++) {
        Machine machine = machine_with(false, true);
        Error error = error_of(failures[i], "", "x");
        MachineNext next = machine_after(&machine, &error, 0);
        assert_int_equal(next.retry, failures[i] == ERROR_NO_ROOM);
        if (!next.retry)
            assert_int_equal(next.exit_status, 1);
    }
}

static void as_pg_receivewal_later_failures_wait_five_seconds_and_are_told_each_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < FAILURES; i++) {
        Machine machine = machine_with(false, true);
        Error error = error_of(failures[i], "", "x");
        bool retry = failures[i] == ERROR_RETRY || failures[i] == ERROR_OPERATOR ||
                     failures[i] == ERROR_PROTOCOL || failures[i] == ERROR_NO_ROOM;
        machine_on_connected(&machine);
        for (int try = 0; try < 3; try++) {
            MachineNext next = machine_after(&machine, &error, 0);
            assert_int_equal(next.retry, retry);
            assert_true(next.tell);
            if (retry)
                assert_int_equal(next.delay_ms, 5000);
            else
                assert_int_equal(next.exit_status, 1);
        }
    }
}

static void as_pg_receivewal_missing_wal_is_tried_again(void **state)
{
    Machine machine = machine_with(false, true);
    Error error = error_of(ERROR_ARCHIVE, "58P01", "requested WAL segment has been removed");

    (void)state;
    machine_on_connected(&machine);
    assert_true(machine_after(&machine, &error, 0).retry);
    machine = machine_with(false, false);
    machine_on_connected(&machine);
    assert_false(machine_after(&machine, &error, 0).retry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_another_try_can_mend_is_tried_again),
        cmocka_unit_test(without_the_loop_every_end_is_final),
        cmocka_unit_test(a_failure_that_stays_is_told_again_after_ten_minutes),
        cmocka_unit_test(a_stop_ends_with_status_0_and_no_word),
        cmocka_unit_test(delays_grow_to_the_largest_and_start_again_after_streaming),
        cmocka_unit_test(a_repeated_failure_is_told_once),
        cmocka_unit_test(another_failure_or_a_stream_in_between_is_news),
        cmocka_unit_test(a_failure_that_ends_the_run_is_told_even_when_it_is_known),
        cmocka_unit_test(as_pg_receivewal_the_first_connect_is_not_tried_again),
        cmocka_unit_test(as_pg_receivewal_later_failures_wait_five_seconds_and_are_told_each_time),
        cmocka_unit_test(as_pg_receivewal_missing_wal_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
