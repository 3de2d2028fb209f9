/* SPDX-License-Identifier: PostgreSQL
 *
 * A link in pg_tblspc leads out of the backup. Taken over as it is, the copy would write into the
 * backup's files, or into the primary's; so each needs a place of its own, and only the user knows
 * one.
 */
#include "stage_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAP_FILE "tablespace_map"
#define MAP_BYTES_MAX ((size_t)1 << 20)

typedef struct Search {
    const StageRequest *request;
    Stage *stage;
    Dir dir; /* pg_tblspc */
    bool ok;
    Error *err;
} Search;

/* OLD=NEW; \= is a character of OLD, as with pg_basebackup. */
static bool split(const char *mapping, char *old, char *new, size_t capacity)
{
    size_t used = 0;
    const char *at = mapping;
    for (; *at != '\0' && *at != '='; at++) {
        if (at[0] == '\\' && at[1] == '=')
            at++;
        if (used + 1 >= capacity)
            return false;
        old[used++] = *at;
    }
    while (used > 1 && old[used - 1] == '/')
        used--;
    old[used] = '\0';
    int written = *at == '=' ? snprintf(new, capacity, "%s", at + 1) : -1;
    while (written > 1 && (size_t)written < capacity && new[written - 1] == '/')
        new[--written] = '\0';
    return old[0] == '/' && written > 1 && (size_t)written < capacity && new[0] == '/';
}

static bool refuse_mapping(const char *mapping, Error *err)
{
    error_set(err, ERROR_USAGE, "invalid tablespace mapping \"%s\"", mapping);
    return error_hint(err, "It is OLD=NEW, both absolute paths.");
}

static bool find_mapping(Search *search, StageTablespace *space)
{
    char old[DIR_PATH_SIZE];
    const StageTexts *mappings = &search->request->mappings;
    for (size_t i = 0; i < mappings->count; i++) {
        if (!split(mappings->items[i], old, space->to, sizeof(old)))
            return refuse_mapping(mappings->items[i], search->err);
        if (strcmp(old, space->from) == 0)
            return true;
    }
    error_set(search->err, ERROR_USAGE, "tablespace \"%s\" (OID %s) needs a place of its own",
              space->from, space->oid);
    error_detail(search->err,
                 "Backup \"%s\" has it outside of its directory, and the copy must "
                 "not share it.",
                 search->stage->backup);
    return error_hint(search->err, "--tablespace-mapping=%s=NEW, for each tablespace.",
                      space->from);
}

static bool add(Search *search, const StageTablespace *space)
{
    Stage *stage = search->stage;
    if (stage->tablespace_count == STAGE_TABLESPACES_MAX)
        return error_set(search->err, ERROR_USAGE, "backup \"%s\" has more than %d tablespaces",
                         stage->backup, STAGE_TABLESPACES_MAX);
    if (stage->tablespaces == NULL)
        stage->tablespaces = calloc(STAGE_TABLESPACES_MAX, sizeof(*stage->tablespaces));
    if (stage->tablespaces == NULL)
        return error_set(search->err, ERROR_MEMORY, "out of memory while reading tablespaces");
    for (size_t i = 0; i < stage->tablespace_count; i++) {
        if (strcmp(stage->tablespaces[i].to, space->to) == 0)
            return error_set(search->err, ERROR_USAGE, "two tablespaces would go to \"%s\"",
                             space->to);
    }
    stage->tablespaces[stage->tablespace_count++] = *space;
    return true;
}

static bool take_link(void *context, const char *name)
{
    Search *search = context;
    StageTablespace space;
    ssize_t length = readlinkat(search->dir.fd, name, space.from, sizeof(space.from) - 1);
    if (length < 0) /* a directory, which is copied with the rest */
        return true;
    space.from[length] = '\0';
    search->ok = strlen(name) < sizeof(space.oid) && space.from[0] == '/';
    if (!search->ok) {
        error_set(search->err, ERROR_ARCHIVE, "link \"%s/%s\" is not one of a tablespace",
                  search->dir.path, name);
        return false;
    }
    (void)snprintf(space.oid, sizeof(space.oid), "%s", name);
    search->ok = find_mapping(search, &space) && add(search, &space);
    return search->ok;
}

