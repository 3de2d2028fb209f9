/* SPDX-License-Identifier: PostgreSQL
 *
 * Gap records: one line each, appended, never half written.
 */
#include "walrx/archive/gap.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const Gap first = {.timeline = 1, .begin = 0x3000000, .end = 0x5000000};
static const Gap second = {.timeline = 4294967295U,
                           .begin = UINT64_C(0xFFFFFFFF00000000),
                           .end = UINT64_C(0xFFFFFFFFFF000000)};
static const char first_line[] =
    "timeline=1 begin=0/3000000 end=0/5000000 seen=2026-03-01T12:00:00.123Z\n";
static const char both_lines[] =
    "timeline=1 begin=0/3000000 end=0/5000000 seen=2026-03-01T12:00:00.123Z\n"
    "timeline=4294967295 begin=FFFFFFFF/0 end=FFFFFFFF/FF000000 seen=2026-03-02T12:00:00.123Z\n";

static void gaps_are_appended(void **state)
{
    (void)state;
    assert_true(gap_record(&fixture.archive, &first, "2026-03-01T12:00:00.123Z", &fixture.error));
    assert_true(scratch_holds(fixture.path, ".walrx/gaps", first_line, strlen(first_line)));
    assert_true(gap_record(&fixture.archive, &second, "2026-03-02T12:00:00.123Z", &fixture.error));
    assert_true(scratch_holds(fixture.path, ".walrx/gaps", both_lines, strlen(both_lines)));
}

static void the_last_gap_again_is_no_new_line(void **state)
{
    (void)state;
    assert_true(gap_record(&fixture.archive, &first, "2026-03-01T12:00:00.123Z", &fixture.error));
    uint64_t before = scratch_fingerprint(fixture.path);
    assert_true(gap_record(&fixture.archive, &first, "later", &fixture.error));
    assert_true(scratch_fingerprint(fixture.path) == before);
    assert_true(gap_record(&fixture.archive, &second, "2026-03-02T12:00:00.123Z", &fixture.error));
    assert_true(gap_record(&fixture.archive, &second, "later", &fixture.error));
    assert_true(scratch_holds(fixture.path, ".walrx/gaps", both_lines, strlen(both_lines)));
}

static void a_gap_that_differs_from_the_last_is_a_new_line(void **state)
{
    const Gap others[] = {
        {.timeline = 2, .begin = first.begin, .end = first.end},
        {.timeline = 2, .begin = first.begin + 1, .end = first.end},
        {.timeline = 2, .begin = first.begin + 1, .end = first.end + 1},
        first, /* seen before, but not last */
    };
    size_t length = strlen(first_line);
    (void)state;
    assert_true(gap_record(&fixture.archive, &first, "2026-03-01T12:00:00.123Z", &fixture.error));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_true(
            gap_record(&fixture.archive, &others[i], "2026-03-01T12:00:00.123Z", &fixture.error));
        length += strlen(first_line);
        assert_int_equal(scratch_size(fixture.path, ".walrx/gaps"), length);
    }
}

static void a_failure_leaves_the_old_list(void **state)
{
    static const FakeCall calls[] = {FAKE_OPENAT, FAKE_PREAD, FAKE_PWRITEV, FAKE_FDATASYNC,
                                     FAKE_RENAME};
    (void)state;
    assert_true(gap_record(&fixture.archive, &first, "2026-03-01T12:00:00.123Z", &fixture.error));
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        fake_files_fail(calls[i], fake_files_count(calls[i]) + 1, EIO);
        assert_false(gap_record(&fixture.archive, &second, "x", &fixture.error));
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
        assert_true(scratch_holds(fixture.path, ".walrx/gaps", first_line, strlen(first_line)));
    }
}

