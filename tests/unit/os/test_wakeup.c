/* SPDX-License-Identifier: PostgreSQL
 *
 * Bell and signals: what is rung or sent can be polled for, and only until it is taken.
 */
#include "walrx/os/wakeup.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static bool readable(int fd, int timeout_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, timeout_ms) == 1;
}

static void a_bell_rings_until_it_is_silenced(void **state)
{
    Bell bell;
    Error error;
    (void)state;
    assert_true(bell_open(&bell, &error));
    assert_false(readable(bell.fd, 0));
    bell_silence(&bell); /* silent already: does not wait */
    bell_ring(&bell);
    bell_ring(&bell);
    assert_true(readable(bell.fd, 0));
    bell_silence(&bell);
    assert_false(readable(bell.fd, 0));
    bell_close(&bell);
    assert_int_equal(bell.fd, -1);
    bell_close(&bell);
}

static void a_bell_at_its_limit_still_rings_and_nobody_waits(void **state)
{
    Bell bell;
    Error error;
    uint64_t most = UINT64_MAX - 1;
    (void)state;
    assert_true(bell_open(&bell, &error));
    assert_int_equal(write(bell.fd, &most, sizeof(most)), (int)sizeof(most));
    bell_ring(&bell);
    assert_true(readable(bell.fd, 0));
    bell_silence(&bell);
    assert_false(readable(bell.fd, 0));
    bell_close(&bell);
}

static void *ring(void *argument)
{
    bell_ring(argument);
    return NULL;
}

static void a_bell_wakes_another_thread(void **state)
{
    Bell bell;
    Error error;
    pthread_t thread;
    (void)state;
    assert_true(bell_open(&bell, &error));
    assert_int_equal(pthread_create(&thread, NULL, ring, &bell), 0);
    assert_true(readable(bell.fd, 10000));
    assert_int_equal(pthread_join(thread, NULL), 0);
    bell_close(&bell);
}

static void signals_arrive_at_the_descriptor_and_stop_nothing(void **state)
{
    int fd;
    Error error;
    (void)state;
    assert_true(signals_open(&fd, &error));
    assert_int_equal(signals_next(fd), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_true(readable(fd, 1000));
    int seen = 0;
    for (int signal = signals_next(fd); signal != 0; signal = signals_next(fd))
        seen += signal == SIGTERM ? 1 : signal == SIGHUP ? 10 : signal == SIGINT ? 100 : 1000;
    assert_int_equal(seen, 111);
    assert_false(readable(fd, 0));
    assert_int_equal(kill(getpid(), SIGPIPE), 0); /* ignored: we are still here */
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bell_rings_until_it_is_silenced),
        cmocka_unit_test(a_bell_at_its_limit_still_rings_and_nobody_waits),
        cmocka_unit_test(a_bell_wakes_another_thread),
        cmocka_unit_test(signals_arrive_at_the_descriptor_and_stop_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
