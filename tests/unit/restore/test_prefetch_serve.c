/* SPDX-License-Identifier: PostgreSQL
 *
 * A helper's life, as a child of the test: what it makes ready, and each reason to end, after which
 * nothing is left. It reports by its exit status, so that a sanitizer is heard, too.
 */
#include "prefetch_fixture.h"

static pid_t helper;
static GetRequest its_request;

static bool it_listens(void)
{
    siginfo_t info = {.si_pid = 0};
    (void)waitid(P_PID, (id_t)helper, &info, WEXITED | WNOHANG | WNOWAIT);
    return info.si_pid == helper || scratch_exists(fixture.path, WAL_FOLDER "/" PREFETCH_BOX);
}

/* As if the server had just got the first segment. */
static void start_helper(void)
{
    server.request.prefetch = 4 * SEGMENT;
    its_request = server.request;
    helper = fork();
    assert_true(helper >= 0);
    if (helper == 0) {
        open_get(SEGNO);
        if (!dirlock_try_directory(&get.target.dir))
            _exit(9);
        prefetch_serve(&get);
        close_get();
        exit(0);
    }
    await(it_listens, "it has its mailbox, or has ended");
}

static void expect_end(void)
{
    int status;
    assert_int_equal(waitpid(helper, &status, 0), helper);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(nothing_left());
}

static void a_request_takes_what_is_ready_and_the_last_one_ends_it(void **state)
{
    (void)state;
    put_all(WAL_ZSTD);
    start_helper();
    await(all_ready, "four segments are ready");
    for (SegNo segno = SEGNO + 1; segno <= LAST_SEGNO; segno++)
        assert_true(ask(segno));
    expect_end();
}

static void what_is_just_being_made_is_waited_for(void **state)
{
    (void)state;
    put_all(WAL_GZIP);
    server.request.prefetch = 4 * SEGMENT;
    for (unsigned i = 0; i < 5; i++) {
        start_helper();
        for (SegNo segno = SEGNO + 1; segno <= LAST_SEGNO; segno++)
            (void)ask(segno); /* ready, half ready, or not begun: it is right */
        expect_end();
    }
}

static void a_server_that_ends_or_has_recovered_ends_it(void **state)
{
    static const char *const files[] = {"data/postmaster.pid", "data/recovery.signal"};
    (void)state;
    put_all(WAL_LZ4);
    for (size_t i = 0; i < 2; i++) {
        put_server(getpid(), "data/recovery.signal");
        start_helper();
        await(all_ready, "four segments are ready");
        forget(files[i]);
        expect_end();
    }
    put_server(getpid(), "data/recovery.signal");
    start_helper();
    await(all_ready, "four segments are ready");
    put_server(getppid(), "data/recovery.signal"); /* it was started again */
    expect_end();
}

static void a_signal_ends_it(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    (void)state;
    put_all(WAL_RAW);
    for (size_t i = 0; i < 3; i++) {
        start_helper();
        await(all_ready, "four segments are ready");
        assert_int_equal(kill(helper, signals[i]), 0);
        expect_end();
    }
}

static void a_request_for_room_ends_it(void **state)
{
    (void)state;
    put_all(WAL_RAW);
    start_helper();
    await(all_ready, "four segments are ready");
    open_get(SEGNO + 1);
    prefetch_note(&get);
    assert_true(prefetch_release(&get));
    assert_true(nothing_left());
    close_get();
    expect_end();
}

/* The segment after the damaged one is not made, for it will not be asked for. */
static void a_damaged_segment_is_where_it_ends(void **state)
{
    uint8_t *bytes = malloc(SEGMENT);
    (void)state;
    put_all(WAL_ZSTD);
    memcpy(bytes, fixture_wal(FIXTURE_START + 2 * SEGMENT), SEGMENT);
    bytes[SEGMENT / 2 + 4000] ^= 0x40;
    fixture_archive(SEGNO + 2, WAL_ZSTD, false, bytes, SEGMENT);
    free(bytes);
    start_helper();
    for (unsigned i = 0; i < PATIENCE_MS / 5 && !is_ready(SEGNO + 1); i++)
        (void)poll(NULL, 0, 5);
    assert_true(ask(SEGNO + 1));
    expect_end();
}

static void another_archive_ends_it(void **state)
{
    (void)state;
    put_all(WAL_RAW);
    start_helper();
    await(all_ready, "four segments are ready");
    open_get(SEGNO + 1);
    get.prefetch.token++;
    prefetch_note(&get);
    close_get();
    expect_end();
}

/* What one that was killed has left: whole ones are taken over, everything else goes. */
static void leftovers_are_taken_over_or_removed(void **state)
{
    ino_t before[LAST_SEGNO + 1];
    (void)state;
    put_all(WAL_ZSTD);
    start_helper();
    await(all_ready, "four segments are ready");
    assert_int_equal(kill(helper, SIGKILL), 0);
    assert_int_equal(waitpid(helper, NULL, 0), helper);
    for (SegNo segno = SEGNO + 1; segno <= LAST_SEGNO; segno++)
        before[segno] = inode_of(ready_name(segno));
    scratch_write(fixture.path, ready_name(SEGNO + 2), "x", 1);
    scratch_write(fixture.path,
                  WAL_FOLDER "/xlogtemp.walrx.0123456789abcdef.000000010000000000000007", "x", 1);
    scratch_write(fixture.path,
                  WAL_FOLDER "/xlogtemp.walrx.0123456789abcdef.000000010000000000000007.part", "x",
                  1);
    start_helper();
    for (unsigned i = 0; i < PATIENCE_MS / 5 && scratch_count(fixture.path, WAL_FOLDER) != 5; i++)
        (void)poll(NULL, 0, 5); /* four that are ready, and the mailbox */
    await(all_ready, "four segments are ready");
    assert_int_equal(inode_of(ready_name(SEGNO + 1)), before[SEGNO + 1]);
    assert_int_equal(inode_of(ready_name(SEGNO + 4)), before[SEGNO + 4]);
    for (SegNo segno = SEGNO + 1; segno <= LAST_SEGNO; segno++)
        assert_true(ask(segno));
    expect_end();
}

static void a_disk_without_room_for_both_is_the_servers(void **state)
{
    (void)state;
    put_all(WAL_ZSTD);
    fake_files_space(5 * SEGMENT - 1); /* one segment and as much as is read ahead */
    start_helper();
    expect_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_request_takes_what_is_ready_and_the_last_one_ends_it),
        CASE(what_is_just_being_made_is_waited_for),
        CASE(a_server_that_ends_or_has_recovered_ends_it),
        CASE(a_signal_ends_it),
        CASE(a_request_for_room_ends_it),
        CASE(a_damaged_segment_is_where_it_ends),
        CASE(another_archive_ends_it),
        CASE(leftovers_are_taken_over_or_removed),
        CASE(a_disk_without_room_for_both_is_the_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
