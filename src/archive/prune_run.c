/* SPDX-License-Identifier: PostgreSQL
 *
 * Removing what a plan says. The directory is synced after each segment: names that were not synced
 * may come and go in any combination in a power cut, and a segment that went before an older one
 * would be a hole. A receiver syncs it twice for each segment that it completes, so this adds
 * little.
 */
#include "prune_internal.h"
#include "pruned.h"

#include "walrx/archive/index.h"
#include "walrx/os/clock.h"
#include "walrx/os/durable.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define LOCK_PAUSE_MS 50

bool prune_lock(const Archive *archive, uint64_t patience_ms, DirLock *ret, Error *err)
{
    LockHolder holder;
    uint64_t deadline = clock_monotonic_ms() + patience_ms;
    for (;;) {
        if (!dirlock_try(&archive->private, PRUNE_LOCK_FILE, ret, &holder, err))
            return false;
        if (!holder.held)
            return true;
        if (clock_monotonic_ms() >= deadline)
            break;
        (void)usleep(LOCK_PAUSE_MS * 1000);
    }
    if (holder.pid != 0)
        error_set(err, ERROR_ARCHIVE, "WAL of archive \"%s\" is being removed by process %" PRIu64,
                  archive->dir.path, holder.pid);
    else
        error_set(err, ERROR_ARCHIVE, "WAL of archive \"%s\" is being removed by another process",
                  archive->dir.path);
    return error_hint(err, "Try again when it is done.");
}

static const char *name_of(const Archive *archive, const PruneFile *file,
                           char name[WAL_FILE_NAME_SIZE])
{
    return wal_segment_name(file->timeline, file->segno, archive->segment_size,
                            (WalCompression)file->form, file->partial, name);
}

static bool check_all(const Archive *archive, const PrunePlan *plan, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    bool ok = dir_may_change(&archive->dir, err);
    for (size_t i = 0; ok && i < plan->count; i++)
        ok = file_may_remove(&archive->dir, name_of(archive, &plan->files[i], name), err);
    return ok ||
           error_hint(err, "Nothing was removed. Run this as the user who receives, and move away "
                           "what is no file of the archive.");
}

static bool may_mend(int os_errno)
{
    return os_errno == EACCES || os_errno == EPERM || os_errno == EROFS || os_errno == EISDIR ||
           os_errno == EBUSY;
}

static bool remove_file(const Archive *archive, const PruneFile *file, PruneDone *done, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    bool existed;
    if (!file_remove(&archive->dir, name_of(archive, file, name), &existed, err)) {
        if (may_mend(err->os_errno))
            err->class = ERROR_ARCHIVE;
        return error_hint(err, "WAL before it is gone, all from there on is still in place.");
    }
    if (existed) {
        done->files++;
        done->disk_bytes += file->disk_bytes;
    }
    return true;
}

/* What the plan does not know: a receiver that has started since may have compressed the segment,
 * and its copy would stay behind as a file before the oldest WAL. */
static bool remove_unseen(const Archive *archive, PruneFile file, PruneDone *done, Error *err)
{
    char name[WAL_FILE_NAME_SIZE];
    bool exists;
    file.disk_bytes = 0;
    return file_status(&archive->dir, name_of(archive, &file, name), &exists, &file.disk_bytes,
                       err) &&
           (!exists || remove_file(archive, &file, done, err));
}

/* All forms of a segment of one timeline, or of its partial; *at moves behind them. The raw one
 * first: a worker that publishes a copy after it was looked for here finds the raw file gone, and
 * removes the copy itself. */
static bool remove_forms(const Archive *archive, const PrunePlan *plan, size_t *at, PruneDone *done,
                         Error *err)
{
    PruneFile file = plan->files[*at];
    bool ok = true;
    for (int form = 0; ok && form < WAL_COMPRESSION_COUNT; form++) {
        const PruneFile *planned = *at < plan->count ? &plan->files[*at] : NULL;
        file.form = (uint8_t)form;
        bool seen = planned != NULL && planned->segno == file.segno &&
                    planned->timeline == file.timeline && planned->partial == file.partial &&
                    planned->form == file.form;
        ok = seen ? remove_file(archive, planned, done, err)
                  : remove_unseen(archive, file, done, err);
        *at += seen ? 1 : 0;
    }
    return ok;
}

/* On all timelines; *at moves behind it. */
static bool remove_segment(const Archive *archive, const PrunePlan *plan, size_t *at,
                           PruneDone *done, Error *err)
{
    SegNo segno = plan->files[*at].segno;
    while (*at < plan->count && plan->files[*at].segno == segno) {
        if (!remove_forms(archive, plan, at, done, err))
            return false;
    }
    return durable_directory(&archive->dir, err);
}

bool prune_run(const Archive *archive, const PrunePlan *plan, bool (*go_on)(void *context),
               void *context, PruneDone *ret, Error *err)
{
    *ret = (PruneDone){.horizon = segment_start(plan->horizon.segno, archive->segment_size)};
    if (plan->count == 0)
        return true;
    if (!check_all(archive, plan, err) || !pruned_note(archive, ret->horizon, err))
        return false;
    for (size_t at = 0; at < plan->count;) {
        if (go_on != NULL && !go_on(context))
            return error_set(err, ERROR_STOPPED, "the removal of WAL was interrupted");
        if (!remove_segment(archive, plan, &at, ret, err))
            return false;
    }
    return index_forget(archive, plan->horizon.segno, err);
}
