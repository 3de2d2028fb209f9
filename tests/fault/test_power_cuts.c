/* SPDX-License-Identifier: PostgreSQL
 *
 * The power goes away before each change of a whole run; or the process is killed at one call, a
 * second one goes on, and then the power goes away. Whatever the disk kept: all bytes up to the
 * last flush position are there, nothing incomplete has a final name, and a new run ends with the
 * same archive.
 */
#include "fake_files.h"
#include "power_cut.h"
#include "scenario.h"
#include "scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* A cut that is looked at again with a run behind it; the others only for what they hold. */
#define RESUME_EVERY 3
#define CUTS_AFTER_KILL 12

static unsigned kill_every; /* calls */
static unsigned least_calls;

static void check_cut(size_t at, PowerVariant variant, uint64_t seed, bool resume, const char *run)
{
    char path[SCRATCH_PATH_SIZE];
    char what[128];
    Error error;
    uint64_t mark = at < power_changes() ? power_mark(at) : scenario_mark();
    (void)snprintf(what, sizeof(what), "%s, power cut at change %zu of %zu, variant %d, seed %llu",
                   run, at, power_changes(), (int)variant, (unsigned long long)seed);
    scratch_make(path);
    power_build(at, variant, seed, path);
    scenario_check(path, mark, what);
    if (resume) {
        if (!scenario_run(path, &error))
            fail_msg("%s: the next run fails: %s", what, error.message);
        scenario_check_complete(path, what);
    }
    scratch_remove(path);
}

/* The run is over: the calls of later ones are not noted, the marks stay. */
static void stop_noting(void)
{
    fake_files_reset();
}

static void a_cut_at_any_change_loses_nothing_that_was_flushed(void **state)
{
    char path[SCRATCH_PATH_SIZE];
    Error error;
    (void)state;
    scratch_make(path);
    fake_files_reset();
    scenario_forget();
    power_begin(path, scenario_mark);
    if (!scenario_run(path, &error))
        fail_msg("%s", error.message);
    stop_noting();
    assert_true(power_changes() > 40);
    for (size_t at = 0; at <= power_changes(); at++) {
        for (int variant = 0; variant < POWER_VARIANT_COUNT; variant++)
            check_cut(at, (PowerVariant)variant, at, (at + (size_t)variant) % RESUME_EVERY == 0,
                      "one run");
    }
    power_end();
    scratch_remove(path);
}

/* Killed at call `nth`; a second run goes on in the same directory, whose unsynced changes are
 * still only in memory. False: the run was over before. */
static bool kill_and_cut(unsigned nth)
{
    char path[SCRATCH_PATH_SIZE];
    char what[64];
    Error error;
    (void)snprintf(what, sizeof(what), "killed at call %u", nth);
    scratch_make(path);
    fake_files_reset();
    scenario_forget();
    power_begin(path, scenario_mark);
    fake_files_fail_from(FAKE_ANY, nth, EIO);
    bool ok = scenario_run(path, &error);
    bool killed = fake_files_struck(NULL);
    size_t before = power_changes();
    if (!ok) {
        fake_files_fail(FAKE_ANY, 0, 0); /* alive again, and still noted */
        if (!scenario_run(path, &error))
            fail_msg("%s: the next run fails: %s", what, error.message);
    }
    stop_noting();
    size_t after = power_changes() - before;
    for (size_t i = 0; i < CUTS_AFTER_KILL; i++) {
        /* Most of them soon after the start: there the leftovers are dealt with. */
        size_t at = before + (i < CUTS_AFTER_KILL / 2 ? i * 2 : (i * 7 + nth) % (after + 1));
        if (at <= power_changes())
            check_cut(at, i % 3 == 0 ? POWER_LOSES_ALL : POWER_MIXES, nth * 31 + i, i == 3, what);
    }
    power_end();
    scratch_remove(path);
    return killed;
}

static void a_cut_after_a_kill_loses_nothing_that_was_flushed(void **state)
{
    unsigned nth = 1;
    (void)state;
    while (kill_and_cut(nth))
        nth += kill_every;
    assert_true(nth > least_calls);
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
    kill_every = 4;
    return 0;
}

static int flush_once(void **state)
{
    (void)state;
    scenario_pace(SCENARIO_ONCE);
    least_calls = 60;
    kill_every = 1;
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
        CASES(a_cut_at_any_change_loses_nothing_that_was_flushed),
        CASES(a_cut_after_a_kill_loses_nothing_that_was_flushed),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
