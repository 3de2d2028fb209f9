/* SPDX-License-Identifier: PostgreSQL
 *
 * Spare segment: of full size and zeros, made in steps, given its name once; never in the way.
 */
#include "walrx/archive/spare.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "000000010000000000000005.partial"
#define HIDDEN ".walrx/spare.tmp"

static DirectMode mode;
static Spare spare;

static int setup(void **state)
{
    (void)fixture_setup(state);
    mode = (DirectMode){.off = false};
    spare_init(&spare, &fixture.archive, &mode);
    return 0;
}

static int teardown(void **state)
{
    spare_deinit(&spare);
    return fixture_teardown(state);
}

static unsigned prepare(bool with_zeros)
{
    unsigned steps = 0;
    for (bool worked = true; worked;) {
        if (!spare_prepare(&spare, with_zeros, &worked, &fixture.error))
            fail_msg("%s", fixture.error.message);
        steps += worked;
    }
    return steps;
}

static void expect_zeros(const char *name)
{
    uint8_t *zeros = calloc(1, FIXTURE_SIZE);
    assert_non_null(zeros);
    assert_true(scratch_holds(fixture.path, name, zeros, FIXTURE_SIZE));
    free(zeros);
}

static void take(void)
{
    int fd = -1;
    uint64_t zeroed;
    assert_true(spare_take(&spare, NAME, &fd, &zeroed, &fixture.error));
    assert_true(fd >= 0);
    file_close(&fixture.archive.dir, fd);
    assert_false(scratch_exists(fixture.path, HIDDEN));
    expect_zeros(NAME);
}

static void one_that_was_prepared_only_gets_its_name(void **state)
{
    (void)state;
    assert_int_equal(prepare(false), 1);
    expect_zeros(HIDDEN);
    unsigned calls = fake_files_count(FAKE_ANY);
    int fd;
    uint64_t zeroed;
    assert_true(spare_take(&spare, NAME, &fd, &zeroed, &fixture.error));
    assert_true(zeroed == 0);
    assert_int_equal(fake_files_count(FAKE_ANY), calls + 1);
    file_close(&fixture.archive.dir, fd);
    expect_zeros(NAME);
}

static void one_that_was_not_prepared_is_made_at_once(void **state)
{
    (void)state;
    take();
}

static void zeros_are_written_in_steps_and_synced_once(void **state)
{
    static const FakeDirect modes[] = {FAKE_DIRECT_WORKS, FAKE_DIRECT_REFUSED_AT_OPEN,
                                       FAKE_DIRECT_REFUSED_AT_WRITE};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        mode.off = false;
        fake_files_direct(modes[i]);
        assert_int_equal(prepare(false), 1);
        unsigned syncs = fake_files_count(FAKE_FDATASYNC);
        assert_int_equal(prepare(true), FIXTURE_SIZE / (256 << 10));
        assert_int_equal(fake_files_count(FAKE_FDATASYNC), syncs + 1);
        assert_int_equal(mode.off, modes[i] != FAKE_DIRECT_WORKS);
        take();
        assert_int_equal(unlinkat(fixture.archive.dir.fd, NAME, 0), 0);
    }
}

static void a_full_disk_is_no_error_until_one_is_needed(void **state)
{
    int fd;
    uint64_t zeroed;
    (void)state;
    fake_files_fail_from(FAKE_FALLOCATE, 1, ENOSPC);
    assert_int_equal(prepare(true), 1);
    assert_int_equal(prepare(true), 0); /* not tried over and over */
    assert_false(scratch_exists(fixture.path, HIDDEN));
    assert_false(spare_take(&spare, NAME, &fd, &zeroed, &fixture.error));
    assert_int_equal(fixture.error.os_errno, ENOSPC);
    fake_files_reset();
    take();
    assert_int_equal(prepare(false), 1);
}

static void take_and_remove(void)
{
    take();
    assert_int_equal(unlinkat(fixture.archive.dir.fd, NAME, 0), 0);
}

