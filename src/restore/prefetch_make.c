/* SPDX-License-Identifier: PostgreSQL
 *
 * One segment, prepared as a request would restore it: the same checks, on the way from file to
 * file. What a request would have to say something about is left to the request.
 */
#include "prefetch_internal.h"

#include "walrx/os/durable.h"

#include <stdio.h>

static void note(void *context, const Error *warning)
{
    (void)warning;
    *(bool *)context = true;
}

static bool has_room(const Dir *dir, uint64_t needed)
{
    uint64_t left;
    Error ignored;
    return file_space_left(dir, &left, &ignored) && left >= needed;
}

/* Still the file that the name was made from? */
static bool is_current(const Archive *archive, const PrefetchStep *step)
{
    PrefetchSource now;
    prefetch_look(archive, step->timeline, step->segno, &now);
    return now.found && now.mark == step->source.mark;
}

static bool finish(const Get *get, const PrefetchStep *step, const char *name, int fd)
{
    Dir unsynced = get->target.dir;
    Error ignored;
    unsynced.sync = false; /* the request syncs the directory, for the final name */
    return is_current(&get->archive, step) &&
           durable_file(&get->target.dir, get->target.temporary, fd, &ignored) &&
           prefetch_seal(&get->target.dir, get->target.temporary, fd) &&
           durable_replace(&unsynced, get->target.temporary, &unsynced, name, &ignored);
}

PrefetchMade prefetch_make(const Get *get, const PrefetchStep *step, const char *name,
                           uint64_t keep_free)
{
    Get mine = *get;
    GetRequest request = *get->request;
    uint32_t size = get->archive.segment_size;
    char source[WAL_FILE_NAME_SIZE];
    bool noted = false;
    int fd;
    Error why;
    if (!has_room(&get->target.dir, size + keep_free))
        return PREFETCH_NO_ROOM;
    request.tell = note;
    request.context = &noted;
    mine.request = &request;
    mine.segno = step->segno;
    mine.file = (WalFileName){.kind = WAL_FILE_SEGMENT, .timeline = step->timeline};
    (void)prefetch_part_name(name, mine.target.temporary);
    (void)wal_segment_name(step->timeline, step->segno, size, step->source.form, false, source);
    if (!file_open(&mine.target.dir, mine.target.temporary, FILE_CREATE, &fd, &why))
        return why.class == ERROR_NO_ROOM ? PREFETCH_NO_ROOM : PREFETCH_NOT_MADE;
    error_clear(&why);
    bool made = get_fill_segment(&mine, source, step->source.form, fd, &why) == FILL_DONE &&
                !noted && finish(&mine, step, name, fd);
    if (made)
        file_close(&mine.target.dir, fd);
    else
        get_target_drop(&mine.target, fd);
    if (made)
        return PREFETCH_MADE;
    return why.class == ERROR_NO_ROOM ? PREFETCH_NO_ROOM : PREFETCH_NOT_MADE;
}
