/* SPDX-License-Identifier: PostgreSQL
 *
 * The files of the index: each is read as a whole, and added to at its end.
 */
#include "index_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 4 GB of WAL in segments of 1 MB with long entries, each written twice, and then it begins anew.
 */
#define FILE_MAX ((uint64_t)64 << 20)

static uint32_t segments_per_file(const Archive *archive)
{
    return (uint32_t)(((uint64_t)1 << 32) / archive->segment_size);
}

static uint32_t log_of(const Archive *archive, SegNo segno)
{
    return (uint32_t)(segment_start(segno, archive->segment_size) >> 32);
}

static void file_name(Timeline timeline, uint32_t log, char name[INDEX_NAME_SIZE])
{
    (void)snprintf(name, INDEX_NAME_SIZE, "%08" PRIX32 "%08" PRIX32, timeline, log);
}

/* Reads up to `size` bytes. */
static bool read_bytes_of(const Dir *dir, const char *name, uint64_t size, IndexFile *file,
                          Error *err)
{
    int fd;
    file->bytes = malloc((size_t)size + 1);
    if (file->bytes == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s/%s\"", dir->path,
                         name);
    if (!file_open(dir, name, FILE_READ, &fd, err))
        return false;
    bool ok = file_read_at(dir, name, fd, file->bytes, (size_t)size, 0, &file->length, err);
    file_close(dir, fd);
    return ok;
}

/* Where the last entry of each segment lies. */
static bool find_places(IndexFile *file, const Archive *archive, Error *err)
{
    uint32_t count = segments_per_file(archive);
    IndexPlace place = {.begin = 0};
    size_t at = 0;
    file->places = calloc(count, sizeof(*file->places));
    if (file->places == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading the segment index");
    while (index_next(archive, file->bytes, file->length, at, &place)) {
        if (place.timeline == file->timeline &&
            place.segno / count == file->log) /* the others are somebody's copies */
            file->places[place.segno % count] = 1 + (uint32_t)place.begin;
        at = place.begin + place.length;
    }
    return true;
}

static bool load(IndexFile *file, const Archive *archive, Error *err)
{
    char name[INDEX_NAME_SIZE];
    Dir dir;
    bool exists;
    uint64_t size;
    file_name(file->timeline, file->log, name);
    if (!dir_open_inside(&archive->private, INDEX_DIR, false, &dir, NULL, err))
        return false;
    if (dir.fd < 0)
        return true;
    bool ok = file_status(&dir, name, &exists, &size, err);
    if (ok && exists && size <= FILE_MAX)
        ok = read_bytes_of(&dir, name, size, file, err) && find_places(file, archive, err);
    dir_close(&dir);
    return ok;
}

void index_file_free(IndexFile *file)
{
    free(file->bytes);
    free(file->places);
    *file = (IndexFile){.loaded = false};
}

bool index_file_find(IndexFile *file, const Archive *archive, Timeline timeline, SegNo segno,
                     IndexEntry *ret)
{
    uint32_t log = log_of(archive, segno);
    IndexPlace place;
    Error unreadable;
    if (archive->private.fd < 0)
        return false;
    if (!file->loaded || file->timeline != timeline || file->log != log) {
        index_file_free(file);
        *file = (IndexFile){.timeline = timeline, .log = log, .loaded = true};
        if (!load(file, archive, &unreadable)) {
            free(file->places);
            file->places = NULL;
        }
    }
    if (file->places == NULL)
        return false;
    uint32_t begin = file->places[segno % segments_per_file(archive)];
    return begin > 0 && index_next(archive, file->bytes, file->length, begin - 1, &place) &&
           index_decode(file->bytes + place.begin, place.length, ret);
}

/* One that has grown beyond all bounds tells nothing; nobody reads it. */
static bool bound_size(const Dir *dir, const char *name, int fd, Error *err)
{
    bool exists;
    uint64_t size;
    if (!file_status(dir, name, &exists, &size, err))
        return false;
    return size <= FILE_MAX || file_truncate(dir, name, fd, 0, err);
}

/* Whether its name survives a power cut does not matter. */
static bool open_index(const Archive *archive, Dir *ret, Error *err)
{
    Dir parent = archive->private;
    parent.sync = false;
    if (!dir_open_inside(&parent, INDEX_DIR, false, ret, NULL, err))
        return false;
    return ret->fd >= 0 || dir_open_inside(&parent, INDEX_DIR, true, ret, NULL, err);
}

bool index_append(const Archive *archive, const IndexEntry *entry, Error *err)
{
    uint8_t bytes[INDEX_ENTRY_MAX];
    char name[INDEX_NAME_SIZE];
    Dir dir;
    int fd;
    size_t length = index_encode(archive, entry, bytes);
    file_name(entry->timeline, log_of(archive, entry->segno), name);
    if (!open_index(archive, &dir, err))
        return false;
    bool ok = file_open(&dir, name, FILE_APPEND, &fd, err);
    if (ok) {
        ok = bound_size(&dir, name, fd, err) && file_append(&dir, name, fd, bytes, length, err);
        file_close(&dir, fd);
    }
    dir_close(&dir);
    return ok;
}

typedef struct Forgetting {
    const Archive *archive;
    const Dir *dir;
    SegNo before;
    bool ok;
    Error *err;
} Forgetting;

static bool forget_file(void *context, const char *name)
{
    Forgetting *forgetting = context;
    uint32_t count = segments_per_file(forgetting->archive);
    char again[INDEX_NAME_SIZE];
    char halves[LSN_TEXT_SIZE];
    Lsn both; /* the name has the form of an LSN without its slash */
    bool existed;
    (void)snprintf(halves, sizeof(halves), "%.8s/%.8s", name, strlen(name) > 8 ? name + 8 : "");
    if (!lsn_parse(halves, &both))
        return true;
    file_name((Timeline)(both >> 32), (uint32_t)both, again);
    if (strcmp(name, again) != 0 || ((both & UINT32_MAX) + 1) * count > forgetting->before)
        return true;
    forgetting->ok = file_remove(forgetting->dir, name, &existed, forgetting->err);
    return forgetting->ok;
}

bool index_forget(const Archive *archive, SegNo segno, Error *err)
{
    Dir dir;
    if (archive->private.fd < 0)
        return true;
    if (!dir_open_inside(&archive->private, INDEX_DIR, false, &dir, NULL, err))
        return false;
    if (dir.fd < 0)
        return true;
    Forgetting forgetting = {
        .archive = archive, .dir = &dir, .before = segno, .ok = true, .err = err};
    bool ok = dir_visit(&dir, forget_file, &forgetting, err) && forgetting.ok;
    dir_close(&dir);
    return ok;
}
