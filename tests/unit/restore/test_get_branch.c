/* SPDX-License-Identifier: PostgreSQL
 *
 * A partial of a timeline that was left: nothing of it is given beyond that place, unless somebody
 * insists.
 */
#include "get_fixture.h"

static void put_history(Timeline timeline, const char *text)
{
    char name[WAL_FILE_NAME_SIZE];
    scratch_write(fixture.path, wal_history_name(timeline, name), text, strlen(text));
}

static void put_partial(void)
{
    fixture_archive(SEGNO, WAL_RAW, true, fixture_wal(FIXTURE_START), SEGMENT);
}

/* "1 <lsn> why" */
static void put_fork(Timeline timeline, Lsn at)
{
    char line[64];
    char text[LSN_TEXT_SIZE];
    (void)snprintf(line, sizeof(line), "1\t%s\twhy\n", lsn_format(at, text));
    put_history(timeline, line);
}

static void a_dead_branch_ends_where_it_was_left(void **state)
{
    Lsn fork = fixture_record_before(FIXTURE_START + 400000);
    (void)state;
    put_partial();
    put_fork(2, fork);
    expect_placed(wanted(SEGNO), filled(SEGNO, (size_t)(fork - FIXTURE_START)), SEGMENT);
    expect_warning("where timeline 2 left timeline 1");
    server.request.partial = GET_PARTIAL_ALWAYS;
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
}

static void the_first_place_where_it_was_left_counts(void **state)
{
    Lsn fork = fixture_record_before(FIXTURE_START + 300000);
    (void)state;
    put_partial();
    put_fork(2, fixture_record_before(FIXTURE_START + 500000));
    put_fork(3, fork);
    put_fork(4, fixture_record_before(FIXTURE_START + 700000));
    expect_placed(wanted(SEGNO), filled(SEGNO, (size_t)(fork - FIXTURE_START)), SEGMENT);
    expect_warning("where timeline 3 left timeline 1");
}

static void nothing_is_given_of_segments_behind(void **state)
{
    (void)state;
    put_partial();
    put_fork(2, FIXTURE_START - 1000);
    expect_absent(wanted(SEGNO));
    expect_warning("left timeline 1");
    put_fork(2, FIXTURE_START);
    expect_absent(wanted(SEGNO));
}

static void timelines_that_do_not_concern_it_change_nothing(void **state)
{
    (void)state;
    put_partial();
    put_fork(2, FIXTURE_START + 2 * SEGMENT);         /* left later */
    put_history(5, "2\t0/100\twhy\n3\t0/200\twhy\n"); /* of other branches */
    scratch_write(fixture.path, "00000002.history.tmp", "x", 1);
    scratch_write(fixture.path, "000000020000000000000005.partial", "x", 1);
    scratch_write(fixture.path, "000000020000000000000006", "x", 1);
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
    assert_int_equal(server.warnings, 0);
}

static void a_complete_segment_of_a_newer_timeline_is_enough(void **state)
{
    (void)state;
    put_partial();
    scratch_write(fixture.path, "000000030000000000000005.zst", "x", 1);
    expect_absent(wanted(SEGNO));
    expect_warning("timeline 3 has this segment complete");
    server.request.partial = GET_PARTIAL_ALWAYS;
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
}

static void a_history_that_cannot_be_understood_is_trouble(void **state)
{
    (void)state;
    put_partial();
    put_history(2, "nonsense\n");
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "history file of timeline 2");
    put_history(2, "");
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_dead_branch_ends_where_it_was_left),
        CASE(the_first_place_where_it_was_left_counts),
        CASE(nothing_is_given_of_segments_behind),
        CASE(timelines_that_do_not_concern_it_change_nothing),
        CASE(a_complete_segment_of_a_newer_timeline_is_enough),
        CASE(a_history_that_cannot_be_understood_is_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
