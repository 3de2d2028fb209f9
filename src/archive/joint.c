/* SPDX-License-Identifier: PostgreSQL
 *
 * See joint.h. The segment is scanned from its start: a switch record may lie anywhere in it, and
 * behind it nothing tells what the last record was.
 */
#include "walrx/archive/joint.h"

#include "walrx/archive/segment_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

typedef struct Reading {
    WalScanner *scanner;
    uint64_t left; /* bytes of the segment still to come */
} Reading;

static bool scan_bytes(void *context, const void *data, size_t length, Error *err)
{
    Reading *reading = context;
    if (length > reading->left)
        return error_set(err, ERROR_ARCHIVE, "the file is longer than a segment");
    reading->left -= length;
    (void)wal_scan_feed(reading->scanner, data, length); /* its state is asked for at the end */
    return true;
}

/* Scans the segment from its start to `joint->lsn`. */
static bool scan_segment(Joint *joint, WalCompression form, Error *err)
{
    const Archive *archive = joint->archive;
    WalScanner *scanner = &joint->scanner;
    Reading reading = {.scanner = scanner, .left = archive->segment_size};
    char text[LSN_TEXT_SIZE];
    wal_scan_init(scanner, joint->lsn - archive->segment_size, archive->segment_size,
                  archive->system_identifier);
    if (!segment_file_read(&archive->dir, joint->name, form, scan_bytes, &reading, err))
        return false;
    if (scanner->state == WAL_SCAN_DAMAGED) {
        *err = scanner->error;
        return false;
    }
    if (scanner->state == WAL_SCAN_END)
        return error_set(err, ERROR_ARCHIVE, "its WAL ends at %s",
                         lsn_format(scanner->fault_lsn, text));
    if (reading.left > 0)
        return error_set(err, ERROR_ARCHIVE, "the file is shorter than a segment");
    return true;
}

static void set_unchecked(Joint *joint, const Error *why)
{
    error_set(&joint->unchecked, ERROR_ARCHIVE,
              "cannot check whether the server's WAL continues the archived segment \"%s/%s\": %s",
              joint->archive->dir.path, joint->name, why->message);
    error_detail(&joint->unchecked, "%s", why->detail);
}

bool joint_prepare(const Archive *archive, Timeline timeline, Lsn lsn, Joint *ret, Error *err)
{
    uint32_t size = archive->segment_size;
    assert(segment_offset(lsn, size) == 0);
    *ret = (Joint){.active = false, .archive = archive, .lsn = lsn};
    if (lsn < size)
        return true;
    SegNo segno = segment_of(lsn, size) - 1;
    /* The compressor may replace the raw file by the compressed one in between, once. */
    for (int attempt = 0; attempt < 2; attempt++) {
        bool found;
        WalCompression form;
        Error why;
        if (!segment_file_find(&archive->dir, timeline, segno, size, &found, &form, err))
            return false;
        if (!found)
            return true;
        wal_segment_name(timeline, segno, size, form, false, ret->name);
        error_clear(&ret->unchecked);
        if (scan_segment(ret, form, &why)) {
            ret->active = true;
            return true;
        }
        if (why.class == ERROR_MEMORY) {
            *err = why;
            return false;
        }
        set_unchecked(ret, &why);
        if (why.os_errno != ENOENT)
            return true;
    }
    return true;
}

static bool refuse(const Joint *joint, Error *err)
{
    const WalScanner *scanner = &joint->scanner;
    char text[LSN_TEXT_SIZE];
    error_set(err, ERROR_ARCHIVE,
              "the server's WAL does not continue the archived segment \"%s/%s\", which ends at %s",
              joint->archive->dir.path, joint->name, lsn_format(joint->lsn, text));
    if (scanner->state == WAL_SCAN_DAMAGED)
        error_detail(err, "In what the server sends, %s. %s No archived segment was changed.",
                     scanner->error.message, scanner->error.detail);
    else
        error_detail(err,
                     "The server sends zeros or old WAL at %s, where a record must be. No "
                     "archived segment was changed.",
                     lsn_format(scanner->fault_lsn, text));
    return error_hint(err, "The server was restored, or is another branch of the cluster: "
                           "receive from it into another directory.");
}

bool joint_feed(Joint *joint, const void *data, size_t length, Error *err)
{
    assert(joint->active);
    WalScanState state = wal_scan_feed(&joint->scanner, data, length);
    if (joint->scanner.proven_end > joint->lsn) {
        joint->active = false; /* what follows in `data` is not asked about */
        return true;
    }
    return state == WAL_SCAN_RUNNING || refuse(joint, err);
}
