/* SPDX-License-Identifier: PostgreSQL
 *
 * See listing.h. One pass over the names, the size of each file with it. A file that is gone when
 * its size is asked for has got another name meanwhile (a partial that was completed, a raw segment
 * that was compressed), so the other names of its segment are tried.
 */
#include "listing_internal.h"

#include "walrx/archive/gap.h"
#include "walrx/archive/quarantine.h"
#include "walrx/archive/segment_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES ((size_t)1 << 26) /* 1 PB of WAL in 16 MB segments */

bool listing_grow(void **items, size_t *capacity, size_t count, size_t item_size, Error *err)
{
    if (count < *capacity)
        return true;
    if (count >= MAX_FILES)
        return error_set(err, ERROR_ARCHIVE, "the archive holds more than %zu files", MAX_FILES);
    size_t more = *capacity == 0 ? 64 : *capacity * 2;
    void *moved = realloc(*items, more * item_size);
    if (moved == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while listing the archive");
    *items = moved;
    *capacity = more;
    return true;
}

static bool file_list_add(FileList *list, const ListedFile *file, Error *err)
{
    void *items = list->items;
    if (!listing_grow(&items, &list->capacity, list->count, sizeof(*file), err))
        return false;
    list->items = items;
    list->items[list->count++] = *file;
    return true;
}

static int compare_files(const void *left, const void *right)
{
    const ListedFile *a = left;
    const ListedFile *b = right;
    if (a->timeline != b->timeline)
        return a->timeline < b->timeline ? -1 : 1;
    if (a->segno != b->segno)
        return a->segno < b->segno ? -1 : 1;
    if (a->partial != b->partial)
        return a->partial ? 1 : -1;
    return (int)a->form - (int)b->form;
}

void file_list_sort(FileList *list)
{
    size_t kept = 0;
    if (list->count > 0)
        qsort(list->items, list->count, sizeof(list->items[0]), compare_files);
    /* A directory that changes while it is read may show a name twice. */
    for (size_t i = 0; i < list->count; i++) {
        if (kept == 0 || compare_files(&list->items[kept - 1], &list->items[i]) != 0)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

bool listing_look_again(const Archive *archive, FileList *files, Timeline timeline, SegNo segno,
                        bool *ret_found, Error *err)
{
    *ret_found = false;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        char name[WAL_FILE_NAME_SIZE];
        bool exists;
        ListedFile file = {.timeline = timeline, .segno = segno, .form = (uint8_t)form};
        wal_segment_name(timeline, segno, archive->segment_size, (WalCompression)form, false, name);
        if (!file_status(&archive->dir, name, &exists, &file.disk_bytes, err))
            return false;
        if (!exists)
            continue;
        *ret_found = true;
        if (!file_list_add(files, &file, err))
            return false;
    }
    return true;
}

static void count_file(ListingFiles *files, uint64_t disk_bytes)
{
    files->files++;
    files->disk_bytes += disk_bytes;
}

typedef struct Pass {
    const Archive *archive;
    Listing *listing;
    FileList *files;
    bool ok;
    Error *err;
} Pass;

static bool take_segment(Pass *pass, const char *name, const WalFileName *parsed, bool exists,
                         uint64_t size, Error *err)
{
    Listing *listing = pass->listing;
    uint32_t segment_size = pass->archive->segment_size;
    ListedFile file = {.disk_bytes = size,
                       .timeline = parsed->timeline,
                       .form = (uint8_t)parsed->compression,
                       .partial = parsed->partial};
    bool found;
    if (!listing->known) {
        if (exists)
            count_file(parsed->partial ? &listing->partials : &listing->forms[file.form], size);
        return true;
    }
    if (!wal_file_segno(parsed, segment_size, &file.segno) ||
        file.segno >= segment_last(segment_size)) {
        count_file(&listing->foreign, size);
        return true;
    }
    if (!exists)
        return listing_look_again(pass->archive, pass->files, file.timeline, file.segno, &found,
                                  err);
    bool raw = parsed->compression == WAL_RAW;
    if (!parsed->partial && (size == 0 || (raw && size != segment_size))) {
        count_file(&listing->odd, size);
        (void)snprintf(listing->odd_name, sizeof(listing->odd_name), "%s", name);
    }
    return file_list_add(pass->files, &file, err);
}

static bool take_name(void *context, const char *name)
{
    Pass *pass = context;
    Listing *listing = pass->listing;
    WalFileName parsed;
    bool exists;
    uint64_t size;
    if (strcmp(name, ARCHIVE_PRIVATE_DIR) == 0)
        return true;
    pass->ok = file_status(&pass->archive->dir, name, &exists, &size, pass->err);
    if (!pass->ok)
        return false;
    if (!wal_file_parse(name, &parsed)) {
        if (exists)
            count_file(&listing->foreign, size);
        return true;
    }
    switch (parsed.kind) {
    case WAL_FILE_SEGMENT:
        pass->ok = take_segment(pass, name, &parsed, exists, size, pass->err);
        break;
    case WAL_FILE_HISTORY:
        count_file(&listing->histories, size);
        break;
    case WAL_FILE_BACKUP_HISTORY:
        count_file(&listing->backup_histories, size);
        break;
    }
    return pass->ok;
}

typedef struct Counting {
    const Dir *dir;
    const char *suffix; /* NULL: every name counts */
    ListingFiles *files;
    bool ok;
    Error *err;
} Counting;

static bool count_name(void *context, const char *name)
{
    Counting *counting = context;
    bool exists;
    uint64_t size;
    if (counting->suffix != NULL) {
        size_t length = strlen(name);
        size_t suffix = strlen(counting->suffix);
        if (length <= suffix || strcmp(name + length - suffix, counting->suffix) != 0)
            return true;
    }
    counting->ok = file_status(counting->dir, name, &exists, &size, counting->err);
    if (counting->ok && exists)
        count_file(counting->files, size);
    return counting->ok;
}

static bool count_private(const Archive *archive, Listing *listing, Error *err)
{
    Dir quarantine;
    Counting temporary = {.dir = &archive->private,
                          .suffix = ARCHIVE_TEMP_SUFFIX,
                          .files = &listing->temporary,
                          .ok = true,
                          .err = err};
    if (archive->private.fd < 0)
        return true;
    if (!dir_visit(&archive->private, count_name, &temporary, err) || !temporary.ok ||
        !dir_open_inside(&archive->private, QUARANTINE_DIR, false, &quarantine, NULL, err))
        return false;
    if (quarantine.fd < 0)
        return true;
    Counting moved = {.dir = &quarantine, .files = &listing->quarantine, .ok = true, .err = err};
    bool ok = dir_visit(&quarantine, count_name, &moved, err) && moved.ok;
    dir_close(&quarantine);
    return ok;
}

void listing_unreadable(Listing *listing, const Error *why)
{
    if (listing->unreadable.class == ERROR_NONE)
        listing->unreadable = *why;
}

bool listing_make(const Archive *archive, bool known, bool loaded, Listing *ret, Error *err)
{
    FileList files = {.items = NULL};
    Branch branch = {.spans = NULL};
    *ret = (Listing){.known = known, .loaded = loaded};
    if (known) {
        ret->system_identifier = archive->system_identifier;
        ret->segment_size = archive->segment_size;
    }
    Pass pass = {.archive = archive, .listing = ret, .files = &files, .ok = true, .err = err};
    bool ok = dir_visit(&archive->dir, take_name, &pass, err) && pass.ok &&
              count_private(archive, ret, err);
    if (ok && known)
        ok = listing_ranges(archive, &files, ret, err) &&
             listing_branches(archive, ret, &branch, err) &&
             listing_commits(archive, &branch, ret, err);
    branch_free(&branch);
    free(files.items);
    return ok;
}

void listing_free(Listing *listing)
{
    free(listing->timelines);
    free(listing->ranges);
    free(listing->gaps);
    listing->timelines = NULL;
    listing->ranges = NULL;
    listing->gaps = NULL;
}

const ListingTimeline *listing_timeline(const Listing *listing, Timeline timeline)
{
    for (size_t i = 0; i < listing->timeline_count; i++) {
        if (listing->timelines[i].timeline == timeline)
            return &listing->timelines[i];
    }
    return NULL;
}
