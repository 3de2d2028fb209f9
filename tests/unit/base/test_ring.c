/* SPDX-License-Identifier: PostgreSQL
 *
 * Ring: what is handed out, where bytes lie, when it is full; and two threads that pass a stream
 * through a small ring (the thread sanitizer watches this one).
 */
#include "walrx/base/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXTENTS 3
#define CAPACITY (EXTENTS * RING_EXTENT)

static uint8_t *ring_memory;

static int make_memory(void **state)
{
    (void)state;
    ring_memory = malloc(CAPACITY);
    return ring_memory == NULL;
}

static int drop_memory(void **state)
{
    (void)state;
    free(ring_memory);
    return 0;
}

static void a_new_ring_has_room_to_the_edge_of_its_extent(void **state)
{
    Ring ring;
    size_t room = 0;

    (void)state;
    ring_reset(&ring, ring_memory, CAPACITY, 7 * RING_EXTENT + 100);
    assert_true(ring_published(&ring) == 7 * RING_EXTENT + 100);
    assert_ptr_equal(ring_reserve(&ring, &room), ring_memory + RING_EXTENT + 100);
    assert_true(room == RING_EXTENT - 100);
}

static void a_reservation_never_crosses_an_extent(void **state)
{
    Ring ring;
    size_t room;

    (void)state;
    ring_reset(&ring, ring_memory, CAPACITY, 0);
    (void)ring_reserve(&ring, &room);
    assert_true(room == RING_EXTENT);
    assert_true(ring_publish(&ring, RING_EXTENT - 1) == RING_EXTENT - 1);
    assert_ptr_equal(ring_reserve(&ring, &room), ring_memory + RING_EXTENT - 1);
    assert_true(room == 1);
    (void)ring_publish(&ring, 1);
    assert_ptr_equal(ring_reserve(&ring, &room), ring_memory + RING_EXTENT);
    assert_true(room == RING_EXTENT);
}

static void a_run_ends_where_the_memory_does(void **state)
{
    Ring ring;

    (void)state;
    ring_reset(&ring, ring_memory, CAPACITY, 0);
    assert_true(ring_run(&ring, 0) == CAPACITY);
    assert_true(ring_run(&ring, CAPACITY - 1) == 1);
    assert_true(ring_run(&ring, 5 * CAPACITY + RING_EXTENT) == CAPACITY - RING_EXTENT);
}

static void it_is_full_after_its_capacity_and_has_room_again_after_a_release(void **state)
{
    Ring ring;
    size_t room;

    (void)state;
    ring_reset(&ring, ring_memory, CAPACITY, 0);
    for (int i = 0; i < EXTENTS; i++) {
        assert_non_null(ring_reserve(&ring, &room));
        (void)ring_publish(&ring, RING_EXTENT);
    }
    assert_null(ring_reserve(&ring, &room));
    assert_true(room == 0);
    ring_release(&ring, RING_EXTENT - 1); /* still inside the first extent: frees nothing */
    assert_null(ring_reserve(&ring, &room));
    ring_release(&ring, RING_EXTENT);
    assert_ptr_equal(ring_reserve(&ring, &room), ring_memory);
    assert_true(room == RING_EXTENT);
}

static void bytes_stay_where_they_were_published(void **state)
{
    Ring ring;
    size_t room;

    (void)state;
    ring_reset(&ring, ring_memory, CAPACITY, 4 * RING_EXTENT);
    memset(ring_reserve(&ring, &room), 'a', 10);
    (void)ring_publish(&ring, 10);
    memset(ring_reserve(&ring, &room), 'b', 10);
    (void)ring_publish(&ring, 10);
    assert_memory_equal(ring_at(&ring, 4 * RING_EXTENT), "aaaaaaaaaabbbbbbbbbb", 20);
    assert_memory_equal(ring_at(&ring, 4 * RING_EXTENT + 10), "bbbbbbbbbb", 10);
}

static void reset_forgets_everything(void **state)
{
    Ring ring;
    size_t room;

    (void)state;
    ring_reset(&ring, ring_memory, CAPACITY, 0);
    for (int i = 0; i < EXTENTS; i++)
        (void)ring_publish(&ring, RING_EXTENT);
    ring_reset(&ring, ring_memory, CAPACITY, 64 * RING_EXTENT);
    assert_non_null(ring_reserve(&ring, &room));
    assert_true(ring_published(&ring) == 64 * RING_EXTENT);
}

static void the_largest_positions_work(void **state)
{
    uint64_t start = UINT64_MAX - UINT64_MAX % CAPACITY - CAPACITY;
    Ring ring;
    size_t room;

    (void)state;
    ring_reset(&ring, ring_memory, CAPACITY, start);
    assert_ptr_equal(ring_reserve(&ring, &room), ring_memory + start % CAPACITY);
    assert_true(ring_publish(&ring, RING_EXTENT) == start + RING_EXTENT);
    ring_release(&ring, start + RING_EXTENT);
    assert_non_null(ring_reserve(&ring, &room));
}

#define STREAM_BYTES (24 * RING_EXTENT + 12345)

static uint8_t stream_byte(uint64_t position)
{
    return (uint8_t)((position * UINT64_C(0x9E3779B97F4A7C15)) >> 56);
}

static void *produce(void *argument)
{
    Ring *ring = argument;
    uint64_t position = 0;
    unsigned random = 1;

    while (position < STREAM_BYTES) {
        size_t room;
        uint8_t *place = ring_reserve(ring, &room);

        if (place == NULL) {
            (void)sched_yield();
            continue;
        }
        random = random * 1103515245U + 12345U;
        size_t count = 1 + (random >> 8) % 200000;

        count = count < room ? count : room;
        count = count < STREAM_BYTES - position ? count : STREAM_BYTES - position;
        for (size_t i = 0; i < count; i++)
            place[i] = stream_byte(position + i);
        position = ring_publish(ring, count);
    }
    return NULL;
}

static void two_threads_pass_every_byte_in_order(void **state)
{
    Ring ring;
    pthread_t producer;
    uint64_t position = 0;
    uint64_t wrong = 0;

    (void)state;
    ring_reset(&ring, ring_memory, CAPACITY, 0);
    assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
    while (position < STREAM_BYTES) {
        uint64_t published = ring_published(&ring);

        if (published == position) {
            (void)sched_yield();
            continue;
        }
        for (; position < published; position++)
            wrong += *ring_at(&ring, position) != stream_byte(position);
        ring_release(&ring, position);
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_true(wrong == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_ring_has_room_to_the_edge_of_its_extent),
        cmocka_unit_test(a_reservation_never_crosses_an_extent),
        cmocka_unit_test(it_is_full_after_its_capacity_and_has_room_again_after_a_release),
        cmocka_unit_test(a_run_ends_where_the_memory_does),
        cmocka_unit_test(bytes_stay_where_they_were_published),
        cmocka_unit_test(reset_forgets_everything),
        cmocka_unit_test(the_largest_positions_work),
        cmocka_unit_test(two_threads_pass_every_byte_in_order),
    };
    return cmocka_run_group_tests(tests, make_memory, drop_memory);
}
