/* SPDX-License-Identifier: PostgreSQL
 *
 * What the verifier says of the ends of an archive: partials and what lies behind their WAL, gaps
 * that were accepted or not, and timelines along their history files.
 */
#include "walrx/archive/gap.h"

#include "verify_fixture.h"

#include "../proto/walmaker.h"

static uint8_t other[SEGMENTS * SEGMENT];

/* Partials ---------------------------------------------------------------------------------------
 */

/* The last segment becomes a partial with WAL up to `end`, a place in the log. */
static void make_partial(Lsn end)
{
    size_t at = (size_t)(end - FIXTURE_START);
    remove_segment(SEGMENTS - 1);
    memset(copy + at, 0, sizeof(copy) - at);
    put(SEGMENTS - 1, WAL_RAW, true);
}

static const VerifyTail *tail_of_last(void)
{
    expect_sound();
    assert_int_equal(result.range_count, 1);
    assert_true(result.ranges[0].tail.partial);
    return &result.ranges[0].tail;
}

static void zeros_behind_a_partial_are_named(void **state)
{
    (void)state;
    Lsn end = fixture_record_before(LSN_OF(4) + 300000);
    make_partial(end);
    const VerifyTail *tail = tail_of_last();
    assert_int_equal(tail->end, end);
    assert_false(tail->record_open);
    assert_true(tail->zero_bytes >= LSN_OF(5) - end && tail->zero_bytes < LSN_OF(5) - end + 8);
    assert_int_equal(tail->old_bytes, 0);
}

/* Wherever the writing stopped: that is no damage. */
static void a_record_cut_anywhere_is_named_and_no_damage(void **state)
{
    (void)state;
    for (size_t cut = 300000; cut < 300000 + 3 * WAL_PAGE_SIZE; cut += 511) {
        Lsn lsn = LSN_OF(4) + cut / 8 * 8;
        Lsn whole = fixture_record_before(lsn);
        put_all();
        make_partial(lsn);
        const VerifyTail *tail = tail_of_last();
        assert_int_equal(tail->end, whole);
        if (lsn > whole && lsn % WAL_PAGE_SIZE > WAL_PAGE_SHORT_HEADER &&
            whole % WAL_PAGE_SIZE != 0)
            assert_true(tail->record_open);
    }
}

/* The record began in the segment before: its end was not received. */
static void a_record_cut_right_behind_a_joint_is_no_damage(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 200; cut += cut == 0 ? WAL_PAGE_LONG_HEADER : 8) {
        put_all();
        make_partial(LSN_OF(4) + cut);
        const VerifyTail *tail = tail_of_last();
        assert_int_equal(tail->end, fixture_record_before(LSN_OF(4) + cut));
    }
}

/* WAL that is missing before the partial is no torn end, though nothing in the partial follows. */
static void damage_before_a_partial_stays_damage(void **state)
{
    (void)state;
    make_partial(LSN_OF(4));
    memset(copy + 4 * SEGMENT - 3 * WAL_PAGE_SIZE, 0, 3 * WAL_PAGE_SIZE);
    put(3, WAL_RAW, false);
    const VerifyProblem *problem = expect_one(VERIFY_DAMAGE, NAME(3), "zeros");
    assert_int_equal(problem->lsn, LSN_OF(4) - 3 * WAL_PAGE_SIZE);
    assert_true(problem->end >= LSN_OF(4));
}

static void old_wal_behind_a_partial_is_named(void **state)
{
    (void)state;
    size_t end = 4 * SEGMENT + 40 * WAL_PAGE_SIZE;
    Lsn whole = fixture_record_before(FIXTURE_START + end);
    remove_segment(4);
    memcpy(copy + end, copy + end - 3 * SEGMENT, sizeof(copy) - end);
    put(4, WAL_RAW, true);
    const VerifyTail *tail = tail_of_last();
    assert_int_equal(tail->end, whole);
    assert_true(tail->record_open);
    assert_int_equal(tail->old_bytes, sizeof(copy) - end);
    assert_int_equal(tail->old_lsn, FIXTURE_START + end);
    assert_int_equal(tail->old_address, FIXTURE_START + end - 3 * SEGMENT);
}

