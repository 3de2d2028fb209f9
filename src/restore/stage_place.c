/* SPDX-License-Identifier: PostgreSQL
 *
 * Where things are, and who may use them. A server refuses to run as root, so root makes a copy for
 * somebody else: the owner of the empty directory that waits for it, or else of the backup.
 */
#include "stage_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "/.s.PGSQL.65535"

static bool is_inside(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* What a path that does not exist yet will be: links above it resolved. */
static bool resolve_new(const char *path, char buffer[DIR_PATH_SIZE], Error *err)
{
    char parent[DIR_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    size_t length = slash == path ? 1 : (size_t)(slash - path);
    memcpy(parent, path, length);
    parent[length] = '\0';
    char *real = realpath(path, NULL);
    char *above = real == NULL ? realpath(parent, NULL) : NULL;
    bool ok = real != NULL || above != NULL;
    if (!ok) {
        error_set_errno(err, ERROR_USAGE, errno, "could not use directory \"%s\"", parent);
        error_hint(err, "The directory in which the copy is made must exist.");
    } else {
        int written = real != NULL ? snprintf(buffer, DIR_PATH_SIZE, "%s", real)
                                   : snprintf(buffer, DIR_PATH_SIZE, "%s/%s",
                                              strcmp(above, "/") == 0 ? "" : above, slash + 1);
        if (written < 0 || written >= DIR_PATH_SIZE)
            ok = error_set(err, ERROR_USAGE, "path is too long: \"%.200s...\"", path);
    }
    free(real);
    free(above);
    return ok;
}

bool stage_place_overlap(const char *one, const char *other)
{
    char real[2][DIR_PATH_SIZE];
    Error ignored; /* what lies above is not there: it may be made meanwhile, by this name */
    if (!resolve_new(one, real[0], &ignored))
        (void)snprintf(real[0], sizeof(real[0]), "%s", one);
    if (!resolve_new(other, real[1], &ignored))
        (void)snprintf(real[1], sizeof(real[1]), "%s", other);
    return is_inside(real[0], real[1]) || is_inside(real[1], real[0]);
}

/* It becomes the directory of a socket, which clients name in a list with commas. */
static bool check_name(const char *into, Error *err)
{
    const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof(SOCKET_NAME);
    for (const char *at = into; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == ',') {
            error_set(err, ERROR_USAGE, "the name \"%s\" of the copy has a %s in it", into,
                      *at == ',' ? "comma" : "control character");
            return error_hint(err, "Choose another name for --into.");
        }
    }
    if (strlen(into) > room) {
        error_set(err, ERROR_USAGE, "the name \"%s\" of the copy is too long", into);
        error_detail(err, "The server's socket lies in it, and can have a name of %zu bytes there.",
                     room);
        return error_hint(err, "Choose a shorter name for --into.");
    }
    return true;
}

bool stage_place_check(const StageRequest *request, Stage *stage, Error *err)
{
    char into[DIR_PATH_SIZE];
    if (!process_absolute(request->archive, stage->archive, sizeof(stage->archive), err) ||
        !process_absolute(request->backup, stage->backup, sizeof(stage->backup), err) ||
        !process_absolute(request->into, into, sizeof(into), err) ||
        !process_own_path(stage->program, sizeof(stage->program), err) ||
        !resolve_new(into, stage->into, err) || !check_name(stage->into, err))
        return false;
    const struct {
        const char *path;
        const char *what;
    } others[] = {{stage->archive, "archive"}, {stage->backup, "backup"}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (stage_place_overlap(stage->into, others[i].path)) {
            error_set(err, ERROR_USAGE, "the copy \"%s\" and the %s \"%s\" lie in each other",
                      stage->into, others[i].what, others[i].path);
            return error_hint(err, "Choose another place for --into.");
        }
    }
    return tree_place_check(stage->into, STAGE_CLAIM, request->files, &stage->exists, err);
}

/* ---- whose ---- */

static bool owner_of(const char *path, const FileTable *files, uid_t *ret, Error *err)
{
    struct stat status;
    if (files->fstatat(AT_FDCWD, path, &status, 0) != 0)
        return error_set_errno(err, ERROR_USAGE, errno, "could not look at \"%s\"", path);
    *ret = status.st_uid;
    return true;
}

static bool may(const Stage *stage, const char *path, int how, const char *doing, Error *err)
{
    int refused;
    if (!process_access(&stage->user, path, how, &refused, err))
        return false;
    if (refused == 0)
        return true;
    error_set_errno(err, ERROR_OPERATOR, refused, "user \"%s\" cannot %s \"%s\"", stage->user.name,
                    doing, path);
    error_detail(err, "The server of the copy runs as this user, and restore_command with it.");
    return error_hint(err, "Give the user that right, also on the directories above it.");
}

bool stage_place_owner(const StageRequest *request, Stage *stage, Error *err)
{
    uid_t uid = geteuid();
    char parent[DIR_PATH_SIZE];
    if (uid == 0) {
        if (!owner_of(stage->exists ? stage->into : stage->backup, request->files, &uid, err))
            return false;
        if (uid == 0 && stage->exists && !owner_of(stage->backup, request->files, &uid, err))
            return false;
        if (uid == 0) {
            error_set(err, ERROR_OPERATOR, "backup \"%s\" belongs to root", stage->backup);
            error_detail(err, "So would the copy, and a server does not run as root.");
            return error_hint(err,
                              "Make the copy's directory beforehand, for the user who shall run "
                              "the server: install -d -m 0700 -o postgres %s",
                              stage->into);
        }
    }
    if (!process_user(uid, &stage->user, err))
        return false;
    stage->owner =
        (TreeOwner){.change = stage->user.change, .uid = stage->user.uid, .gid = stage->user.gid};
    (void)snprintf(parent, sizeof(parent), "%s", stage->into);
    *(strrchr(parent, '/') + (strrchr(parent, '/') == parent ? 1 : 0)) = '\0';
    return may(stage, stage->program, X_OK, "run", err) &&
           may(stage, stage->archive, R_OK | X_OK, "read archive", err) &&
           may(stage, parent, X_OK, "reach", err);
}