static bool all_used(const StageRequest *request, const Stage *stage, Error *err)
{
    char old[DIR_PATH_SIZE];
    char new[DIR_PATH_SIZE];
    for (size_t i = 0; i < request->mappings.count; i++) {
        const char *mapping = request->mappings.items[i];
        bool used = false;
        if (!split(mapping, old, new, sizeof(old)))
            return refuse_mapping(mapping, err);
        for (size_t k = 0; k < stage->tablespace_count; k++)
            used = used || strcmp(stage->tablespaces[k].from, old) == 0;
        if (!used) {
            error_set(err, ERROR_USAGE, "backup \"%s\" has no tablespace at \"%s\"", stage->backup,
                      old);
            return error_hint(err, "ls -l %s/pg_tblspc shows where its tablespaces are.",
                              stage->backup);
        }
    }
    return true;
}

/* Lines "OID path" (do_pg_backup_start, xlog.c, PostgreSQL 15), in backups from tar files: such a
 * backup has no links, and a server would make them, to the primary's directories. */
static bool check_line(Search *search, char *line)
{
    struct stat status;
    size_t length = strspn(line, "0123456789");
    char *path = line + length;
    if (length == 0 || *path != ' ')
        return true;
    *path++ = '\0';
    if (search->dir.fd >= 0 &&
        search->dir.files->fstatat(search->dir.fd, line, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    error_set(search->err, ERROR_USAGE, "backup \"%s\" lacks tablespace %s", search->stage->backup,
              line);
    error_detail(search->err, "tablespace_map says that the primary has it at \"%s\".", path);
    return error_hint(search->err, "Unpack %s.tar into \"%s/pg_tblspc/%s\".", line,
                      search->stage->backup, line);
}

static bool check_map(Search *search, const Dir *top)
{
    char *text = calloc(1, MAP_BYTES_MAX + 1);
    bool exists;
    uint64_t size;
    size_t length;
    int fd;
    bool ok = text != NULL ||
              error_set(search->err, ERROR_MEMORY, "out of memory while reading tablespaces");
    ok = ok && file_status(top, MAP_FILE, &exists, &size, search->err);
    if (ok && exists && file_open(top, MAP_FILE, FILE_READ, &fd, search->err)) {
        char *rest = text;
        ok = file_read_at(top, MAP_FILE, fd, text, MAP_BYTES_MAX, 0, &length, search->err);
        file_close(top, fd);
        for (char *line = strsep(&rest, "\n"); ok && line != NULL; line = strsep(&rest, "\n"))
            ok = check_line(search, line);
    } else if (ok && exists) {
        ok = false;
    }
    free(text);
    return ok;
}

/* The copy of a tablespace would be written into what must stay as it is, or into itself. */
static bool check_place(const Stage *stage, const char *to, const char *other, const char *what,
                        Error *err)
{
    if (!stage_place_overlap(to, other))
        return true;
    error_set(err, ERROR_USAGE,
              "the place \"%s\" of a tablespace and the %s \"%s\" lie in each other", to, what,
              other);
    return error_hint(err,
                      "Choose another NEW for --tablespace-mapping, such as \"%s.tablespace\".",
                      stage->into);
}

static bool check_places(const Stage *stage, Error *err)
{
    for (size_t i = 0; i < stage->tablespace_count; i++) {
        const char *to = stage->tablespaces[i].to;
        if (!check_place(stage, to, stage->into, "copy", err) ||
            !check_place(stage, to, stage->backup, "backup", err) ||
            !check_place(stage, to, stage->archive, "archive", err))
            return false;
        for (size_t k = 0; k < stage->tablespace_count; k++) {
            if (!check_place(stage, to, stage->tablespaces[k].from, "backup's tablespace", err) ||
                (k != i &&
                 !check_place(stage, to, stage->tablespaces[k].to, "place of another one", err)))
                return false;
        }
    }
    return true;
}

bool stage_tablespace_check(const StageRequest *request, Stage *stage, Error *err)
{
    Search search = {.request = request, .stage = stage, .dir = {.fd = -1}, .ok = true, .err = err};
    Dir top;
    if (!dir_open(stage->backup, false, request->files, &top, err))
        return false;
    bool ok = dir_open_inside(&top, "pg_tblspc", false, &search.dir, NULL, err);
    ok = ok && check_map(&search, &top);
    if (ok && search.dir.fd >= 0)
        ok = dir_visit(&search.dir, take_link, &search, err) && search.ok;
    dir_close(&search.dir);
    dir_close(&top);
    return ok && all_used(request, stage, err) && check_places(stage, err);
}
