/* SPDX-License-Identifier: PostgreSQL
 *
 * How memory is divided: everything within it where that is possible, whole segments in the ring
 * where they fit, and the level's own window where there is room for it.
 */
#include "walrx/archive/memory_plan.h"

#include "walrx/base/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MB ((size_t)1024 * 1024)
#define SEGMENT ((uint32_t)(16 * MB))

static const CompressSpec every_spec[] = {
    {WAL_GZIP, 1}, {WAL_GZIP, 9}, {WAL_LZ4, 1},   {WAL_LZ4, 12},
    {WAL_ZSTD, 1}, {WAL_ZSTD, 9}, {WAL_ZSTD, 19},
};
#define SPEC_COUNT (sizeof(every_spec) / sizeof(every_spec[0]))

static size_t total(const MemoryPlan *plan)
{
    return plan->ring + plan->workers * plan->codec;
}

static void raw_gets_three_quarters_for_the_ring(void **state)
{
    CompressSpec raw = {WAL_RAW, 0};
    (void)state;
    MemoryPlan plan = memory_plan(64 * MB, SEGMENT, raw, 4);
    assert_int_equal(plan.ring, 48 * MB);
    assert_int_equal(plan.workers, 0);
    assert_true(memory_plan(1 * MB, SEGMENT, raw, 4).ring >= 2 * RING_EXTENT);
}

static void the_default_holds_three_segments_or_two_and_large_windows(void **state)
{
    (void)state;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        CompressSpec spec = every_spec[i];
        MemoryPlan plan = memory_plan(64 * MB, SEGMENT, spec, 2);
        bool modest = codec_memory(spec, SEGMENT, CODEC_MEMORY_ANY) <= 6 * MB;
        assert_true(plan.compresses_whole);
        assert_int_equal(plan.workers, 2);
        assert_true(plan.short_of_memory == (spec.method == WAL_ZSTD && spec.level >= 9));
        assert_int_equal(plan.ring, modest ? 48 * MB : 32 * MB);
    }
}

static void everything_is_within_the_memory(void **state)
{
    static const size_t segments[] = {1, 16, 64, 1024};
    (void)state;
    for (size_t memory = 16 * MB; memory <= 4096 * MB; memory += memory / 3) {
        for (size_t s = 0; s < 4; s++) {
            for (size_t i = 0; i < SPEC_COUNT; i++) {
                for (unsigned workers = 1; workers <= 64; workers *= 2) {
                    uint32_t size = (uint32_t)(segments[s] * MB);
                    MemoryPlan plan = memory_plan(memory, size, every_spec[i], workers);
                    assert_in_range(plan.workers, 1, workers);
                    assert_true(total(&plan) < memory);
                    assert_true(codec_memory(every_spec[i], size, plan.codec) <= plan.codec);
                    if (plan.compresses_whole)
                        assert_true(plan.ring >= plan.workers * (size_t)size);
                }
            }
        }
    }
}

static void the_least_memory_still_gives_one_worker_and_a_ring(void **state)
{
    (void)state;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        MemoryPlan plan = memory_plan(8 * MB, SEGMENT, every_spec[i], 2);
        assert_true(plan.workers >= 1);
        assert_true(plan.ring >= 2 * RING_EXTENT && plan.ring <= 6 * MB);
        assert_true(plan.ring + plan.workers * codec_memory(every_spec[i], SEGMENT, plan.codec) <=
                    9 * MB);
        assert_false(plan.compresses_whole);
    }
}

static void much_memory_gives_every_level_its_window(void **state)
{
    (void)state;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        MemoryPlan plan = memory_plan(4096 * MB, SEGMENT, every_spec[i], 8);
        assert_int_equal(plan.workers, 8);
        assert_false(plan.short_of_memory);
        assert_int_equal(plan.ring, 3072 * MB);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_gets_three_quarters_for_the_ring),
        cmocka_unit_test(the_default_holds_three_segments_or_two_and_large_windows),
        cmocka_unit_test(everything_is_within_the_memory),
        cmocka_unit_test(the_least_memory_still_gives_one_worker_and_a_ring),
        cmocka_unit_test(much_memory_gives_every_level_its_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
