/* SPDX-License-Identifier: PostgreSQL
 *
 * Method: the copy's directory is claimed first; pg_control, without which no server starts, comes
 * last; whatever fails in between, all that was made goes again. What is left out is what
 * pg_basebackup leaves out (basebackup.c, PostgreSQL 15), the files that would make the copy a
 * standby or tell of the primary's process, its logs, and pg_wal: what is replayed is then what the
 * check has looked at, the archive.
 */
#include "stage_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONF_SIZE ((size_t)256 << 10)
#define CONTROL "global/pg_control"
#define GROUP_MAJOR 11 /* data directories that a group may read */

static const char *const kept_aside[] = {"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf",
                                         "pg_ident.conf"};

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

TreeChoice stage_copy_choose(void *context, const char *path, mode_t mode, bool is_link)
{
    static const char *const files[] = {CONTROL,
                                        "backup_manifest",
                                        "backup_manifest.tmp",
                                        "backup_label.old",
                                        "tablespace_map",
                                        "tablespace_map.old",
                                        "postmaster.pid",
                                        "postmaster.opts",
                                        "recovery.conf",
                                        "recovery.done",
                                        "recovery.signal",
                                        "standby.signal",
                                        "promote",
                                        "current_logfiles",
                                        "pg_wal",
                                        "postgresql.auto.conf.tmp",
                                        STAGE_CLAIM,
                                        STAGE_LOG};
    static const char *const directories[] = {"pg_replslot", "pg_dynshmem",  "pg_notify",
                                              "pg_serial",   "pg_snapshots", "pg_stat_tmp",
                                              "pg_subtrans", "log",          "pg_log"};
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    (void)context;
    if (is_one_of(path, files, sizeof(files) / sizeof(files[0])) ||
        is_one_of(path, kept_aside, sizeof(kept_aside) / sizeof(kept_aside[0])) ||
        strncmp(name, "pg_internal.init", strlen("pg_internal.init")) == 0 ||
        strncmp(name, "pgsql_tmp", strlen("pgsql_tmp")) == 0)
        return TREE_LEAVE_OUT;
    if (is_link && strncmp(path, "pg_tblspc/", strlen("pg_tblspc/")) == 0)
        return TREE_LEAVE_OUT; /* a place of its own is made */
    if (S_ISDIR(mode) && is_one_of(path, directories, sizeof(directories) / sizeof(directories[0])))
        return TREE_EMPTY;
    return TREE_COPY;
}

typedef struct Making {
    const StageRequest *request;
    Stage *stage;
    TreeCopy how;
    TreePlace top;
    TreePlace *spaces; /* one for each tablespace */
    uint64_t done;
    Error *err;
} Making;

static bool progress(void *context, uint64_t bytes)
{
    Making *making = context;
    const StageRequest *request = making->request;
    making->done += bytes;
    if (request->copied != NULL)
        request->copied(request->context, making->done, making->stage->size.bytes);
    return control_running(request->control);
}

/* ---- before the first byte ---- */

static bool measure(Making *making)
{
    Stage *stage = making->stage;
    TreeSize size;
    if (!tree_measure(stage->backup, &making->how, &stage->size, making->err))
        return false;
    for (size_t i = 0; i < stage->tablespace_count; i++) {
        if (!tree_measure(stage->tablespaces[i].from, &making->how, &size, making->err))
            return false;
        stage->size.files += size.files;
        stage->size.bytes += size.bytes;
    }
    return true;
}

/* Tablespaces may go to another filesystem: all is counted as if they went to this one only where
 * there are none. */
static bool check_room(const Making *making)
{
    const Stage *stage = making->stage;
    uint64_t left;
    if (!file_space_left(&making->top.dir, &left, making->err))
        return false;
    if (stage->tablespace_count > 0 || left >= stage->size.bytes ||
        tree_can_share(stage->backup, CONTROL, &making->top.dir))
        return true;
    error_set(making->err, ERROR_NO_ROOM, "there is no room for the copy in \"%s\"", stage->into);
    error_detail(making->err, "It needs %.1f GB, and %.1f GB are free.",
                 (double)stage->size.bytes / 1e9, (double)left / 1e9);
    return error_hint(making->err, "Choose another filesystem for --into.");
}

static mode_t mode_of_copy(const Making *making)
{
    struct stat status;
    const FileTable *files = making->request->files;
    bool group = making->stage->base.major >= GROUP_MAJOR &&
                 files->fstatat(AT_FDCWD, making->stage->backup, &status, 0) == 0 &&
                 (status.st_mode & 0777) == 0750;
    return group ? 0750 : 0700;
}

