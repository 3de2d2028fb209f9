/* SPDX-License-Identifier: PostgreSQL
 *
 * See prune_world.h.
 */
#include "prune_world.h"

#include "fake_files.h"

#include "walrx/archive/history_file.h"
#include "walrx/archive/index.h"
#include "walrx/os/durable.h"
#include "walrx/proto/timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM 4711
#define HOUR INT64_C(3600000000)

static void need(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "world: %s\n", what);
    abort();
}

/* xorshift64* */
uint64_t world_random(World *world, uint64_t below)
{
    world->seed ^= world->seed >> 12;
    world->seed ^= world->seed << 25;
    world->seed ^= world->seed >> 27;
    return (world->seed * UINT64_C(2685821657736338717)) % below;
}

static void lay_timelines(World *world)
{
    world->timeline_count = 1 + (int)world_random(world, WORLD_TIMELINES);
    for (int i = 0; i < world->timeline_count; i++) {
        WorldTimeline *timeline = &world->timelines[i];
        timeline->parent = i == 0 ? -1 : (int)world_random(world, (uint64_t)i);
        timeline->fork = 3 + world_random(world, 8);
        if (i > 0) {
            const WorldTimeline *parent = &world->timelines[timeline->parent];
            timeline->fork =
                parent->fork + 1 + world_random(world, parent->last - parent->fork + 1);
        }
        timeline->last = timeline->fork + 1 + world_random(world, 16);
        timeline->open = world_random(world, 10) < 7;
        PgTime now = i == 0 ? 1000 * HOUR
                            : world->timelines[timeline->parent].time[timeline->fork - 1] + HOUR;
        for (SegNo segno = timeline->fork; segno <= timeline->last; segno++) {
            timeline->there[segno] = world_random(world, 20) > 0;
            timeline->timed[segno] = world_random(world, 10) > 2;
            now += (PgTime)world_random(world, 4) * HOUR;
            if (world_random(world, 12) == 0)
                now -= (PgTime)world_random(world, 10) * HOUR; /* the clock was set back */
            timeline->time[segno] = now;
            if (world->first_time == 0 || now < world->first_time)
                world->first_time = now;
            world->last_time = now > world->last_time ? now : world->last_time;
        }
        timeline->there[timeline->last] = true;
    }
}

static void put(World *world, const Archive *archive, const char *name, size_t length)
{
    static const char zeros[4096];
    char temporary[WAL_FILE_NAME_SIZE + 8];
    bool exists;
    Error error;
    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", name);
    need(durable_write_new(&archive->private, temporary, &archive->dir, name, zeros, length,
                           &exists, &error) &&
             !exists,
         name);
    need(world->name_count < WORLD_NAMES, "too many names");
    memcpy(world->names[world->name_count++], name, strlen(name) + 1);
}

static void put_segment(World *world, const Archive *archive, Timeline timeline, SegNo segno,
                        WalCompression form, bool partial)
{
    char name[WAL_FILE_NAME_SIZE];
    wal_segment_name(timeline, segno, WORLD_SIZE, form, partial, name);
    put(world, archive, name, 1 + (size_t)world_random(world, 4000));
}

static void note_entry(World *world, const Archive *archive, int index, SegNo segno)
{
    static IndexBuilder builder;
    const WorldTimeline *timeline = &world->timelines[index];
    bool exists;
    Error error;
    index_begin(&builder, (Timeline)index + 1, segno);
    if (timeline->timed[segno]) {
        builder.entry.commits = 1;
        builder.entry.oldest = builder.entry.newest = timeline->time[segno];
    }
    need(index_date(archive, &builder.entry, &exists, &error) && exists &&
             index_append(archive, &builder.entry, &error),
         "index");
}

static void put_timeline(World *world, const Archive *archive, int index)
{
    const WorldTimeline *timeline = &world->timelines[index];
    Timeline number = (Timeline)index + 1;
    for (SegNo segno = timeline->fork; segno <= timeline->last; segno++) {
        WalCompression form = (WalCompression)world_random(world, WAL_COMPRESSION_COUNT);
        if (!timeline->there[segno])
            continue;
        put_segment(world, archive, number, segno, form, false);
        if (form != WAL_RAW && world_random(world, 8) == 0)
            put_segment(world, archive, number, segno, WAL_RAW, false);
        if (world_random(world, 16) == 0)
            put_segment(world, archive, number, segno, WAL_RAW, true);
        note_entry(world, archive, index, segno);
    }
    if (timeline->open)
        put_segment(world, archive, number, timeline->last + 1, WAL_RAW, true);
}

