/* SPDX-License-Identifier: PostgreSQL
 *
 * The open segment. A `.partial` is read twice: once to find where its WAL ends, once to copy that
 * much. What was proven does not change, so a receiver may go on writing behind it. Of several
 * forms of a partial the one that goes furthest counts.
 *
 * What lies behind the last whole record is left out, except when the whole segment is right: then
 * its last record goes on in the next one.
 */
#include "get_internal.h"

#include "walrx/archive/segment_file.h"
#include "walrx/proto/walscan.h"

#include <stdio.h>
#include <string.h>

typedef struct Measure {
    WalScanner scanner;
    uint64_t left; /* of the segment */
} Measure;

/* The partial to take. */
typedef struct Choice {
    bool any;
    WalCompression form;
    Lsn end;  /* of what is handed out */
    Lsn left; /* where a newer timeline left this one; UINT64_MAX: none did, as far as is known */
    bool cut; /* `end` is what newer timelines leave of it */
    Error fault; /* what ended it; class ERROR_NONE: nothing wrong */
} Choice;

static const char *partial_name(const Get *get, WalCompression form, char name[WAL_FILE_NAME_SIZE])
{
    return wal_segment_name(get->file.timeline, get->segno, get->archive.segment_size, form, true,
                            name);
}

static bool measure_bytes(void *context, const void *data, size_t length, Error *err)
{
    Measure *measure = context;
    size_t taken = length < measure->left ? length : (size_t)measure->left;
    measure->left -= taken;
    return wal_scan_feed(&measure->scanner, data, taken) == WAL_SCAN_RUNNING && taken == length
               ? true
               : error_set(err, ERROR_STOPPED, "enough was read");
}

static Lsn wal_end(const WalScanner *scanner, Lsn start)
{
    if (scanner->magic == 0)
        return start; /* not even its first page */
    if (scanner->state == WAL_SCAN_RUNNING) {
        bool full = scanner->position == start + scanner->segment_size;
        return full ? scanner->position : wal_scan_settled(scanner);
    }
    /* Without a record of its own it may hold the end of one that began before. */
    Lsn end = scanner->records > 0 ? scanner->proven_end : scanner->fault_lsn;
    return end <= start + WAL_PAGE_LONG_HEADER ? start : end;
}

static bool measure_file(const Get *get, const Dir *dir, const char *name, WalCompression form,
                         Measure *ret, Error *err)
{
    const Archive *archive = &get->archive;
    Lsn start = segment_start(get->segno, archive->segment_size);
    ret->left = archive->segment_size;
    wal_scan_init(&ret->scanner, start, archive->segment_size, archive->system_identifier);
    error_clear(err);
    return segment_file_read(dir, name, form, measure_bytes, ret, err) ||
           err->class == ERROR_STOPPED;
}

/* Ends the search when the partial is another cluster's. */
static bool consider(const Get *get, WalCompression form, Choice *choice, Error *err)
{
    const Archive *archive = &get->archive;
    Lsn start = segment_start(get->segno, archive->segment_size);
    Measure measure;
    char name[WAL_FILE_NAME_SIZE];
    Error why;
    (void)partial_name(get, form, name);
    if (!measure_file(get, &archive->dir, name, form, &measure, &why)) {
        if (get_judge(&why) == FILL_ABSENT)
            return true;
        if (why.class != ERROR_ARCHIVE) {
            *err = why;
            return false;
        }
    }
    const WalScanner *scanner = &measure.scanner;
    if (scanner->state == WAL_SCAN_DAMAGED) {
        why = scanner->error;
        if (scanner->magic == 0) {
            error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" is damaged: %s", archive->dir.path, name,
                      why.message);
            return error_detail(err, "%s", why.detail);
        }
    }
    Lsn end = wal_end(scanner, start);
    if (!choice->any || end > choice->end)
        *choice = (Choice){.any = true, .form = form, .end = end, .left = UINT64_MAX, .fault = why};
    return true;
}

static bool choose(const Get *get, Choice *ret, Error *err)
{
    *ret = (Choice){.any = false};
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        if (!consider(get, (WalCompression)form, ret, err))
            return false;
    }
    return true;
}

static bool exists(const Get *get, bool *ret, Error *err)
{
    *ret = false;
    for (int form = 0; form < WAL_COMPRESSION_COUNT && !*ret; form++) {
        char name[WAL_FILE_NAME_SIZE];
        uint64_t size;
        if (!file_status(&get->archive.dir, partial_name(get, (WalCompression)form, name), ret,
                         &size, err))
            return false;
    }
    return true;
}

/* Copying --------------------------------------------------------------------------------------
 */

typedef struct Copy {
    const Get *get;
    int fd;
    uint64_t length;
    uint64_t wanted;
    bool target_failed;
} Copy;

static bool copy_bytes(void *context, const void *data, size_t length, Error *err)
{
    Copy *copy = context;
    uint64_t left = copy->wanted - copy->length;
    size_t taken = length < left ? length : (size_t)left;
    copy->target_failed = !get_append(copy->get, copy->fd, data, taken, copy->length, err);
    if (copy->target_failed)
        return false;
    copy->length += taken;
    return copy->length < copy->wanted || error_set(err, ERROR_STOPPED, "enough was read");
}

static bool copy_and_fill(Copy *copy, const char *name, WalCompression form, Error *err)
{
    const GetTarget *target = &copy->get->target;
    Error why;
    error_clear(&why);
    (void)!segment_file_read(&copy->get->archive.dir, name, form, copy_bytes, copy, &why);
    if (copy->length < copy->wanted) {
        *err = why;
        return false;
    }
    return file_truncate(&target->dir, target->temporary, copy->fd, copy->get->archive.segment_size,
                         err);
}