static void a_list_beyond_all_bounds_is_refused(void **state)
{
    size_t length = 1024 * 1024;
    char *text = malloc(length + 1);
    (void)state;
    assert_non_null(text);
    memset(text, '\n', length + 1);
    scratch_write(fixture.path, ".walrx/gaps", text, length + 1);
    assert_false(gap_record(&fixture.archive, &first, "x", &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    scratch_write(fixture.path, ".walrx/gaps", text, length); /* the last that fits */
    assert_true(gap_record(&fixture.archive, &first, "x", &fixture.error));
    assert_true(scratch_size(fixture.path, ".walrx/gaps") > length);
    free(text);
}

static void a_time_stamp_of_any_length_is_cut_to_a_line(void **state)
{
    char when[500];
    size_t length;
    (void)state;
    memset(when, 'x', sizeof(when) - 1);
    when[sizeof(when) - 1] = '\0';
    assert_true(gap_record(&fixture.archive, &first, when, &fixture.error));
    assert_true(gap_record(&fixture.archive, &second, "y", &fixture.error));
    char *text = (char *)scratch_read(fixture.path, ".walrx/gaps", &length);
    assert_non_null(text);
    assert_true(length < 300);
    assert_null(memchr(text, '\0', length));
    assert_int_equal(text[length - 1], '\n');
    char *end = memchr(text, '\n', length);
    assert_true(end < text + length - 1); /* two lines */
    free(text);
}

/* --- where receiving goes on --- */

#define SEGMENT(number) segment_start(number, FIXTURE_SIZE)

static void record(SegNo begin, SegNo end)
{
    Gap gap = {.timeline = 1, .begin = SEGMENT(begin), .end = SEGMENT(end)};
    assert_true(gap_record(&fixture.archive, &gap, "2026-03-01T12:00:00.123Z", &fixture.error));
}

static void touch_partial(SegNo segno, WalCompression form)
{
    scratch_write(fixture.path, fixture_name(segno, form, true), "", 0);
}

/* What comes next when 4 is the newest complete segment of a timeline. */
static SegNo resume_on(Timeline number)
{
    TimelineInventory timeline = {.timeline = number, .complete = {{true, 4}}};
    if (!gap_resume(&fixture.archive, &timeline, &fixture.error))
        fail_msg("%s", fixture.error.message);
    return inventory_next(&timeline, FIXTURE_SIZE);
}

static void a_recorded_gap_with_a_partial_behind_it_is_stepped_over(void **state)
{
    (void)state;
    assert_int_equal(resume_on(1), 5);
    touch_partial(9, WAL_RAW);
    assert_int_equal(resume_on(1), 5); /* no record: nobody accepted this hole */
    record(5, 8);
    assert_int_equal(resume_on(1), 5); /* nothing was received there */
    record(5, 9);
    assert_int_equal(resume_on(1), 9);
    assert_int_equal(resume_on(2), 5);
    record(9, 12);
    assert_int_equal(resume_on(1), 9);
    touch_partial(12, WAL_GZIP);
    assert_int_equal(resume_on(1), 12);
}

static void a_gap_elsewhere_plays_no_part(void **state)
{
    (void)state;
    touch_partial(9, WAL_RAW);
    record(4, 9);
    record(6, 9);
    Gap other = {.timeline = 2, .begin = SEGMENT(5), .end = SEGMENT(9)};
    assert_true(gap_record(&fixture.archive, &other, "x", &fixture.error));
    assert_int_equal(resume_on(1), 5);
}

static void lines_that_make_no_sense_are_passed_over(void **state)
{
    static const char text[] = "timeline=1 begin=0/500000 end=0/900000000 seen=x\n"
                               "timeline=99999999999 begin=0/500000 end=0/900000 seen=x\n"
                               "timeline=1 begin=0/500000 end=/900000 seen=x\n"
                               "\n"
                               "timeline=1 begin=0/500000 end=0/300000 seen=backwards\n"
                               "timeline=1 begin=0/500000";
    (void)state;
    touch_partial(9, WAL_RAW);
    touch_partial(3, WAL_RAW);
    scratch_write(fixture.path, ".walrx/gaps", text, strlen(text));
    assert_int_equal(resume_on(1), 5);
}

static bool keep_first(void *context, const Gap *gap)
{
    Gap *found = context;
    if (found->timeline == 0)
        *found = *gap;
    return true;
}

static void a_line_that_is_cut_has_nothing_of_the_next_one(void **state)
{
    static const char text[] = "timeline=1 begin=0/5000000 en\n"
                               "timeline=2 begin=0/6000000 end=0/7000000 seen=x\n";
    Gap found = {.timeline = 0};
    (void)state;
    scratch_write(fixture.path, ".walrx/gaps", text, strlen(text));
    assert_true(gap_visit(&fixture.archive, keep_first, &found, &fixture.error));
    assert_int_equal(found.timeline, 2);
    assert_int_equal(found.begin, 0x6000000);
    assert_int_equal(found.end, 0x7000000);
}

static void a_list_that_cannot_be_read_is_told(void **state)
{
    TimelineInventory timeline = {.timeline = 1, .complete = {{true, 4}}};
    (void)state;
    record(5, 9);
    fake_files_fail(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 1, EIO);
    assert_false(gap_resume(&fixture.archive, &timeline, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(gaps_are_appended),
        CASE(the_last_gap_again_is_no_new_line),
        CASE(a_gap_that_differs_from_the_last_is_a_new_line),
        CASE(a_failure_leaves_the_old_list),
        CASE(a_list_beyond_all_bounds_is_refused),
        CASE(a_time_stamp_of_any_length_is_cut_to_a_line),
        CASE(a_recorded_gap_with_a_partial_behind_it_is_stepped_over),
        CASE(a_gap_elsewhere_plays_no_part),
        CASE(lines_that_make_no_sense_are_passed_over),
        CASE(a_line_that_is_cut_has_nothing_of_the_next_one),
        CASE(a_list_that_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
