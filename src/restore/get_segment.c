/* SPDX-License-Identifier: PostgreSQL
 *
 * A complete segment, checked on its way into the temporary file. Recovery takes a record that is
 * not whole for the end of WAL and ends there, so everything that can be known from one segment is
 * asked: its size, each page's place, each record's length, link and checksum.
 *
 * A segment may end early and be right: somebody has made a `.partial` complete by renaming it.
 * Only when WAL follows, in the same file or in the next, is something missing.
 */
#include "get_internal.h"

#include "walrx/archive/segment_file.h"
#include "walrx/proto/walscan.h"

#include <inttypes.h>
#include <string.h>

typedef struct Filling {
    Get *get;
    int fd;
    uint64_t length;
    bool target_failed;
    WalScanner scanner;
    uint8_t header[WAL_PAGE_LONG_HEADER]; /* of the page at `length` */
} Filling;

/* A page header that says it is in its place. */
static bool check_page(Filling *filling, Lsn page, Error *err)
{
    const WalScanner *scanner = &filling->scanner;
    Timeline timeline = filling->get->file.timeline;
    char text[2][LSN_TEXT_SIZE];
    WalPageHeader header;
    Error ignored; /* zeros, and what a switch leaves; the scanner judges the rest */
    if (!wal_page_decode(filling->header, sizeof(filling->header), &header, &ignored) ||
        header.address != page)
        return true;
    if (header.timeline > timeline)
        return error_set(err, ERROR_ARCHIVE,
                         "page %s is of timeline %" PRIu32 ", the file of timeline %" PRIu32,
                         lsn_format(page, text[0]), header.timeline, timeline);
    if (scanner->state == WAL_SCAN_END && page > scanner->fault_lsn)
        return error_set(err, ERROR_ARCHIVE, "there is no WAL at %s, but again at %s",
                         lsn_format(scanner->fault_lsn, text[0]), lsn_format(page, text[1]));
    return true;
}

static bool check_pages(Filling *filling, const uint8_t *data, size_t length, Error *err)
{
    Lsn start = segment_start(filling->get->segno, filling->get->archive.segment_size);
    uint64_t at = filling->length;
    while (length > 0) {
        size_t offset = (size_t)(at % WAL_PAGE_SIZE);
        size_t count = sizeof(filling->header) - offset;
        bool in_header = offset < sizeof(filling->header);
        if (!in_header)
            count = WAL_PAGE_SIZE - offset;
        if (count > length)
            count = length;
        if (in_header)
            memcpy(filling->header + offset, data, count);
        if (in_header && offset + count == sizeof(filling->header) &&
            !check_page(filling, start + at - offset, err))
            return false;
        data += count;
        at += count;
        length -= count;
    }
    return true;
}

static bool take_bytes(void *context, const void *data, size_t length, Error *err)
{
    Filling *filling = context;
    const Get *get = filling->get;
    const WalScanner *scanner = &filling->scanner;
    char text[LSN_TEXT_SIZE];
    if (get->stop != NULL && atomic_load(get->stop))
        return error_set(err, ERROR_STOPPED, "nobody waits for it any more");
    if (length > get->archive.segment_size - filling->length)
        return error_set(err, ERROR_ARCHIVE, "it is longer than a segment of %u bytes",
                         get->archive.segment_size);
    if (wal_scan_feed(&filling->scanner, data, length) == WAL_SCAN_DAMAGED) {
        *err = filling->scanner.error;
        return false;
    }
    if (scanner->state == WAL_SCAN_END && scanner->magic == 0)
        return error_set(err, ERROR_ARCHIVE, "its first page is not that of %s",
                         lsn_format(scanner->fault_lsn, text));
    if (!check_pages(filling, data, length, err))
        return false;
    if (!get_append(get, filling->fd, data, length, filling->length, err)) {
        filling->target_failed = true;
        return false;
    }
    filling->length += length;
    return true;
}

/* WAL ends inside the segment, and nothing of it follows there. */
static bool check_end(const Filling *filling, const char *name, Error *err)
{
    Get *get = filling->get;
    Lsn end = filling->scanner.fault_lsn;
    uint32_t size = get->archive.segment_size;
    char text[LSN_TEXT_SIZE];
    bool followed;
    WalCompression form;
    Error warning;
    if (!segment_file_find(&get->archive.dir, get->file.timeline, get->segno + 1, size, &followed,
                           &form, err))
        return false;
    if (followed)
        return error_set(err, ERROR_ARCHIVE,
                         "its WAL ends at %s, although the next segment is there",
                         lsn_format(end, text));
    error_set(&warning, ERROR_ARCHIVE, "the WAL of file \"%s/%s\" ends at %s",
              get->archive.dir.path, name, lsn_format(end, text));
    get_tell(get, &warning);
    return true;
}

static bool check_whole(const Filling *filling, const char *name, Error *err)
{
    const Get *get = filling->get;
    if (filling->length != get->archive.segment_size)
        return error_set(err, ERROR_ARCHIVE, "it has %" PRIu64 " bytes instead of %u",
                         filling->length, get->archive.segment_size);
    return filling->scanner.state != WAL_SCAN_END || check_end(filling, name, err);
}

FillResult get_fill_segment(Get *get, const char *name, WalCompression form, int fd, Error *err)
{
    const Archive *archive = &get->archive;
    Filling filling = {.get = get, .fd = fd};
    Error why;
    wal_scan_init(&filling.scanner, segment_start(get->segno, archive->segment_size),
                  archive->segment_size, archive->system_identifier);
    if (segment_file_read(&archive->dir, name, form, take_bytes, &filling, &why) &&
        check_whole(&filling, name, &why))
        return FILL_DONE;
    *err = why;
    if (filling.target_failed)
        return FILL_FAILED;
    if (why.class == ERROR_ARCHIVE) {
        error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" is damaged: %s", archive->dir.path, name,
                  why.message);
        error_detail(err, "%s", filling.scanner.error.detail);
        error_hint(err, "\"walrx verify\" shows all damage; another copy of the segment may be in "
                        "pg_wal of a standby or of the old primary.");
    }
    return get_judge(&why);
}
