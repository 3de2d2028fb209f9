/* SPDX-License-Identifier: PostgreSQL
 *
 * From files to a scan. Whatever is wrong with a file becomes a problem; only memory ends the work.
 */
#include "verify_internal.h"

#include "walrx/archive/segment_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A file that vanished is looked for in its other forms: from .partial to complete to packed. */
#define FIND_TRIES 4
/* The open segment is written while it is read. What looks damaged then is not so a moment later.
 */
#define PARTIAL_TRIES 5
#define PARTIAL_WAIT_NS 100000000L

typedef struct Reading {
    VerifyWork *work;
    VerifyScan *scan;
    uint64_t length;
    Lsn enough;
} Reading;

static bool take_bytes(void *context, const void *data, size_t length, Error *err)
{
    Reading *reading = context;
    uint64_t room = reading->work->plan.archive->segment_size - reading->length;
    size_t taken = length < room ? length : (size_t)room;
    verify_scan_feed(reading->scan, data, taken);
    reading->length += taken;
    if (!reading->scan->reading_on)
        (void)atomic_fetch_add_explicit(&reading->work->bytes, taken, memory_order_relaxed);
    if (taken < length)
        return error_set(err, ERROR_ARCHIVE, "the file is longer than a segment");
    if (reading->enough != LSN_INVALID && verify_scan_passed(reading->scan, reading->enough))
        return error_set(err, ERROR_STOPPED, "enough was read");
    return true;
}

void verify_work_fail(VerifyWork *work, const Error *error)
{
    (void)pthread_mutex_lock(&work->mutex);
    if (work->failure.class == ERROR_NONE)
        work->failure = *error;
    (void)pthread_mutex_unlock(&work->mutex);
}

static void tell_lost(const VerifyScan *scan, const VerifyEntry *entry, VerifyKind kind,
                      const char *name, const char *message)
{
    if (scan->reading_on)
        return;
    uint32_t size = scan->plan->archive->segment_size;
    VerifyProblem problem =
        verify_problem(kind, entry->timeline, name, 0, segment_start(entry->segno, size),
                       segment_start(entry->segno + 1, size));
    (void)snprintf(problem.message, sizeof(problem.message), "%s", message);
    verify_found_add(scan->found, &problem);
}

static void take_length(Reading *reading, WalCompression form, bool partial)
{
    char message[VERIFY_TEXT_SIZE];
    VerifyScan *scan = reading->scan;
    uint32_t size = reading->work->plan.archive->segment_size;
    verify_scan_flush(scan);
    if (reading->length == size)
        return;
    if (partial) {
        scan->tail.cut = true;
        return;
    }
    (void)snprintf(message, sizeof(message),
                   "the file ends after %" PRIu64 " bytes%s, a segment has %u", reading->length,
                   form == WAL_RAW ? "" : " unpacked", size);
    verify_scan_cut(scan, message, "");
}

bool verify_read_form(VerifyWork *work, VerifyScan *scan, const VerifyEntry *entry,
                      WalCompression form, bool partial, Lsn enough, bool *ret_gone)
{
    const Archive *archive = work->plan.archive;
    Reading reading = {.work = work, .scan = scan, .enough = enough};
    char name[WAL_FILE_NAME_SIZE];
    Error why;
    wal_segment_name(entry->timeline, entry->segno, archive->segment_size, form, partial, name);
    verify_scan_file(scan, verify_plan_line(&work->plan, entry->timeline), name,
                     segment_start(entry->segno, archive->segment_size), partial);
    *ret_gone = false;
    if (segment_file_read(&archive->dir, name, form, take_bytes, &reading, &why)) {
        take_length(&reading, form, partial);
    } else if (why.class == ERROR_MEMORY) {
        verify_work_fail(work, &why);
        return false;
    } else if (why.os_errno == ENOENT) {
        *ret_gone = true;
    } else if (why.class == ERROR_STORAGE) {
        tell_lost(scan, entry, VERIFY_UNREADABLE, name, why.message);
        verify_scan_skip(scan);
    } else if (why.class == ERROR_ARCHIVE && reading.length < archive->segment_size) {
        verify_scan_cut(scan, why.message, why.detail);
    } else if (why.class == ERROR_ARCHIVE) {
        /* All of the segment came, and then something more or something wrong. */
        VerifyProblem problem =
            verify_problem(VERIFY_FILE, entry->timeline, name, reading.length, 0, 0);
        problem.begin = scan->segment;
        problem.end = problem.begin + archive->segment_size;
        (void)snprintf(problem.message, sizeof(problem.message), "%s", why.message);
        if (!scan->reading_on)
            verify_found_add(scan->found, &problem);
    }
    return true;
}

