/* SPDX-License-Identifier: PostgreSQL
 *
 * What kind of backup it is, and the two things the copy's configuration takes from it: the limits
 * that a standby must not be below, and the libraries without which its data may be unreadable.
 */
#include "stage_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define CONF_BYTES_MAX ((size_t)1 << 20)
#define CONTROL_BYTES 512 /* it never grows beyond a sector */
#define LIBRARIES "shared_preload_libraries"

/* The beginning of a file, with a NUL behind it; *ret_length 0 where there is none. */
static bool read_start(const Dir *dir, const char *name, char *buffer, size_t capacity,
                       size_t *ret_length, Error *err)
{
    bool exists;
    uint64_t size;
    int fd;
    *ret_length = 0;
    buffer[0] = '\0';
    if (!file_status(dir, name, &exists, &size, err))
        return false;
    if (!exists)
        return true;
    if (!file_open(dir, name, FILE_READ, &fd, err))
        return false;
    bool ok = file_read_at(dir, name, fd, buffer, capacity - 1, 0, ret_length, err);
    file_close(dir, fd);
    buffer[*ret_length] = '\0';
    return ok;
}

static bool check_kind(const Stage *stage, Error *err)
{
    const BaseBackup *base = &stage->base;
    if (!base->plain) {
        error_set(err, ERROR_USAGE, "backup \"%s\" is no data directory", stage->backup);
        error_detail(err, "Backups in tar format must be unpacked first.");
        return error_hint(err, "mkdir -m 0700 DIR && tar -xf base.tar -C DIR (each OID.tar of a "
                               "tablespace into DIR/pg_tblspc/OID), then --backup=DIR.");
    }
    if (base->label.incremental_from != LSN_INVALID) {
        error_set(err, ERROR_USAGE, "backup \"%s\" is an incremental one", stage->backup);
        return error_hint(err, "Combine it with what it builds on: pg_combinebackup FULL ... "
                               "INCREMENTAL -o DIR, then --backup=DIR.");
    }
    if (!base->has_label || base->label.rewound) {
        error_set(err, ERROR_USAGE, "\"%s\" is no base backup any more", stage->backup);
        error_detail(err, base->has_label ? "Its backup_label is one of pg_rewind."
                                          : "It has no backup_label: a server has been started "
                                            "in it.");
        return error_hint(err, "Use a backup as it was taken.");
    }
    if (base->major < STAGE_FIRST_MAJOR)
        return error_set(err, ERROR_USAGE, "backup \"%s\" is of PostgreSQL %d; walrx knows 10 on",
                         stage->backup, base->major);
    return true;
}

/* What ALTER SYSTEM set wins. */
static bool read_libraries(const Dir *dir, char *text, char value[STAGE_LIBRARIES_SIZE], Error *err)
{
    static const char *const names[] = {"postgresql.conf", "postgresql.auto.conf"};
    size_t length;
    value[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct stat status;
        /* A link may lead out of the backup, to another server's file. */
        if (dir->files->fstatat(dir->fd, names[i], &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode))
            continue;
        if (!read_start(dir, names[i], text, CONF_BYTES_MAX, &length, err))
            return false;
        (void)stage_conf_value(text, LIBRARIES, value, STAGE_LIBRARIES_SIZE);
    }
    return true;
}

static bool take_libraries(const StageRequest *request, const Dir *dir, Stage *stage, Error *err)
{
    char value[STAGE_LIBRARIES_SIZE];
    char dropped[STAGE_LIBRARIES_SIZE];
    Error warning;
    char *text = malloc(CONF_BYTES_MAX);
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", dir->path);
    bool ok = read_libraries(dir, text, value, err);
    free(text);
    if (!ok)
        return false;
    stage_conf_libraries(value, stage->libraries, dropped, sizeof(dropped));
    if (dropped[0] != '\0') {
        error_set(&warning, ERROR_OPERATOR, "the copy does not load %s", dropped);
        error_detail(&warning, "It would go on with the primary's work once the copy is promoted.");
        error_hint(&warning, "To load it all the same: --set=" LIBRARIES "=LIST.");
        request->tell(request->context, &warning);
    }
    return true;
}

bool stage_backup_check(const StageRequest *request, Stage *stage, Error *err)
{
    Dir dir;
    char control[CONTROL_BYTES + 1];
    size_t length;
    if (!base_backup_read(stage->backup, request->files, &stage->base, err) ||
        !check_kind(stage, err) || !dir_open(stage->backup, false, request->files, &dir, err))
        return false;
    bool ok = read_start(&dir, "global/pg_control", control, sizeof(control), &length, err) &&
              take_libraries(request, &dir, stage, err);
    dir_close(&dir);
    if (ok)
        stage->limits = stage_conf_limits((const uint8_t *)control, length, stage->base.major);
    return ok;
}
