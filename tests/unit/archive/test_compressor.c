/* SPDX-License-Identifier: PostgreSQL
 *
 * Compression workers: all that is submitted is done, the queue is bounded, an error stops and
 * tells, an abort leaves raw files, and leftovers of a crash are found.
 */
#include "walrx/archive/compressor.h"

#include "fake_files.h"
#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENTS 5 /* with real content */

static Bell bell;
static Compressor *compressor;
static const CompressSpec lz4 = {.method = WAL_LZ4, .level = 1};

static int setup(void **state)
{
    (void)fixture_setup(state);
    return bell_open(&bell, &fixture.error) ? 0 : -1;
}

static int teardown(void **state)
{
    bell_close(&bell);
    return fixture_teardown(state);
}

static void start(unsigned workers)
{
    assert_true(
        compressor_start(&fixture.archive, lz4, workers, &bell, &compressor, &fixture.error));
}

static void put_raw(SegNo segno)
{
    Lsn lsn = segment_start(segno, FIXTURE_SIZE);
    fixture_archive(segno, WAL_RAW, false, fixture_wal(lsn), FIXTURE_SIZE);
}

static void put_packed(SegNo segno)
{
    Lsn lsn = segment_start(segno, FIXTURE_SIZE);
    fixture_archive(segno, WAL_LZ4, false, fixture_wal(lsn), FIXTURE_SIZE);
}

static bool is_packed(SegNo segno)
{
    Lsn lsn = segment_start(segno, FIXTURE_SIZE);
    return !scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, false)) &&
           fixture_holds(segno, WAL_LZ4, false, fixture_wal(lsn), FIXTURE_SIZE);
}

static bool is_raw(SegNo segno)
{
    return scratch_exists(fixture.path, fixture_name(segno, WAL_RAW, false)) &&
           !scratch_exists(fixture.path, fixture_name(segno, WAL_LZ4, false));
}

static void wait_until_idle(void)
{
    for (int i = 0; i < 20000 && !compressor_idle(compressor); i++)
        (void)usleep(1000);
    assert_true(compressor_idle(compressor));
}

static void everything_submitted_is_compressed(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers++) {
        start(workers);
        assert_true(compressor_idle(compressor));
        for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++) {
            put_raw(segno);
            assert_true(compressor_submit(compressor, 1, segno));
        }
        wait_until_idle();
        assert_false(compressor_error(compressor, &fixture.error));
        compressor_stop(compressor);
        for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++)
            assert_true(is_packed(segno));
    }
}

static void stopping_does_what_was_submitted_first(void **state)
{
    (void)state;
    start(1);
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++) {
        put_raw(segno);
        assert_true(compressor_submit(compressor, 1, segno));
    }
    compressor_stop(compressor);
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++)
        assert_true(is_packed(segno));
    compressor_stop(NULL);
}

static void an_error_stops_the_work_rings_and_is_kept(void **state)
{
    struct pollfd polled = {.fd = bell.fd, .events = POLLIN};
    Error second;
    (void)state;
    start(2);
    assert_true(compressor_submit(compressor, 1, FIXTURE_SEGNO)); /* there is no such file */
    assert_int_equal(poll(&polled, 1, 20000), 1);
    assert_true(compressor_error(compressor, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    assert_int_equal(fixture.error.os_errno, ENOENT);
    put_raw(FIXTURE_SEGNO + 1);
    assert_false(compressor_submit(compressor, 1, FIXTURE_SEGNO + 1));
    assert_true(compressor_error(compressor, &second));
    assert_string_equal(second.message, fixture.error.message);
    compressor_stop(compressor);
    assert_true(is_raw(FIXTURE_SEGNO + 1));
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static ssize_t pread_behind_the_gate(int fd, void *buffer, size_t count, off_t offset)
{
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    return file_table_kernel()->pread(fd, buffer, count, offset);
}

static FileTable gated_table;

/* Workers stand still until the gate opens. */
static void close_gate(void)
{
    gated_table = *file_table_kernel();
    gated_table.pread = pread_behind_the_gate;
    fixture.archive.dir.files = &gated_table;
    fixture.archive.dir.sync = false;
    fixture.archive.private.sync = false;
    (void)pthread_mutex_lock(&gate);
}

static void open_gate(void)
{
    (void)pthread_mutex_unlock(&gate);
}

static void restore_files(void)
{
    fixture.archive.dir.files = fake_files_table();
}

typedef struct Submitter {
    atomic_int submitted;
    atomic_bool result;
} Submitter;

static void *submit_many(void *argument)
{
    Submitter *submitter = argument;
    bool ok = true;
    for (int i = 0; ok && i < 200; i++) {
        ok = compressor_submit(compressor, 1, FIXTURE_SEGNO);
        atomic_fetch_add(&submitter->submitted, ok);
    }
    atomic_store(&submitter->result, ok);
    return NULL;
}

static int wait_for_rest(Submitter *submitter)
{
    int before = -1;
    for (int now = atomic_load(&submitter->submitted); now != before || now < 10;
         now = atomic_load(&submitter->submitted)) {
        before = now;
        (void)usleep(100000);
    }
    return before;
}

static void a_full_queue_waits_and_an_abort_ends_the_wait(void **state)
{
    Submitter submitter = {.submitted = 0, .result = true};
    pthread_t thread;
    (void)state;
    put_raw(FIXTURE_SEGNO);
    close_gate();
    start(1);
    assert_int_equal(pthread_create(&thread, NULL, submit_many, &submitter), 0);
    int held = wait_for_rest(&submitter);
    assert_in_range(held, 64, 66); /* the queue, and the job in work */
    assert_false(compressor_idle(compressor));
    compressor_abort(compressor);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(atomic_load(&submitter.result));
    open_gate();
    compressor_stop(compressor);
    restore_files();
    assert_true(is_raw(FIXTURE_SEGNO));
}

static void in_a_hurry_nothing_waits_and_the_rest_stays_raw(void **state)
{
    Submitter submitter = {.submitted = 0, .result = false};
    pthread_t thread;
    (void)state;
    put_raw(FIXTURE_SEGNO);
    close_gate();
    start(1);
    assert_int_equal(pthread_create(&thread, NULL, submit_many, &submitter), 0);
    (void)wait_for_rest(&submitter);
    compressor_hurry(compressor, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&submitter.result));
    compressor_abort(compressor); /* all but the first would find no file any more */
    open_gate();
    compressor_stop(compressor);
    restore_files();
}

static void an_abort_drops_the_queue_and_leaves_raw_files(void **state)
{
    (void)state;
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++)
        put_raw(segno);
    close_gate();
    start(1);
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++)
        assert_true(compressor_submit(compressor, 1, segno));
    compressor_abort(compressor);
    open_gate();
    compressor_stop(compressor);
    restore_files();
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++)
        assert_true(is_raw(segno));
    fake_files_reset();
}

