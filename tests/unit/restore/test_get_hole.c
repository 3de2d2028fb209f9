/* SPDX-License-Identifier: PostgreSQL
 *
 * A segment that is missing: the end of the archive, or a hole in it.
 */
#include "get_fixture.h"

#define LATER (SEGNO + 2)
#define HOLE (SEGNO + 1)

static bool late; /* a segment appears while the archive is looked through */

static void put_name(const char *name)
{
    scratch_write(fixture.path, name, "x", 1);
}

static void put_around(void)
{
    put(SEGNO, WAL_ZSTD);
    put(LATER, WAL_LZ4);
}

static void a_hole_is_trouble_and_both_sides_are_named(void **state)
{
    (void)state;
    put_around();
    expect_error(wanted(HOLE), ERROR_ARCHIVE, "is missing in \"");
    assert_non_null(strstr(fixture.error.message, wanted(HOLE)));
    assert_non_null(strstr(fixture.error.detail, fixture_name(SEGNO, WAL_ZSTD, false)));
    assert_non_null(strstr(fixture.error.detail, fixture_name(LATER, WAL_LZ4, false)));
    assert_non_null(strstr(fixture.error.hint, "--on-gap=continue"));
}

static void the_open_segment_is_wal_behind_it(void **state)
{
    (void)state;
    put(SEGNO, WAL_RAW);
    fixture_archive(LATER, WAL_RAW, true, fixture_wal((Lsn)LATER * SEGMENT), SEGMENT);
    expect_error(wanted(HOLE), ERROR_ARCHIVE, "is missing");
}

static void the_end_and_what_is_before_the_beginning_are_not_there(void **state)
{
    (void)state;
    put_around();
    expect_absent(wanted(LATER + 1));
    expect_absent(wanted(SEGNO - 1));
}

static void who_passes_gaps_ends_there(void **state)
{
    (void)state;
    put_around();
    server.request.pass_gaps = true;
    expect_absent(wanted(HOLE));
}

static void a_standby_may_get_it_from_its_primary(void **state)
{
    (void)state;
    put_around();
    scratch_write(fixture.path, "data/standby.signal", "", 0);
    expect_absent(wanted(HOLE));
}

/* Looks in the target's directory, which must not hold anything of ours. */
static void expect_own(const void *content, bool absent)
{
    char own[SCRATCH_PATH_SIZE];
    bool placed;
    (void)snprintf(own, sizeof(own), "data/pg_wal/%s", wanted(HOLE));
    scratch_write(fixture.path, own, content, SEGMENT);
    server.request.name = wanted(HOLE);
    assert_true(get_file(&server.request, &placed, &fixture.error) == absent);
    assert_false(absent && placed);
    assert_int_equal(scratch_count(fixture.path, "data/pg_wal"), 1);
}

static void a_server_that_has_it_is_let_go_on(void **state)
{
    (void)state;
    put_around();
    expect_own(fixture_wal((Lsn)HOLE * SEGMENT), true);
    expect_own(fixture_wal((Lsn)SEGNO * SEGMENT), false); /* recycled: the name, not the WAL */
}

static void expect_given_in_part(size_t length)
{
    size_t whole = (size_t)(fixture_record_before((Lsn)HOLE * SEGMENT + length) - HOLE * SEGMENT);
    expect_placed(wanted(HOLE), filled(HOLE, whole), SEGMENT);
    assert_int_equal(server.warnings, 0);
}

/* A receiver lost its slot and began anew behind the open segment. */
static void an_open_segment_that_wal_follows_is_a_hole(void **state)
{
    (void)state;
    put(LATER, WAL_RAW);
    fixture_archive(HOLE, WAL_RAW, true, fixture_wal((Lsn)HOLE * SEGMENT), 100000);
    expect_error(wanted(HOLE), ERROR_ARCHIVE, "is only in part in \"");
    assert_non_null(strstr(fixture.error.detail, fixture_name(HOLE, WAL_RAW, true)));
    assert_non_null(strstr(fixture.error.detail, wanted(LATER)));
    server.request.pass_gaps = true;
    expect_given_in_part(100000);
    server.request.pass_gaps = false;
    scratch_write(fixture.path, "data/standby.signal", "", 0);
    expect_given_in_part(100000);
}

