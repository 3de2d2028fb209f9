/* SPDX-License-Identifier: PostgreSQL
 *
 * `walrx prune`: removes the oldest WAL of an archive, beside a receiver or without one.
 */
#include "command_begin.h"
#include "commands.h"
#include "prune_report.h"

#include "walrx/archive/prune.h"
#include "walrx/cli/help.h"
#include "walrx/cli/option_parse.h"
#include "walrx/observe/look.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"

/* A receiver that removes WAL itself holds the lock for moments. */
#define LOCK_PATIENCE_MS 10000
#define US_PER_MS 1000

/* A Snapshot is large. */
static Look look;

static bool check_call(const Options *options, Error *err)
{
    if (options->keep_from == NULL && options->keep_time_ms == 0 && options->keep_size == 0)
        return options_refuse(COMMAND_PRUNE, err,
                              "nothing says what to keep: --keep-from, --keep-time or --keep-size");
    return true;
}

/* Where a receiver runs, only what it is done with may go. Without a state of its own nothing is
 * known of it. */
static bool take_receiver(const Options *options, PruneWish *wish, Error *err)
{
    wish->limit = UINT64_MAX;
    if (!look_at(options->directory, &look, err))
        return false;
    if (!look.running) {
        wish->timeline = look.has_state ? look.snapshot.timeline : 0;
        return true;
    }
    wish->limit = LSN_INVALID;
    if (look.has_state && look.is_its_own) {
        wish->limit = look.snapshot.lag[LAG_ARCHIVED].lsn;
        wish->timeline = look.snapshot.timeline;
    }
    if (wish->limit == LSN_INVALID)
        log_line(LOG_WARNING, NULL,
                 "a receiver runs and has not told yet how far it is, so "
                 "nothing is removed; try again in a moment");
    return true;
}

static bool make_wish(const Options *options, const Archive *archive, PruneWish *ret, Error *err)
{
    PruneWish wish = {
        .by_time = options->keep_time_ms > 0,
        .by_size = options->keep_size > 0,
        .size = options->keep_size,
        .span = (PgTime)(options->keep_time_ms * US_PER_MS),
        .now = clock_pg_time(),
    };
    if (options->keep_from != NULL) {
        wish.by_from = true;
        if (!prune_position(archive, options->keep_from, &wish.from, err))
            return false;
    }
    *ret = wish;
    return take_receiver(options, ret, err);
}

static void warn(const PruneWish *wish, const PrunePlan *plan)
{
    if (wish->by_time && plan->backups.count == 0)
        log_line(LOG_WARNING, NULL,
                 "no base backup is registered (walrx backup register): WAL is kept for that time, "
                 "but whether there is a base backup to begin with is not known");
    if (plan->timed && plan->newest < wish->now - wish->span)
        log_line(LOG_WARNING, NULL,
                 "no commit lies within the time to be kept before now, so it counts from the "
                 "newest one: is the server idle, or the clock of this machine ahead?");
    if (plan->unread > 0) {
        Error damage = plan->damage;
        error_hint(&damage, "Its commit times cannot be read, and count as old: no recovery gets "
                            "past it.");
        log_error(LOG_WARNING, NULL, &damage);
    }
}

static bool report(const Options *options, const Archive *archive, const PruneWish *wish,
                   const PrunePlan *plan, const PruneDone *done, Error *err)
{
    const PruneReport what = {.directory = options->directory,
                              .archive = archive,
                              .options = options,
                              .wish = wish,
                              .plan = plan,
                              .done = done};
    if (options->json)
        return prune_print_json(stdout, &what, err);
    prune_print_text(stdout, &what);
    return true;
}

static bool prune_archive(const Options *options, const Archive *archive, Error *err)
{
    PruneWish wish;
    PrunePlan plan;
    PruneDone done;
    if (!make_wish(options, archive, &wish, err))
        return false;
    bool ok = prune_plan(archive, &wish, NULL, &plan, err);
    if (ok)
        warn(&wish, &plan);
    if (ok && !options->dry_run)
        ok = prune_run(archive, &plan, NULL, NULL, &done, err);
    ok = ok && report(options, archive, &wish, &plan, options->dry_run ? NULL : &done, err);
    prune_plan_free(&plan);
    return ok;
}

/* A dry run takes no lock and changes nothing but the index, a cache: it may be run by whoever may
 * read. */
static bool run_dry(const Options *options, Error *err)
{
    Archive archive;
    bool loaded;
    if (!archive_open_to_read(options->directory, file_table_kernel(), &archive, &loaded, err))
        return false;
    bool ok = prune_archive(options, &archive, err);
    archive_close(&archive);
    return ok;
}

static bool run_wet(const Options *options, Error *err)
{
    Archive archive;
    DirLock lock;
    if (!archive_open_to_change(options->directory, file_table_kernel(), &archive, err))
        return false;
    bool ok = (archive.private.fd >= 0 ||
               error_set(err, ERROR_ARCHIVE, "there is no WAL in \"%s\"", options->directory)) &&
              command_check_user(&archive, err);
    ok = ok && prune_lock(&archive, LOCK_PATIENCE_MS, &lock, err);
    if (ok) {
        ok = prune_archive(options, &archive, err);
        dirlock_release(&archive.private, &lock);
    }
    archive_close(&archive);
    return ok;
}

static int run(const Options *options)
{
    Error error;
    if (!check_call(options, &error) ||
        !(options->dry_run ? run_dry(options, &error) : run_wet(options, &error))) {
        log_error(LOG_ERROR, NULL, &error);
        return error_exit_status(error.class);
    }
    return help_finish(stdout) ? 0 : 1;
}

int cmd_prune(int argc, char **argv)
{
    return command_without_operands(COMMAND_PRUNE, argc, argv, run);
}