static void damage_in_a_partial_is_no_end(void **state)
{
    (void)state;
    make_partial(fixture_record_before(LSN_OF(4) + 300000));
    Lsn record = fixture_record_from(LSN_OF(4) + 100000);
    copy[record + 30 - FIXTURE_START] ^= 1;
    put(4, WAL_RAW, true);
    const char *name = fixture_name(FIXTURE_SEGNO + 4, WAL_RAW, true);
    const VerifyProblem *problem = expect_one(VERIFY_DAMAGE, name, "incorrect checksum");
    assert_int_equal(problem->begin, record);
    /* a page that was lost, with WAL behind it */
    put_all();
    make_partial(fixture_record_before(LSN_OF(4) + 300000));
    memset(copy + 4 * SEGMENT + 10 * WAL_PAGE_SIZE, 0, WAL_PAGE_SIZE);
    put(4, WAL_RAW, true);
    (void)expect_one(VERIFY_DAMAGE, name, "zeros");
}

static void a_wrong_bit_in_the_last_record_of_a_partial_is_damage(void **state)
{
    (void)state;
    Lsn end = fixture_record_before(LSN_OF(4) + 300000);
    make_partial(end);
    copy[end - 60 - FIXTURE_START] ^= 1;
    put(4, WAL_RAW, true);
    (void)expect_one(VERIFY_DAMAGE, fixture_name(FIXTURE_SEGNO + 4, WAL_RAW, true), "checksum");
}

static void partials_of_wrong_sizes_and_packed_ones_are_read(void **state)
{
    (void)state;
    remove_segment(4);
    fixture_archive(FIXTURE_SEGNO + 4, WAL_RAW, true, copy + 4 * SEGMENT, 0);
    const VerifyTail *tail = tail_of_last();
    assert_true(tail->cut);
    fixture_archive(FIXTURE_SEGNO + 4, WAL_RAW, true, copy + 4 * SEGMENT, 300001);
    assert_true(tail_of_last()->cut);
    assert_int_equal(fixture_teardown(NULL), 0);
    assert_int_equal(fixture_setup(NULL), 0);
    put_all();
    remove_segment(4);
    fixture_archive(FIXTURE_SEGNO + 4, WAL_GZIP, true, copy + 4 * SEGMENT, 300001);
    tail = tail_of_last();
    assert_true(tail->cut);
    assert_int_equal(tail->end, fixture_record_before(LSN_OF(4) + 300001));
}

/* Gaps -------------------------------------------------------------------------------------------
 */

static void a_gap_has_both_ends(void **state)
{
    (void)state;
    remove_segment(1);
    remove_segment(2);
    run();
    assert_false(result.sound);
    assert_int_equal(result.problem_total, 0);
    assert_int_equal(result.gap_count, 1);
    const VerifyGap *gap = &result.gaps[0];
    assert_int_equal(gap->begin, LSN_OF(1));
    assert_int_equal(gap->end, LSN_OF(3));
    assert_false(gap->recorded);
    assert_string_equal(gap->before, NAME(0));
    assert_string_equal(gap->first_missing, NAME(1));
    assert_string_equal(gap->last_missing, NAME(2));
    assert_string_equal(gap->after, NAME(3));
    assert_int_equal(result.range_count, 2);
    assert_int_equal(result.ranges[1].checked_from, fixture_record_from(LSN_OF(3)));
}

static void a_recorded_gap_is_told_and_is_no_fault(void **state)
{
    Gap gap = {.timeline = 1, .begin = LSN_OF(1), .end = LSN_OF(3)};
    (void)state;
    assert_true(gap_record(&fixture.archive, &gap, "now", &fixture.error));
    remove_segment(1);
    remove_segment(2);
    expect_sound();
    assert_int_equal(result.gap_count, 1);
    assert_true(result.gaps[0].recorded);
    remove_segment(0); /* now the archive begins behind it */
    expect_sound();
    put_all();
    remove_segment(1);
    remove_segment(2);
    remove_segment(3);
    run();
    assert_false(result.sound); /* more is missing than was accepted */
    assert_false(result.gaps[0].recorded);
}

