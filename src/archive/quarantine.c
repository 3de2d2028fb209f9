/* SPDX-License-Identifier: PostgreSQL
 *
 * See quarantine.h.
 */
#include "walrx/archive/quarantine.h"

#include "walrx/os/durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file that is refused again and again must not fill the disk unseen. */
#define QUARANTINE_MAX 100

#define COMPARE_CHUNK ((size_t)256 * 1024)

typedef struct Side {
    const Dir *dir;
    const char *name;
    int fd;
} Side;

/* Reads both to the first difference; `chunk` has room for two pieces. */
static bool compare_sides(const Side *a, const Side *b, char *chunk, bool *ret_same, Error *err)
{
    for (uint64_t offset = 0;; offset += COMPARE_CHUNK) {
        size_t count[2];
        char *other = chunk + COMPARE_CHUNK;
        if (!file_read_at(a->dir, a->name, a->fd, chunk, COMPARE_CHUNK, offset, &count[0], err) ||
            !file_read_at(b->dir, b->name, b->fd, other, COMPARE_CHUNK, offset, &count[1], err))
            return false;
        *ret_same = count[0] == count[1] && memcmp(chunk, other, count[0]) == 0;
        if (!*ret_same || count[0] < COMPARE_CHUNK)
            return true;
    }
}

static bool same_content(Side a, Side b, bool *ret_same, Error *err)
{
    bool exists;
    uint64_t size[2];
    if (!file_status(a.dir, a.name, &exists, &size[0], err) ||
        !file_status(b.dir, b.name, &exists, &size[1], err))
        return false;
    *ret_same = false;
    if (size[0] != size[1])
        return true;
    char *chunk = malloc(2 * COMPARE_CHUNK);
    bool ok = chunk != NULL;
    if (!ok)
        error_set(err, ERROR_MEMORY, "out of memory while comparing \"%s\"", a.name);
    ok = ok && file_open(a.dir, a.name, FILE_READ, &a.fd, err) &&
         file_open(b.dir, b.name, FILE_READ, &b.fd, err) &&
         compare_sides(&a, &b, chunk, ret_same, err);
    file_close(a.dir, a.fd);
    file_close(b.dir, b.fd);
    free(chunk);
    return ok;
}

/* `target` of the quarantine is taken; when it holds the same bytes, the newcomer goes. The entry
 * of a run that was killed may not be durable yet. */
static bool drop_if_same(const Dir *from, const char *name, const Dir *dir, const char *target,
                         bool *ret_same, Error *err)
{
    Side newcomer = {.dir = from, .name = name, .fd = -1};
    Side old = {.dir = dir, .name = target, .fd = -1};
    return same_content(newcomer, old, ret_same, err) &&
           (!*ret_same || (durable_directory(dir, err) && durable_remove(from, name, err)));
}

bool quarantine_move(const Archive *archive, const Dir *from, const char *name, const char *as,
                     Error *err)
{
    Dir dir;
    if (!dir_open_inside(&archive->private, QUARANTINE_DIR, true, &dir, NULL, err))
        return false;
    bool ok = true;
    bool taken = true;
    bool same = false;
    for (int i = 0; ok && taken && !same; i++) {
        char target[256];
        if (i == QUARANTINE_MAX) {
            ok = error_set(err, ERROR_STORAGE, "quarantine \"%s\" holds %d files of name \"%s\"",
                           dir.path, i, as);
            break;
        }
        if (i == 0)
            (void)snprintf(target, sizeof(target), "%s", as);
        else
            (void)snprintf(target, sizeof(target), "%s.%d", as, i);
        ok = durable_publish(from, name, &dir, target, &taken, err) &&
             (!taken || drop_if_same(from, name, &dir, target, &same, err));
    }
    dir_close(&dir);
    return ok;
}
