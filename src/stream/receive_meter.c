/* SPDX-License-Identifier: PostgreSQL
 *
 * See receive_meter.h. libpq reads its sockets by recv, with and without encryption
 * (pqsecure_raw_read in fe-secure.c, PostgreSQL 15), and goes on reading while a message it knows
 * the length of is not whole and the server is fast enough (pqReadData in fe-misc.c). So the recv
 * that libpq finds is the one below: a program's own symbols come before those of its libraries.
 */
#include "receive_meter.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

static _Thread_local ReceiveMeter *current;

void receive_meter_use(ReceiveMeter *meter)
{
    current = meter;
}

void receive_meter_allow(ReceiveMeter *meter, uint64_t bytes)
{
    meter->limit = meter->received + bytes;
}

bool receive_meter_used_up(const ReceiveMeter *meter)
{
    return meter->received >= meter->limit;
}

/* The name in C differs so that the header's recv, inline with _FORTIFY_SOURCE, is left alone. */
ssize_t receive_metered(int fd, void *buffer, size_t length, int flags) __asm__("recv");

ssize_t receive_metered(int fd, void *buffer, size_t length, int flags)
{
    ReceiveMeter *meter = current;
    if (meter == NULL)
        return recvfrom(fd, buffer, length, flags, NULL, NULL);
    if (receive_meter_used_up(meter)) {
        errno = EAGAIN;
        return -1;
    }
    uint64_t left = meter->limit - meter->received;
    ssize_t n = recvfrom(fd, buffer, length < left ? length : (size_t)left, flags, NULL, NULL);
    if (n > 0)
        meter->received += (uint64_t)n;
    return n;
}
