/* SPDX-License-Identifier: PostgreSQL
 *
 * A random archive to remove WAL from: timelines that fork from each other, segments in all forms,
 * holes, partials, registered base backups, commit times that mostly ascend. The segments hold
 * nothing; what would be read from them is in the index. And a second opinion on where the horizon
 * must be, which goes by what was made, not by what is read.
 */
#pragma once

#include "scratch.h"

#include "walrx/archive/prune.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_SIZE SEGMENT_SIZE_MIN
#define WORLD_TIMELINES 4
#define WORLD_SEGMENTS 96 /* segment numbers lie below */
#define WORLD_BACKUPS 3
#define WORLD_NAMES 1024

typedef struct WorldTimeline {
    int parent; /* index; -1: the first */
    SegNo fork; /* where it left its parent; its first segment */
    SegNo last;
    bool open;                  /* a partial behind the last */
    bool there[WORLD_SEGMENTS]; /* complete, in whatever form */
    bool timed[WORLD_SEGMENTS]; /* commits in it */
    PgTime time[WORLD_SEGMENTS];
} WorldTimeline;

typedef struct WorldBackup {
    int timeline;
    SegNo start;
    SegNo stop; /* 0: not known */
} WorldBackup;

typedef struct World {
    uint64_t seed;
    char path[SCRATCH_PATH_SIZE];
    WorldTimeline timelines[WORLD_TIMELINES];
    int timeline_count;
    WorldBackup backups[WORLD_BACKUPS];
    int backup_count;
    /* every file of the archive */
    char names[WORLD_NAMES][WAL_FILE_NAME_SIZE];
    size_t name_count;
    PgTime first_time;
    PgTime last_time;
} World;

uint64_t world_random(World *world, uint64_t below);

/* In an empty directory at world->path, which is kept. */
void world_make(World *world, uint64_t seed);
/* What somebody might want to keep. */
PruneWish world_wish(World *world);
/* The horizon that such a wish must lead to. */
SegNo world_horizon(const World *world, const PruneWish *wish);

/* Looks at the archive at `path`: NULL when all before `horizon` is gone and all else is there, or
 * with `partly`, when what is gone is the oldest, before the horizon, and without a hole. Otherwise
 * what is wrong. */
const char *world_check(const World *world, const char *path, SegNo horizon, bool partly);
