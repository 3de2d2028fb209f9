/* SPDX-License-Identifier: PostgreSQL
 *
 * The place a file is restored to, and the server it is for. PostgreSQL runs restore_command in its
 * data directory and gives %p relative to that; pg_rewind gives a whole path. Either way the data
 * directory is the one that holds the target's directory.
 */
#include "get_internal.h"

#include "walrx/os/durable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RECOVERY_CONF_MAX ((size_t)64 * 1024)

/* Up to the last slash; "." without one. */
static bool parent_of(const char *path, char *buffer, size_t capacity)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (slash == path)
        length = 1;
    if (length >= capacity)
        return false;
    (void)snprintf(buffer, capacity, "%.*s", slash == NULL ? 1 : (int)length,
                   slash == NULL ? "." : path);
    return true;
}

/* A server with group access (initdb -g) lets its group read the folder, too. */
static bool group_may_read(const Dir *dir)
{
    struct stat status;
    return dir->files->fstatat(dir->fd, ".", &status, 0) == 0 && (status.st_mode & S_IRGRP) != 0;
}

bool get_target_open(const GetRequest *request, GetTarget *ret, Error *err)
{
    char directory[DIR_PATH_SIZE];
    char data[DIR_PATH_SIZE];
    const char *slash = strrchr(request->target, '/');
    const char *name = slash == NULL ? request->target : slash + 1;
    GetTarget target = {.dir = {.fd = -1}, .data = {.fd = -1}};
    Error unknown;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strlen(name) + strlen(TEMPORARY_PREFIX) >= TARGET_NAME_SIZE ||
        !parent_of(request->target, directory, sizeof(directory)) ||
        !parent_of(directory, data, sizeof(data)))
        return error_set(err, ERROR_USAGE, "\"%.200s\" is no name of a file to restore to",
                         request->target);
    (void)snprintf(target.name, sizeof(target.name), "%s", name);
    (void)snprintf(target.temporary, sizeof(target.temporary), TEMPORARY_PREFIX "%s", name);
    if (!dir_open(directory, request->sync, request->files, &target.dir, err)) {
        err->class = ERROR_STORAGE;
        return error_hint(err, "restore_command names %%f, then %%p.");
    }
    if (group_may_read(&target.dir))
        target.dir.file_mode = 0640;
    if (!dir_open(data, false, request->files, &target.data, &unknown))
        target.data.fd = -1;
    *ret = target;
    return true;
}

void get_target_close(GetTarget *target)
{
    dir_close(&target->data);
    dir_close(&target->dir);
}

bool get_target_read(const GetTarget *target, const char *name, void *buffer, size_t capacity,
                     size_t *ret_length, Error *err)
{
    bool exists = false;
    uint64_t size;
    int fd;
    *ret_length = 0;
    if (target->data.fd < 0)
        return true;
    if (!file_status(&target->data, name, &exists, &size, err))
        return false;
    if (!exists)
        return true;
    if (!file_open(&target->data, name, FILE_READ, &fd, err))
        return false;
    bool ok = file_read_at(&target->data, name, fd, buffer, capacity, 0, ret_length, err);
    file_close(&target->data, fd);
    return ok;
}

bool get_target_is_of(const GetTarget *target, const Archive *archive, Error *err)
{
    uint64_t identifier; /* in the byte order of the server's machine, which is this one */
    size_t length;
    if (!get_target_read(target, CONTROL_FILE, &identifier, sizeof(identifier), &length, err))
        return false;
    if (length < sizeof(identifier) || identifier == archive->system_identifier)
        return true;
    error_set(err, ERROR_ARCHIVE,
              "archive \"%s\" belongs to another cluster: its system identifier is %" PRIu64
              ", that of \"%s\" is %" PRIu64,
              archive->dir.path, archive->system_identifier, target->data.path, identifier);
    return error_hint(err, "Name this cluster's archive in restore_command.");
}

/* "standby_mode = 'on'" as recovery.conf has it: the last such line counts. */
static bool conf_is_standby(char *text)
{
    bool standby = false;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        line += strspn(line, " \t");
        if (strncmp(line, "standby_mode", strlen("standby_mode")) != 0)
            continue;
        line += strlen("standby_mode");
        line += strspn(line, " \t='");
        standby = strncmp(line, "on", 2) == 0 || line[0] == 't' || line[0] == 'y' || line[0] == '1';
    }
    return standby;
}

bool get_target_is_standby(const GetTarget *target, bool *ret, Error *err)
{
    static char text[RECOVERY_CONF_MAX];
    bool exists = false;
    uint64_t size;
    size_t length;
    *ret = false;
    if (target->data.fd < 0)
        return true;
    if (!file_status(&target->data, STANDBY_SIGNAL, &exists, &size, err) ||
        !get_target_read(target, RECOVERY_CONF, text, sizeof(text) - 1, &length, err))
        return false;
    text[length] = '\0';
    *ret = exists || conf_is_standby(text);
    return true;
}

bool get_target_place(const GetTarget *target, int fd, Error *err)
{
    bool ok = durable_file(&target->dir, target->temporary, fd, err);
    if (!ok) {
        get_target_drop(target, fd);
        return false;
    }
    file_close(&target->dir, fd);
    ok = durable_replace(&target->dir, target->temporary, &target->dir, target->name, err);
    if (!ok)
        get_target_drop(target, -1);
    return ok;
}

void get_target_drop(const GetTarget *target, int fd)
{
    bool existed;
    Error ignored; /* the next call begins it anew */
    file_close(&target->dir, fd);
    (void)!file_remove(&target->dir, target->temporary, &existed, &ignored);
}
