/* SPDX-License-Identifier: PostgreSQL
 *
 * Points of ten seconds: averages of rates, peaks of lag, an hour and no more.
 */
#include "history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define START ((Lsn)16 << 20)

static History history;
static HistoryPoint points[HISTORY_POINTS];

static int setup(void **state)
{
    (void)state;
    history_init(&history);
    return 0;
}

static void add(int64_t second, uint64_t bytes, Lsn server_end, uint64_t lag, bool connected)
{
    static Snapshot snapshot;
    snapshot_clear(&snapshot);
    snapshot.at = second * SECOND;
    snapshot.bytes = bytes;
    snapshot.server_end = server_end;
    snapshot.lag[LAG_FLUSHED] = (StageLag){.lsn = START + bytes, .bytes = lag, .ns = lag * 10};
    history_add(&history, &snapshot, connected);
}

static void a_point_has_averages_and_peaks(void **state)
{
    (void)state;
    for (int64_t i = 0; i <= 10; i++)
        add(100 + i, (uint64_t)i * 1000, START + (uint64_t)i * 2000, i == 4 ? 77 : 5, true);
    assert_int_equal(history_copy(&history, points, HISTORY_POINTS), 1);
    assert_int_equal(points[0].at, 110 * SECOND);
    assert_int_equal(points[0].received_rate, 1000);
    assert_int_equal(points[0].generated_rate, 2000);
    assert_int_equal(points[0].lag[LAG_FLUSHED].bytes, 77);
    assert_int_equal(points[0].lag[LAG_FLUSHED].ns, 770);
    assert_int_equal(points[0].lag[LAG_FLUSHED].lsn, START + 10000);
    assert_int_equal(points[0].lag[LAG_RECEIVED].bytes, 0); /* not known */
}

static void an_hour_is_kept(void **state)
{
    (void)state;
    for (int64_t i = 0; i <= 5000; i++)
        add(100 + i, (uint64_t)i * 1000, START, 0, true);
    assert_int_equal(history_copy(&history, points, HISTORY_POINTS), HISTORY_POINTS);
    assert_int_equal(points[HISTORY_POINTS - 1].at, 5100 * SECOND);
    assert_int_equal(points[0].at, (5100 - 3590) * SECOND);
    assert_int_equal(history_copy(&history, points, 2), 2);
    assert_int_equal(points[1].at, 5100 * SECOND);
}

static void nothing_is_said_of_a_server_that_is_away(void **state)
{
    (void)state;
    add(100, 0, START, 0, true);
    add(110, 0, START, 0, false);
    add(120, 0, START + 1000000, 0, true);
    add(130, 0, START + 1001000, 0, true);
    assert_int_equal(history_copy(&history, points, HISTORY_POINTS), 3);
    assert_true(points[0].generated_rate == SNAPSHOT_UNKNOWN);
    assert_true(points[1].generated_rate == SNAPSHOT_UNKNOWN);
    assert_int_equal(points[2].generated_rate, 100);
}

static void a_clock_that_is_set_back_breaks_nothing(void **state)
{
    (void)state;
    add(1000, 0, START, 0, true);
    add(1005, 0, START, 99, true);
    add(100, 10, START, 1, true);
    add(110, 1010, START - 5, 2, true);
    assert_int_equal(history_copy(&history, points, HISTORY_POINTS), 1);
    assert_int_equal(points[0].received_rate, 100);
    assert_int_equal(points[0].generated_rate, 0);
    assert_int_equal(points[0].lag[LAG_FLUSHED].bytes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_point_has_averages_and_peaks, setup),
        cmocka_unit_test_setup(an_hour_is_kept, setup),
        cmocka_unit_test_setup(nothing_is_said_of_a_server_that_is_away, setup),
        cmocka_unit_test_setup(a_clock_that_is_set_back_breaks_nothing, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
