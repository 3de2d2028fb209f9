/* SPDX-License-Identifier: PostgreSQL
 *
 * A detached process: a session of its own, nothing of its caller but what it is to keep, and
 * nobody who waits for it.
 */
#include "walrx/os/background.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Seen {
    pid_t pid;
    pid_t session;
    unsigned open_files; /* beyond the first three */
    bool null;
    bool in_root;
    bool heeds_signals;
} Seen;

typedef struct Work {
    int answer;
} Work;

static unsigned count_open(void)
{
    unsigned count = 0;
    for (int fd = 3; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static bool is_null(int fd)
{
    char link[64];
    char name[64] = "";
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return readlink(link, name, sizeof(name) - 1) > 0 && strcmp(name, "/dev/null") == 0;
}

static void look_around(void *context)
{
    const Work *work = context;
    char name[8] = "";
    sigset_t mask;
    struct sigaction action;
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    (void)sigaction(SIGTERM, NULL, &action);
    Seen seen = {
        .pid = getpid(),
        .session = getsid(0),
        .open_files = count_open(),
        .null = is_null(0) && is_null(1) && is_null(2),
        .in_root = getcwd(name, sizeof(name)) != NULL && strcmp(name, "/") == 0,
        .heeds_signals = sigismember(&mask, SIGTERM) == 0 && action.sa_handler == SIG_DFL,
    };
    (void)!write(work->answer, &seen, sizeof(seen));
}

static void a_detached_process_keeps_what_it_is_told_to(void **state)
{
    int pipes[2];
    Seen seen;
    sigset_t mask;
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    int other = open("/dev/zero", O_RDONLY); /* not close-on-exec, as a server's files */
    assert_true(other >= 0);
    int high = fcntl(other, F_DUPFD, 900);
    assert_true(high >= 900);
    (void)signal(SIGTERM, SIG_IGN);
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &mask, NULL);
    Work work = {.answer = pipes[1]};
    const int keep[] = {-1, pipes[1]};
    assert_true(background_run("test-detached", keep, 2, look_around, &work));
    (void)close(pipes[1]);
    assert_int_equal(read(pipes[0], &seen, sizeof(seen)), sizeof(seen));
    assert_int_equal(read(pipes[0], &seen, 1), 0); /* it has ended: nobody else had the pipe */
    assert_int_not_equal(seen.pid, getpid());
    assert_int_not_equal(seen.session, getsid(0));
    assert_int_not_equal(seen.session, seen.pid); /* it can get no terminal */
    assert_int_equal(seen.open_files, 1);
    assert_true(seen.null);
    assert_true(seen.in_root);
    assert_true(seen.heeds_signals);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child of ours */
    (void)signal(SIGTERM, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &mask, NULL);
    (void)close(pipes[0]);
    (void)close(other);
    (void)close(high);
}

static void a_standard_descriptor_cannot_be_kept(void **state)
{
    const int keep[] = {STDOUT_FILENO};
    (void)state;
    assert_false(background_run("test-detached", keep, 1, look_around, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_detached_process_keeps_what_it_is_told_to),
        cmocka_unit_test(a_standard_descriptor_cannot_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
