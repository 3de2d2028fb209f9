/* SPDX-License-Identifier: PostgreSQL
 *
 * Which segment a server gets next: along the newest timeline that its own leads to, by the rules
 * of XLogFileReadAnyTLI, until it shows that it goes elsewhere. Only names matter here.
 */
#include "get_fixture.h"

#include "prefetch_internal.h"

static PrefetchPath path;

static int begin(void **state)
{
    int failed = setup(state);
    prefetch_path_begin(&path, &fixture.archive, 1);
    return failed;
}

static void put_segment(Timeline timeline, SegNo segno, WalCompression form, bool partial)
{
    char name[WAL_FILE_NAME_SIZE];
    (void)wal_segment_name(timeline, segno, FIXTURE_SIZE, form, partial, name);
    scratch_write(fixture.path, name, "x", 1);
}

static void put_segments(Timeline timeline, SegNo first, SegNo last)
{
    for (SegNo segno = first; segno <= last; segno++)
        put_segment(timeline, segno, WAL_ZSTD, false);
}

/* The switch is in the middle of the segment; the parent's own history stands before it. */
static void put_history(Timeline timeline, Timeline parent, SegNo segno)
{
    char name[WAL_FILE_NAME_SIZE];
    char text[1024] = "";
    char position[LSN_TEXT_SIZE];
    size_t length = 0;
    (void)wal_history_name(parent, name);
    if (scratch_exists(fixture.path, name)) {
        uint8_t *older = scratch_read(fixture.path, name, &length);
        assert_in_range(length, 1, sizeof(text) / 2);
        memcpy(text, older, length);
        free(older);
    }
    (void)lsn_format((Lsn)segno * SEGMENT + SEGMENT / 2, position);
    length += (size_t)snprintf(text + length, sizeof(text) - length, "%u\t%s\twhy\n",
                               (unsigned)parent, position);
    scratch_write(fixture.path, wal_history_name(timeline, name), text, length);
}

/* From one segment on to the end: "1:5 1:6 2:7". */
static const char *way(Timeline timeline, SegNo segno)
{
    static char text[512];
    size_t used = 0;
    PrefetchStep step = {.timeline = timeline, .segno = segno};
    text[0] = '\0';
    while (prefetch_path_next(&path, &step, &step) && used < sizeof(text) - 32)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u:%u", used > 0 ? " " : "",
                                 (unsigned)step.timeline, (unsigned)step.segno);
    return text;
}

static void it_goes_on_until_something_is_missing(void **state)
{
    (void)state;
    assert_string_equal(way(1, 4), "");
    put_segments(1, 5, 7);
    put_segments(1, 9, 9);
    assert_string_equal(way(1, 4), "1:5 1:6 1:7");
    assert_string_equal(way(1, 7), "");
    assert_string_equal(way(1, 8), "1:9");
    assert_string_equal(way(1, segment_last(FIXTURE_SIZE)), "");
}

static void every_form_counts_but_not_the_open_one(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++)
        put_segment(1, 5 + (SegNo)form, (WalCompression)form, false);
    put_segment(1, 9, WAL_RAW, true);
    assert_string_equal(way(1, 4), "1:5 1:6 1:7 1:8");
}

static void a_newer_timeline_is_taken_from_its_beginning_on(void **state)
{
    (void)state;
    put_segments(1, 5, 9); /* 8 and 9: dead */
    put_history(2, 1, 7);
    put_segments(2, 7, 10);
    put_history(3, 2, 9);
    put_segments(3, 9, 11);
    assert_string_equal(way(1, 4), "1:5 1:6 2:7 2:8 3:9 3:10 3:11");
    assert_string_equal(way(2, 7), "2:8 3:9 3:10 3:11");
    assert_string_equal(way(3, 10), "3:11");
}

/* As the server does: it gets what is there, and never goes back to an older one. */
static void where_the_newer_one_has_nothing_the_older_one_serves(void **state)
{
    (void)state;
    put_segments(1, 5, 9);
    put_history(2, 1, 7);
    put_segments(2, 8, 8);
    assert_string_equal(way(1, 5), "1:6 1:7 2:8");
    put_segment(2, 7, WAL_RAW, true); /* what becomes of that, a request decides */
    assert_string_equal(way(1, 5), "1:6");
}

static void a_timeline_from_elsewhere_is_passed_over(void **state)
{
    (void)state;
    put_segments(1, 5, 8);
    put_history(2, 1, 6);
    put_segments(2, 6, 9);
    put_history(3, 1, 7); /* a sister of 2 */
    put_segments(3, 7, 9);
    assert_string_equal(way(1, 5), "1:6 3:7 3:8 3:9");
    prefetch_path_begin(&path, &fixture.archive, 2);
    assert_string_equal(way(2, 6), "2:7 2:8 2:9");
}

/* It recovers to another timeline than the newest: seen at the first segment that both have. */
static void what_the_server_gets_shows_where_it_goes(void **state)
{
    (void)state;
    put_segments(1, 5, 9);
    put_history(2, 1, 6);
    put_segments(2, 6, 9);
    put_history(3, 1, 7);
    put_segments(3, 7, 9);
    prefetch_path_asked(&path, 1, 5);
    assert_string_equal(way(1, 5), "1:6 3:7 3:8 3:9");
    prefetch_path_asked(&path, 1, 6); /* not to 2, to 3 perhaps */
    assert_string_equal(way(1, 6), "3:7 3:8 3:9");
    prefetch_path_asked(&path, 1, 7);
    assert_string_equal(way(1, 7), "1:8 1:9");
    prefetch_path_asked(&path, 2, 8); /* another server */
    assert_string_equal(way(2, 8), "2:9");
}

static void a_timeline_that_appears_is_followed(void **state)
{
    (void)state;
    put_segments(1, 5, 6);
    assert_string_equal(way(1, 5), "1:6");
    put_history(2, 1, 7);
    put_segments(2, 7, 7);
    assert_string_equal(way(1, 5), "1:6 2:7");
    scratch_write(fixture.path, "00000003.history", "nonsense", 8);
    put_history(4, 2, 8);
    put_segments(4, 8, 8);
    assert_string_equal(way(1, 5), "1:6 2:7 4:8");
}

static void more_branches_than_can_be_told_apart_are_left_alone(void **state)
{
    (void)state;
    put_segments(1, 5, 9);
    for (Timeline timeline = 2; timeline < 2 + PREFETCH_MAX_EXCLUDED + 3; timeline++) {
        put_history(timeline, 1, 6);
        put_segments(timeline, 6, 9);
    }
    prefetch_path_asked(&path, 1, 6);
    assert_string_equal(way(1, 6), "1:7 1:8 1:9");
    prefetch_path_asked(&path, 1, 7);
    assert_string_equal(way(1, 7), "1:8 1:9");
}

#undef CASE
#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_goes_on_until_something_is_missing),
        CASE(every_form_counts_but_not_the_open_one),
        CASE(a_newer_timeline_is_taken_from_its_beginning_on),
        CASE(where_the_newer_one_has_nothing_the_older_one_serves),
        CASE(a_timeline_from_elsewhere_is_passed_over),
        CASE(what_the_server_gets_shows_where_it_goes),
        CASE(a_timeline_that_appears_is_followed),
        CASE(more_branches_than_can_be_told_apart_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
