/* SPDX-License-Identifier: PostgreSQL
 *
 * See mailbox.h. A socket's address has room for 108 bytes, less than a path may have: it goes by
 * way of the directory's descriptor in /proc.
 */
#include "walrx/os/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool address_of(const Dir *dir, const char *name, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length =
        snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dir->fd, name);
    return length > 0 && (size_t)length < sizeof(ret->sun_path);
}

static int datagram_socket(void)
{
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

MailResult mailbox_send(const Dir *dir, const char *name, const void *message, size_t length)
{
    struct sockaddr_un address;
    int fd = address_of(dir, name, &address) ? datagram_socket() : -1;
    if (fd < 0)
        return MAIL_FULL;
    ssize_t sent = sendto(fd, message, length, MSG_NOSIGNAL, (const struct sockaddr *)&address,
                          sizeof(address));
    int problem = sent < 0 ? errno : 0;
    (void)close(fd);
    if (problem == 0)
        return MAIL_SENT;
    if (problem == ENOENT)
        return MAIL_NONE;
    return problem == ECONNREFUSED ? MAIL_DEAD : MAIL_FULL;
}

bool mailbox_open(const Dir *dir, const char *name, int *ret_fd)
{
    struct sockaddr_un address;
    int fd = address_of(dir, name, &address) ? datagram_socket() : -1;
    if (fd < 0)
        return false;
    (void)unlinkat(dir->fd, name, 0);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}

size_t mailbox_next(int fd, void *message, size_t capacity)
{
    ssize_t length = recv(fd, message, capacity, 0);
    return length > 0 ? (size_t)length : 0;
}
