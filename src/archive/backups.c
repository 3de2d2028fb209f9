/* SPDX-License-Identifier: PostgreSQL
 *
 * See backups.h. Nothing about a backup is kept anywhere else, so each question reads the files
 * anew: there are few, and a server or a person may add and remove them.
 */
#include "walrx/archive/backups.h"

#include "walrx/os/durable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Reading {
    const Archive *archive;
    Backups *backups;
    size_t capacity;
    char *text; /* BACKUP_LABEL_MAX_BYTES + 1 */
    Error *err;
    bool ok;
} Reading;

/* *ret_exists false: it has gone since its name was read. */
static bool read_text(const Reading *reading, const char *name, size_t *ret_length,
                      bool *ret_exists, Error *err)
{
    const Dir *dir = &reading->archive->dir;
    int fd;
    Error why;
    *ret_exists = false;
    if (!file_open(dir, name, FILE_READ, &fd, &why)) {
        if (why.os_errno != ENOENT)
            *err = why;
        return why.os_errno == ENOENT;
    }
    bool ok =
        file_read_at(dir, name, fd, reading->text, BACKUP_LABEL_MAX_BYTES + 1, 0, ret_length, err);
    file_close(dir, fd);
    *ret_exists = ok;
    return ok;
}

static bool misunderstood(const Archive *archive, const char *name, const Error *why, Error *err)
{
    error_set(err, ERROR_ARCHIVE, "could not understand backup history file \"%s/%s\"",
              archive->dir.path, name);
    error_detail(err, "%s.", why->message);
    return error_hint(err, "Which WAL that base backup needs is not known. Move the file away when "
                           "the backup is no longer needed.");
}

static bool keep(Reading *reading, const BackupLabel *backup)
{
    Backups *backups = reading->backups;
    if (backups->count == reading->capacity) {
        size_t capacity = reading->capacity == 0 ? 16 : reading->capacity * 2;
        if (backups->count >= BACKUPS_MAX)
            return error_set(reading->err, ERROR_ARCHIVE,
                             "archive \"%s\" holds more than %d backup history files",
                             reading->archive->dir.path, BACKUPS_MAX);
        BackupLabel *items = realloc(backups->items, capacity * sizeof(*items));
        if (items == NULL)
            return error_set(reading->err, ERROR_MEMORY,
                             "out of memory while reading backup history files");
        backups->items = items;
        reading->capacity = capacity;
    }
    backups->items[backups->count++] = *backup;
    return true;
}

static bool take_file(Reading *reading, const char *name)
{
    BackupLabel backup;
    Error why;
    size_t length;
    bool exists;
    char own_name[WAL_FILE_NAME_SIZE];
    if (!read_text(reading, name, &length, &exists, reading->err))
        return false;
    if (!exists)
        return true;
    if (!backup_label_parse(reading->text, length, &backup, &why))
        return misunderstood(reading->archive, name, &why, reading->err);
    backup_history_name(&backup, reading->archive->segment_size, own_name);
    if (strcmp(own_name, name) != 0) {
        error_set(&why, ERROR_PROTOCOL, "its text is that of \"%s\"", own_name);
        return misunderstood(reading->archive, name, &why, reading->err);
    }
    return keep(reading, &backup);
}

static bool take_name(void *context, const char *name)
{
    Reading *reading = context;
    WalFileName file;
    if (wal_file_parse(name, &file) && file.kind == WAL_FILE_BACKUP_HISTORY)
        reading->ok = take_file(reading, name);
    return reading->ok;
}

static int by_start(const void *left, const void *right)
{
    const BackupLabel *a = left;
    const BackupLabel *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->timeline < b->timeline ? -1 : a->timeline > b->timeline;
}

