/* SPDX-License-Identifier: PostgreSQL
 *
 * See gap.h. The file is written anew as a whole: gaps are rare, and so a crash leaves the old or
 * the new list.
 */
#include "walrx/archive/gap.h"

#include "walrx/os/durable.h"

#include <stdio.h>
#include <stdlib.h>

#define GAP_FILE_MAX (1024 * 1024)
#define GAP_LINE_MAX 160

static bool read_gaps(const Archive *archive, char *text, size_t capacity, size_t *ret_length,
                      Error *err)
{
    bool exists;
    uint64_t size;
    int fd;
    *ret_length = 0;
    if (!file_status(&archive->private, GAP_FILE, &exists, &size, err))
        return false;
    if (!exists)
        return true;
    if (size > capacity)
        return error_set(err, ERROR_ARCHIVE, "gap list \"%s/%s\" has grown beyond %d bytes",
                         archive->private.path, GAP_FILE, GAP_FILE_MAX);
    if (!file_open(&archive->private, GAP_FILE, FILE_READ, &fd, err))
        return false;
    bool ok = file_read_at(&archive->private, GAP_FILE, fd, text, capacity, 0, ret_length, err);
    file_close(&archive->private, fd);
    return ok;
}

bool gap_record(const Archive *archive, const Gap *gap, const char *when, Error *err)
{
    char *text = malloc(GAP_FILE_MAX + GAP_LINE_MAX);
    size_t length;
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while recording a gap");
    bool ok = read_gaps(archive, text, GAP_FILE_MAX, &length, err);
    if (ok) {
        char begin[LSN_TEXT_SIZE];
        char end[LSN_TEXT_SIZE];
        int added =
            snprintf(text + length, GAP_LINE_MAX, "timeline=%u begin=%s end=%s seen=%.32s\n",
                     gap->timeline, lsn_format(gap->begin, begin), lsn_format(gap->end, end), when);
        ok = durable_write_over(&archive->private, GAP_FILE ARCHIVE_TEMP_SUFFIX, &archive->private,
                                GAP_FILE, text, length + (size_t)added, err);
    }
    free(text);
    return ok;
}
