/* SPDX-License-Identifier: PostgreSQL
 *
 * The plan: work in the order of need, once each; what is passed goes away; nothing is begun behind
 * what cannot be made. And how far ahead is read.
 */
#include "prefetch_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MB ((uint64_t)1 << 20)
#define GB ((uint64_t)1 << 30)

static Plan plan;
static char dropped[256];

static void drop(void *context, const char *name)
{
    assert_ptr_equal(context, &plan);
    size_t used = strlen(dropped);
    (void)snprintf(dropped + used, sizeof(dropped) - used, "%s ", name);
}

/* Segments 5, 6, 7, ... of timeline 1 with their numbers as names. */
static int setup(void **state)
{
    (void)state;
    memset(&plan, 0, sizeof(plan));
    dropped[0] = '\0';
    for (SegNo segno = 5; segno < 9; segno++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "%u", (unsigned)segno);
        PrefetchStep step = {.timeline = 1, .segno = segno};
        assert_true(plan_add(&plan, &step, name));
    }
    return 0;
}

static void expect_next(const char *name)
{
    const PlanItem *item = plan_next(&plan);
    if (name == NULL)
        assert_null(item);
    else
        assert_string_equal(item->name, name);
}

static void work_on(unsigned worker, const char *name)
{
    (void)snprintf(plan.busy[worker], PREFETCH_NAME_SIZE, "%s", name);
}

static void is(const char *name, PlanState what)
{
    plan_find(&plan, name)->state = what;
}

static void pass(Timeline timeline, SegNo segno, bool expected)
{
    assert_int_equal(plan_pass(&plan, timeline, segno, drop, &plan), expected);
}

static void what_is_needed_first_is_made_first_and_once(void **state)
{
    (void)state;
    expect_next("5");
    work_on(0, "5");
    expect_next("6");
    work_on(1, "6");
    expect_next("7");
    is("6", PLAN_READY);
    work_on(1, "");
    expect_next("7");
    work_on(0, ""); /* given up: once more */
    expect_next("5");
}

static void nothing_is_begun_behind_what_cannot_be_made(void **state)
{
    (void)state;
    is("5", PLAN_READY);
    is("6", PLAN_BAD);
    expect_next(NULL);
    assert_false(plan_is_done(&plan, false)); /* 5 is there to be taken */
    pass(1, 5, true);
    assert_true(plan_is_done(&plan, false));
}

static void what_is_passed_goes_away(void **state)
{
    (void)state;
    is("5", PLAN_READY);
    is("6", PLAN_READY);
    is("7", PLAN_READY);
    pass(1, 6, true); /* the server has skipped 5 */
    assert_string_equal(dropped, "5 6 ");
    assert_int_equal(plan.count, 2);
    assert_string_equal(plan.items[0].name, "7");
    assert_non_null(plan_find(&plan, "8"));
    assert_null(plan_find(&plan, "6"));
}

static void another_way_drops_everything(void **state)
{
    (void)state;
    is("5", PLAN_READY);
    is("7", PLAN_READY);
    pass(2, 6, false);
    assert_string_equal(dropped, "5 7 ");
    assert_int_equal(plan.count, 0);
}

/* A worker may still be at it when it is wanted again. */
static void what_is_being_made_is_not_begun_again(void **state)
{
    PrefetchStep step = {.timeline = 1, .segno = 5};
    (void)state;
    work_on(0, "5");
    pass(1, 9, false);
    assert_false(plan_is_done(&plan, false));
    assert_true(plan_add(&plan, &step, "5"));
    expect_next(NULL);
    work_on(0, "");
    expect_next("5");
}

static void what_has_not_been_begun_is_looked_for_anew(void **state)
{
    (void)state;
    is("5", PLAN_READY);
    work_on(0, "6");
    is("8", PLAN_READY);
    plan_cut(&plan, drop, &plan);
    assert_int_equal(plan.count, 2);
    assert_string_equal(dropped, "8 ");
}

static void it_is_done_when_nothing_is_left_to_do_or_to_take(void **state)
{
    (void)state;
    assert_false(plan_is_done(&plan, false));
    assert_true(plan_is_done(&plan, true)); /* no room for any */
    work_on(3, "5");
    assert_false(plan_is_done(&plan, true));
    work_on(3, "");
    is("8", PLAN_READY);
    assert_false(plan_is_done(&plan, true));
    pass(1, 8, true);
    assert_true(plan_is_done(&plan, false));
}

static void a_plan_has_an_end(void **state)
{
    PrefetchStep step = {.timeline = 1, .segno = 100};
    (void)state;
    while (plan.count < PREFETCH_MAX_AHEAD)
        assert_true(plan_add(&plan, &step, "x"));
    assert_false(plan_add(&plan, &step, "x"));
}

static void it_is_read_ahead_by_what_the_machine_has(void **state)
{
    static const struct {
        uint64_t bytes;
        uint32_t segment;
        unsigned cores;
        uint64_t memory;
        size_t ahead;
        unsigned workers;
    } cases[] = {
        {GET_PREFETCH_AUTO, 16 * MB, 1, 0, 4, 1},
        {GET_PREFETCH_AUTO, 16 * MB, 2, GB, 4, 1},
        {GET_PREFETCH_AUTO, 16 * MB, 4, 8 * GB, 8, 3},
        {GET_PREFETCH_AUTO, 16 * MB, 64, 512 * GB, 16, 8},
        {GET_PREFETCH_AUTO, GB, 64, 512 * GB, 1, 1},
        {1, 16 * MB, 4, GB, 1, 1},
        {48 * MB, 16 * MB, 16, GB, 3, 3},
        {1 << 30, MB, 1, GB, PREFETCH_MAX_AHEAD, 1},
        {(uint64_t)1 << 40, MB, 2, GB, PREFETCH_MAX_AHEAD, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        PrefetchExtent extent =
            prefetch_extent(cases[i].bytes, cases[i].segment, cases[i].cores, cases[i].memory);
        assert_int_equal(extent.ahead, cases[i].ahead);
        assert_int_equal(extent.workers, cases[i].workers);
    }
}

#define CASE(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_needed_first_is_made_first_and_once),
        CASE(nothing_is_begun_behind_what_cannot_be_made),
        CASE(what_is_passed_goes_away),
        CASE(another_way_drops_everything),
        CASE(what_is_being_made_is_not_begun_again),
        CASE(what_has_not_been_begun_is_looked_for_anew),
        CASE(it_is_done_when_nothing_is_left_to_do_or_to_take),
        CASE(a_plan_has_an_end),
        CASE(it_is_read_ahead_by_what_the_machine_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