static void put_history(World *world, const Archive *archive, int index)
{
    TimelineSwitch switches[WORLD_TIMELINES];
    size_t count = 0;
    char text[1024];
    size_t length;
    Error error;
    int chain[WORLD_TIMELINES];
    for (int i = index; world->timelines[i].parent >= 0; i = world->timelines[i].parent)
        chain[count++] = i;
    for (size_t i = 0; i < count; i++) {
        const WorldTimeline *child = &world->timelines[chain[count - 1 - i]];
        switches[i] = (TimelineSwitch){.timeline = (Timeline)child->parent + 1,
                                       .end = segment_start(child->fork, WORLD_SIZE) + 0x100};
    }
    const TimelineHistory history = {
        .target = (Timeline)index + 1, .count = count, .switches = switches};
    need(timeline_history_format(&history, text, sizeof(text), &length) &&
             history_file_store(archive, history.target, text, length, &error),
         "history");
    wal_history_name(history.target, world->names[world->name_count++]);
}

static void put_backup(World *world, const Archive *archive)
{
    int index = (int)world_random(world, (uint64_t)world->timeline_count);
    const WorldTimeline *timeline = &world->timelines[index];
    WorldBackup *backup = &world->backups[world->backup_count];
    SegNo span = timeline->last - timeline->fork + 1;
    bool existed;
    Error error;
    *backup = (WorldBackup){.timeline = index, .start = timeline->fork + world_random(world, span)};
    BackupLabel label = {.start = segment_start(backup->start, WORLD_SIZE) + 0x128,
                         .timeline = (Timeline)index + 1};
    label.checkpoint = label.start;
    if (world_random(world, 4) > 0) {
        backup->stop = backup->start + world_random(world, 3);
        label.stop = segment_start(backup->stop, WORLD_SIZE) + 0x200;
        label.stop_timeline = label.timeline;
    }
    (void)snprintf(label.label, sizeof(label.label), "backup %d", world->backup_count);
    if (!backups_add(archive, &label, &existed, &error))
        return; /* two at one place */
    world->backup_count++;
    backup_history_name(&label, WORLD_SIZE, world->names[world->name_count++]);
}

void world_make(World *world, uint64_t seed)
{
    Archive archive;
    Error error;
    char path[SCRATCH_PATH_SIZE];
    memcpy(path, world->path, sizeof(path));
    memset(world, 0, sizeof(*world));
    memcpy(world->path, path, sizeof(path));
    world->seed = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    lay_timelines(world);
    need(archive_open(path, true, fake_files_table(), &archive, &error) &&
             archive_bind(&archive, SYSTEM, WORLD_SIZE, false, &error),
         "archive");
    for (int i = 0; i < world->timeline_count; i++) {
        if (i > 0)
            put_history(world, &archive, i);
        put_timeline(world, &archive, i);
    }
    for (uint64_t left = world_random(world, WORLD_BACKUPS + 1); left > 0; left--)
        put_backup(world, &archive);
    archive_close(&archive);
}

PruneWish world_wish(World *world)
{
    PruneWish wish = {.limit = UINT64_MAX};
    uint64_t kinds = 1 + world_random(world, 7);
    wish.by_from = (kinds & 1) != 0;
    wish.by_time = (kinds & 2) != 0;
    wish.by_size = (kinds & 4) != 0;
    wish.from = segment_start(world_random(world, WORLD_SEGMENTS), WORLD_SIZE) +
                world_random(world, WORLD_SIZE);
    uint64_t span = (uint64_t)(world->last_time - world->first_time) + 2 * (uint64_t)HOUR;
    /* Mostly without a commit within the time before now. */
    wish.span = (PgTime)world_random(world, span);
    wish.now = world->first_time + (PgTime)world_random(world, 3 * span);
    wish.size = 1 + world_random(world, 200000);
    if (world_random(world, 5) == 0)
        wish.limit = segment_start(3 + world_random(world, 40), WORLD_SIZE);
    return wish;
}

/* The timeline of the newest branch to which a segment belongs; -1: none. */
static int owner(const World *world, SegNo segno)
{
    int index = world->timeline_count - 1;
    while (index >= 0 && segno < world->timelines[index].fork)
        index = world->timelines[index].parent;
    return index;
}