static void an_open_segment_without_wal_fills_no_hole(void **state)
{
    (void)state;
    put_around();
    fixture_archive(HOLE, WAL_RAW, true, "", 0);
    expect_error(wanted(HOLE), ERROR_ARCHIVE, "is missing");
}

/* Which timeline must have it. */
static void put_history(const char *name, const char *text)
{
    scratch_write(fixture.path, name, text, strlen(text));
}

static void a_timeline_that_begins_later_need_not_have_it(void **state)
{
    char history[64];
    (void)state;
    put_around();
    put_name("000000020000000000000020");
    (void)snprintf(history, sizeof(history), "1\t0/%X00100\tby a test\n", LATER);
    put_history("00000002.history", history);
    char name[WAL_FILE_NAME_SIZE];
    wal_segment_name(2, HOLE, SEGMENT, WAL_RAW, false, name);
    expect_absent(name);
}

static void a_newer_timeline_needs_it_only_before_it_left(void **state)
{
    char history[64];
    (void)state;
    put(SEGNO, WAL_RAW);
    put_name("000000020000000000000020");
    (void)snprintf(history, sizeof(history), "1\t0/%X00100\tby a test\n", SEGNO);
    put_history("00000002.history", history);
    expect_absent(wanted(HOLE)); /* the end of a dead branch */
    (void)snprintf(history, sizeof(history), "1\t0/%X00100\tby a test\n", LATER);
    put_history("00000002.history", history);
    expect_error(wanted(HOLE), ERROR_ARCHIVE, "is missing");
    assert_non_null(strstr(fixture.error.detail, "000000020000000000000020"));
}

/* recovery_target_timeline = 'current' or a number, and --partial=never. */
static void a_timeline_that_has_the_segment_does_not_need_it_from_another(void **state)
{
    char history[64];
    char name[WAL_FILE_NAME_SIZE];
    (void)state;
    put(SEGNO, WAL_RAW);
    (void)snprintf(history, sizeof(history), "1\t0/%X00100\tby a test\n", HOLE);
    put_history("00000002.history", history);
    put_name("000000020000000000000020");
    expect_error(wanted(HOLE), ERROR_ARCHIVE, "is missing");
    wal_segment_name(2, HOLE, SEGMENT, WAL_ZSTD, false, name);
    put_name(name);
    expect_absent(wanted(HOLE));
}

static void a_newer_history_stands_for_one_that_is_lost(void **state)
{
    char history[96];
    char name[WAL_FILE_NAME_SIZE];
    (void)state;
    put(SEGNO, WAL_RAW);
    put_name("000000030000000000000020");
    (void)snprintf(history, sizeof(history), "1\t0/%X00100\tby a test\n2\t0/%X00100\tby a test\n",
                   SEGNO, LATER);
    put_history("00000003.history", history);
    expect_error(wal_segment_name(2, HOLE, SEGMENT, WAL_RAW, false, name), ERROR_ARCHIVE,
                 "is missing");
    expect_absent(wal_segment_name(2, SEGNO - 1, SEGMENT, WAL_RAW, false, name));
}

/* Once the names are read. */
static void appear(const FakeEvent *event)
{
    if (late && event->call == FAKE_OPENAT && strcmp(event->name, ".") == 0) {
        late = false;
        put(HOLE, WAL_RAW);
    }
}

static void a_segment_that_comes_meanwhile_is_placed(void **state)
{
    (void)state;
    put_around();
    late = true;
    fake_files_observe(appear);
    expect_placed(wanted(HOLE), fixture_wal((Lsn)HOLE * SEGMENT), SEGMENT);
    assert_false(late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_hole_is_trouble_and_both_sides_are_named),
        CASE(the_open_segment_is_wal_behind_it),
        CASE(the_end_and_what_is_before_the_beginning_are_not_there),
        CASE(who_passes_gaps_ends_there),
        CASE(an_open_segment_that_wal_follows_is_a_hole),
        CASE(an_open_segment_without_wal_fills_no_hole),
        CASE(a_timeline_that_has_the_segment_does_not_need_it_from_another),
        CASE(a_newer_history_stands_for_one_that_is_lost),
        CASE(a_standby_may_get_it_from_its_primary),
        CASE(a_server_that_has_it_is_let_go_on),
        CASE(a_timeline_that_begins_later_need_not_have_it),
        CASE(a_newer_timeline_needs_it_only_before_it_left),
        CASE(a_segment_that_comes_meanwhile_is_placed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