static void the_last_space_is_left_for_what_must_be_written(void **state)
{
    uint64_t needed;
    (void)state;
    fake_files_space(3 * FIXTURE_SIZE - 1);
    assert_int_equal(prepare(false), 1); /* a look, no file */
    assert_false(scratch_exists(fixture.path, HIDDEN));
    take_and_remove();
    fixture.archive.min_free = 5 * FIXTURE_SIZE;
    fake_files_space(6 * FIXTURE_SIZE - 1);
    assert_int_equal(prepare(false), 1);
    assert_true(spare_needs(&spare, &needed, &fixture.error));
    assert_true(needed == FIXTURE_SIZE);
    take_and_remove();
    fake_files_space(6 * FIXTURE_SIZE);
    assert_int_equal(prepare(false), 1);
    assert_true(scratch_exists(fixture.path, HIDDEN));
    assert_true(spare_needs(&spare, &needed, &fixture.error));
    assert_true(needed == 0);
    take_and_remove();
}

/* Where blocks cannot be allocated they are still to be found. */
static void a_spare_without_blocks_needs_them_later(void **state)
{
    uint64_t needed;
    (void)state;
    fake_files_fail(FAKE_FALLOCATE, 1, EOPNOTSUPP);
    assert_int_equal(prepare(false), 1);
    assert_true(spare_needs(&spare, &needed, &fixture.error));
    assert_true(needed == FIXTURE_SIZE);
    take();
}

static void a_full_disk_while_zeros_are_written_gives_the_room_back(void **state)
{
    (void)state;
    fake_files_fail(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 2, ENOSPC);
    assert_int_equal(prepare(true), 3);
    assert_false(scratch_exists(fixture.path, HIDDEN));
    take();
}

static void what_a_full_disk_left_of_it_is_removed(void **state)
{
    int fd;
    uint64_t zeroed;
    (void)state;
    fake_files_fail(FAKE_FALLOCATE, 1, ENOSPC);
    assert_false(spare_take(&spare, NAME, &fd, &zeroed, &fixture.error));
    assert_false(scratch_exists(fixture.path, HIDDEN));
}

static void a_spare_opened_for_direct_writes_falls_back_too(void **state)
{
    (void)state;
    assert_int_equal(prepare(false), 1);
    mode.off = true; /* another file found out */
    fake_files_fail(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1, EINVAL);
    assert_int_equal(prepare(true), FIXTURE_SIZE / (256 << 10));
    take();
}

static void any_other_error_is_told(void **state)
{
    bool worked;
    (void)state;
    fake_files_fail(FAKE_FALLOCATE, 1, EIO);
    assert_false(spare_prepare(&spare, false, &worked, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
}

static void an_existing_file_is_never_replaced(void **state)
{
    int fd;
    uint64_t zeroed;
    (void)state;
    scratch_write(fixture.path, NAME, "theirs", 6);
    assert_false(spare_take(&spare, NAME, &fd, &zeroed, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_true(scratch_holds(fixture.path, NAME, "theirs", 6));
}

static void one_that_was_never_needed_goes_at_the_end(void **state)
{
    (void)state;
    (void)prepare(false);
    assert_true(scratch_exists(fixture.path, HIDDEN));
    spare_deinit(&spare);
    assert_false(scratch_exists(fixture.path, HIDDEN));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(one_that_was_prepared_only_gets_its_name),
        CASE(one_that_was_not_prepared_is_made_at_once),
        CASE(zeros_are_written_in_steps_and_synced_once),
        CASE(a_full_disk_is_no_error_until_one_is_needed),
        CASE(the_last_space_is_left_for_what_must_be_written),
        CASE(a_spare_without_blocks_needs_them_later),
        CASE(a_full_disk_while_zeros_are_written_gives_the_room_back),
        CASE(what_a_full_disk_left_of_it_is_removed),
        CASE(a_spare_opened_for_direct_writes_falls_back_too),
        CASE(any_other_error_is_told),
        CASE(an_existing_file_is_never_replaced),
        CASE(one_that_was_never_needed_goes_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
