/* SPDX-License-Identifier: PostgreSQL
 *
 * See mailbox.h. Reading and writing at the same time may give a mixture: a message has a checksum,
 * and one that is not whole is read again when the watch tells of the rest.
 */
#include "walrx/os/mailbox.h"

#include "walrx/os/clock.h"
#include "walrx/proto/crc32c.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

typedef struct Letter {
    uint32_t checksum; /* of all that follows */
    uint32_t length;
    uint64_t serial;
    uint8_t body[MAIL_MAX];
} Letter;

static uint32_t checksum_of(const Letter *letter)
{
    const uint8_t *start = (const uint8_t *)letter + sizeof(letter->checksum);
    return crc32c_final(
        crc32c_update(CRC32C_INIT, start, sizeof(*letter) - sizeof(letter->checksum)));
}

bool mailbox_send(const Dir *dir, const char *name, const void *message, size_t length)
{
    Letter letter = {.length = (uint32_t)length, .serial = clock_monotonic_ns()};
    struct iovec part = {.iov_base = &letter, .iov_len = sizeof(letter)};
    Error ignored;
    int fd;
    if (length > MAIL_MAX || !file_open(dir, name, FILE_WRITE, &fd, &ignored))
        return false;
    memcpy(letter.body, message, length);
    letter.checksum = checksum_of(&letter);
    bool ok = file_write_at(dir, name, fd, &part, 1, 0, &ignored);
    file_close(dir, fd);
    return ok;
}

/* Nothing may be left to watch with (fs.inotify.max_user_instances). */
static int watch_file(const Dir *dir, const char *name)
{
    char path[PATH_MAX];
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%.255s", dir->fd, name);
    if (fd >= 0 && inotify_add_watch(fd, path, IN_MODIFY) < 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

bool mailbox_open(const Dir *dir, const char *name, Mailbox *ret)
{
    Letter none = {.length = 0}; /* a disk that fills up has its place then */
    struct iovec part = {.iov_base = &none, .iov_len = sizeof(none)};
    Error ignored;
    bool existed;
    int fd;
    /* Somebody else's could not be written to, and would be in the way for ever. */
    if (!file_remove(dir, name, &existed, &ignored) ||
        !file_open(dir, name, FILE_CREATE, &fd, &ignored))
        return false;
    if (!file_write_at(dir, name, fd, &part, 1, 0, &ignored)) {
        file_close(dir, fd);
        return false;
    }
    *ret = (Mailbox){.dir = dir, .name = name, .file = fd, .watch = watch_file(dir, name)};
    return true;
}

bool mailbox_read(Mailbox *mailbox, void *message, size_t length)
{
    char events[4096];
    Letter letter;
    size_t count;
    Error ignored;
    while (mailbox->watch >= 0 && read(mailbox->watch, events, sizeof(events)) > 0)
        ;
    if (!file_read_at(mailbox->dir, mailbox->name, mailbox->file, &letter, sizeof(letter), 0,
                      &count, &ignored) ||
        count != sizeof(letter) || letter.checksum != checksum_of(&letter) ||
        letter.serial == mailbox->serial || letter.length != length)
        return false;
    mailbox->serial = letter.serial;
    memcpy(message, letter.body, length);
    return true;
}

void mailbox_close(Mailbox *mailbox)
{
    if (mailbox->watch >= 0)
        (void)close(mailbox->watch);
    file_close(mailbox->dir, mailbox->file);
}