static bool on_branch(const World *world, SegNo segno)
{
    int index = owner(world, segno);
    return index >= 0 && segno <= world->timelines[index].last &&
           world->timelines[index].there[segno];
}

static SegNo min_of(SegNo a, SegNo b)
{
    return a < b ? a : b;
}

static SegNo horizon_by_time(const World *world, const PruneWish *wish, SegNo newest)
{
    SegNo timed = newest + 1;
    while (timed > 0 && !(on_branch(world, timed - 1) &&
                          world->timelines[owner(world, timed - 1)].timed[timed - 1]))
        timed--;
    if (timed == 0)
        return 0; /* how old anything is cannot be known */
    PgTime end = world->timelines[owner(world, timed - 1)].time[timed - 1];
    PgTime since = (end < wish->now ? end : wish->now) - wish->span;
    SegNo recent = UINT64_MAX;
    SegNo last_old = 0;
    SegNo best = 0;
    bool aged = false;
    for (SegNo segno = 0; segno < newest && recent == UINT64_MAX; segno++) {
        if (!on_branch(world, segno))
            continue;
        const WorldTimeline *timeline = &world->timelines[owner(world, segno)];
        if (timeline->timed[segno] && timeline->time[segno] >= since)
            recent = segno;
        else if (timeline->timed[segno])
            last_old = segno;
    }
    for (int i = 0; i < world->backup_count; i++) {
        const WorldBackup *backup = &world->backups[i];
        if (backup->stop != 0 && backup->stop < recent && backup->stop < last_old &&
            (!aged || backup->start > best)) {
            aged = true;
            best = backup->start;
        }
    }
    if (aged)
        return best;
    return min_of(recent, newest) - 1;
}

static SegNo horizon_by_size(const World *world, uint64_t size, SegNo newest)
{
    uint64_t total = 0;
    SegNo fits = UINT64_MAX;
    for (SegNo segno = WORLD_SEGMENTS; segno > 0; segno--) {
        bool any = false;
        for (size_t i = 0; i < world->name_count; i++) {
            WalFileName file;
            SegNo number;
            if (!wal_file_parse(world->names[i], &file) || file.kind != WAL_FILE_SEGMENT ||
                !wal_file_segno(&file, WORLD_SIZE, &number) || number != segno ||
                (segno > newest && file.timeline != (Timeline)world->timeline_count))
                continue;
            any = true;
            total += scratch_size(world->path, world->names[i]);
        }
        if (total > size)
            break;
        fits = any ? segno : fits;
    }
    return fits;
}

SegNo world_horizon(const World *world, const PruneWish *wish)
{
    SegNo newest = WORLD_SEGMENTS;
    SegNo horizon = UINT64_MAX;
    while (!on_branch(world, newest - 1))
        newest--;
    newest--;
    if (wish->by_from)
        horizon = min_of(horizon, wish->from / WORLD_SIZE);
    if (wish->by_time)
        horizon = min_of(horizon, horizon_by_time(world, wish, newest));
    if (wish->by_size)
        horizon = min_of(horizon, horizon_by_size(world, wish->size, newest));
    for (int i = 0; i < world->backup_count; i++)
        horizon = min_of(horizon, world->backups[i].start);
    return min_of(min_of(horizon, newest), wish->limit / WORLD_SIZE);
}

static bool is_segment(const char *name, SegNo *ret)
{
    WalFileName file;
    return wal_file_parse(name, &file) && file.kind == WAL_FILE_SEGMENT &&
           wal_file_segno(&file, WORLD_SIZE, ret);
}

const char *world_check(const World *world, const char *path, SegNo horizon, bool partly)
{
    static char what[WAL_FILE_NAME_SIZE + 64];
    SegNo begun = 0; /* behind the newest segment of which something is gone */
    SegNo segno;
    for (size_t i = 0; i < world->name_count; i++) {
        bool there = scratch_exists(path, world->names[i]);
        bool segment = is_segment(world->names[i], &segno);
        (void)snprintf(what, sizeof(what), "%s is gone", world->names[i]);
        if (!there && (!segment || segno >= horizon))
            return what;
        if (!there && segno + 1 > begun)
            begun = segno + 1;
    }
    for (size_t i = 0; i < world->name_count; i++) {
        bool there = scratch_exists(path, world->names[i]);
        bool segment = is_segment(world->names[i], &segno);
        (void)snprintf(what, sizeof(what), "%s is still there", world->names[i]);
        if (there && segment && (partly ? segno + 1 < begun : segno < horizon))
            return what;
    }
    return NULL;
}
