/* SPDX-License-Identifier: PostgreSQL
 *
 * See state_file.h.
 */
#include "walrx/observe/state_file.h"

#include "walrx/observe/status_json.h"
#include "walrx/os/durable.h"

#include <stdlib.h>

bool state_file_write(const Dir *private_dir, const Snapshot *snapshot, Error *err)
{
    Dir dir = *private_dir;
    size_t length;
    char *text = status_json_text(snapshot, &length);
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the receiver's state");
    dir.sync = false;
    bool ok = durable_write_over(&dir, STATE_FILE_NEXT, &dir, STATE_FILE, text, length, err);
    free(text);
    return ok;
}

static bool read_text(const Dir *dir, char *text, size_t capacity, size_t *ret_length, Error *err)
{
    int fd;
    if (!file_open(dir, STATE_FILE, FILE_READ, &fd, err))
        return false;
    bool ok = file_read_at(dir, STATE_FILE, fd, text, capacity, 0, ret_length, err);
    file_close(dir, fd);
    return ok;
}

bool state_file_read(const Dir *private_dir, bool *ret_exists, Snapshot *ret, Error *err)
{
    uint64_t size;
    size_t length = 0;
    *ret_exists = false;
    if (private_dir->fd < 0)
        return true;
    if (!file_status(private_dir, STATE_FILE, ret_exists, &size, err))
        return false;
    if (!*ret_exists)
        return true;
    char *text = malloc(STATUS_JSON_MAX + 1);
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the receiver's state");
    bool ok = read_text(private_dir, text, STATUS_JSON_MAX + 1, &length, err);
    if (ok && !status_json_parse(text, length, ret, err))
        ok = error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" cannot be used: %s", private_dir->path,
                       STATE_FILE, err->message);
    free(text);
    return ok;
}