static void run_leftovers(void)
{
    start(2);
    assert_true(compressor_submit_leftovers(compressor, &fixture.archive, &fixture.error));
    compressor_stop(compressor);
}

static void leftovers_of_a_crash_are_compressed(void **state)
{
    (void)state;
    put_raw(FIXTURE_SEGNO); /* below the newest compressed one */
    put_packed(FIXTURE_SEGNO + 1);
    put_raw(FIXTURE_SEGNO + 1); /* both */
    put_packed(FIXTURE_SEGNO + 2);
    put_raw(FIXTURE_SEGNO + 3); /* behind */
    put_raw(FIXTURE_SEGNO + 4);
    run_leftovers();
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + 5; segno++)
        assert_true(is_packed(segno));
}

static void an_archive_that_never_was_compressed_stays_raw(void **state)
{
    (void)state;
    put_raw(FIXTURE_SEGNO);
    fixture_archive(FIXTURE_SEGNO + 1, WAL_GZIP, false, fixture_wal(FIXTURE_START + FIXTURE_SIZE),
                    FIXTURE_SIZE);
    run_leftovers();
    assert_true(is_raw(FIXTURE_SEGNO));
}

static void raw_segments_of_a_wrong_size_and_far_below_are_left_alone(void **state)
{
    (void)state;
    put_packed(FIXTURE_SEGNO + 3);
    scratch_write(fixture.path, fixture_name(FIXTURE_SEGNO, WAL_RAW, false), "x", 1);
    scratch_write(fixture.path, fixture_name(FIXTURE_SEGNO + 2000, WAL_LZ4, false), "x", 1);
    put_raw(FIXTURE_SEGNO + 1);
    run_leftovers();
    assert_true(is_raw(FIXTURE_SEGNO + 1));
    assert_true(is_raw(FIXTURE_SEGNO));
    assert_int_equal(
        unlinkat(fixture.archive.dir.fd, fixture_name(FIXTURE_SEGNO + 2000, WAL_LZ4, false), 0), 0);
    run_leftovers();
    assert_true(is_packed(FIXTURE_SEGNO + 1));
    assert_true(is_raw(FIXTURE_SEGNO));
}

static void a_compressed_partial_that_was_not_merged_is_not_overwritten(void **state)
{
    const uint8_t *wal = fixture_wal(FIXTURE_START);
    (void)state;
    fixture_archive(FIXTURE_SEGNO, WAL_RAW, true, wal, FIXTURE_SIZE);
    fixture_archive(FIXTURE_SEGNO, WAL_LZ4, true, wal, 200000);
    assert_true(compress_partial(&fixture.archive, lz4, 1, FIXTURE_SEGNO, 123456, &fixture.error));
    assert_true(fixture_holds(FIXTURE_SEGNO, WAL_LZ4, true, wal, 200000));
    assert_true(fixture_holds(FIXTURE_SEGNO, WAL_RAW, true, wal, FIXTURE_SIZE));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(everything_submitted_is_compressed),
        CASE(stopping_does_what_was_submitted_first),
        CASE(an_error_stops_the_work_rings_and_is_kept),
        CASE(a_full_queue_waits_and_an_abort_ends_the_wait),
        CASE(in_a_hurry_nothing_waits_and_the_rest_stays_raw),
        CASE(an_abort_drops_the_queue_and_leaves_raw_files),
        CASE(leftovers_of_a_crash_are_compressed),
        CASE(an_archive_that_never_was_compressed_stays_raw),
        CASE(raw_segments_of_a_wrong_size_and_far_below_are_left_alone),
        CASE(a_compressed_partial_that_was_not_merged_is_not_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
