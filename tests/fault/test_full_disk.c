/* SPDX-License-Identifier: PostgreSQL
 *
 * A disk that is full at each moment of a run, for one call or for several in a row, and then has
 * room again. The run goes on by itself: only before streaming begins is it made again, as a
 * session is. Nothing is told as flushed that is not there, and the archive ends up the same.
 */
#include "fake_files.h"
#include "scenario.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MOST_CALLS 2000
#define MOST_RUNS 20
#define LEAST_CALLS 15

/* False: the run makes fewer such calls than `nth`. */
static bool full_from(unsigned nth, unsigned count)
{
    char path[SCRATCH_PATH_SIZE];
    char what[128];
    Error error;
    FakeCall call;
    bool ok = false;
    scratch_make(path);
    fake_files_reset();
    scenario_forget();
    fake_files_full(nth, count);
    for (unsigned runs = 0; !ok && runs < MOST_RUNS; runs++) {
        ok = scenario_run(path, &error);
        uint64_t mark = scenario_mark();
        (void)snprintf(what, sizeof(what), "run %u, full for %u from call %u (%s) on", runs, count,
                       nth, fake_files_struck(&call) ? fake_files_call_name(call) : "none");
        if (!ok && error.class != ERROR_NO_ROOM)
            fail_msg("%s: class %s: %s", what, error_class_name(error.class), error.message);
        if (!ok && mark % 2 != 0)
            fail_msg("%s: it came as far as streaming: %s", what, error.message);
        scenario_check(path, mark, what);
    }
    if (!ok)
        fail_msg("%s: %s", what, error.message);
    scenario_check_complete(path, what);
    scratch_remove(path);
    return fake_files_struck(NULL);
}

static void each_call(unsigned count)
{
    unsigned nth = 1;
    while (full_from(nth, count)) {
        nth++;
        assert_true(nth < MOST_CALLS);
    }
    assert_true(nth > LEAST_CALLS); /* the run was as long as it should be */
}

static void a_call_that_finds_no_room_is_made_again(void **state)
{
    (void)state;
    each_call(1);
}

static void a_disk_that_stays_full_for_a_while_is_waited_for(void **state)
{
    (void)state;
    each_call(3);
}

static int prepare(void **state)
{
    (void)state;
    scenario_prepare();
    return 0;
}

static int flush_often(void **state)
{
    (void)state;
    scenario_pace(SCENARIO_OFTEN);
    return 0;
}

static int flush_once(void **state)
{
    (void)state;
    scenario_pace(SCENARIO_ONCE);
    return 0;
}

int main(void)
{
#define CASES(test)                                                                                \
    {"raw segments: " #test, test, flush_often, NULL, NULL},                                       \
    {                                                                                              \
        "lazy segments: " #test, test, flush_once, NULL, NULL                                      \
    }
    const struct CMUnitTest tests[] = {
        CASES(a_call_that_finds_no_room_is_made_again),
        CASES(a_disk_that_stays_full_for_a_while_is_waited_for),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
