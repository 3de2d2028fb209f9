/* SPDX-License-Identifier: PostgreSQL
 *
 * See newest.h. Of several forms of one segment the first that is found is looked at, in the order
 * in which all readers here look for them.
 */
#include "walrx/archive/newest.h"

#include "walrx/archive/quarantine.h"
#include "walrx/archive/segment_file.h"

#include <errno.h>
#include <inttypes.h>

typedef struct Count {
    uint64_t length;
    uint32_t limit;
} Count;

static bool count_bytes(void *context, const void *data, size_t length, Error *err)
{
    Count *count = context;
    (void)data;
    count->length += length;
    return count->length <= count->limit ||
           error_set(err, ERROR_ARCHIVE, "it holds more than %u bytes", count->limit);
}

/* Each check: false with ERROR_ARCHIVE when the file is no segment, another class when it could not
 * be read. */
static bool check_raw(const Archive *archive, const char *name, Error *err)
{
    bool exists;
    uint64_t size;
    if (!file_status(&archive->dir, name, &exists, &size, err))
        return false;
    if (!exists)
        return error_set_errno(err, ERROR_STORAGE, ENOENT, "file \"%s/%s\" is gone",
                               archive->dir.path, name);
    return size == archive->segment_size ||
           error_set(err, ERROR_ARCHIVE, "it has %" PRIu64 " bytes instead of %u", size,
                     archive->segment_size);
}

static bool check_whole(const Archive *archive, const char *name, WalCompression form, Error *err)
{
    Count count = {.limit = archive->segment_size};
    if (!segment_file_read(&archive->dir, name, form, count_bytes, &count, err))
        return false;
    return count.length == archive->segment_size ||
           error_set(err, ERROR_ARCHIVE, "it holds %" PRIu64 " bytes instead of %u", count.length,
                     archive->segment_size);
}

static bool check_head(const Archive *archive, const char *name, WalCompression form, Lsn start,
                       Error *err)
{
    WalPageHeader header;
    bool found;
    char text[2][LSN_TEXT_SIZE];
    if (!segment_file_header(&archive->dir, name, form, &found, &header, err))
        return false;
    if (!found)
        return error_set(err, ERROR_ARCHIVE, "its first page cannot be read");
    return header.address == start ||
           error_set(err, ERROR_ARCHIVE, "its first page is that of %s instead of %s",
                     lsn_format(header.address, text[0]), lsn_format(start, text[1]));
}

static bool check_form(const Archive *archive, const char *name, WalCompression form, SegNo segno,
                       Error *err)
{
    if (form == WAL_RAW)
        return check_raw(archive, name, err);
    if (archive->segment_size <= NEWEST_DECODE_MAX)
        return check_whole(archive, name, form, err);
    return check_head(archive, name, form, segment_start(segno, archive->segment_size), err);
}

bool newest_check(const Archive *archive, Timeline timeline, SegNo segno, bool *ret_sound,
                  Error *ret_moved, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    bool found;
    WalCompression form;
    Error why;
    *ret_sound = false;
    error_clear(ret_moved);
    if (!segment_file_find(&archive->dir, timeline, segno, archive->segment_size, &found, &form,
                           err))
        return false;
    if (!found)
        return true;
    wal_segment_name(timeline, segno, archive->segment_size, form, false, name);
    if (check_form(archive, name, form, segno, &why)) {
        *ret_sound = true;
        return true;
    }
    if (why.os_errno == ENOENT)
        return true;
    if (why.class != ERROR_ARCHIVE) {
        *err = why;
        return false;
    }
    if (!quarantine_move(archive, &archive->dir, name, name, err))
        return false;
    error_set(ret_moved, ERROR_ARCHIVE,
              "file \"%s/%s\" is not a whole segment: %s; moved to \"%s/%s\", the segment is "
              "received again",
              archive->dir.path, name, why.message, archive->private.path, QUARANTINE_DIR);
    return true;
}