/* When receiving went on behind a gap the open segment stayed as it was. */
static void a_partial_in_the_middle_begins_a_gap(void **state)
{
    Lsn end = fixture_record_before(LSN_OF(2) + 300000);
    Gap gap = {.timeline = 1, .begin = LSN_OF(2), .end = LSN_OF(3)};
    (void)state;
    remove_segment(2);
    memset(copy + (end - FIXTURE_START), 0, (size_t)(LSN_OF(3) - end));
    put(2, WAL_RAW, true);
    run();
    assert_false(result.sound);
    assert_int_equal(result.gap_count, 1);
    assert_int_equal(result.gaps[0].begin, end);
    assert_int_equal(result.gaps[0].end, LSN_OF(3));
    assert_true(gap_record(&fixture.archive, &gap, "now", &fixture.error));
    expect_sound();
    assert_true(result.gaps[0].recorded);
}

/* Timelines --------------------------------------------------------------------------------------
 */

#define FORK_SEGMENT 2
#define FORK (fixture_record_before(LSN_OF(FORK_SEGMENT) + 500000))

static void put_history(Timeline timeline, const char *text)
{
    char name[WAL_FILE_NAME_SIZE];
    wal_history_name(timeline, name);
    scratch_write(fixture.path, name, text, strlen(text));
}

static void put_history_of_two(void)
{
    char text[100];
    char lsn[LSN_TEXT_SIZE];
    (void)snprintf(text, sizeof(text), "1\t%s\tno recovery target specified\n",
                   lsn_format(FORK, lsn));
    put_history(2, text);
}

/* Timeline 2 leaves 1 at FORK; timeline 1 ends in a partial there. */
static void make_fork(void)
{
    size_t at = (size_t)(FORK - FIXTURE_START);
    memcpy(other, copy, at);
    WalMaker maker = maker_over(other, sizeof(other), FIXTURE_START, FIXTURE_SIZE);
    maker.length = at;
    maker.timeline = 2;
    maker.previous = FORK;
    while (fixture_record_from(maker.previous - 1) >= FORK)
        maker.previous--;
    maker.previous = fixture_record_from(maker.previous - 1);
    while (maker.length < 4 * SEGMENT)
        (void)maker_record(&maker, 777, 11, 0);
    for (SegNo i = FORK_SEGMENT; i < 4; i++)
        put_other(2, i, false, other + i * SEGMENT);
    put_history_of_two();
    for (SegNo i = FORK_SEGMENT; i < SEGMENTS; i++)
        remove_segment(i);
    memset(copy + at, 0, sizeof(copy) - at);
    put(FORK_SEGMENT, WAL_RAW, true);
}

static void timelines_along_their_history_are_sound(void **state)
{
    (void)state;
    make_fork();
    expect_sound();
    assert_int_equal(result.gap_count, 0);
    assert_int_equal(result.timeline_count, 2);
    assert_int_equal(result.timelines[1].parent, 1);
    assert_int_equal(result.timelines[1].switch_lsn, FORK);
    assert_int_equal(result.range_count, 2);
    assert_int_equal(result.ranges[0].tail.end, FORK);
    /* The record that leads into timeline 2 was checked from timeline 1. */
    assert_int_equal(result.ranges[1].checked_from, result.ranges[1].begin);
}

static void a_dead_branch_beyond_the_fork_is_fine(void **state)
{
    (void)state;
    make_fork();
    put_all();
    bool existed;
    assert_true(file_remove(&fixture.archive.dir,
                            fixture_name(FIXTURE_SEGNO + FORK_SEGMENT, WAL_RAW, true), &existed,
                            &fixture.error));
    expect_sound();
    assert_int_equal(result.gap_count, 0);
}

