/* SPDX-License-Identifier: PostgreSQL
 *
 * See base_backup.h. The parts that are there are read one by one, then held against each other.
 */
#include "walrx/restore/base_backup.h"

#include "base_backup_manifest.h"

#include "walrx/archive/segment_file.h"
#include "walrx/base/cursor.h"
#include "walrx/base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_FILE "backup_label"
#define MANIFEST_FILE "backup_manifest"
#define VERSION_FILE "PG_VERSION"
#define CONTROL_FILE "pg_control"
#define CONTROL_BYTES 512 /* PG_CONTROL_MAX_SAFE_SIZE (pg_control.h, PostgreSQL 15) */

typedef struct Parts {
    BaseBackup *backup;
    BackupManifest manifest;
    bool tar;
} Parts;

/* Up to `capacity` bytes from `offset`; *ret_exists false: there is no such file. */
static bool read_part(const Dir *dir, const char *name, uint64_t offset, char *buffer,
                      size_t capacity, size_t *ret_length, bool *ret_exists, Error *err)
{
    int fd;
    Error why;
    *ret_exists = false;
    *ret_length = 0;
    if (!file_open(dir, name, FILE_READ, &fd, &why)) {
        if (why.os_errno != ENOENT)
            *err = why;
        return why.os_errno == ENOENT;
    }
    bool ok = file_read_at(dir, name, fd, buffer, capacity, offset, ret_length, err);
    file_close(dir, fd);
    *ret_exists = ok;
    return ok;
}

static bool odd_file(const Dir *dir, const char *name, const Error *why, Error *err)
{
    return error_set(err, ERROR_ARCHIVE, "could not understand \"%s/%s\": %s", dir->path, name,
                     why->message);
}

static bool take_label(const Dir *dir, const char *name, const char *text, size_t length,
                       Parts *parts, Error *err)
{
    Error why;
    BackupLabel *label = &parts->backup->label;
    if (!backup_label_parse(text, length, label, &why))
        return odd_file(dir, name, &why, err);
    if (label->checkpoint == LSN_INVALID)
        return error_set(err, ERROR_ARCHIVE, "\"%s/%s\" names no checkpoint", dir->path, name);
    if (label->rewound) {
        error_set(err, ERROR_USAGE, "\"%s\" is no base backup: pg_rewind wrote its %s", dir->path,
                  LABEL_FILE);
        return error_hint(err, "A data directory that was rewound is a server to be, not a copy of "
                               "one.");
    }
    parts->backup->has_label = true;
    return true;
}

static bool read_label(const Dir *dir, const char *name, Parts *parts, Error *err)
{
    size_t length;
    bool exists;
    char *text = malloc(BACKUP_LABEL_MAX_BYTES + 1);
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    bool ok = read_part(dir, name, 0, text, BACKUP_LABEL_MAX_BYTES + 1, &length, &exists, err) &&
              (!exists || take_label(dir, name, text, length, parts, err));
    free(text);
    return ok;
}

static bool read_manifest(const Dir *dir, const char *name, Parts *parts, Error *err)
{
    uint64_t size;
    bool exists;
    size_t head_length;
    size_t tail_length;
    Error why;
    if (!file_status(dir, name, &exists, &size, err))
        return false;
    if (!exists)
        return true;
    char *text = malloc(MANIFEST_HEAD_BYTES + MANIFEST_TAIL_BYTES);
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    uint64_t from = size > MANIFEST_TAIL_BYTES ? size - MANIFEST_TAIL_BYTES : 0;
    char *tail = text + MANIFEST_HEAD_BYTES;
    bool ok = read_part(dir, name, 0, text, MANIFEST_HEAD_BYTES, &head_length, &exists, err) &&
              read_part(dir, name, from, tail, MANIFEST_TAIL_BYTES, &tail_length, &exists, err);
    if (ok && !backup_manifest_parse(text, head_length, tail, tail_length, &parts->manifest, &why))
        ok = odd_file(dir, name, &why, err) || error_hint(err, "%s", why.hint);
    parts->backup->has_manifest = ok;
    free(text);
    return ok;
}

/* "15\n", and "9.6\n" of long ago. */
static bool read_version(const Dir *dir, Parts *parts, bool *ret_exists, Error *err)
{
    char text[16];
    size_t length;
    uint64_t major;
    if (!read_part(dir, VERSION_FILE, 0, text, sizeof(text) - 1, &length, ret_exists, err))
        return false;
    text[length] = '\0';
    text[strcspn(text, ".\n")] = '\0';
    if (*ret_exists && parse_u64(text, 9, 999, &major))
        parts->backup->major = (int)major;
    return true;
}

