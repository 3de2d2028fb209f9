/* SPDX-License-Identifier: PostgreSQL
 *
 * Removing WAL from random archives (prune_world.h): the horizon is where a second opinion says,
 * all before it goes and nothing else; and when a prune is killed at any call, or the power goes
 * away at any change, what is gone is the oldest WAL without a hole, and another prune ends the
 * work.
 *
 *   test_prune_cuts [SEED [COUNT]]
 */
#include "fake_files.h"
#include "power_cut.h"
#include "prune_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KILLS 12

static uint64_t first_seed = 1;
static uint64_t seeds = 60;
static World world;

static void begin(uint64_t seed)
{
    scratch_make(world.path);
    fake_files_reset();
    world_make(&world, seed);
}

static void end(void)
{
    fake_files_reset();
    scratch_remove(world.path);
}

/* The whole way of the command. *ret_horizon: as planned. */
static bool prune(const PruneWish *wish, SegNo *ret_horizon, Error *err)
{
    Archive archive;
    DirLock lock;
    PrunePlan plan;
    PruneDone done;
    *ret_horizon = 0;
    if (!archive_open_to_change(world.path, fake_files_table(), &archive, err))
        return false;
    bool ok = prune_lock(&archive, 0, &lock, err);
    if (ok) {
        ok = prune_plan(&archive, wish, NULL, &plan, err);
        if (ok)
            *ret_horizon = plan.horizon.segno;
        ok = ok && prune_run(&archive, &plan, NULL, NULL, &done, err);
        prune_plan_free(&plan);
        dirlock_release(&archive.private, &lock);
    }
    archive_close(&archive);
    return ok;
}

static void must(const char *wrong, uint64_t seed, const char *when)
{
    if (wrong != NULL)
        fail_msg("seed %llu, %s: %s", (unsigned long long)seed, when, wrong);
}

static void all_before_the_horizon_goes_and_nothing_else(void **state)
{
    uint64_t removed = 0;
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + 8 * seeds; seed++) {
        Error error;
        SegNo horizon;
        begin(seed);
        PruneWish wish = world_wish(&world);
        SegNo expected = world_horizon(&world, &wish);
        if (!prune(&wish, &horizon, &error))
            must(error.message, seed, "prune");
        if (horizon != expected)
            fail_msg("seed %llu: horizon %llu instead of %llu", (unsigned long long)seed,
                     (unsigned long long)horizon, (unsigned long long)expected);
        must(world_check(&world, world.path, horizon, false), seed, "after it");
        removed += horizon > world.timelines[0].fork;
        /* The same again: nothing is left to do. */
        SegNo again;
        if (!prune(&wish, &again, &error))
            must(error.message, seed, "prune again");
        must(world_check(&world, world.path, horizon, false), seed, "after another");
        end();
    }
    assert_true(removed > seeds); /* the test sees prunes that remove something */
}

static void a_kill_at_any_call_leaves_no_hole(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        for (unsigned i = 0; i < KILLS; i++) {
            Error error;
            SegNo ignored;
            SegNo horizon;
            begin(seed);
            PruneWish wish = world_wish(&world);
            wish.by_size = false; /* what is gone would count no more the second time */
            wish.by_from = true;
            horizon = world_horizon(&world, &wish);
            unsigned nth = 1 + (unsigned)(world_random(&world, 400) * (i + 1) / KILLS);
            fake_files_reset();
            fake_files_fail_from(FAKE_ANY, nth, EIO);
            bool ok = prune(&wish, &ignored, &error);
            fake_files_reset();
            must(world_check(&world, world.path, horizon, true), seed, "after a kill");
            if (!prune(&wish, &ignored, &error))
                must(error.message, seed, "prune after a kill");
            must(world_check(&world, world.path, horizon, false), seed, "after both");
            (void)ok;
            end();
        }
    }
}

static void one_failure_at_any_call_leaves_no_hole(void **state)
{
    (void)state;
    for (unsigned nth = 1;; nth++) {
        Error error;
        SegNo ignored;
        begin(first_seed);
        const PruneWish wish = {.by_from = true, .from = UINT64_MAX / 2, .limit = UINT64_MAX};
        SegNo horizon = world_horizon(&world, &wish);
        fake_files_reset();
        fake_files_fail(FAKE_ANY, nth, EIO);
        bool ok = prune(&wish, &ignored, &error);
        bool struck = fake_files_struck(NULL);
        fake_files_reset();
        must(world_check(&world, world.path, horizon, !ok), first_seed, "after a failure");
        end();
        if (!struck)
            break;
        assert_true(ok || error.message[0] != '\0');
    }
}

static uint64_t no_mark(void)
{
    return 0;
}

static void cut_everywhere(SegNo horizon, size_t from, uint64_t seed)
{
    for (size_t at = from; at <= power_changes(); at++) {
        for (int variant = 0; variant < POWER_VARIANT_COUNT; variant++) {
            char path[SCRATCH_PATH_SIZE];
            char when[64];
            (void)snprintf(when, sizeof(when), "power cut at change %zu, variant %d", at, variant);
            scratch_make(path);
            power_build(at, (PowerVariant)variant, at, path);
            must(world_check(&world, path, horizon, true), seed, when);
            scratch_remove(path);
        }
    }
}

static void a_power_cut_at_any_change_leaves_no_hole(void **state)
{
    size_t cuts = 0;
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + (seeds + 9) / 10; seed++) {
        Error error;
        SegNo horizon;
        scratch_make(world.path);
        fake_files_reset();
        power_begin(world.path, no_mark);
        world_make(&world, seed);
        size_t made = power_changes();
        PruneWish wish = world_wish(&world);
        if (!prune(&wish, &horizon, &error))
            must(error.message, seed, "prune");
        fake_files_reset();
        cut_everywhere(horizon, made, seed);
        cuts += power_changes() - made;
        power_end();
        end();
    }
    assert_true(cuts > seeds / 10);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_before_the_horizon_goes_and_nothing_else),
        cmocka_unit_test(a_kill_at_any_call_leaves_no_hole),
        cmocka_unit_test(one_failure_at_any_call_leaves_no_hole),
        cmocka_unit_test(a_power_cut_at_any_change_leaves_no_hole),
    };
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seeds = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
