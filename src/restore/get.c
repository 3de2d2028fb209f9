/* SPDX-License-Identifier: PostgreSQL
 *
 * See get.h. A receiver may rename and compress files meanwhile: what was open becomes complete,
 * what was raw becomes packed, each new name being there before the old one goes. So forms are
 * looked for in that order, and all of them twice.
 */
#include "get_internal.h"

#include "walrx/os/durable.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOKS 2

void get_tell(const Get *get, const Error *warning)
{
    if (get->request->tell != NULL)
        get->request->tell(get->request->context, warning);
}

FillResult get_judge(const Error *error)
{
    if (error->class == ERROR_STORAGE && error->os_errno == ENOENT)
        return FILL_ABSENT;
    if (error->class == ERROR_ARCHIVE || error->class == ERROR_STORAGE)
        return FILL_FAULTY;
    return FILL_FAILED;
}

bool get_append(const Get *get, int fd, const void *data, size_t length, uint64_t offset,
                Error *err)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    return length == 0 ||
           file_write_at(&get->target.dir, get->target.temporary, fd, &part, 1, offset, err);
}

/* One form: FILL_DONE once it is placed. */
static FillResult try_form(Get *get, GetFill fill, const char *name, WalCompression form,
                           Error *err)
{
    bool exists;
    uint64_t size;
    int fd;
    if (!file_status(&get->archive.dir, name, &exists, &size, err))
        return get_judge(err);
    if (!exists)
        return FILL_ABSENT;
    if (!file_open(&get->target.dir, get->target.temporary, FILE_CREATE, &fd, err))
        return FILL_FAILED;
    FillResult result = fill(get, name, form, fd, err);
    if (result != FILL_DONE)
        get_target_drop(&get->target, fd);
    else if (!get_target_place(&get->target, fd, err))
        result = FILL_FAILED;
    return result;
}

/* Faults of forms that another one made good. */
static void tell_faults(const Get *get, const Error *faults, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        Error warning = faults[i];
        error_set(&warning, faults[i].class, "%s; another form of it was taken", faults[i].message);
        error_detail(&warning, "%s", faults[i].detail);
        get_tell(get, &warning);
    }
}

bool get_by_form(Get *get, GetFill fill, bool *ret_placed, Error *err)
{
    Error faults[WAL_COMPRESSION_COUNT];
    size_t count = 0;
    *ret_placed = false;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        char name[WAL_FILE_NAME_SIZE];
        Error why;
        (void)snprintf(name, sizeof(name), "%s%s", get->request->name,
                       wal_compression_suffix((WalCompression)form));
        switch (try_form(get, fill, name, (WalCompression)form, &why)) {
        case FILL_DONE:
            tell_faults(get, faults, count);
            *ret_placed = true;
            return true;
        case FILL_ABSENT:
            break;
        case FILL_FAULTY:
            faults[count++] = why;
            break;
        case FILL_FAILED:
            *err = why;
            return false;
        }
    }
    if (count == 0)
        return true;
    *err = faults[0];
    return false;
}

static bool get_segment(Get *get, bool *ret_placed, Error *err)
{
    bool found = false;
    *ret_placed = false;
    if (get->file.partial)
        return get_partial(get, GET_PARTIAL_ALWAYS, &found, ret_placed, err);
    for (int i = 0; i < LOOKS && !found; i++) {
        if (!get_by_form(get, get_fill_segment, ret_placed, err))
            return false;
        if (*ret_placed)
            return true;
        if (get->request->partial != GET_PARTIAL_NEVER &&
            !get_partial(get, get->request->partial, &found, ret_placed, err))
            return false;
    }
    return found ||
           get_hole(get, segment_start(get->segno, get->archive.segment_size), ret_placed, err);
}

static bool parse_name(Get *get, Error *err)
{
    const char *name = get->request->name;
    if (wal_file_parse(name, &get->file) && get->file.compression == WAL_RAW)
        return true;
    error_set(err, ERROR_USAGE, "\"%.100s\" is no name of a WAL file", name);
    return error_hint(err, "restore_command names %%f, then %%p.");
}

static bool open_archive(Get *get, Error *err)
{
    const GetRequest *request = get->request;
    bool loaded;
    if (!archive_open_to_read(request->directory, request->files, &get->archive, &loaded, err)) {
        if (err->class == ERROR_USAGE) /* a disk that is not mounted must not look like the end */
            err->class = ERROR_STORAGE;
        return false;
    }
    if (get->archive.bound)
        return true;
    error_set(err, ERROR_STORAGE, "there is no WAL of any cluster in \"%s\"", request->directory);
    error_hint(err, "Is its disk mounted, and is it the archive?");
    archive_close(&get->archive);
    return false;
}

static bool check_segment_size(Get *get, Error *err)
{
    if (get->file.kind != WAL_FILE_SEGMENT ||
        wal_file_segno(&get->file, get->archive.segment_size, &get->segno))
        return true;
    return error_set(err, ERROR_ARCHIVE,
                     "\"%s\" is no segment of archive \"%s\", whose segments have %u bytes",
                     get->request->name, get->archive.dir.path, get->archive.segment_size);
}

static bool get_plain(Get *get, bool *ret_placed, Error *err)
{
    return get->file.kind == WAL_FILE_SEGMENT ? get_segment(get, ret_placed, err)
                                              : get_history(get, ret_placed, err);
}

static bool get_opened(Get *get, bool *ret_placed, Error *err)
{
    if (!get_target_is_of(&get->target, &get->archive, err) || !check_segment_size(get, err))
        return false;
    prefetch_begin(get);
    bool ok = prefetch_take(get, ret_placed, err);
    prefetch_note(get);
    if (ok && !*ret_placed)
        ok = get_plain(get, ret_placed, err);
    if (!ok && err->class == ERROR_NO_ROOM && prefetch_release(get))
        ok = get_plain(get, ret_placed, err);
    prefetch_end(get, ok && *ret_placed);
    return ok;
}

bool get_file(const GetRequest *request, bool *ret_placed, Error *err)
{
    Get get = {.request = request};
    bool placed = false;
    if (!parse_name(&get, err) || !get_target_open(request, &get.target, err))
        return false;
    bool ok = open_archive(&get, err);
    if (ok) {
        ok = get_opened(&get, &placed, err);
        archive_close(&get.archive);
    }
    get_target_close(&get.target);
    if (ok)
        *ret_placed = placed;
    else if (err->class == ERROR_NO_ROOM)
        error_hint(err, "Make room where the server keeps its WAL.");
    return ok;
}