/* What the archive holds of the segment now. */
static bool look_again(VerifyWork *work, const VerifyEntry *entry, VerifyEntry *ret_now)
{
    const Archive *archive = work->plan.archive;
    *ret_now = (VerifyEntry){.segno = entry->segno, .timeline = entry->timeline};
    for (int partial = 0; partial < 2; partial++) {
        for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
            char name[WAL_FILE_NAME_SIZE];
            bool exists;
            uint64_t size;
            Error error;
            wal_segment_name(entry->timeline, entry->segno, archive->segment_size,
                             (WalCompression)form, partial == 1, name);
            if (!file_status(&archive->dir, name, &exists, &size, &error) || !exists)
                continue;
            uint8_t *forms = partial == 1 ? &ret_now->partial : &ret_now->complete;
            *forms |= (uint8_t)(1U << form);
        }
    }
    return ret_now->complete != 0 || ret_now->partial != 0;
}

/* Reads the entry in the form that is there. */
static bool read_what_is_there(VerifyWork *work, VerifyScan *scan, const VerifyEntry *entry,
                               Lsn enough, bool *ret_partial)
{
    char name[WAL_FILE_NAME_SIZE];
    VerifyEntry now = *entry;
    for (int i = 0; i < FIND_TRIES; i++) {
        bool gone;
        *ret_partial = verify_entry_is_partial(&now);
        if (!verify_read_form(work, scan, &now, verify_entry_form(&now), *ret_partial, enough,
                              &gone))
            return false;
        if (!gone)
            return true;
        if (!look_again(work, entry, &now))
            break;
    }
    tell_lost(scan, entry, VERIFY_VANISHED, verify_entry_name(&work->plan, entry, name),
              "the file vanished while the archive was checked, and no other form of it is there");
    verify_scan_skip(scan);
    return true;
}

/* One reading of a partial that may have to be taken back. */
typedef struct Attempt {
    VerifyScan before;
    VerifyFound found;
} Attempt;

/* A partial may be read again and again until it looks the same, sound or not. */
static bool read_partial(VerifyWork *work, VerifyScan *scan, const VerifyEntry *entry, Lsn enough)
{
    const struct timespec pause = {.tv_nsec = PARTIAL_WAIT_NS};
    Attempt *attempt = calloc(1, sizeof(*attempt));
    bool partial;
    if (attempt == NULL) {
        Error error;
        error_set(&error, ERROR_MEMORY, "out of memory for a scan");
        verify_work_fail(work, &error);
        return false;
    }
    attempt->before = *scan;
    bool ok = false;
    for (int i = 1;; i++) {
        *scan = attempt->before;
        scan->found = &attempt->found;
        ok = read_what_is_there(work, scan, entry, enough, &partial);
        if (ok && partial)
            verify_scan_end(scan);
        if (!ok || !partial || attempt->found.total == 0 || i == PARTIAL_TRIES)
            break;
        verify_found_free(&attempt->found);
        (void)nanosleep(&pause, NULL);
    }
    scan->found = attempt->before.found;
    verify_found_move(&attempt->found, scan->found);
    free(attempt);
    return ok;
}

bool verify_read_entry(VerifyWork *work, VerifyScan *scan, const VerifyEntry *entry, Lsn enough)
{
    bool partial;
    if (verify_entry_is_partial(entry))
        return read_partial(work, scan, entry, enough);
    return read_what_is_there(work, scan, entry, enough, &partial);
}
