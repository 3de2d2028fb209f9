/* SPDX-License-Identifier: PostgreSQL
 *
 * See pruned.h.
 */
#include "pruned.h"

#include "walrx/os/durable.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char key[] = "before=";

bool pruned_read(const Archive *archive, Lsn *ret, Error *err)
{
    char text[64];
    size_t length;
    int fd;
    Error why;
    const Dir *dir = &archive->private;
    *ret = LSN_INVALID;
    if (dir->fd < 0)
        return true;
    if (!file_open(dir, PRUNED_FILE, FILE_READ, &fd, &why)) {
        if (why.os_errno != ENOENT)
            *err = why;
        return why.os_errno == ENOENT;
    }
    bool ok = file_read_at(dir, PRUNED_FILE, fd, text, sizeof(text) - 1, 0, &length, err);
    file_close(dir, fd);
    if (!ok)
        return false;
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, key, strlen(key)) == 0)
        (void)lsn_parse(text + strlen(key), ret);
    return true;
}

bool pruned_note(const Archive *archive, Lsn before, Error *err)
{
    Lsn old;
    char lsn[LSN_TEXT_SIZE];
    char text[64];
    if (!pruned_read(archive, &old, err))
        return false;
    if (before <= old)
        return true;
    int length = snprintf(text, sizeof(text), "%s%s\n", key, lsn_format(before, lsn));
    return durable_write_over(&archive->private, PRUNED_FILE ARCHIVE_TEMP_SUFFIX, &archive->private,
                              PRUNED_FILE, text, (size_t)length, err);
}

bool pruned_covers(const Archive *archive, const char *name)
{
    WalFileName file;
    SegNo segno;
    Lsn before;
    Error ignored; /* then it was not, as far as anybody knows */
    return wal_file_parse(name, &file) && wal_file_segno(&file, archive->segment_size, &segno) &&
           pruned_read(archive, &before, &ignored) &&
           segno < segment_of(before, archive->segment_size);
}