/* Where the sizes are differs from version to version, but they follow the number that tells the
 * floating-point format: floatFormat, blcksz, relseg_size, xlog_blcksz, xlog_seg_size
 * (pg_control.h, PostgreSQL 10 to 18); 19 has one more before xlog_blcksz. None of the others is
 * that large. */
static uint32_t control_segment_size(const uint8_t *control, size_t length)
{
    static const uint8_t float_format[8] = {0, 0, 0, 0, 0x87, 0xd6, 0x32, 0x41}; /* 1234567.0 */
    for (size_t at = 0; at + 28 <= length; at += 8) {
        if (memcmp(control + at, float_format, sizeof(float_format)) != 0)
            continue;
        Reader reader = reader_over(control + at + 20, 8);
        uint32_t size = read_u32_le(&reader);
        if (!segment_size_valid(size))
            size = read_u32_le(&reader);
        return segment_size_valid(size) ? size : 0;
    }
    return 0;
}

static bool read_control(const Dir *dir, Parts *parts, bool *ret_exists, Error *err)
{
    Dir global;
    uint8_t control[CONTROL_BYTES];
    size_t length = 0;
    *ret_exists = false;
    if (!dir_open_inside(dir, "global", false, &global, NULL, err))
        return false;
    if (global.fd < 0)
        return true;
    bool ok = read_part(&global, CONTROL_FILE, 0, (char *)control, sizeof(control), &length,
                        ret_exists, err);
    dir_close(&global);
    if (ok && *ret_exists && length >= 8) {
        Reader reader = reader_over(control, length);
        parts->backup->system_identifier = read_u64_le(&reader);
        parts->backup->segment_size = control_segment_size(control, length);
    }
    return ok;
}

/* The first member of base.tar is backup_label: perform_base_backup (basebackup.c, PostgreSQL 15;
 * so since 10). */
#define TAR_BLOCK 512
#define TAR_HEAD_BYTES (TAR_BLOCK + 8192)

typedef struct TarHead {
    char bytes[TAR_HEAD_BYTES];
    size_t length;
} TarHead;

static bool take_tar(void *context, const void *data, size_t length, Error *err)
{
    TarHead *head = context;
    size_t wanted = sizeof(head->bytes) - head->length;
    size_t taken = length < wanted ? length : wanted;
    memcpy(head->bytes + head->length, data, taken);
    head->length += taken;
    return head->length < sizeof(head->bytes) || error_set(err, ERROR_STOPPED, "enough was read");
}

static bool tar_member(const TarHead *head, size_t *ret_length)
{
    char octal[13] = "";
    size_t size = 0;
    if (head->length < TAR_BLOCK || strncmp(head->bytes, LABEL_FILE, sizeof(LABEL_FILE)) != 0)
        return false;
    memcpy(octal, head->bytes + 124, 12);
    for (const char *digit = octal; *digit >= '0' && *digit <= '7'; digit++)
        size = size * 8 + (size_t)(*digit - '0');
    *ret_length = size;
    return size > 0 && size <= head->length - TAR_BLOCK;
}

static bool read_tar(const Dir *dir, Parts *parts, Error *err)
{
    char name[32];
    bool exists = false;
    uint64_t size;
    Error why;
    int form = 0;
    for (; form < WAL_COMPRESSION_COUNT; form++) {
        (void)snprintf(name, sizeof(name), "base.tar%s",
                       wal_compression_suffix((WalCompression)form));
        if (!file_status(dir, name, &exists, &size, err))
            return false;
        if (exists)
            break;
    }
    parts->tar = exists;
    if (!exists)
        return true;
    TarHead *head = calloc(1, sizeof(*head));
    if (head == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading \"%s\"", name);
    size_t length;
    bool ok = segment_file_read(dir, name, (WalCompression)form, take_tar, head, &why) ||
              why.class == ERROR_STOPPED || why.class == ERROR_ARCHIVE;
    if (!ok)
        *err = why;
    else if (tar_member(head, &length))
        ok = take_label(dir, name, head->bytes + TAR_BLOCK, length, parts, err);
    free(head);
    return ok;
}