static void the_joint_of_two_timelines_is_checked(void **state)
{
    (void)state;
    make_fork();
    other[FORK_SEGMENT * SEGMENT + WAL_PAGE_LONG_HEADER + 2] ^= 1;
    put_other(2, FORK_SEGMENT, false, other + FORK_SEGMENT * SEGMENT);
    run();
    bool damage = false;
    bool difference = false;
    for (size_t i = 0; i < result.problem_count; i++) {
        damage = damage || result.problems[i].kind == VERIFY_DAMAGE;
        difference = difference || result.problems[i].kind == VERIFY_DIFFERENCE;
    }
    assert_true(damage && difference);
    assert_int_equal(result.problem_total, 2);
}

static void a_gap_between_timelines_is_told(void **state)
{
    char name[WAL_FILE_NAME_SIZE];
    bool existed;
    (void)state;
    make_fork();
    wal_segment_name(2, FIXTURE_SEGNO + FORK_SEGMENT, FIXTURE_SIZE, WAL_RAW, false, name);
    assert_true(file_remove(&fixture.archive.dir, name, &existed, &fixture.error));
    run();
    assert_false(result.sound);
    assert_int_equal(result.gap_count, 1);
    assert_int_equal(result.gaps[0].begin, FORK);
    assert_int_equal(result.gaps[0].end, LSN_OF(FORK_SEGMENT + 1));
    assert_string_equal(result.gaps[0].first_missing, name);
}

/* It is missing for both timelines. */
static void a_gap_before_the_fork_is_told_once(void **state)
{
    (void)state;
    make_fork();
    remove_segment(FORK_SEGMENT - 1);
    run();
    assert_false(result.sound);
    assert_int_equal(result.gap_count, 1);
    assert_int_equal(result.gaps[0].begin, LSN_OF(FORK_SEGMENT - 1));
    assert_int_equal(result.gaps[0].end, LSN_OF(FORK_SEGMENT));
}

static void history_files_must_be_there_and_agree(void **state)
{
    char name[WAL_FILE_NAME_SIZE];
    bool existed;
    (void)state;
    make_fork();
    wal_history_name(2, name);
    assert_true(file_remove(&fixture.archive.dir, name, &existed, &fixture.error));
    (void)expect_one(VERIFY_HISTORY, "00000002.history", "missing");
    put_history(2, "nonsense\n");
    (void)expect_one(VERIFY_HISTORY, "00000002.history", "history");
    put_history_of_two();
    put_history(3, "1\t0/100\tother\n2\t0/900000\tlater\n");
    (void)expect_one(VERIFY_HISTORY, "00000003.history", "another history of timeline 2");
}

static void pages_of_the_wrong_timeline_are_told(void **state)
{
    (void)state;
    make_fork();
    put_history(2, "1\t0/700000\twrong\n"); /* the fork is later */
    run();
    assert_false(result.sound);
    assert_non_null(strstr(result.problems[0].message, "timeline 1 where timeline 2 belongs"));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(zeros_behind_a_partial_are_named),
        CASE(a_record_cut_anywhere_is_named_and_no_damage),
        CASE(a_record_cut_right_behind_a_joint_is_no_damage),
        CASE(damage_before_a_partial_stays_damage),
        CASE(old_wal_behind_a_partial_is_named),
        CASE(damage_in_a_partial_is_no_end),
        CASE(a_wrong_bit_in_the_last_record_of_a_partial_is_damage),
        CASE(partials_of_wrong_sizes_and_packed_ones_are_read),
        CASE(a_gap_has_both_ends),
        CASE(a_recorded_gap_is_told_and_is_no_fault),
        CASE(a_partial_in_the_middle_begins_a_gap),
        CASE(timelines_along_their_history_are_sound),
        CASE(a_dead_branch_beyond_the_fork_is_fine),
        CASE(the_joint_of_two_timelines_is_checked),
        CASE(a_gap_between_timelines_is_told),
        CASE(a_gap_before_the_fork_is_told_once),
        CASE(history_files_must_be_there_and_agree),
        CASE(pages_of_the_wrong_timeline_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
