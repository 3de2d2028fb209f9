/* SPDX-License-Identifier: PostgreSQL
 *
 * Each rule by itself: which records stop a recovery, before or after them, and which segments the
 * index lets one leave out.
 */
#include "find_internal.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const WalEvent none = {.kind = WAL_EVENT_NONE};
static const WalEvent commit = {.kind = WAL_EVENT_COMMIT, .xid = 7, .time = 100};
static const WalEvent abort_ = {.kind = WAL_EVENT_ABORT, .xid = 7, .time = 100};
static const WalEvent point = {.kind = WAL_EVENT_RESTORE_POINT, .time = 100, .name = "p"};

static void assert_rule(const FindTarget *target, const WalEvent *event, bool before, bool after)
{
    assert_int_equal(find_stops_before(target, 50, event), before);
    assert_int_equal(find_stops_after(target, 50, event), after);
}

static void times_stop_before_ends_of_transactions_only(void **state)
{
    (void)state;
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        FindTarget target = {.kind = FIND_TIME, .exclusive = exclusive == 1};
        for (target.time = 99; target.time <= 101; target.time++) {
            bool stops = target.time < 100 || (exclusive == 1 && target.time == 100);
            assert_rule(&target, &commit, stops, false);
            assert_rule(&target, &abort_, stops, false);
            assert_rule(&target, &point, false, false);
            assert_rule(&target, &none, false, false);
        }
    }
}

static void xids_are_equal_or_not(void **state)
{
    FindTarget target = {.kind = FIND_XID, .xid = 7};
    (void)state;
    assert_rule(&target, &commit, false, true);
    assert_rule(&target, &abort_, false, true);
    assert_rule(&target, &point, false, false);
    target.exclusive = true;
    assert_rule(&target, &commit, true, false);
    target.xid = 6;
    assert_rule(&target, &commit, false, false);
    target.xid = 0; /* no transaction's, but that of every other record */
    assert_rule(&target, &none, false, false);
    assert_rule(&target, &point, false, false);
}

static void positions_stop_at_any_record(void **state)
{
    FindTarget target = {.kind = FIND_LSN, .lsn = 50};
    (void)state;
    assert_rule(&target, &none, false, true);
    assert_rule(&target, &commit, false, true);
    target.exclusive = true;
    assert_rule(&target, &none, true, false);
    target.lsn = 51;
    assert_rule(&target, &none, false, false);
    target.lsn = 1;
    assert_rule(&target, &none, true, false);
}

static void names_are_whole(void **state)
{
    FindTarget target = {.kind = FIND_POINT, .name = "p"};
    (void)state;
    assert_rule(&target, &point, false, true);
    assert_rule(&target, &commit, false, false);
    target.name = "";
    assert_rule(&target, &point, false, false);
    assert_rule(&target, &commit, false, false);
    target.name = "pq";
    assert_rule(&target, &point, false, false);
    target = (FindTarget){.kind = FIND_LATEST};
    assert_rule(&target, &commit, false, false);
    assert_rule(&target, &none, false, false);
}

static void segments_without_transactions_are_left_out(void **state)
{
    static IndexEntry entry; /* oldest, newest and XIDs are 0 */
    (void)state;
    assert_false(find_entry_may_stop(&(FindTarget){.kind = FIND_TIME, .time = -5}, &entry));
    assert_false(find_entry_may_stop(&(FindTarget){.kind = FIND_XID, .xid = 0}, &entry));
    entry.aborts = 1;
    assert_true(find_entry_may_stop(&(FindTarget){.kind = FIND_TIME, .time = -5}, &entry));
    assert_true(find_entry_may_stop(&(FindTarget){.kind = FIND_XID, .xid = 0}, &entry));
}

static void ranges_of_xids_go_over_the_end(void **state)
{
    static IndexEntry entry = {.commits = 2, .xid_low = 4294967290U, .xid_high = 5};
    FindTarget target = {.kind = FIND_XID};
    (void)state;
    static const uint32_t inside[] = {4294967290U, 4294967295U, 3, 5};
    static const uint32_t outside[] = {4294967289U, 6, 2000000000U};
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        target.xid = inside[i];
        assert_true(find_entry_may_stop(&target, &entry));
    }
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        target.xid = outside[i];
        assert_false(find_entry_may_stop(&target, &entry));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_stop_before_ends_of_transactions_only),
        cmocka_unit_test(xids_are_equal_or_not),
        cmocka_unit_test(positions_stop_at_any_record),
        cmocka_unit_test(names_are_whole),
        cmocka_unit_test(segments_without_transactions_are_left_out),
        cmocka_unit_test(ranges_of_xids_go_over_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
