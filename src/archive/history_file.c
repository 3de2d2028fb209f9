/* SPDX-License-Identifier: PostgreSQL
 *
 * See history_file.h.
 */
#include "walrx/archive/history_file.h"

#include "walrx/archive/quarantine.h"
#include "walrx/os/durable.h"
#include "walrx/proto/timeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool history_file_exists(const Archive *archive, Timeline timeline, bool *ret, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    uint64_t size;
    return file_status(&archive->dir, wal_history_name(timeline, name), ret, &size, err);
}

static bool same_content(const Archive *archive, const char *name, const char *content,
                         size_t length, bool *ret_same, Error *err)
{
    int fd;
    if (!file_open(&archive->dir, name, FILE_READ, &fd, err))
        return false;
    char *old = malloc(length + 1);
    size_t old_length = 0;
    bool ok = old != NULL
                  ? file_read_at(&archive->dir, name, fd, old, length + 1, 0, &old_length, err)
                  : error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    if (ok)
        *ret_same = old_length == length && memcmp(old, content, length) == 0;
    free(old);
    file_close(&archive->dir, fd);
    return ok;
}

static bool differs(const Archive *archive, Timeline timeline, const char *name,
                    const char *content, size_t length, Error *err)
{
    char temporary[WAL_FILE_NAME_SIZE + 8];
    (void)snprintf(temporary, sizeof(temporary), "%s%s", name, ARCHIVE_TEMP_SUFFIX);
    if (!durable_write_over(&archive->private, temporary, &archive->private, temporary, content,
                            length, err) ||
        !quarantine_move(archive, &archive->private, temporary, name, err))
        return false;
    error_set(err, ERROR_ARCHIVE,
              "the server's history of timeline %u differs from the archived file \"%s/%s\"",
              timeline, archive->dir.path, name);
    error_detail(err, "The server's version is in \"%s/%s\".", archive->private.path,
                 QUARANTINE_DIR);
    return error_hint(err, "Two branches of the cluster took the same timeline number. Receive "
                           "from this server into another directory.");
}

bool history_file_store(const Archive *archive, Timeline timeline, const char *content,
                        size_t length, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    char temporary[WAL_FILE_NAME_SIZE + 8];
    bool exists;
    bool same;
    if (length > TIMELINE_HISTORY_MAX_BYTES)
        return error_set(err, ERROR_PROTOCOL, "the history of timeline %u has %zu bytes", timeline,
                         length);
    if (!history_file_exists(archive, timeline, &exists, err))
        return false;
    wal_history_name(timeline, name);
    if (exists)
        return same_content(archive, name, content, length, &same, err) &&
               (same || differs(archive, timeline, name, content, length, err));
    (void)snprintf(temporary, sizeof(temporary), "%s%s", name, ARCHIVE_TEMP_SUFFIX);
    if (!durable_write_new(&archive->private, temporary, &archive->dir, name, content, length,
                           &exists, err))
        return false;
    return !exists ||
           error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" appeared while the archive was locked",
                     archive->dir.path, name);
}

bool history_file_read(const Archive *archive, Timeline timeline, char **ret_content,
                       size_t *ret_length, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    bool exists;
    uint64_t size;
    int fd;
    wal_history_name(timeline, name);
    if (!file_status(&archive->dir, name, &exists, &size, err))
        return false;
    if (!exists) {
        *ret_content = NULL;
        return true;
    }
    if (size > TIMELINE_HISTORY_MAX_BYTES)
        return error_set(err, ERROR_ARCHIVE, "archived file \"%s/%s\" has %" PRIu64 " bytes",
                         archive->dir.path, name, size);
    char *content = malloc((size_t)size + 1);
    if (content == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    bool ok = file_open(&archive->dir, name, FILE_READ, &fd, err);
    if (ok) {
        ok = file_read_at(&archive->dir, name, fd, content, (size_t)size, 0, ret_length, err);
        file_close(&archive->dir, fd);
    }
    if (ok)
        *ret_content = content;
    else
        free(content);
    return ok;
}
