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
    assert_true(compressor_start(&fixture.archive, lz4, workers, CODEC_MEMORY_ANY, &bell,
                                 &compressor, &fixture.error));
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

static bool submit_raw(SegNo segno)
{
    CompressJob job = {.timeline = 1, .segno = segno, .has_raw = true};
    return compressor_submit(compressor, &job);
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
            assert_true(submit_raw(segno));
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
        assert_true(submit_raw(segno));
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
    assert_true(submit_raw(FIXTURE_SEGNO)); /* there is no such file */
    assert_int_equal(poll(&polled, 1, 20000), 1);
    assert_true(compressor_error(compressor, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    assert_int_equal(fixture.error.os_errno, ENOENT);
    put_raw(FIXTURE_SEGNO + 1);
    assert_false(submit_raw(FIXTURE_SEGNO + 1));
    assert_true(compressor_error(compressor, &second));
    assert_string_equal(second.message, fixture.error.message);
    compressor_stop(compressor);
    assert_true(is_raw(FIXTURE_SEGNO + 1));
}

static uint8_t *memory_of(SegNo segno)
{
    return (uint8_t *)(uintptr_t)fixture_wal(segment_start(segno, FIXTURE_SIZE));
}

static bool submit_memory(SegNo segno, bool has_raw, CompressTicket *ticket)
{
    CompressJob job = {.timeline = 1,
                       .segno = segno,
                       .memory = memory_of(segno),
                       .has_raw = has_raw,
                       .ticket = ticket};
    atomic_store(&ticket->outcome, COMPRESS_PENDING);
    atomic_store(&ticket->withdrawn, false);
    return compressor_submit(compressor, &job);
}

static bool has_temporary(SegNo segno)
{
    char path[128];
    (void)snprintf(path, sizeof(path), ".walrx/%s%s", fixture_name(segno, WAL_LZ4, false),
                   ARCHIVE_TEMP_SUFFIX);
    return scratch_exists(fixture.path, path);
}

static void count_ticket(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static atomic_int second_leftover_was_raw;

/* When a ticket is filled: counts whether the second leftover still waits. */
static void note_second_leftover(void *context)
{
    atomic_fetch_add((atomic_int *)context, is_raw(FIXTURE_SEGNO + 2));
}

static void memory_is_compressed_and_only_the_owner_gives_the_final_name(void **state)
{
    CompressTicket tickets[SEGMENTS];
    atomic_int told = 0;
    (void)state;
    start(2);
    compressor_on_done(compressor, count_ticket, &told);
    for (SegNo i = 0; i < SEGMENTS; i++) {
        if (i == 1)
            put_raw(FIXTURE_SEGNO + i);
        assert_true(submit_memory(FIXTURE_SEGNO + i, i == 1, &tickets[i]));
    }
    wait_until_idle();
    compressor_on_done(compressor, NULL, NULL);
    assert_int_equal(atomic_load(&told), SEGMENTS);
    for (SegNo i = 0; i < SEGMENTS; i++) {
        assert_int_equal(atomic_load(&tickets[i].outcome), COMPRESS_DONE);
        assert_true(has_temporary(FIXTURE_SEGNO + i) == (i != 1));
        assert_true(scratch_exists(fixture.path, fixture_name(FIXTURE_SEGNO + i, WAL_LZ4, false)) ==
                    (i == 1));
    }
    assert_true(is_packed(FIXTURE_SEGNO + 1));
    assert_true(submit_memory(FIXTURE_SEGNO, false, &tickets[0])); /* nobody is told any more */
    wait_until_idle();
    assert_int_equal(atomic_load(&told), SEGMENTS);
    compressor_stop(compressor);
}

static void a_failed_job_fails_its_ticket_and_all_behind_it(void **state)
{
    CompressTicket tickets[SEGMENTS];
    (void)state;
    start(1);
    fake_files_fail(FAKE_FDATASYNC, fake_files_count(FAKE_FDATASYNC) + 1, EIO);
    bool submitted = true;
    SegNo count = 0;
    for (; submitted && count < SEGMENTS; count++)
        submitted = submit_memory(FIXTURE_SEGNO + count, false, &tickets[count]);
    count -= !submitted;
    wait_until_idle();
    assert_true(count >= 1);
    for (SegNo i = 0; i < count; i++)
        assert_int_equal(atomic_load(&tickets[i].outcome), COMPRESS_FAILED);
    assert_true(compressor_error(compressor, &fixture.error));
    assert_int_equal(fixture.error.os_errno, EIO);
    compressor_stop(compressor);
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
    fixture.archive.private.files = &gated_table;
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
    fixture.archive.private.files = fake_files_table();
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
        ok = submit_raw(FIXTURE_SEGNO);
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

static void what_waits_for_its_copy_is_known(void **state)
{
    ArchiveMetrics *metrics = calloc(1, sizeof(*metrics));
    (void)state;
    assert_non_null(metrics);
    archive_metrics_reset(metrics);
    fixture.archive.metrics = metrics;
    close_gate();
    start(2);
    assert_true(compressor_oldest_waiting(compressor) == UINT64_MAX);
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++) {
        put_raw(segno);
        assert_true(submit_raw(segno));
        assert_true(compressor_oldest_waiting(compressor) == FIXTURE_START);
        assert_int_equal(atomic_load(&metrics->queued_segments), segno - FIXTURE_SEGNO + 1);
    }
    open_gate();
    wait_until_idle();
    assert_true(compressor_oldest_waiting(compressor) == UINT64_MAX);
    compressor_stop(compressor);
    assert_int_equal(atomic_load(&metrics->queued_segments), 0);
    assert_int_equal(atomic_load(&metrics->segments_compressed), SEGMENTS);
    assert_int_equal(atomic_load(&metrics->compressed_in), SEGMENTS * FIXTURE_SIZE);
    assert_int_equal(histogram_count(&metrics->compress_ns), SEGMENTS);
    uint64_t size = 0;
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++)
        size += scratch_size(fixture.path, fixture_name(segno, WAL_LZ4, false));
    assert_int_equal(atomic_load(&metrics->compressed_out), size);
    restore_files();
    fixture.archive.metrics = NULL;
    free(metrics);
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
        assert_true(submit_raw(segno));
    compressor_abort(compressor);
    open_gate();
    compressor_stop(compressor);
    restore_files();
    for (SegNo segno = FIXTURE_SEGNO; segno < FIXTURE_SEGNO + SEGMENTS; segno++)
        assert_true(is_raw(segno));
    fake_files_reset();
}

/* Whoever lent memory is told, even when no worker ever saw the job. */
static void an_abort_fails_the_tickets_in_the_queue_and_tells(void **state)
{
    CompressTicket tickets[3];
    atomic_int told = 0;
    (void)state;
    put_raw(FIXTURE_SEGNO);
    close_gate();
    start(1);
    compressor_on_done(compressor, count_ticket, &told);
    assert_true(submit_raw(FIXTURE_SEGNO)); /* the only worker stands at the gate with it */
    for (SegNo i = 0; i < 3; i++)
        assert_true(submit_memory(FIXTURE_SEGNO + 1 + i, false, &tickets[i]));
    compressor_abort(compressor);
    for (SegNo i = 0; i < 3; i++)
        assert_int_equal(atomic_load(&tickets[i].outcome), COMPRESS_FAILED);
    assert_int_equal(atomic_load(&told), 3);
    assert_false(submit_memory(FIXTURE_SEGNO + 4, false, &tickets[0]));
    compressor_on_done(compressor, NULL, NULL);
    open_gate();
    compressor_stop(compressor);
    restore_files();
    fake_files_reset();
    for (SegNo i = 0; i < 4; i++)
        assert_false(has_temporary(FIXTURE_SEGNO + 1 + i));
}

typedef struct OneJob {
    CompressTicket ticket;
    bool has_raw;
    bool result;
    atomic_bool returned;
} OneJob;

static void *submit_one(void *argument)
{
    OneJob *job = argument;
    job->result = submit_memory(FIXTURE_SEGNO + 1, job->has_raw, &job->ticket);
    atomic_store(&job->returned, true);
    return NULL;
}

static void in_a_hurry_what_is_only_in_memory_still_waits(void **state)
{
    enum { QUEUE = 64 };
    static CompressTicket queued[QUEUE];
    Submitter submitter = {.submitted = 0, .result = false};
    OneJob raw = {.has_raw = true};
    OneJob memory = {.has_raw = false};
    pthread_t thread;
    (void)state;
    put_raw(FIXTURE_SEGNO);
    close_gate();
    start(1);
    assert_int_equal(pthread_create(&thread, NULL, submit_many, &submitter), 0);
    (void)wait_for_rest(&submitter);
    compressor_hurry(compressor, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < QUEUE; i++) /* what holds memory does not stand behind files */
        assert_true(submit_memory(FIXTURE_SEGNO + 1, false, &queued[i]));
    (void)submit_one(&raw); /* does not wait; its memory is free again */
    assert_true(raw.result);
    assert_int_equal(atomic_load(&raw.ticket.outcome), COMPRESS_DONE);
    assert_int_equal(pthread_create(&thread, NULL, submit_one, &memory), 0);
    (void)usleep(200000);
    assert_false(atomic_load(&memory.returned));
    compressor_abort(compressor);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(memory.result);
    for (size_t i = 0; i < QUEUE; i++)
        assert_int_equal(atomic_load(&queued[i].outcome), COMPRESS_FAILED);
    open_gate();
    compressor_stop(compressor);
    restore_files();
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

/* Started with two leftovers, one of which a worker has, and two jobs of the stream. */
static void jobs_of_the_stream_come_before_leftovers(void **state)
{
    CompressTicket tickets[2];
    (void)state;
    put_packed(FIXTURE_SEGNO);
    put_raw(FIXTURE_SEGNO + 1);
    put_raw(FIXTURE_SEGNO + 2);
    close_gate();
    start(1);
    assert_true(compressor_submit_leftovers(compressor, &fixture.archive, &fixture.error));
    (void)usleep(50000); /* the first one is taken */
    assert_true(submit_memory(FIXTURE_SEGNO + 3, false, &tickets[0]));
    assert_true(submit_memory(FIXTURE_SEGNO + 4, false, &tickets[1]));
    compressor_on_done(compressor, note_second_leftover, &second_leftover_was_raw);
    atomic_store(&second_leftover_was_raw, 0);
    open_gate();
    wait_until_idle();
    restore_files();
    assert_int_equal(atomic_load(&second_leftover_was_raw), 2);
    assert_true(is_packed(FIXTURE_SEGNO + 1));
    assert_true(is_packed(FIXTURE_SEGNO + 2));
    compressor_stop(compressor);
}

static void a_withdrawn_job_ends_and_the_others_do_not(void **state)
{
    CompressTicket tickets[SEGMENTS];
    atomic_int told = 0;
    (void)state;
    put_raw(FIXTURE_SEGNO);
    close_gate();
    start(1);
    compressor_on_done(compressor, count_ticket, &told);
    assert_true(submit_raw(FIXTURE_SEGNO)); /* keeps the worker */
    (void)usleep(50000);
    for (SegNo i = 1; i < SEGMENTS; i++)
        assert_true(submit_memory(FIXTURE_SEGNO + i, false, &tickets[i]));
    compressor_withdraw(compressor, &tickets[2]);
    assert_int_equal(atomic_load(&tickets[2].outcome), COMPRESS_FAILED);
    assert_int_equal(atomic_load(&told), 1);
    open_gate();
    wait_until_idle();
    restore_files();
    for (SegNo i = 1; i < SEGMENTS; i++) {
        assert_int_equal(atomic_load(&tickets[i].outcome),
                         i == 2 ? COMPRESS_FAILED : COMPRESS_DONE);
        assert_true(has_temporary(FIXTURE_SEGNO + i) == (i != 2));
    }
    compressor_withdraw(compressor, &tickets[1]); /* done before: nothing happens */
    assert_int_equal(atomic_load(&tickets[1].outcome), COMPRESS_DONE);
    assert_false(compressor_error(compressor, &fixture.error));
    compressor_on_done(compressor, NULL, NULL);
    compressor_stop(compressor);
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
    assert_true(compress_partial(&fixture.archive, lz4, 1, FIXTURE_SEGNO, 123456, CODEC_MEMORY_ANY,
                                 &fixture.error));
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
        CASE(memory_is_compressed_and_only_the_owner_gives_the_final_name),
        CASE(a_failed_job_fails_its_ticket_and_all_behind_it),
        CASE(a_full_queue_waits_and_an_abort_ends_the_wait),
        CASE(what_waits_for_its_copy_is_known),
        CASE(in_a_hurry_nothing_waits_and_the_rest_stays_raw),
        CASE(an_abort_drops_the_queue_and_leaves_raw_files),
        CASE(an_abort_fails_the_tickets_in_the_queue_and_tells),
        CASE(in_a_hurry_what_is_only_in_memory_still_waits),
        CASE(leftovers_of_a_crash_are_compressed),
        CASE(jobs_of_the_stream_come_before_leftovers),
        CASE(a_withdrawn_job_ends_and_the_others_do_not),
        CASE(an_archive_that_never_was_compressed_stays_raw),
        CASE(raw_segments_of_a_wrong_size_and_far_below_are_left_alone),
        CASE(a_compressed_partial_that_was_not_merged_is_not_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
