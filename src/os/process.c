/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: what the child must know is gathered before the fork; between fork and exec stand only
 * calls that are safe there. A pipe that exec closes tells why there was none.
 */
#include "walrx/os/process.h"

#include "interrupted.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASSWD_SIZE 16384
#define STATUS_NO_EXEC 127
#define LOG_MODE 0600

bool process_user(uid_t uid, ProcessUser *ret, Error *err)
{
    ProcessUser user = {.uid = uid, .gid = (gid_t)-1};
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[PASSWD_SIZE];
    user.change = uid != geteuid();
    int rc = getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found);
    user.named = rc == 0 && found != NULL && strlen(entry.pw_name) < sizeof(user.name);
    if (user.named)
        (void)snprintf(user.name, sizeof(user.name), "%s", entry.pw_name);
    else
        (void)snprintf(user.name, sizeof(user.name), "uid %u", (unsigned)uid);
    if (user.change && geteuid() != 0)
        return error_set(err, ERROR_USAGE, "only root can run a program as user \"%s\"", user.name);
    if (user.change) {
        int count = PROCESS_GROUPS_MAX;
        if (!user.named)
            return error_set(err, ERROR_USAGE, "there is no user with the number %u",
                             (unsigned)uid);
        user.gid = entry.pw_gid;
        if (getgrouplist(user.name, user.gid, user.groups, &count) < 0)
            return error_set(err, ERROR_USAGE, "user \"%s\" is in more than %d groups", user.name,
                             PROCESS_GROUPS_MAX);
        user.group_count = (size_t)count;
    }
    *ret = user;
    return true;
}

/* In the child. */
static bool become(const ProcessUser *user)
{
    if (!user->change)
        return true;
    return setgroups(user->group_count, user->groups) == 0 &&
           setresgid(user->gid, user->gid, user->gid) == 0 &&
           setresuid(user->uid, user->uid, user->uid) == 0;
}

static bool cannot_fork(int os_errno, const char *path, Error *err)
{
    return error_set_errno(err, ERROR_OPERATOR, os_errno, "could not run \"%s\"", path);
}

static bool wait_for(pid_t pid, int *ret_status)
{
    pid_t waited;
    RETRY_EINTR(waited, waitpid(pid, ret_status, 0));
    return waited == pid;
}

bool process_access(const ProcessUser *user, const char *path, int how, int *ret_errno, Error *err)
{
    int status;
    if (!user->change) {
        *ret_errno = access(path, how) == 0 ? 0 : errno;
        return true;
    }
    pid_t pid = fork();
    if (pid < 0)
        return cannot_fork(errno, path, err);
    if (pid == 0)
        _exit(!become(user) ? errno & 0xFF : access(path, how) == 0 ? 0 : errno & 0xFF);
    if (!wait_for(pid, &status) || !WIFEXITED(status))
        return error_set(err, ERROR_OPERATOR, "could not ask for the rights of user \"%s\"",
                         user->name);
    *ret_errno = WEXITSTATUS(status);
    return true;
}

/* ---- programs ---- */

typedef struct Child {
    const char *const *argv;
    const ProcessUser *user;
    const char *log; /* NULL: output goes to `out` */
    int out;
    int tell; /* closed by exec */
} Child;

static _Noreturn void child_main(const Child *child)
{
    sigset_t none;
    union {
        const char *const *given;
        char *const *wanted;
    } argv = {.given = child->argv};
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool ok = in >= 0 && dup2(in, STDIN_FILENO) >= 0 && become(child->user) && setsid() >= 0 &&
              chdir("/") == 0;
    int out = child->out;
    if (ok && child->log != NULL) {
        out = open(child->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, LOG_MODE);
        ok = out >= 0;
    }
    ok = ok && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (ok)
        (void)execv(child->argv[0], argv.wanted);
    int failed = errno;
    (void)!write(child->tell, &failed, sizeof(failed));
    _exit(STATUS_NO_EXEC);
}

