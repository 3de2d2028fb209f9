/* SPDX-License-Identifier: PostgreSQL
 *
 * Room: the limit, the margin behind it, refusals, and what is news.
 */
#include "walrx/archive/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SEGMENT UINT64_C(1000)
#define LIMIT UINT64_C(2000)
#define NOW UINT64_C(50000)

static Room room;

static int setup(void **state)
{
    (void)state;
    room_init(&room, LIMIT, SEGMENT);
    return 0;
}

static void what_takes_space_leaves_the_limit_free(void **state)
{
    (void)state;
    assert_true(room_enough(&room, LIMIT + SEGMENT, SEGMENT));
    assert_false(room_enough(&room, LIMIT + SEGMENT - 1, SEGMENT));
    assert_true(room_wanted(&room, SEGMENT) == LIMIT + SEGMENT);
}

static void what_takes_nothing_is_not_held_up_by_the_limit(void **state)
{
    (void)state;
    assert_true(room_enough(&room, 0, 0));
    assert_true(room_block(&room, ROOM_SEGMENT, false, NOW));
    assert_true(room_enough(&room, 0, 0));
}

static void it_goes_on_only_with_a_margin(void **state)
{
    (void)state;
    (void)room_block(&room, ROOM_SEGMENT, false, NOW);
    assert_false(room_enough(&room, LIMIT + 2 * SEGMENT - 1, SEGMENT));
    assert_true(room_enough(&room, LIMIT + 2 * SEGMENT, SEGMENT));
    assert_true(room_unblock(&room, ROOM_SEGMENT));
    assert_true(room_enough(&room, LIMIT + SEGMENT, SEGMENT));
}

static void a_large_limit_has_a_larger_margin(void **state)
{
    (void)state;
    room_init(&room, 100 * SEGMENT, SEGMENT);
    (void)room_block(&room, ROOM_SEGMENT, false, NOW);
    assert_in_range(room_wanted(&room, 0), 105 * SEGMENT, 120 * SEGMENT);
}

static void a_new_beginning_looks_at_once(void **state)
{
    (void)state;
    room_restart(&room, NOW);
    assert_int_equal(room.blocked, 0); /* nothing waited: nothing to find out */
    (void)room_block(&room, ROOM_NAME, true, NOW);
    room_restart(&room, NOW + 5);
    assert_int_equal(room.blocked, ROOM_SEGMENT);
    assert_false(room_enough(&room, LIMIT + SEGMENT - 1, 0)); /* the name was refused by the disk */
    assert_true(room.look_ms == NOW + 5);
    assert_true(room_unblock(&room, ROOM_SEGMENT));
    (void)room_block(&room, ROOM_SEGMENT, false, NOW);
    room_restart(&room, NOW + 5);
    assert_true(room_enough(&room, 0, 0)); /* only the limit: that holds up what takes space */
}

static void without_a_limit_only_a_refusal_counts(void **state)
{
    (void)state;
    room_init(&room, 0, SEGMENT);
    assert_true(room_enough(&room, 0, SEGMENT));
    (void)room_block(&room, ROOM_SEGMENT, true, NOW);
    assert_false(room_enough(&room, SEGMENT - 1, 0)); /* also for what takes nothing */
    assert_true(room_enough(&room, SEGMENT, 0));
}

static void a_limit_beyond_all_numbers_is_never_met(void **state)
{
    (void)state;
    room_init(&room, UINT64_MAX - 1, SEGMENT);
    assert_true(room_wanted(&room, SEGMENT) == UINT64_MAX);
    assert_false(room_enough(&room, UINT64_MAX - 1, SEGMENT));
}

static void the_first_to_wait_and_the_last_to_go_on_are_news(void **state)
{
    (void)state;
    assert_true(room_block(&room, ROOM_COPY, true, NOW));
    assert_false(room_block(&room, ROOM_SEGMENT, false, NOW + 10));
    assert_false(room_block(&room, ROOM_SEGMENT, false, NOW + 20));
    assert_true(room.since_ms == NOW);
    assert_false(room_unblock(&room, ROOM_COPY));
    assert_false(room_unblock(&room, ROOM_NAME)); /* did not wait */
    assert_true(room_unblock(&room, ROOM_SEGMENT));
    assert_false(room_unblock(&room, ROOM_SEGMENT));
}

static void who_does_not_wait_needs_no_margin(void **state)
{
    (void)state;
    (void)room_block(&room, ROOM_COPY, true, NOW);
    assert_true(room_enough(&room, LIMIT + SEGMENT, SEGMENT));
}

static void a_refusal_is_remembered_until_it_is_over(void **state)
{
    (void)state;
    (void)room_block(&room, ROOM_SEGMENT, true, NOW);
    (void)room_block(&room, ROOM_SEGMENT, false, NOW + 10);
    assert_true(room.refused);
    (void)room_unblock(&room, ROOM_SEGMENT);
    (void)room_block(&room, ROOM_SEGMENT, false, NOW + 20);
    assert_false(room.refused);
}

static void looks_are_soon_at_first_and_then_once_a_second(void **state)
{
    uint64_t now = NOW;
    (void)state;
    assert_true(room_next_look(&room, now) == UINT64_MAX);
    (void)room_block(&room, ROOM_SEGMENT, false, now);
    assert_in_range(room_next_look(&room, now), now + 1, now + 50);
    for (int i = 0; i < 10; i++) {
        now = room_next_look(&room, now);
        (void)room_block(&room, ROOM_SEGMENT, false, now);
    }
    assert_true(room_next_look(&room, now) == now + 1000);
    /* Nobody looked then: not again and again at once. */
    assert_true(room_next_look(&room, now + 5000) > now + 5000);
    (void)room_unblock(&room, ROOM_SEGMENT);
    (void)room_block(&room, ROOM_SEGMENT, false, now);
    assert_in_range(room_next_look(&room, now), now + 1, now + 50);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        CASE(what_takes_space_leaves_the_limit_free),
        CASE(what_takes_nothing_is_not_held_up_by_the_limit),
        CASE(it_goes_on_only_with_a_margin),
        CASE(a_large_limit_has_a_larger_margin),
        CASE(a_new_beginning_looks_at_once),
        CASE(without_a_limit_only_a_refusal_counts),
        CASE(a_limit_beyond_all_numbers_is_never_met),
        CASE(the_first_to_wait_and_the_last_to_go_on_are_news),
        CASE(who_does_not_wait_needs_no_margin),
        CASE(a_refusal_is_remembered_until_it_is_over),
        CASE(looks_are_soon_at_first_and_then_once_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
