/* SPDX-License-Identifier: PostgreSQL
 *
 * Short messages to a process that serves a directory: a small file in it, which is written over by
 * each message and watched by its owner. Only the newest message counts. A plain file, because
 * programs that copy the directory stumble over sockets and pipes. Nobody waits.
 */
#pragma once

#include "walrx/os/files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAIL_MAX 48

typedef struct Mailbox {
    const Dir *dir;
    const char *name;
    int file;
    int watch;       /* becomes readable when something is written; -1: look now and then */
    uint64_t serial; /* of the message that was read last */
} Mailbox;

/* False: there is no such mailbox, or nothing can be written. Whether somebody reads it, is known
 * by the lock of the directory. */
bool mailbox_send(const Dir *dir, const char *name, const void *message, size_t length);

/* A new one in place of what is there; whoever opens it removes its file. `dir` and `name` are
 * kept. */
bool mailbox_open(const Dir *dir, const char *name, Mailbox *ret);
/* True: `message` is new, and of that length. */
bool mailbox_read(Mailbox *mailbox, void *message, size_t length);
void mailbox_close(Mailbox *mailbox);