bool backups_read(const Archive *archive, Backups *ret, Error *err)
{
    *ret = (Backups){.items = NULL};
    Reading reading = {.archive = archive, .backups = ret, .err = err, .ok = true};
    if (!archive->bound) {
        error_set(err, ERROR_ARCHIVE, "archive \"%s\" has no WAL", archive->dir.path);
        return error_hint(err, "Which cluster it belongs to is not known before WAL is there.");
    }
    reading.text = malloc(BACKUP_LABEL_MAX_BYTES + 1);
    if (reading.text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory while reading backup history files");
    bool ok = dir_visit(&archive->dir, take_name, &reading, err) && reading.ok;
    free(reading.text);
    if (ok && ret->count > 1)
        qsort(ret->items, ret->count, sizeof(ret->items[0]), by_start);
    return ok;
}

void backups_free(Backups *backups)
{
    free(backups->items);
    *backups = (Backups){.items = NULL};
}

const BackupLabel *backups_find(const Archive *archive, const Backups *backups, const char *label,
                                Error *err)
{
    const BackupLabel *found = NULL;
    for (size_t i = 0; i < backups->count; i++) {
        const BackupLabel *backup = &backups->items[i];
        char name[WAL_FILE_NAME_SIZE];
        if (strcmp(backup_history_name(backup, archive->segment_size, name), label) == 0)
            return backup;
        if (strcmp(backup->label, label) != 0)
            continue;
        if (found != NULL) {
            error_set(err, ERROR_USAGE, "archive \"%s\" has more than one base backup \"%s\"",
                      archive->dir.path, label);
            error_hint(err, "Give the name of its backup history file instead; walrx backup list "
                            "shows them.");
            return NULL;
        }
        found = backup;
    }
    if (found == NULL) {
        error_set(err, ERROR_USAGE, "archive \"%s\" has no base backup \"%s\"", archive->dir.path,
                  label);
        error_hint(err, "walrx backup list shows those it has.");
    }
    return found;
}

static bool same_backup(const BackupLabel *a, const BackupLabel *b)
{
    return a->start == b->start && a->timeline == b->timeline && strcmp(a->label, b->label) == 0;
}

static bool label_taken(const Archive *archive, const char *label, const BackupLabel *by,
                        Error *err)
{
    char lsn[LSN_TEXT_SIZE];
    error_set(err, ERROR_ARCHIVE, "archive \"%s\" has another base backup \"%s\"",
              archive->dir.path, label);
    error_detail(err, "It starts at %s on timeline %u.", lsn_format(by->start, lsn), by->timeline);
    return error_hint(err, "Choose another label, or remove that one with walrx backup remove.");
}

static bool place_taken(const Archive *archive, const char *name, const BackupLabel *by, Error *err)
{
    char lsn[LSN_TEXT_SIZE];
    error_set(err, ERROR_ARCHIVE, "archive \"%s\" already has the base backup that starts at %s",
              archive->dir.path, lsn_format(by->start, lsn));
    error_detail(err, "File \"%s\", label \"%.256s\".", name, by->label);
    return error_hint(err, "The WAL that this backup needs is kept already. To give it another "
                           "label, remove that one first.");
}

/* *ret_existed: it is there already. */
static bool look_for(const Archive *archive, const Backups *backups, const BackupLabel *wanted,
                     bool *ret_existed, Error *err)
{
    char wanted_name[WAL_FILE_NAME_SIZE];
    backup_history_name(wanted, archive->segment_size, wanted_name);
    *ret_existed = false;
    for (size_t i = 0; i < backups->count; i++) {
        const BackupLabel *backup = &backups->items[i];
        char name[WAL_FILE_NAME_SIZE];
        if (same_backup(backup, wanted)) {
            *ret_existed = true;
            return true;
        }
        if (strcmp(backup->label, wanted->label) == 0)
            return label_taken(archive, wanted->label, backup, err);
        backup_history_name(backup, archive->segment_size, name);
        if (strcmp(name, wanted_name) == 0)
            return place_taken(archive, name, backup, err);
    }
    return true;
}

static bool write_file(const Archive *archive, const BackupLabel *backup, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    char temporary[WAL_FILE_NAME_SIZE + 8];
    char text[4 * BACKUP_LABEL_NAME_SIZE];
    size_t length;
    bool exists;
    backup_history_name(backup, archive->segment_size, name);
    (void)snprintf(temporary, sizeof(temporary), "%s%s", name, ARCHIVE_TEMP_SUFFIX);
    if (!backup_history_format(backup, archive->segment_size, text, sizeof(text), &length))
        return error_set(err, ERROR_USAGE, "the facts about base backup \"%.256s\" are too long",
                         backup->label);
    return durable_write_new(&archive->private, temporary, &archive->dir, name, text, length,
                             &exists, err) &&
           (!exists || error_set(err, ERROR_ARCHIVE, "file \"%s/%s\" has just appeared",
                                 archive->dir.path, name));
}

bool backups_add(const Archive *archive, const BackupLabel *backup, bool *ret_existed, Error *err)
{
    Backups backups;
    bool ok = backups_read(archive, &backups, err) &&
              look_for(archive, &backups, backup, ret_existed, err);
    backups_free(&backups);
    if (!ok || *ret_existed)
        return ok;
    if (write_file(archive, backup, err))
        return true;
    /* A receiver that starts removes unfinished files of .walrx/. */
    return err->os_errno == ENOENT && write_file(archive, backup, err);
}

bool backups_remove(const Archive *archive, const char *label, char ret_name[WAL_FILE_NAME_SIZE],
                    Error *err)
{
    Backups backups;
    bool ok = backups_read(archive, &backups, err);
    const BackupLabel *found = ok ? backups_find(archive, &backups, label, err) : NULL;
    ok = found != NULL;
    if (ok)
        backup_history_name(found, archive->segment_size, ret_name);
    backups_free(&backups);
    return ok && durable_remove(&archive->dir, ret_name, err);
}