/* *ret_placed false: it has got another name meanwhile. */
static bool place(const Get *get, const Choice *choice, bool *ret_placed, Error *err)
{
    const GetTarget *target = &get->target;
    Lsn start = segment_start(get->segno, get->archive.segment_size);
    Copy copy = {.get = get, .wanted = choice->end - start};
    char name[WAL_FILE_NAME_SIZE];
    *ret_placed = false;
    if (!file_open(&target->dir, target->temporary, FILE_CREATE, &copy.fd, err))
        return false;
    if (!copy_and_fill(&copy, partial_name(get, choice->form, name), choice->form, err)) {
        get_target_drop(target, copy.fd);
        return !copy.target_failed && get_judge(err) == FILL_ABSENT;
    }
    *ret_placed = get_target_place(target, copy.fd, err);
    return *ret_placed;
}

/* Rules ----------------------------------------------------------------------------------------
 */

/* May a receiver still write to what a standby would be given? */
static bool must_wait(const Get *get, bool *ret, Error *err)
{
    const GetRequest *request = get->request;
    bool standby;
    *ret = false;
    if (!get_target_is_standby(&get->target, &standby, err))
        return false;
    *ret = standby && request->receiver_runs(request->context);
    return true;
}

/* Cuts the choice to what no newer timeline contradicts. */
static bool heed_branches(Get *get, Choice *choice, Error *err)
{
    Lsn start = segment_start(get->segno, get->archive.segment_size);
    char name[WAL_FILE_NAME_SIZE];
    char text[LSN_TEXT_SIZE];
    GetBranch branch;
    Error warning;
    if (!get_branch_look(get, &branch, err))
        return false;
    choice->left = branch.end;
    (void)partial_name(get, choice->form, name);
    if (branch.complete != 0) {
        error_set(&warning, ERROR_ARCHIVE,
                  "\"%s\" is not restored: timeline %u has this segment complete", name,
                  (unsigned)branch.complete);
        choice->end = start;
    } else if (branch.end < choice->end) {
        error_set(&warning, ERROR_ARCHIVE,
                  "\"%s\" is restored up to %s only, where timeline %u left timeline %u", name,
                  lsn_format(branch.end, text), (unsigned)branch.left_by,
                  (unsigned)get->file.timeline);
        choice->end = branch.end > start ? branch.end : start;
    } else {
        return true;
    }
    error_hint(&warning, "To recover along timeline %u itself, use --partial=always.",
               (unsigned)get->file.timeline);
    get_tell(get, &warning);
    choice->cut = true;
    return true;
}

/* Does the server's own pg_wal go further? It would be replaced by what it is given
 * (KeepFileRestoredFromArchive, xlogarchive.c, PostgreSQL 15), and the WAL behind that be gone:
 * what a standby had streamed, the end of a base backup. Told "not there", the server takes its
 * own, except where that goes on along a dead branch. */
static bool own_goes_further(const Get *get, const Choice *choice)
{
    Lsn start = segment_start(get->segno, get->archive.segment_size);
    char name[WAL_FILE_NAME_SIZE];
    Measure own;
    Error ignored;
    (void)wal_segment_name(get->file.timeline, get->segno, get->archive.segment_size, WAL_RAW,
                           false, name);
    if (strcmp(name, get->target.name) == 0) /* that file itself is wanted */
        return false;
    (void)!measure_file(get, &get->target.dir, name, WAL_RAW, &own, &ignored);
    Lsn end = wal_end(&own.scanner, start);
    return end > choice->end && end <= choice->left;
}

/* The rules of `auto`. *ret_placed: it was complete by now. */
static bool heed_rules(Get *get, Choice *choice, bool *ret_absent, bool *ret_placed, Error *err)
{
    Lsn start = segment_start(get->segno, get->archive.segment_size);
    *ret_absent = false;
    if (choice->end > start && !heed_branches(get, choice, err))
        return false;
    *ret_absent = !choice->cut && own_goes_further(get, choice);
    return *ret_absent || choice->cut || choice->end == start + get->archive.segment_size ||
           get_hole(get, choice->end, ret_placed, err);
}

static void tell_fault(const Get *get, const Choice *choice)
{
    char name[WAL_FILE_NAME_SIZE];
    char text[LSN_TEXT_SIZE];
    Error warning;
    if (choice->fault.class != ERROR_ARCHIVE)
        return;
    error_set(&warning, ERROR_ARCHIVE, "\"%s\" is restored up to %s: %s",
              partial_name(get, choice->form, name), lsn_format(choice->end, text),
              choice->fault.message);
    error_detail(&warning, "%s", choice->fault.detail);
    get_tell(get, &warning);
}

bool get_partial(Get *get, GetPartial mode, bool *ret_found, bool *ret_placed, Error *err)
{
    const GetRequest *request = get->request;
    Lsn start = segment_start(get->segno, get->archive.segment_size);
    Choice choice;
    bool wait = false;
    bool absent = false;
    *ret_placed = false;
    if (!exists(get, ret_found, err))
        return false;
    if (!*ret_found)
        return true;
    if (mode == GET_PARTIAL_AUTO && !must_wait(get, &wait, err))
        return false;
    if (wait)
        return true;
    if (request->receiver_runs(request->context))
        request->receiver_settle(request->context);
    if (!choose(get, &choice, err))
        return false;
    *ret_found = choice.any;
    if (!choice.any)
        return true;
    if (mode == GET_PARTIAL_AUTO && !heed_rules(get, &choice, &absent, ret_placed, err))
        return false;
    if (absent || *ret_placed || choice.end == start)
        return true;
    if (!place(get, &choice, ret_placed, err))
        return false;
    *ret_found = *ret_placed;
    if (*ret_placed)
        tell_fault(get, &choice);
    return true;
}