/* What the label does not say, the manifest does; what both say must be the same. */
static bool settle(const char *path, Parts *parts, Error *err)
{
    BackupLabel *label = &parts->backup->label;
    const BackupManifest *manifest = &parts->manifest;
    if (!parts->backup->has_manifest)
        return true;
    if (parts->backup->has_label &&
        (label->start != manifest->start || label->timeline != manifest->timeline)) {
        char here[LSN_TEXT_SIZE];
        char there[LSN_TEXT_SIZE];
        error_set(err, ERROR_ARCHIVE, "base backup \"%s\" contradicts itself", path);
        return error_detail(err,
                            "It starts at %s on timeline %u by %s, at %s on timeline %u by %s.",
                            lsn_format(label->start, here), label->timeline, LABEL_FILE,
                            lsn_format(manifest->start, there), manifest->timeline, MANIFEST_FILE);
    }
    if (parts->backup->system_identifier != 0 && manifest->system_identifier != 0 &&
        parts->backup->system_identifier != manifest->system_identifier) {
        error_set(err, ERROR_ARCHIVE, "base backup \"%s\" contradicts itself", path);
        return error_detail(err, "Its %s is of another cluster than its %s.", CONTROL_FILE,
                            MANIFEST_FILE);
    }
    label->start = manifest->start;
    label->timeline = manifest->timeline;
    label->stop = manifest->stop;
    label->stop_timeline = manifest->stop_timeline;
    if (parts->backup->system_identifier == 0)
        parts->backup->system_identifier = manifest->system_identifier;
    return true;
}

static bool no_backup(const char *path, const Parts *parts, Error *err)
{
    bool data_directory = parts->backup->major != 0;
    error_set(err, ERROR_USAGE, "\"%s\" is no base backup: it has no %s", path,
              data_directory || parts->tar ? LABEL_FILE : LABEL_FILE " and no " MANIFEST_FILE);
    if (data_directory)
        return error_hint(err, "A server has been started on it, or it is a server's data "
                               "directory: take a base backup with pg_basebackup.");
    return error_hint(err, "Name a directory that pg_basebackup made, or the %s or %s of a backup.",
                      LABEL_FILE, MANIFEST_FILE);
}

static bool read_directory(const Dir *dir, Parts *parts, Error *err)
{
    bool version;
    bool control;
    BaseBackup *backup = parts->backup;
    if (!read_version(dir, parts, &version, err) || !read_control(dir, parts, &control, err) ||
        !read_label(dir, LABEL_FILE, parts, err) || !read_manifest(dir, MANIFEST_FILE, parts, err))
        return false;
    if (!version && !backup->has_label && !read_tar(dir, parts, err))
        return false;
    /* A server that was restored from a backup still has the manifest of that. */
    if (!backup->has_label && (version || !backup->has_manifest))
        return no_backup(dir->path, parts, err);
    backup->plain = version && control && backup->has_label;
    return settle(dir->path, parts, err);
}

static bool read_file(const Dir *dir, const char *name, Parts *parts, Error *err)
{
    char first;
    size_t length;
    bool exists;
    if (!read_part(dir, name, 0, &first, 1, &length, &exists, err))
        return false;
    if (!exists || length == 0)
        return error_set(err, ERROR_USAGE, "\"%s/%s\" %s", dir->path, name,
                         exists ? "is empty" : "does not exist");
    if (first == '{')
        return read_manifest(dir, name, parts, err) && settle(name, parts, err);
    if (first == 'S')
        return read_label(dir, name, parts, err);
    error_set(err, ERROR_USAGE, "\"%s/%s\" is neither a %s nor a %s", dir->path, name, LABEL_FILE,
              MANIFEST_FILE);
    return error_hint(err, "Name one of these, or the directory of the base backup.");
}

/* The folder and the name in it. */
static bool split_path(const char *path, char folder[DIR_PATH_SIZE], const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= DIR_PATH_SIZE)
        return false;
    memcpy(folder, path, length);
    folder[length] = '\0';
    if (slash == NULL)
        (void)snprintf(folder, DIR_PATH_SIZE, ".");
    *ret_name = slash == NULL ? path : slash + 1;
    return **ret_name != '\0';
}

/* A directory as it is; of a file the folder, and *ret_name. */
static bool open_place(const char *path, const FileTable *files, Dir *ret, const char **ret_name,
                       Error *err)
{
    char folder[DIR_PATH_SIZE];
    Error why;
    *ret_name = NULL;
    if (dir_open(path, false, files, ret, &why))
        return true;
    if (why.os_errno == ENOTDIR && split_path(path, folder, ret_name))
        return dir_open(folder, false, files, ret, err);
    *err = why;
    return error_hint(err, "Name a directory that pg_basebackup made, or the %s or %s of a backup.",
                      LABEL_FILE, MANIFEST_FILE);
}

bool base_backup_read(const char *path, const FileTable *files, BaseBackup *ret, Error *err)
{
    BaseBackup backup = {.plain = false};
    Parts parts = {.backup = &backup};
    const char *name;
    Dir dir;
    if (!open_place(path, files, &dir, &name, err))
        return false;
    bool ok = name == NULL ? read_directory(&dir, &parts, err) : read_file(&dir, name, &parts, err);
    dir_close(&dir);
    if (ok)
        *ret = backup;
    return ok;
}
