/* SPDX-License-Identifier: PostgreSQL
 *
 * Each call of a whole run fails once: with an I/O error, a full disk, an interrupt, a short
 * transfer; and each allocation. What was promised stays, nothing incomplete gets a final name, and
 * a second run without faults ends with the same archive. After a failed sync everything that was
 * not synced is lost, as the kernel may do.
 */
#include "fake_files.h"
#include "fake_memory.h"
#include "power_cut.h"
#include "scenario.h"
#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST_CALLS 2000

static void resume(const char *path, const char *what)
{
    Error error;
    fake_files_reset();
    scenario_forget();
    if (!scenario_run(path, &error))
        fail_msg("%s: the second run fails: %s", what, error.message);
    scenario_check_complete(path, what);
}

/* The same again from what the disk holds when nothing more was written back. */
static void resume_after_loss(uint64_t mark, const char *what)
{
    char path[SCRATCH_PATH_SIZE];
    scratch_make(path);
    power_build(power_changes(), POWER_LOSES_ALL, 1, path);
    scenario_check(path, mark, what);
    power_end();
    resume(path, what);
    scratch_remove(path);
}

static bool is_sync(FakeCall call)
{
    return call == FAKE_FDATASYNC || call == FAKE_FSYNC;
}

/* False: the run has fewer calls than `nth`. */
static bool one_fault(unsigned nth, int fault)
{
    char path[SCRATCH_PATH_SIZE];
    char what[128];
    Error error;
    FakeCall call;
    scratch_make(path);
    fake_files_reset();
    scenario_forget();
    power_begin(path, scenario_mark);
    if (fault == 0)
        fake_files_shorten(FAKE_ANY, nth);
    else
        fake_files_fail(FAKE_ANY, nth, fault);
    bool ok = scenario_run(path, &error);
    bool struck = fake_files_struck(&call);
    (void)snprintf(what, sizeof(what), "call %u (%s), fault %d", nth,
                   struck ? fake_files_call_name(call) : "none", fault);
    uint64_t mark = scenario_mark();
    if (!ok && (!struck || fault == EINTR || fault == 0))
        fail_msg("%s: %s", what, error.message);
    if (ok && struck && fault != EINTR && is_sync(call))
        fail_msg("%s: a failed sync went unnoticed", what);
    if (!ok && error.class != ERROR_STORAGE && error.class != ERROR_NO_ROOM &&
        error.class != ERROR_USAGE)
        fail_msg("%s: class %s: %s", what, error_class_name(error.class), error.message);
    scenario_check(path, mark, what);
    if (ok)
        scenario_check_complete(path, what);
    if (!ok && is_sync(call))
        resume_after_loss(mark, what);
    power_end();
    if (!ok)
        resume(path, what);
    scratch_remove(path);
    return struck;
}

static unsigned least_calls;

static void each_call(int fault)
{
    unsigned nth = 1;
    while (one_fault(nth, fault)) {
        nth++;
        assert_true(nth < MOST_CALLS);
    }
    assert_true(nth > least_calls); /* the run was as long as it should be */
}

static void every_call_survives_an_io_error(void **state)
{
    (void)state;
    each_call(EIO);
}

static void every_call_survives_a_full_disk(void **state)
{
    (void)state;
    each_call(ENOSPC);
}

static void every_interrupted_call_is_made_again(void **state)
{
    (void)state;
    each_call(EINTR);
}

static void every_short_transfer_is_continued(void **state)
{
    (void)state;
    each_call(0);
}

/* False: the run has fewer allocations than `nth`. */
static bool one_shortage(unsigned nth)
{
    char path[SCRATCH_PATH_SIZE];
    char what[64];
    Error error;
    (void)snprintf(what, sizeof(what), "allocation %u", nth);
    scratch_make(path);
    fake_files_reset();
    scenario_forget();
    fake_memory_fail(nth, false);
    bool ok = scenario_run(path, &error);
    bool struck = fake_memory_struck();
    fake_memory_fail(0, false);
    if (!ok && (!struck || error.class != ERROR_MEMORY))
        fail_msg("%s: class %s: %s", what, error_class_name(error.class), error.message);
    scenario_check(path, scenario_mark(), what);
    resume(path, what);
    scratch_remove(path);
    return struck;
}

static void every_allocation_may_fail(void **state)
{
    unsigned nth = 1;
    (void)state;
    while (one_shortage(nth))
        nth++;
    assert_true(nth > 10);
}

/* Not to be blind: the index was there to be compared. */
static void the_index_was_compared(void **state)
{
    (void)state;
    assert_true(scenario_index_known() > 100);
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
    least_calls = 100;
    return 0;
}

static int flush_once(void **state)
{
    (void)state;
    scenario_pace(SCENARIO_ONCE);
    least_calls = 60;
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
        CASES(every_call_survives_an_io_error),
        CASES(every_call_survives_a_full_disk),
        CASES(every_interrupted_call_is_made_again),
        CASES(every_short_transfer_is_continued),
        CASES(every_allocation_may_fail),
        cmocka_unit_test(the_index_was_compared),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
