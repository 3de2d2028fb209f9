/* SPDX-License-Identifier: PostgreSQL
 *
 * See look.h. The lock decides who runs: it goes with its process, however that ended.
 */
#include "walrx/observe/look.h"

#include "walrx/archive/archive.h"
#include "walrx/archive/inventory.h"
#include "walrx/observe/state_file.h"
#include "walrx/os/clock.h"
#include "walrx/os/dirlock.h"

#define NS_PER_US 1000
/* A busy machine may keep the observer waiting for so long. */
#define PATIENCE_NS (2 * UINT64_C(1000000000))

static uint64_t age_of(const Snapshot *snapshot)
{
    PgTime now = clock_pg_time();
    PgTime at = snapshot->at;
    int64_t age_us;
    if (at == PG_TIME_NONE || at >= now || __builtin_sub_overflow(now, at, &age_us) ||
        age_us > INT64_MAX / NS_PER_US)
        return 0;
    return (uint64_t)age_us * NS_PER_US;
}

static uint64_t patience(const Snapshot *snapshot)
{
    uint64_t interval_ns = snapshot->state_interval_ns;
    return interval_ns < UINT64_MAX - PATIENCE_NS ? interval_ns + PATIENCE_NS : UINT64_MAX;
}

static void judge(const Dir *dir, const Dir *private_dir, Look *look)
{
    const Snapshot *snapshot = &look->snapshot;
    bool unfinished = look->has_state && snapshot->stopped == PG_TIME_NONE;
    /* Where the state says that the last one ended, there is no reason to touch the lock. */
    LockHolder holder = dirlock_holder(dir, private_dir, unfinished);
    look->running = holder.held;
    look->pid = holder.pid;
    if (!look->has_state)
        return;
    look->age_ns = age_of(snapshot);
    bool fresh = look->age_ns <= patience(snapshot);
    /* In another container its process has another number. */
    look->is_its_own = look->running && unfinished && (snapshot->pid == look->pid || fresh);
    look->stale = look->is_its_own && !fresh;
}

bool look_at(const char *directory, Look *ret, Error *err)
{
    Dir dir;
    Dir private_dir;
    if (!dir_open(directory, false, file_table_kernel(), &dir, err))
        return error_hint(err, "Name an archive directory that this user may read.");
    if (!dir_open_inside(&dir, ARCHIVE_PRIVATE_DIR, false, &private_dir, NULL, err)) {
        dir_close(&dir);
        return false;
    }
    ret->has_state = false;
    ret->is_its_own = false;
    ret->stale = false;
    ret->age_ns = 0;
    snapshot_clear(&ret->snapshot);
    error_clear(&ret->unusable);
    if (!state_file_read(&private_dir, &ret->has_state, &ret->snapshot, &ret->unusable))
        ret->has_state = false;
    judge(&dir, &private_dir, ret);
    dir_close(&private_dir);
    dir_close(&dir);
    return true;
}

/* The end of the newest complete segment of the newest timeline. */
static bool newest_segment(const Archive *archive, Timeline *ret_timeline, Lsn *ret, Error *err)
{
    Inventory inventory;
    *ret_timeline = 0;
    *ret = LSN_INVALID;
    if (!inventory_scan(&archive->dir, archive->segment_size, &inventory, err))
        return false;
    if (inventory.count > 0) {
        const TimelineInventory *newest = &inventory.timelines[inventory.count - 1];
        InventoryNewest complete = inventory_newest_complete(newest);
        *ret_timeline = newest->timeline;
        if (complete.any)
            *ret = segment_start(complete.segno + 1, archive->segment_size);
    }
    inventory_free(&inventory);
    return true;
}

bool look_durable(const char *directory, const Look *look, Lsn *ret, Error *err)
{
    Archive archive;
    bool loaded;
    Timeline timeline = 0;
    Lsn lsn = LSN_INVALID;
    if (!look->running || !look->is_its_own) {
        if (!archive_open_to_read(directory, file_table_kernel(), &archive, &loaded, err))
            return false;
        bool ok = !archive.bound || newest_segment(&archive, &timeline, &lsn, err);
        archive_close(&archive);
        if (!ok)
            return false;
    }
    /* Positions of another timeline than the newest say nothing about it. */
    Lsn told = look->has_state && look->snapshot.timeline >= timeline
                   ? look->snapshot.lag[LAG_FLUSHED].lsn
                   : LSN_INVALID;
    *ret = told > lsn ? told : lsn;
    return true;
}
