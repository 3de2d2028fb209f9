/* SPDX-License-Identifier: PostgreSQL
 *
 * The commands' side, with helpers that they start themselves: when one is started, what is taken,
 * how a killed one is cleared up behind, and that durability and errors are as without.
 */
#include "prefetch_fixture.h"

#include <errno.h>
#include <stdlib.h>

static bool next_ready(void)
{
    return is_ready(SEGNO + 1);
}

/* The helper that serves the folder: its peer, found by what it has open. */
static pid_t find_helper(void)
{
    char folder[SCRATCH_PATH_SIZE + 32];
    pid_t found = 0;
    DIR *processes = opendir("/proc");
    (void)snprintf(folder, sizeof(folder), "%s/" WAL_FOLDER, fixture.path);
    for (const struct dirent *entry = readdir(processes); entry != NULL;
         entry = readdir(processes)) {
        long pid = strtol(entry->d_name, NULL, 10);
        for (int fd = 3; pid > 0 && pid != getpid() && fd < 16; fd++) {
            char link[64];
            char name[SCRATCH_PATH_SIZE + 64] = "";
            (void)snprintf(link, sizeof(link), "/proc/%ld/fd/%d", pid, fd);
            if (readlink(link, name, sizeof(name) - 1) > 0 && strcmp(name, folder) == 0)
                found = (pid_t)pid;
        }
    }
    (void)closedir(processes);
    return found;
}

static void kill_helper(void)
{
    pid_t pid = find_helper();
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    await(nobody_serves, "it is gone");
}

static void begin(WalCompression form)
{
    put_all(form);
    server.request.prefetch = 4 * SEGMENT;
    assert_false(ask(SEGNO));
}

static void the_first_request_starts_one_that_makes_the_next_ready(void **state)
{
    (void)state;
    begin(WAL_ZSTD);
    await(all_ready, "four segments are ready");
    for (SegNo segno = SEGNO + 1; segno <= LAST_SEGNO; segno++)
        assert_true(ask(segno));
    await(nothing_left, "nothing is left");
    await(nobody_serves, "it has ended");
}

static void none_is_started_where_nothing_follows(void **state)
{
    (void)state;
    put(SEGNO, WAL_LZ4);
    server.request.prefetch = 4 * SEGMENT;
    assert_false(ask(SEGNO));
    assert_true(nobody_serves());
    server.request.name = wanted(SEGNO + 1);
    bool placed = true;
    assert_true(get_file(&server.request, &placed, &fixture.error));
    assert_false(placed);
    assert_true(nobody_serves());
    assert_true(nothing_left());
}

/* A helper would be the server's child there. */
static void none_is_started_beside_a_server_that_is_the_first_process(void **state)
{
    (void)state;
    put_all(WAL_LZ4);
    put_server(1, "data/recovery.signal");
    server.request.prefetch = GET_PREFETCH_AUTO;
    assert_false(ask(SEGNO));
    assert_true(nobody_serves());
    server.request.prefetch = 4 * SEGMENT; /* who asks for it gets it */
    assert_false(ask(SEGNO));
    assert_false(nobody_serves());
    kill_helper();
}

static void one_that_was_killed_is_replaced(void **state)
{
    (void)state;
    begin(WAL_ZSTD);
    await(all_ready, "four segments are ready");
    kill_helper();
    for (SegNo segno = SEGNO + 1; segno <= LAST_SEGNO; segno++)
        assert_true(ask(segno)); /* what it made is whole, and the next one knows it */
    await(nothing_left, "nothing is left");
}

static void a_request_for_what_is_missing_clears_up(void **state)
{
    bool placed;
    (void)state;
    begin(WAL_ZSTD);
    await(all_ready, "four segments are ready");
    kill_helper();
    server.request.name = "00000002.history";
    assert_true(get_file(&server.request, &placed, &fixture.error));
    assert_false(placed);
    assert_true(nothing_left());
}

static void a_full_disk_is_cleared_of_leftovers_first(void **state)
{
    (void)state;
    begin(WAL_ZSTD);
    await(all_ready, "four segments are ready");
    kill_helper();
    forget(ready_name(SEGNO + 1));
    fake_files_reset();
    fake_files_fail(FAKE_PWRITEV, 2, ENOSPC); /* the first is the message to the helper */
    assert_false(ask(SEGNO + 1));
    assert_true(fake_files_struck(NULL));
    fake_files_reset();
    assert_true(nothing_left());
}

static void what_is_taken_is_durable_where_that_is_wanted(void **state)
{
    (void)state;
    server.request.sync = true;
    begin(WAL_ZSTD);
    await(all_ready, "four segments are ready");
    fake_files_reset();
    assert_true(ask(SEGNO + 1));
    assert_int_equal(fake_files_count(FAKE_FDATASYNC), 1);
    assert_int_equal(fake_files_count(FAKE_FSYNC), 1);
    fake_files_reset();
    fake_files_fail(FAKE_FDATASYNC, 1, EIO); /* it is made anew */
    assert_false(ask(SEGNO + 2));
    assert_true(fake_files_struck(NULL));
    fake_files_reset();
    fake_files_fail(FAKE_FSYNC, 1, EIO);
    bool placed;
    server.request.name = wanted(SEGNO + 3);
    assert_false(get_file(&server.request, &placed, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_STORAGE);
    forget(TARGET);
    fake_files_reset();
    assert_true(ask(SEGNO + 4));
    await(nothing_left, "nothing is left");
}

static void a_source_that_has_changed_is_read_again(void **state)
{
    uint8_t *bytes = malloc(SEGMENT);
    bool placed;
    (void)state;
    begin(WAL_ZSTD);
    await(all_ready, "four segments are ready");
    memcpy(bytes, fixture_wal(FIXTURE_START + SEGMENT), SEGMENT);
    bytes[SEGMENT / 2 + 4000] ^= 0x40;
    fixture_archive(SEGNO + 1, WAL_ZSTD, false, bytes, SEGMENT);
    free(bytes);
    server.request.name = wanted(SEGNO + 1);
    assert_false(get_file(&server.request, &placed, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    kill_helper();
    server.request.name = "00000002.history";
    assert_true(get_file(&server.request, &placed, &fixture.error));
    assert_true(nothing_left());
}

static void without_it_nothing_is_taken_or_left(void **state)
{
    (void)state;
    begin(WAL_ZSTD);
    await(next_ready, "the next is ready");
    server.request.prefetch = 0;
    assert_false(ask(SEGNO + 1));
    kill_helper();
    server.request.prefetch = SEGMENT;
    bool placed;
    server.request.name = "00000002.history";
    assert_true(get_file(&server.request, &placed, &fixture.error));
    assert_true(nothing_left());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_request_starts_one_that_makes_the_next_ready),
        CASE(none_is_started_where_nothing_follows),
        CASE(none_is_started_beside_a_server_that_is_the_first_process),
        CASE(one_that_was_killed_is_replaced),
        CASE(a_request_for_what_is_missing_clears_up),
        CASE(a_full_disk_is_cleared_of_leftovers_first),
        CASE(what_is_taken_is_durable_where_that_is_wanted),
        CASE(a_source_that_has_changed_is_read_again),
        CASE(without_it_nothing_is_taken_or_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
