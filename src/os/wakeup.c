/* SPDX-License-Identifier: PostgreSQL
 *
 * See wakeup.h.
 */
#include "walrx/os/wakeup.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

bool bell_open(Bell *ret, Error *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, ERROR_MEMORY, errno, "could not create an eventfd");
    ret->fd = fd;
    return true;
}

void bell_ring(const Bell *bell)
{
    uint64_t one = 1;
    /* The only failure is a counter at its maximum: then the bell is ringing already. */
    (void)!write(bell->fd, &one, sizeof(one));
}

void bell_silence(const Bell *bell)
{
    uint64_t count;
    (void)!read(bell->fd, &count, sizeof(count)); /* EAGAIN: it was not ringing */
}

void bell_close(Bell *bell)
{
    if (bell->fd >= 0)
        (void)close(bell->fd);
    bell->fd = -1;
}

bool signals_open(int *ret_fd, Error *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (rc != 0)
        return error_set_errno(err, ERROR_MEMORY, rc, "could not block signals");
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return error_set_errno(err, ERROR_MEMORY, errno, "could not ignore SIGPIPE");
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, ERROR_MEMORY, errno, "could not create a signalfd");
    *ret_fd = fd;
    return true;
}

int signals_next(int fd)
{
    struct signalfd_siginfo info;
    ssize_t n = read(fd, &info, sizeof(info));
    return n == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}
