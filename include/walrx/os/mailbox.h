/* SPDX-License-Identifier: PostgreSQL
 *
 * Short messages to a process that serves a directory: a datagram socket in it. Its file is made
 * first and removed last, so that one to which nothing can be sent says that its owner was killed.
 * A send never waits.
 */
#pragma once

#include "walrx/os/files.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum MailResult {
    MAIL_SENT,
    MAIL_NONE, /* there is no such mailbox */
    MAIL_DEAD, /* nobody reads it */
    MAIL_FULL, /* or another reason why it was not sent */
} MailResult;

MailResult mailbox_send(const Dir *dir, const char *name, const void *message, size_t length);

/* In place of what is there; whoever opens it removes its file. *ret_fd is for poll. False: the
 * filesystem has no sockets, or another reason to do without. */
bool mailbox_open(const Dir *dir, const char *name, int *ret_fd);
/* The next message cut to `capacity`; 0: none. */
size_t mailbox_next(int fd, void *message, size_t capacity);
