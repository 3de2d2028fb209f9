/* SPDX-License-Identifier: PostgreSQL
 *
 * Which segment is the first that stays: of all wishes the one that keeps most, and never into what
 * is protected.
 */
#include "walrx/archive/prune.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static PruneHorizon choose(const PruneFacts *facts)
{
    PruneHorizon horizon;
    prune_choose(facts, &horizon);
    return horizon;
}

static PruneFacts plain(void)
{
    return (PruneFacts){.newest = 100, .limit = UINT64_MAX};
}

static void without_a_wish_nothing_goes(void **state)
{
    PruneFacts facts = plain();
    (void)state;
    PruneHorizon horizon = choose(&facts);
    assert_int_equal(horizon.segno, 0);
    assert_int_equal(horizon.asked, PRUNE_CAUSE_NONE);
}

static void the_wish_that_keeps_more_wins(void **state)
{
    PruneFacts facts = plain();
    (void)state;
    facts.by_from = facts.by_time = facts.by_size = true;
    facts.from = 40;
    facts.recent = 31;
    facts.fits = 50;
    PruneHorizon horizon = choose(&facts);
    assert_int_equal(horizon.segno, 30);
    assert_int_equal(horizon.asked, PRUNE_CAUSE_TIME);
    assert_int_equal(horizon.held_by, PRUNE_CAUSE_NONE);
    assert_int_equal(horizon.from, 40);
    assert_int_equal(horizon.time, 30);
    assert_int_equal(horizon.size, 50);
    facts.from = 20;
    horizon = choose(&facts);
    assert_int_equal(horizon.segno, 20);
    assert_int_equal(horizon.asked, PRUNE_CAUSE_FROM);
    facts.fits = 10;
    horizon = choose(&facts);
    assert_int_equal(horizon.segno, 10);
    assert_int_equal(horizon.asked, PRUNE_CAUSE_SIZE);
}

/* The record of the first recent commit may begin in the segment before. */
static void by_time_one_segment_more_stays(void **state)
{
    PruneFacts facts = plain();
    (void)state;
    facts.by_time = true;
    facts.recent = 0;
    assert_int_equal(choose(&facts).segno, 0);
    facts.recent = 7;
    assert_int_equal(choose(&facts).segno, 6);
    assert_true(choose(&facts).base == SIZE_MAX);
}

static void by_time_the_newest_backup_that_is_old_enough_counts(void **state)
{
    const PruneBackup backups[] = {{20, true}, {30, true}, {40, false}};
    PruneFacts facts = plain();
    (void)state;
    facts.by_time = true;
    facts.recent = 60;
    facts.backups = backups;
    facts.backup_count = 3;
    PruneHorizon horizon = choose(&facts);
    assert_int_equal(horizon.time, 30);
    assert_int_equal(horizon.base, 1);
    /* The older one is registered, too, and so holds it. */
    assert_int_equal(horizon.segno, 20);
    assert_int_equal(horizon.held_by, PRUNE_CAUSE_BACKUP);
    assert_int_equal(horizon.holder, 0);
    facts.backups = backups + 1;
    facts.backup_count = 2;
    horizon = choose(&facts);
    assert_int_equal(horizon.segno, 30);
    assert_int_equal(horizon.held_by, PRUNE_CAUSE_NONE);
    /* None is old enough: by commit times, and not behind the backup. */
    facts.backups = backups + 2;
    facts.backup_count = 1;
    horizon = choose(&facts);
    assert_int_equal(horizon.time, 59);
    assert_true(horizon.base == SIZE_MAX);
    assert_int_equal(horizon.segno, 40);
    assert_int_equal(horizon.held_by, PRUNE_CAUSE_BACKUP);
    facts.recent = 35;
    assert_int_equal(choose(&facts).segno, 34);
}

static void the_newest_wal_and_a_receivers_work_stay(void **state)
{
    const PruneBackup backup = {99, false};
    PruneFacts facts = plain();
    (void)state;
    facts.by_from = true;
    facts.from = 1000;
    PruneHorizon horizon = choose(&facts);
    assert_int_equal(horizon.segno, 100);
    assert_int_equal(horizon.held_by, PRUNE_CAUSE_NEWEST);
    facts.limit = 90;
    horizon = choose(&facts);
    assert_int_equal(horizon.segno, 90);
    assert_int_equal(horizon.held_by, PRUNE_CAUSE_RECEIVER);
    facts.backups = &backup;
    facts.backup_count = 1;
    assert_int_equal(choose(&facts).held_by, PRUNE_CAUSE_RECEIVER);
    facts.by_from = false;
    facts.by_size = true;
    facts.fits = UINT64_MAX; /* not even the newest fits */
    facts.limit = UINT64_MAX;
    horizon = choose(&facts);
    assert_int_equal(horizon.segno, 99);
    assert_int_equal(horizon.held_by, PRUNE_CAUSE_BACKUP);
    assert_int_equal(horizon.asked, PRUNE_CAUSE_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_wish_nothing_goes),
        cmocka_unit_test(the_wish_that_keeps_more_wins),
        cmocka_unit_test(by_time_one_segment_more_stays),
        cmocka_unit_test(by_time_the_newest_backup_that_is_old_enough_counts),
        cmocka_unit_test(the_newest_wal_and_a_receivers_work_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
