/* SPDX-License-Identifier: PostgreSQL
 *
 * Runs one command and prints what it cost as a line of JSON.
 *
 *   timed [--group=FILE] COMMAND [ARGUMENT...]
 *
 * Its own small process, because the kernel's largest resident size of a process begins with that
 * of whoever called exec: measured from Python it would be Python's. With --group the command
 * enters a control group first (FILE is its cgroup.procs). SIGINT and SIGTERM are left to the
 * command; send them to the process group. The command's standard output goes to standard error.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double seconds(struct timeval value)
{
    return (double)value.tv_sec + (double)value.tv_usec / 1e6;
}

static bool enter(const char *group)
{
    int fd = open(group, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, "0", 1) == 1;
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static void become(char **command, const char *group)
{
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    if (group != NULL && !enter(group)) {
        fprintf(stderr, "timed: could not enter \"%s\": %s\n", group, strerror(errno));
        _exit(127);
    }
    if (dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
        (void)execvp(command[0], command);
    fprintf(stderr, "timed: could not run \"%s\": %s\n", command[0], strerror(errno));
    _exit(127);
}

int main(int argc, char **argv)
{
    static const char option[] = "--group=";
    const char *group = NULL;
    struct rusage usage;
    int status;
    int first = 1;
    if (argc > 1 && strncmp(argv[1], option, sizeof(option) - 1) == 0)
        group = argv[first++] + sizeof(option) - 1;
    if (first >= argc) {
        fprintf(stderr, "usage: timed [--group=FILE] COMMAND [ARGUMENT...]\n");
        return 127;
    }
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    double began = now();
    pid_t child = fork();
    if (child == 0)
        become(argv + first, group);
    while (child > 0 && wait4(child, &status, 0, &usage) < 0) {
        if (errno != EINTR)
            return 127;
    }
    if (child < 0)
        return 127;
    printf("{\"wall_s\": %.6f, \"user_s\": %.6f, \"system_s\": %.6f, \"memory_kb\": %ld, "
           "\"sleeps\": %ld, \"status\": %d}\n",
           now() - began, seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss,
           usage.ru_nvcsw, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
