/* SPDX-License-Identifier: PostgreSQL
 *
 * Copies of any length, written in pieces of any length, are on the disk as they were given, with
 * and without O_DIRECT, and durable at the end.
 */
#include "copy_file.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME "copy"
#define PATH ".walrx/" NAME
#define LONGEST (2 * COPY_PIECE + 4096)

static uint8_t *content;

static int setup(void **state)
{
    (void)fixture_setup(state);
    content = malloc(LONGEST);
    assert_non_null(content);
    for (size_t i = 0; i < LONGEST; i++)
        content[i] = (uint8_t)(i * 2654435761U >> 24 | 1);
    return 0;
}

static int teardown(void **state)
{
    free(content);
    return fixture_teardown(state);
}

static bool write_copy(size_t length, size_t step)
{
    CopyFile copy;
    bool ok = copy_open(&copy, &fixture.archive.private, NAME, &fixture.error);
    for (size_t at = 0; ok && at < length; at += step)
        ok = copy_write(&copy, content + at, length - at < step ? length - at : step,
                        &fixture.error);
    ok = ok && copy_finish(&copy, &fixture.error);
    copy_close(&copy);
    return ok;
}

static bool holds(size_t length)
{
    size_t size;
    uint8_t *bytes = scratch_read(fixture.path, PATH, &size);
    bool same = bytes != NULL && size == length && memcmp(bytes, content, length) == 0;
    free(bytes);
    return same;
}

static void copies_of_any_length_are_whole(void **state)
{
    static const size_t lengths[] = {
        0, 1, 4095, 4096, 4097, COPY_PIECE - 1, COPY_PIECE, COPY_PIECE + 1, LONGEST};
    static const size_t steps[] = {4093, 262144, COPY_PIECE, LONGEST};
    (void)state;
    for (int mode = FAKE_DIRECT_WORKS; mode <= FAKE_DIRECT_REFUSED_AT_WRITE; mode++) {
        fake_files_direct((FakeDirect)mode);
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
                unsigned syncs = fake_files_count(FAKE_FDATASYNC);
                scratch_write(fixture.path, PATH, content, LONGEST); /* an older, longer one */
                if (!write_copy(lengths[l], steps[s]))
                    fail_msg("%s", fixture.error.message);
                assert_true(holds(lengths[l]));
                assert_int_equal(fake_files_count(FAKE_FDATASYNC), syncs + 1);
            }
        }
    }
}

static void writes_are_few_and_large(void **state)
{
    unsigned writes = fake_files_count(FAKE_PWRITEV);
    (void)state;
    assert_true(write_copy(LONGEST, 4093));
    assert_int_equal(fake_files_count(FAKE_PWRITEV), writes + 3);
}

static void a_short_write_is_continued(void **state)
{
    FakeCall call;
    (void)state;
    fake_files_shorten(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1);
    assert_true(write_copy(LONGEST, LONGEST));
    assert_true(fake_files_struck(&call));
    assert_true(holds(LONGEST));
}

static void a_failure_at_any_call_is_told(void **state)
{
    FakeCall call;
    bool struck = true;
    (void)state;
    for (unsigned nth = 1; struck; nth++) {
        fake_files_fail(FAKE_ANY, fake_files_count(FAKE_ANY) + nth, EIO);
        bool ok = write_copy(COPY_PIECE + 5, COPY_PIECE);
        struck = fake_files_struck(&call);
        assert_true(ok == (!struck || call == FAKE_CLOSE));
        if (!ok)
            assert_int_equal(fixture.error.os_errno, EIO);
        fake_files_fail(FAKE_ANY, 0, 0);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(copies_of_any_length_are_whole),
        CASE(writes_are_few_and_large),
        CASE(a_short_write_is_continued),
        CASE(a_failure_at_any_call_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
