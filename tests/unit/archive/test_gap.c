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
    assert_true(gap_record(&fixture.archive, &first, "y", &fixture.error));
    char *text = (char *)scratch_read(fixture.path, ".walrx/gaps", &length);
    assert_non_null(text);
    assert_true(length < 300);
    assert_null(memchr(text, '\0', length));
    assert_int_equal(text[length - 1], '\n');
    char *end = memchr(text, '\n', length);
    assert_true(end < text + length - 1); /* two lines */
    free(text);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(gaps_are_appended),
        CASE(a_failure_leaves_the_old_list),
        CASE(a_list_beyond_all_bounds_is_refused),
        CASE(a_time_stamp_of_any_length_is_cut_to_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
