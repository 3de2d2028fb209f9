/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx backup register|list|remove`: the base backups whose WAL an archive keeps.
 */
#include "backup_report.h"
#include "command_begin.h"
#include "commands.h"

#include "walrx/archive/prune.h"
#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"
#include "walrx/os/log.h"
#include "walrx/restore/base_backup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A prune, or a receiver that removes WAL, may be at work. */
#define LOCK_PATIENCE_MS 10000

typedef struct BackupCall {
    const char *label;
    const char *path; /* of the backup */
    const char *directory;
    bool json;
} BackupCall;

typedef struct Action {
    const char *name;
    int operands; /* behind the name */
    const char *missing;
    bool (*run)(const BackupCall *call, Error *err);
} Action;

static bool other_cluster(const BackupCall *call, const Archive *archive, const BaseBackup *backup,
                          Error *err)
{
    error_set(err, ERROR_ARCHIVE, "base backup \"%s\" is of another cluster than archive \"%s\"",
              call->path, call->directory);
    return error_detail(err, "Its system identifier is %" PRIu64 ", the archive's is %" PRIu64 ".",
                        backup->system_identifier, archive->system_identifier);
}

/* A label names its first segment, which tells the segment size. */
static bool other_size(const BackupCall *call, const Archive *archive, const BaseBackup *backup,
                       Error *err)
{
    const BackupLabel *label = &backup->label;
    char name[WAL_FILE_NAME_SIZE];
    wal_segment_name(label->timeline, segment_of(label->start, archive->segment_size),
                     archive->segment_size, WAL_RAW, false, name);
    if ((backup->segment_size == 0 || backup->segment_size == archive->segment_size) &&
        (!backup->has_label || strcmp(name, label->start_file) == 0))
        return true;
    error_set(
        err, ERROR_ARCHIVE,
        "base backup \"%s\" is of a cluster with another WAL segment size than the %u bytes of "
        "archive \"%s\"",
        call->path, archive->segment_size, call->directory);
    return !backup->has_label
               ? false
               : error_detail(err, "It begins in \"%s\", which would be \"%s\" here.",
                              label->start_file, name);
}

static bool fits_archive(const BackupCall *call, const Archive *archive, const BaseBackup *backup,
                         Error *err)
{
    if (!archive->bound) {
        error_set(err, ERROR_ARCHIVE, "there is no WAL in \"%s\"", call->directory);
        return error_hint(err, "Name the directory of an archive that has received WAL.");
    }
    if (backup->system_identifier != 0 && backup->system_identifier != archive->system_identifier)
        return other_cluster(call, archive, backup, err);
    return other_size(call, archive, backup, err);
}

static bool start_missing(const BackupCall *call, const BackupLabel *label, const Listing *listing,
                          Error *err)
{
    char start[LSN_TEXT_SIZE];
    bool ahead = listing->segment_size != 0;
    for (size_t i = 0; i < listing->range_count; i++)
        ahead =
            ahead && segment_start(listing->ranges[i].last, listing->segment_size) <= label->start;
    error_set(err, ERROR_ARCHIVE,
              "archive \"%s\" does not have the WAL with which base backup \"%s\" starts",
              call->directory, call->path);
    error_detail(err, "It starts at %s on timeline %" PRIu32 ".", lsn_format(label->start, start),
                 label->timeline);
    return error_hint(err, ahead
                               ? "The archive's WAL ends before: is the receiver up to date? "
                                 "(walrx wait --lsn)"
                               : "walrx list shows what it has. Without that WAL the backup cannot "
                                 "be recovered from this archive: take a new one.");
}

/* What the archived WAL says: the end of the backup, and where nothing else tells the cluster, that
 * the backup's checkpoint is there. */
static bool take_trace(const BackupCall *call, const Archive *archive, const Listing *listing,
                       const BaseBackup *backup, BackupLabel *label, Error *err)
{
    BackupTrace trace;
    BackupLabel asked = *label;
    Error why;
    if (backup->system_identifier != 0)
        asked.checkpoint = LSN_INVALID;
    if (!backups_trace(archive, listing, &asked, &trace, &why)) {
        if (why.class != ERROR_ARCHIVE) {
            *err = why;
            return false;
        }
        log_error(LOG_WARNING, NULL, &why);
        return true;
    }
    if (trace.checkpoint_read && !trace.checkpoint_fits) {
        error_set(err, ERROR_ARCHIVE, "archive \"%s\" holds other WAL than base backup \"%s\" says",
                  call->directory, call->path);
        return error_hint(err,
                          "There is no checkpoint where the backup's should be: it is of another "
                          "cluster, or of another timeline.");
    }
    if (label->stop == LSN_INVALID && trace.stop != LSN_INVALID) {
        label->stop = trace.stop;
        label->stop_timeline = trace.stop_timeline;
    }
    return true;
}

static bool add_backup(const BackupCall *call, const Archive *archive, const BaseBackup *backup,
                       Error *err)
{
    Listing listing;
    BackupUse use;
    BackupLabel label = backup->label;
    bool existed;
    (void)strncpy(label.label, call->label, sizeof(label.label) - 1);
    label.label[sizeof(label.label) - 1] = '\0';
    bool ok = listing_make(archive, true, false, &listing, err) &&
              backups_use(archive, &listing, &label, &use, err) &&
              (use.start_there || start_missing(call, &label, &listing, err)) &&
              take_trace(call, archive, &listing, backup, &label, err) &&
              backups_add(archive, &label, &existed, err);
    listing_free(&listing);
    if (ok)
        backup_print_registered(stdout, archive, &label, existed);
    return ok;
}

static bool run_register(const BackupCall *call, Error *err)
{
    BaseBackup backup;
    Archive archive;
    DirLock lock;
    if (!backup_label_check_name(call->label, err) ||
        !base_backup_read(call->path, file_table_kernel(), &backup, err) ||
        !archive_open_to_change(call->directory, file_table_kernel(), &archive, err))
        return false;
    bool ok = command_check_user(&archive, err) && fits_archive(call, &archive, &backup, err) &&
              prune_lock(&archive, LOCK_PATIENCE_MS, &lock, err);
    if (ok) {
        ok = add_backup(call, &archive, &backup, err);
        dirlock_release(&archive.private, &lock);
    }
    archive_close(&archive);
    return ok;
}

static bool run_remove(const BackupCall *call, Error *err)
{
    Archive archive;
    char name[WAL_FILE_NAME_SIZE];
    if (!archive_open_to_change(call->directory, file_table_kernel(), &archive, err))
        return false;
    bool ok = command_check_user(&archive, err) && backups_remove(&archive, call->label, name, err);
    archive_close(&archive);
    if (ok)
        (void)printf(
            "removed %s: WAL is no longer kept for base backup \"%s\"; the backup itself is "
            "untouched\n",
            name, call->label);
    return ok;
}

static bool print_list(const BackupCall *call, const Archive *archive, const Listing *listing,
                       const Backups *backups, Error *err)
{
    BackupUse *uses = calloc(backups->count + 1, sizeof(*uses));
    bool ok = uses != NULL || error_set(err, ERROR_MEMORY, "out of memory while listing backups");
    for (size_t i = 0; ok && i < backups->count; i++)
        ok = backups_use(archive, listing, &backups->items[i], &uses[i], err);
    const BackupReport report = {
        .directory = call->directory, .archive = archive, .backups = backups, .uses = uses};
    if (ok && call->json)
        ok = backup_print_json(stdout, &report, err);
    else if (ok)
        backup_print_text(stdout, &report);
    free(uses);
    return ok;
}

static bool run_list(const BackupCall *call, Error *err)
{
    Archive archive;
    bool loaded;
    Listing listing;
    Backups backups;
    if (!archive_open_to_read(call->directory, file_table_kernel(), &archive, &loaded, err))
        return false;
    bool ok = backups_read(&archive, &backups, err);
    if (ok) {
        ok = listing_make(&archive, true, loaded, &listing, err) &&
             print_list(call, &archive, &listing, &backups, err);
        listing_free(&listing);
    }
    backups_free(&backups);
    archive_close(&archive);
    return ok;
}

static const Action actions[] = {
    {"register", 2, "register needs a label and a base backup", run_register},
    {"list", 0, "", run_list},
    {"remove", 1, "remove needs the label of a base backup", run_remove},
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* NULL: *err says what is wrong. */
static const Action *choose_action(int argc, char **argv, int operand, const Options *options,
                                   Error *err)
{
    const Action *action = NULL;
    int given = argc - operand - 1;
    for (size_t i = 0; given >= 0 && i < ACTIONS; i++) {
        if (strcmp(argv[operand], actions[i].name) == 0)
            action = &actions[i];
    }
    if (given < 0)
        (void)options_refuse(COMMAND_BACKUP, err, "no action given: register, list or remove");
    else if (action == NULL)
        (void)options_refuse(COMMAND_BACKUP, err, "unknown action \"%s\"", argv[operand]);
    else if (given < action->operands)
        (void)options_refuse(COMMAND_BACKUP, err, "%s", action->missing);
    else if (given > action->operands)
        (void)options_refuse(COMMAND_BACKUP, err,
                             "too many command-line arguments (first is \"%s\")",
                             argv[operand + 1 + action->operands]);
    else if (options->json && action->run != run_list)
        (void)options_refuse(COMMAND_BACKUP, err, "cannot use %s together with --json",
                             action->name);
    else
        return action;
    return NULL;
}

int cmd_backup(int argc, char **argv)
{
    Options options;
    int operand;
    int status;
    Error error;
    if (!command_begin(COMMAND_BACKUP, argc, argv, &options, &operand, &status))
        return status;
    const Action *action = choose_action(argc, argv, operand, &options, &error);
    bool ok = action != NULL;
    if (action != NULL) {
        const BackupCall call = {
            .label = action->operands > 0 ? argv[operand + 1] : NULL,
            .path = action->operands > 1 ? argv[operand + 2] : NULL,
            .directory = options.directory,
            .json = options.json,
        };
        ok = action->run(&call, &error);
    }
    if (!ok) {
        log_error(LOG_ERROR, NULL, &error);
        return error_exit_status(error.class);
    }
    return help_finish(stdout) ? 0 : 1;
}
