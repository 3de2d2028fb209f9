/* SPDX-License-Identifier: PostgreSQL
 *
 * The open segment of a former run, in each form it may have: one raw file comes out, examined.
 */
#include "walrx/archive/leftover.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGNO FIXTURE_SEGNO
#define START FIXTURE_START
#define LENGTH 300000

static PartialTrust trust;

static void examine(void)
{
    if (!leftover_examine(&fixture.archive, 1, SEGNO, &trust, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

static void nothing_is_there(void **state)
{
    (void)state;
    examine();
    assert_false(trust.exists);
    assert_int_equal(scratch_count(fixture.path, "."), 1);
}

static void each_form_becomes_the_raw_one_and_is_examined(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        fixture_archive(SEGNO, (WalCompression)form, true, fixture_wal(START), LENGTH);
        examine();
        assert_true(trust.exists);
        assert_true(trust.proven_end == fixture_record_before(START + LENGTH));
        assert_int_equal(scratch_size(fixture.path, fixture_name(SEGNO, WAL_RAW, true)),
                         FIXTURE_SIZE);
        assert_int_equal(scratch_count(fixture.path, "."), 2); /* and .walrx */
        assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, true), 0),
                         0);
    }
}

static void of_several_forms_the_longest_counts(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, fixture_wal(START), 1000);
    fixture_archive(SEGNO, WAL_GZIP, true, fixture_wal(START), LENGTH);
    fixture_archive(SEGNO, WAL_ZSTD, true, fixture_wal(START), 2000);
    examine();
    assert_true(trust.proven_end == fixture_record_before(START + LENGTH));
    assert_int_equal(scratch_count(fixture.path, "."), 2);
}

static void one_of_another_segment_is_left_alone(void **state)
{
    (void)state;
    fixture_archive(SEGNO + 1, WAL_GZIP, true, fixture_wal(START + FIXTURE_SIZE), LENGTH);
    examine();
    assert_false(trust.exists);
    assert_true(scratch_exists(fixture.path, fixture_name(SEGNO + 1, WAL_GZIP, true)));
}

static void a_failure_is_told(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_GZIP, true, fixture_wal(START), LENGTH);
    fake_files_fail(FAKE_RENAME, fake_files_count(FAKE_RENAME) + 1, EIO);
    assert_false(leftover_examine(&fixture.archive, 1, SEGNO, &trust, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(nothing_is_there),
        CASE(each_form_becomes_the_raw_one_and_is_examined),
        CASE(of_several_forms_the_longest_counts),
        CASE(one_of_another_segment_is_left_alone),
        CASE(a_failure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