static bool launch(Child *child, pid_t *ret, Error *err)
{
    int tell[2];
    int failed = 0;
    int status;
    if (pipe2(tell, O_CLOEXEC) != 0)
        return cannot_fork(errno, child->argv[0], err);
    child->tell = tell[1];
    pid_t pid = fork();
    if (pid == 0)
        child_main(child);
    int saved = errno;
    (void)close(tell[1]);
    if (pid < 0) {
        (void)close(tell[0]);
        return cannot_fork(saved, child->argv[0], err);
    }
    ssize_t n;
    RETRY_EINTR(n, read(tell[0], &failed, sizeof(failed)));
    (void)close(tell[0]);
    if (n == (ssize_t)sizeof(failed)) {
        (void)wait_for(pid, &status);
        cannot_fork(failed, child->argv[0], err);
        if (child->user->change)
            error_detail(err, "As user \"%s\".", child->user->name);
        return false;
    }
    *ret = pid;
    return true;
}

static void read_output(int fd, char *output, size_t capacity)
{
    char rest[512] = "";
    size_t used = 0;
    for (;;) {
        bool room = used + 1 < capacity;
        ssize_t n;
        RETRY_EINTR(
            n, read(fd, room ? output + used : rest, room ? capacity - 1 - used : sizeof(rest)));
        if (n <= 0)
            break;
        used += room ? (size_t)n : 0;
    }
    output[used] = '\0';
}

bool process_run(const char *const argv[], const ProcessUser *user, char *output, size_t capacity,
                 int *ret_status, Error *err)
{
    int ends[2];
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return cannot_fork(errno, argv[0], err);
    Child child = {.argv = argv, .user = user, .out = ends[1]};
    bool ok = launch(&child, &pid, err);
    (void)close(ends[1]);
    if (ok)
        read_output(ends[0], output, capacity);
    (void)close(ends[0]);
    if (ok && !wait_for(pid, ret_status))
        ok = error_set(err, ERROR_OPERATOR, "could not wait for \"%s\"", argv[0]);
    return ok;
}

bool process_start(const char *const argv[], const ProcessUser *user, const char *log, pid_t *ret,
                   Error *err)
{
    Child child = {.argv = argv, .user = user, .log = log, .out = -1};
    return launch(&child, ret, err);
}

bool process_ended(pid_t pid, int *ret_status)
{
    pid_t waited;
    RETRY_EINTR(waited, waitpid(pid, ret_status, WNOHANG));
    return waited == pid;
}

void process_signal(pid_t pid, int signal)
{
    (void)kill(pid, signal);
}

/* ---- paths ---- */

bool process_own_path(char *buffer, size_t capacity, Error *err)
{
    ssize_t length = readlink("/proc/self/exe", buffer, capacity - 1);
    if (length < 0)
        return error_set_errno(err, ERROR_OPERATOR, errno,
                               "could not find out where this program is");
    buffer[length] = '\0';
    if ((size_t)length == capacity - 1 || access(buffer, X_OK) != 0) {
        error_set(err, ERROR_OPERATOR, "this program is no longer at \"%s\"", buffer);
        return error_hint(err, "It was replaced while it ran: try again.");
    }
    return true;
}

bool process_absolute(const char *path, char *buffer, size_t capacity, Error *err)
{
    int written;
    if (path[0] == '/') {
        written = snprintf(buffer, capacity, "%s", path);
    } else {
        char *here = getcwd(NULL, 0);
        if (here == NULL)
            return error_set_errno(err, ERROR_USAGE, errno,
                                   "could not find out the current directory");
        written = snprintf(buffer, capacity, "%s/%s", strcmp(here, "/") == 0 ? "" : here, path);
        free(here);
    }
    if (written < 0 || (size_t)written >= capacity)
        return error_set(err, ERROR_USAGE, "path is too long: \"%.200s...\"", path);
    while (written > 1 && buffer[written - 1] == '/')
        buffer[--written] = '\0';
    return true;
}

bool process_exists(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}
