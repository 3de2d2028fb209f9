/* SPDX-License-Identifier: PostgreSQL
 *
 * One segment, made ready: checked as a request checks it. What is damaged, what a request would
 * warn about, what changed meanwhile and what finds no room is not made, and leaves nothing.
 */
#include "prefetch_fixture.h"

#include <errno.h>

static PrefetchMade make(SegNo segno, uint64_t keep_free)
{
    PrefetchStep step = {.timeline = 1, .segno = segno};
    char name[PREFETCH_NAME_SIZE];
    server.request.prefetch = 1;
    open_get(SEGNO);
    prefetch_look(&get.archive, 1, segno, &step.source);
    (void)prefetch_name(get.prefetch.token, &step.source, 1, segno, FIXTURE_SIZE, name);
    PrefetchMade made = prefetch_make(&get, &step, name, keep_free);
    assert_int_equal(scratch_count(fixture.path, WAL_FOLDER), made == PREFETCH_MADE ? 1 : 0);
    if (made == PREFETCH_MADE)
        assert_true(prefetch_is_sealed(&get.target.dir, name, SEGMENT));
    close_get();
    assert_int_equal(server.warnings, 0);
    return made;
}

static void a_whole_segment_is_made_of_any_form(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        put(SEGNO + 1, (WalCompression)form);
        assert_int_equal(make(SEGNO + 1, 0), PREFETCH_MADE);
        assert_true(scratch_holds(fixture.path, ready_name(SEGNO + 1),
                                  fixture_wal(FIXTURE_START + SEGMENT), SEGMENT));
        forget(ready_name(SEGNO + 1));
        forget(fixture_name(SEGNO + 1, (WalCompression)form, false));
    }
}

static void a_damaged_one_is_left_to_the_request(void **state)
{
    (void)state;
    put_damaged(WAL_ZSTD, SEGMENT / 2 + 4000);
    assert_int_equal(make(SEGNO, 0), PREFETCH_NOT_MADE);
}

/* Its WAL ends early, which is fine where nothing follows, and is told. */
static void what_a_request_would_tell_is_left_to_it(void **state)
{
    Lsn end = fixture_record_before(FIXTURE_START + SEGMENT / 2);
    (void)state;
    fixture_archive(SEGNO, WAL_LZ4, false, filled(SEGNO, (size_t)(end - FIXTURE_START)), SEGMENT);
    assert_int_equal(make(SEGNO, 0), PREFETCH_NOT_MADE);
}

static void room_is_left_for_the_server(void **state)
{
    (void)state;
    put(SEGNO, WAL_GZIP);
    fake_files_space(3 * SEGMENT - 1);
    assert_int_equal(make(SEGNO, 2 * SEGMENT), PREFETCH_NO_ROOM);
    fake_files_space(3 * SEGMENT);
    assert_int_equal(make(SEGNO, 2 * SEGMENT), PREFETCH_MADE);
}

static void a_disk_that_is_full_is_told_from_one_that_fails(void **state)
{
    static const struct {
        FakeCall call;
        int error;
        PrefetchMade made;
    } cases[] = {
        {FAKE_PWRITEV, ENOSPC, PREFETCH_NO_ROOM}, {FAKE_PWRITEV, EDQUOT, PREFETCH_NO_ROOM},
        {FAKE_PWRITEV, EIO, PREFETCH_NOT_MADE},   {FAKE_RENAME, EIO, PREFETCH_NOT_MADE},
        {FAKE_PREAD, EIO, PREFETCH_NOT_MADE},
    };
    (void)state;
    put(SEGNO, WAL_RAW);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_files_fail_from(cases[i].call, cases[i].call == FAKE_PREAD ? 4 : 1, cases[i].error);
        assert_int_equal(make(SEGNO, 0), cases[i].made);
        fake_files_reset();
    }
}

static void what_changed_since_it_was_looked_at_is_not_made(void **state)
{
    PrefetchStep step = {.timeline = 1, .segno = SEGNO};
    (void)state;
    put(SEGNO, WAL_ZSTD);
    server.request.prefetch = 1;
    open_get(SEGNO);
    prefetch_look(&get.archive, 1, SEGNO, &step.source);
    put(SEGNO, WAL_LZ4); /* a form that counts first */
    assert_int_equal(prefetch_make(&get, &step, get.prefetch.name, 0), PREFETCH_NOT_MADE);
    assert_true(nothing_left());
    forget(fixture_name(SEGNO, WAL_LZ4, false));
    forget(fixture_name(SEGNO, WAL_ZSTD, false));
    assert_int_equal(prefetch_make(&get, &step, get.prefetch.name, 0), PREFETCH_NOT_MADE);
    assert_true(nothing_left());
    close_get();
}

static void one_that_nobody_waits_for_is_given_up(void **state)
{
    atomic_bool stop = true;
    PrefetchStep step = {.timeline = 1, .segno = SEGNO};
    (void)state;
    put(SEGNO, WAL_ZSTD);
    server.request.prefetch = 1;
    open_get(SEGNO);
    get.stop = &stop;
    prefetch_look(&get.archive, 1, SEGNO, &step.source);
    assert_int_equal(prefetch_make(&get, &step, get.prefetch.name, 0), PREFETCH_NOT_MADE);
    assert_true(nothing_left());
    close_get();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_whole_segment_is_made_of_any_form),
        CASE(a_damaged_one_is_left_to_the_request),
        CASE(what_a_request_would_tell_is_left_to_it),
        CASE(room_is_left_for_the_server),
        CASE(a_disk_that_is_full_is_told_from_one_that_fails),
        CASE(what_changed_since_it_was_looked_at_is_not_made),
        CASE(one_that_nobody_waits_for_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