static bool claim_places(Making *making)
{
    Stage *stage = making->stage;
    mode_t mode = mode_of_copy(making);
    if (!tree_place_begin(stage->into, STAGE_CLAIM, mode, &stage->owner, making->request->files,
                          &making->top, making->err) ||
        !check_room(making))
        return false;
    for (size_t i = 0; i < stage->tablespace_count; i++) {
        if (!tree_place_begin(stage->tablespaces[i].to, STAGE_CLAIM, mode, &stage->owner,
                              making->request->files, &making->spaces[i], making->err))
            return false;
    }
    return true;
}

/* ---- the copy ---- */

static bool copy_all(Making *making)
{
    const Stage *stage = making->stage;
    char path[sizeof("pg_tblspc/") + STAGE_OID_SIZE];
    if (!tree_copy(stage->backup, &making->top.dir, &making->how, making->err) ||
        !tree_make_directory(&making->top.dir, "pg_wal", mode_of_copy(making), &stage->owner,
                             making->err))
        return false;
    for (size_t i = 0; i < stage->tablespace_count; i++) {
        const StageTablespace *space = &stage->tablespaces[i];
        (void)snprintf(path, sizeof(path), "pg_tblspc/%s", space->oid);
        if (!tree_copy(space->from, &making->spaces[i].dir, &making->how, making->err) ||
            !tree_link(&making->top.dir, path, space->to, &stage->owner, making->err))
            return false;
    }
    return true;
}

/* The primary's configuration, for a person to look at. */
static bool keep_aside(Making *making)
{
    const Stage *stage = making->stage;
    char name[64];
    for (size_t i = 0; i < sizeof(kept_aside) / sizeof(kept_aside[0]); i++) {
        struct stat status;
        char path[DIR_PATH_SIZE + 64];
        (void)snprintf(path, sizeof(path), "%s/%s", stage->backup, kept_aside[i]);
        (void)snprintf(name, sizeof(name), "%s.backup", kept_aside[i]);
        if (making->request->files->fstatat(AT_FDCWD, path, &status, 0) == 0 &&
            S_ISREG(status.st_mode) &&
            !tree_copy_file(stage->backup, kept_aside[i], &making->top.dir, name, &making->how,
                            making->err))
            return false;
    }
    return true;
}

static bool write_text(Making *making, const char *name, const char *text)
{
    return tree_write(&making->top.dir, name, text, strlen(text), &making->stage->owner,
                      making->err);
}

static bool write_configuration(Making *making)
{
    static const char hba[] = "# Written by walrx stage: its socket lies in a directory that only "
                              "the owner can enter.\n"
                              "local all all trust\n";
    const Stage *stage = making->stage;
    bool old = stage->base.major < STAGE_SIGNAL_MAJOR;
    char *text = malloc(CONF_SIZE);
    if (text == NULL)
        return error_set(making->err, ERROR_MEMORY, "out of memory while writing a configuration");
    bool ok = (stage_conf_main(making->request, stage, text, CONF_SIZE) ||
               error_set(making->err, ERROR_USAGE, "the copy's configuration is too long")) &&
              write_text(making, "postgresql.conf", text);
    if (ok && old)
        ok = (stage_conf_recovery(making->request, stage, text, CONF_SIZE) ||
              error_set(making->err, ERROR_USAGE, "the copy's configuration is too long")) &&
             write_text(making, "recovery.conf", text);
    else if (ok)
        ok = write_text(making, "recovery.signal", "");
    free(text);
    return ok && write_text(making, "pg_hba.conf", hba) &&
           write_text(making, "pg_ident.conf", "") &&
           write_text(making, "postgresql.auto.conf", "");
}

static bool finish_places(Making *making)
{
    for (size_t i = 0; i < making->stage->tablespace_count; i++) {
        if (!tree_place_finish(&making->spaces[i], making->err))
            return false;
    }
    return tree_place_finish(&making->top, making->err);
}

bool stage_make(const StageRequest *request, Stage *stage, Error *err)
{
    Making making = {.request = request, .stage = stage, .err = err};
    making.how = (TreeCopy){.files = request->files,
                            .owner = stage->owner,
                            .choose = stage_copy_choose,
                            .progress = progress,
                            .context = &making};
    making.spaces = calloc(stage->tablespace_count + 1, sizeof(*making.spaces));
    if (making.spaces == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while copying");
    bool ok = measure(&making) && claim_places(&making) && copy_all(&making) &&
              keep_aside(&making) && write_configuration(&making) &&
              tree_copy_file(stage->backup, CONTROL, &making.top.dir, CONTROL, &making.how, err) &&
              finish_places(&making);
    if (!ok) {
        for (size_t i = 0; i < stage->tablespace_count; i++)
            tree_place_undo(&making.spaces[i]);
        tree_place_undo(&making.top);
    }
    free(making.spaces);
    return ok;
}
