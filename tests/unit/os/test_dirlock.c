/* SPDX-License-Identifier: PostgreSQL
 *
 * Lock: one holder, named to all others; gone with the process; nothing is written.
 */
#include "walrx/os/dirlock.h"

#include "fake_files.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char path[SCRATCH_PATH_SIZE];
static Dir dir;
static Error error;

static int setup(void **state)
{
    (void)state;
    scratch_make(path);
    fake_files_reset();
    return dir_open(path, true, fake_files_table(), &dir, &error) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    dir_close(&dir);
    scratch_remove(path);
    return 0;
}

static void a_second_descriptor_is_refused_and_told_who_has_it(void **state)
{
    DirLock first;
    DirLock second = {.fd = -1};
    char pid[32];
    (void)state;
    assert_true(dirlock_file(&dir, "/my/archive", &first, &error));
    assert_true(scratch_holds(path, DIRLOCK_NAME, "", 0));
    assert_false(dirlock_file(&dir, "/my/archive", &second, &error));
    assert_int_equal(error.class, ERROR_ARCHIVE);
    (void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_non_null(strstr(error.message, pid));
    assert_non_null(strstr(error.message, "/my/archive"));
    assert_int_equal(second.fd, -1);
    dirlock_release(&dir, &first);
    assert_int_equal(first.fd, -1);
    assert_true(dirlock_file(&dir, "/my/archive", &second, &error));
    dirlock_release(&dir, &second);
    dirlock_release(&dir, &second); /* not held: nothing happens */
}

static void the_directory_itself_is_locked_without_a_trace(void **state)
{
    Dir other;
    char pid[32];
    (void)state;
    assert_true(dirlock_directory(&dir, &error));
    assert_int_equal(scratch_count(path, "."), 0);
    assert_true(dir_open(path, true, fake_files_table(), &other, &error));
    assert_false(dirlock_directory(&other, &error));
    assert_int_equal(error.class, ERROR_ARCHIVE);
    (void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_non_null(strstr(error.message, pid));
    dir_close(&dir);
    assert_true(dirlock_directory(&other, &error));
    dir_close(&other);
    assert_true(dir_open(path, true, fake_files_table(), &dir, &error));
}

static void another_process_holds_it_until_it_is_killed(void **state)
{
    DirLock lock;
    int ready[2];
    char byte;
    char pid[32];
    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool ok = dirlock_file(&dir, "x", &lock, &error);
        (void)!write(ready[1], ok ? "y" : "n", 1);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_false(dirlock_file(&dir, "x", &lock, &error));
    (void)snprintf(pid, sizeof(pid), "process %ld", (long)child);
    assert_non_null(strstr(error.message, pid));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(dirlock_file(&dir, "x", &lock, &error));
    dirlock_release(&dir, &lock);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void a_lock_that_cannot_be_opened_is_a_storage_error(void **state)
{
    DirLock lock;
    (void)state;
    fake_files_fail(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, ENOSPC);
    assert_false(dirlock_file(&dir, "x", &lock, &error));
    assert_int_equal(error.class, ERROR_NO_ROOM);
    assert_int_equal(error.os_errno, ENOSPC);
    fake_files_fail(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, EIO);
    assert_false(dirlock_file(&dir, "x", &lock, &error));
    assert_int_equal(error.class, ERROR_STORAGE);
    fake_files_fail(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, EINTR);
    assert_true(dirlock_file(&dir, "x", &lock, &error));
    dirlock_release(&dir, &lock);
}

/* A receiver in another process, until it is told to end. */
static pid_t hold_elsewhere(int *ret_pipe)
{
    int go[2];
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        Dir mine;
        bool ok = dir_open(path, true, fake_files_table(), &mine, &error) &&
                  dirlock_directory(&mine, &error);
        (void)close(go[1]);
        ok = write(ready[1], &byte, 1) == 1 && ok;
        (void)!read(go[0], &byte, 1);
        _exit(ok ? 0 : 1);
    }
    (void)close(go[0]);
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    *ret_pipe = go[1];
    return child;
}

static void who_looks_sees_the_holder_and_takes_nothing(void **state)
{
    Dir none = {.fd = -1, .files = fake_files_table()};
    int pipe_end;
    int status;
    (void)state;
    assert_false(dirlock_holder(&dir, &none, true).held);
    pid_t child = hold_elsewhere(&pipe_end);
    for (int probe = 0; probe < 2; probe++) {
        LockHolder holder = dirlock_holder(&dir, &none, probe == 1);
        assert_true(holder.held);
        assert_int_equal(holder.pid, child);
    }
    (void)close(pipe_end);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(dirlock_holder(&dir, &none, true).held);
    assert_true(dirlock_directory(&dir, &error));
}

static void the_lock_file_alone_tells_the_holder_too(void **state)
{
    DirLock lock;
    (void)state;
    assert_true(dirlock_file(&dir, "/my/archive", &lock, &error));
    LockHolder holder = dirlock_holder(&dir, &dir, false);
    assert_true(holder.held);
    assert_int_equal(holder.pid, getpid());
    dirlock_release(&dir, &lock);
    assert_false(dirlock_holder(&dir, &dir, true).held);
}

/* Somebody who probes holds a shared lock for a moment. */
static void who_looks_does_not_turn_a_receiver_away(void **state)
{
    int ready[2];
    char byte = 0;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)flock(fd, LOCK_SH);
        (void)!write(ready[1], &byte, 1);
        (void)usleep(15000);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_true(dirlock_directory(&dir, &error));
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void another_lock_tells_who_has_it(void **state)
{
    DirLock first;
    DirLock second;
    DirLock receiver;
    LockHolder holder;
    (void)state;
    assert_true(dirlock_try(&dir, "other.lock", &first, &holder, &error));
    assert_true(first.fd >= 0 && !holder.held);
    assert_true(dirlock_try(&dir, "other.lock", &second, &holder, &error));
    assert_int_equal(second.fd, -1);
    assert_true(holder.held);
    assert_int_equal(holder.pid, getpid());
    assert_true(dirlock_file(&dir, "/my/archive", &receiver, &error)); /* not in its way */
    dirlock_release(&dir, &receiver);
    dirlock_release(&dir, &first);
    assert_true(dirlock_try(&dir, "other.lock", &second, &holder, &error));
    assert_true(second.fd >= 0);
    dirlock_release(&dir, &second);
    fake_files_reset();
    fake_files_fail(FAKE_OPENAT, 1, EACCES);
    assert_false(dirlock_try(&dir, "other.lock", &second, &holder, &error));
    assert_int_equal(error.os_errno, EACCES);
}

static void any_directory_can_be_tried(void **state)
{
    Dir again;
    (void)state;
    assert_true(dir_open(path, true, fake_files_table(), &again, &error));
    assert_true(dirlock_try_directory(&dir));
    assert_true(dirlock_try_directory(&dir)); /* it is ours */
    assert_false(dirlock_try_directory(&again));
    dir_close(&dir);
    assert_true(dirlock_try_directory(&again));
    assert_int_equal(scratch_count(path, "."), 0);
    dir_close(&again);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_second_descriptor_is_refused_and_told_who_has_it),
        CASE(the_directory_itself_is_locked_without_a_trace),
        CASE(another_process_holds_it_until_it_is_killed),
        CASE(a_lock_that_cannot_be_opened_is_a_storage_error),
        CASE(who_looks_sees_the_holder_and_takes_nothing),
        CASE(the_lock_file_alone_tells_the_holder_too),
        CASE(who_looks_does_not_turn_a_receiver_away),
        cmocka_unit_test_setup_teardown(another_lock_tells_who_has_it, setup, teardown),
        CASE(any_directory_can_be_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
