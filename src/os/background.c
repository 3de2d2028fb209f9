/* SPDX-License-Identifier: PostgreSQL
 *
 * See background.h. Detaching forks twice: the first child leads the new session and ends, so that
 * the second can never get a terminal and is not the caller's child. What the caller had inherited
 * (a server's files, pipes and signal handling) is let go before anything else.
 */
#include "walrx/os/background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FREE 3

static bool is_kept(int fd, const int *keep, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (keep[i] == fd)
            return true;
    }
    return false;
}

static void close_others(const int *keep, size_t count)
{
    int highest = FIRST_FREE - 1;
    for (size_t i = 0; i < count; i++)
        highest = keep[i] > highest ? keep[i] : highest;
    for (int fd = FIRST_FREE; fd < highest; fd++) {
        if (!is_kept(fd, keep, count))
            (void)close(fd);
    }
    (void)close_range((unsigned)highest + 1, ~0U, 0);
}

static void let_go(const int *keep, size_t count)
{
    static const int handled[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGALRM,
                                  SIGUSR1, SIGUSR2, SIGCHLD, SIGPIPE};
    sigset_t none;
    (void)sigemptyset(&none);
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
        (void)signal(handled[i], SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < FIRST_FREE; fd++) {
        if (null < 0 || dup2(null, fd) < 0)
            (void)close(fd);
    }
    close_others(keep, count);
    (void)!chdir("/");
}

bool background_run(const char *name, const int *keep, size_t keep_count,
                    void (*run)(void *context), void *context)
{
    int status;
    pid_t rc;
    for (size_t i = 0; i < keep_count; i++) {
        if (keep[i] >= 0 && keep[i] < FIRST_FREE)
            return false; /* the caller has none of its own there */
    }
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child == 0) {
        (void)setsid();
        pid_t helper = fork();
        if (helper != 0)
            _exit(helper < 0 ? 1 : 0);
        let_go(keep, keep_count);
        (void)prctl(PR_SET_NAME, name, 0, 0, 0);
        run(context);
        _exit(0); /* not exit: what the command had not flushed is not ours */
    }
    do {
        rc = waitpid(child, &status, 0);
    } while (rc < 0 && errno == EINTR);
    return rc == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
