/* SPDX-License-Identifier: PostgreSQL
 *
 * The archive directory in the simulated world: names and leftovers that follow from what the disk
 * has. Compression and joints are left out.
 */
#include "sim.h"

#include "walrx/archive/archive.h"
#include "walrx/archive/compressor.h"
#include "walrx/archive/gap.h"
#include "walrx/archive/history_file.h"
#include "walrx/archive/joint.h"
#include "walrx/archive/leftover.h"
#include "walrx/archive/newest.h"
#include "walrx/archive/quarantine.h"
#include "walrx/os/files.h"

#include <stdio.h>
#include <string.h>

bool archive_open(const char *path, bool sync, const FileTable *files, Archive *ret, Error *err)
{
    (void)path;
    (void)sync;
    (void)files;
    (void)err;
    *ret = (Archive){.dir = {.fd = -1}, .private = {.fd = -1}, .lock = {.fd = -1}};
    return true;
}

bool archive_bind(Archive *archive, uint64_t system_identifier, uint32_t segment_size,
                  bool group_may_read, Error *err)
{
    (void)group_may_read;
    (void)err;
    SIM_CHECK(system_identifier == SIM_SYSTEM && segment_size == SIM_SEGMENT,
              "the archive is bound to another server");
    archive->system_identifier = system_identifier;
    archive->segment_size = segment_size;
    archive->bound = true;
    world.ever_connected = true;
    return true;
}

void archive_close(Archive *archive)
{
    (void)archive;
}

static Lsn complete_end(const DiskLine *line)
{
    return line->durable - line->durable % SIM_SEGMENT;
}

/* In place of dir_visit, by the linker's --wrap: the names of the newest files are enough. */
bool __wrap_dir_visit(const Dir *dir, DirVisit visit, void *context, Error *err);
bool __wrap_dir_visit(const Dir *dir, DirVisit visit, void *context, Error *err)
{
    (void)dir;
    (void)err;
    for (Timeline at = 1; at < SIM_TIMELINES; at++) {
        const DiskLine *line = &disk.lines[at];
        char name[WAL_FILE_NAME_SIZE];
        if (!line->exists)
            continue;
        SegNo next = segment_of(complete_end(line), SIM_SEGMENT);
        bool complete = complete_end(line) > line->begin;
        if (complete &&
            !visit(context, wal_segment_name(at, next - 1, SIM_SEGMENT, WAL_RAW, false, name)))
            return true;
        if (line->written > complete_end(line) &&
            !visit(context, wal_segment_name(at, next, SIM_SEGMENT, WAL_RAW, true, name)))
            return true;
    }
    return true;
}

bool newest_check(const Archive *archive, Timeline timeline, SegNo segno, bool *ret_sound,
                  Error *ret_moved, Error *err)
{
    (void)archive;
    (void)timeline;
    (void)segno;
    (void)ret_moved;
    (void)err;
    *ret_sound = true;
    return true;
}

/* What is found counts as durable from now on, as partial_examine makes it; of it, whole records
 * are proven. */
bool leftover_examine(const Archive *archive, Timeline timeline, SegNo segno, PartialTrust *ret,
                      Error *err)
{
    DiskLine *line = &disk.lines[timeline];
    Lsn begin = segment_start(segno, SIM_SEGMENT);
    (void)archive;
    (void)err;
    *ret = (PartialTrust){.exists = false, .proven_begin = begin, .proven_end = begin};
    if (!line->exists || line->written <= begin || line->written - begin > SIM_SEGMENT)
        return true;
    line->durable = line->written;
    ret->exists = true;
    if (sim_chance(80))
        ret->proven_end = begin + sim_random(line->written - begin + 1);
    return true;
}

bool joint_prepare(const Archive *archive, Timeline timeline, Lsn lsn, Joint *ret, Error *err)
{
    (void)archive;
    (void)timeline;
    (void)lsn;
    (void)err;
    ret->active = false;
    ret->unchecked.class = ERROR_NONE;
    return true;
}

bool joint_feed(Joint *joint, const void *data, size_t length, Error *err)
{
    (void)joint;
    (void)data;
    (void)length;
    (void)err;
    return true;
}

bool history_file_store(const Archive *archive, Timeline timeline, const char *content,
                        size_t length, Error *err)
{
    (void)archive;
    (void)content;
    (void)length;
    if (disk.full && !disk.history[timeline]) {
        sim_met(ERROR_NO_ROOM);
        return error_set(err, ERROR_NO_ROOM, "sim: no room for a history file");
    }
    disk.history[timeline] = true;
    return true;
}

bool history_file_exists(const Archive *archive, Timeline timeline, bool *ret, Error *err)
{
    (void)archive;
    (void)err;
    *ret = disk.history[timeline];
    return true;
}

bool history_file_read(const Archive *archive, Timeline timeline, char **ret_content,
                       size_t *ret_length, Error *err)
{
    (void)archive;
    (void)timeline;
    (void)err;
    *ret_content = NULL;
    *ret_length = 0;
    return true;
}

/* A gap is recorded: is it one, and no larger than it must be? */
bool gap_record(const Archive *archive, const Gap *gap, const char *when, Error *err)
{
    (void)archive;
    (void)when;
    (void)err;
    sim_note("archive: gap from %llX to %llX", (unsigned long long)gap->begin,
             (unsigned long long)gap->end);
    SIM_CHECK(world.options.continue_on_gap, "a gap is accepted, which nobody allowed");
    SIM_CHECK(gap->begin < gap->end && gap->end <= server.oldest,
              "the gap ends at %llX, the server has WAL from %llX", (unsigned long long)gap->end,
              (unsigned long long)server.oldest);
    Lsn archived = disk_durable(gap->timeline);
    SIM_CHECK(archived == LSN_INVALID ||
                  (gap->begin <= archived && archived - gap->begin < SIM_SEGMENT),
              "the gap begins at %llX, the archive ends at %llX", (unsigned long long)gap->begin,
              (unsigned long long)archived);
    disk.gap = true;
    disk.gap_end = gap->end;
    /* From here on it counts as archived up to the gap's end. */
    disk.lines[server_owner(server.timeline, gap->end)] = (DiskLine){
        .exists = true, .begin = gap->end - SIM_SEGMENT, .durable = gap->end, .written = gap->end};
    return true;
}

bool gap_resume(const Archive *archive, TimelineInventory *timeline, Error *err)
{
    (void)archive;
    (void)timeline;
    (void)err;
    return true;
}

bool partial_content_end(const Archive *archive, Timeline timeline, SegNo segno, uint64_t *ret_end,
                         Error *err)
{
    (void)archive;
    (void)timeline;
    (void)segno;
    (void)ret_end;
    return error_set(err, ERROR_STORAGE, "sim: no compression");
}

bool compressor_start(const Archive *archive, CompressSpec spec, unsigned workers, size_t memory,
                      const Bell *failed, Compressor **ret, Error *err)
{
    (void)archive;
    (void)spec;
    (void)workers;
    (void)memory;
    (void)failed;
    (void)ret;
    return error_set(err, ERROR_MEMORY, "sim: no compression");
}

bool compressor_submit_leftovers(Compressor *compressor, const Archive *archive, Error *err)
{
    (void)compressor;
    (void)archive;
    return error_set(err, ERROR_MEMORY, "sim: no compression");
}

bool compress_partial(const Archive *archive, CompressSpec spec, Timeline timeline, SegNo segno,
                      uint64_t length, size_t memory, Error *err)
{
    (void)archive;
    (void)spec;
    (void)timeline;
    (void)segno;
    (void)length;
    (void)memory;
    return error_set(err, ERROR_MEMORY, "sim: no compression");
}

bool compressor_error(Compressor *compressor, Error *ret)
{
    (void)compressor;
    (void)ret;
    return false;
}

bool compressor_idle(Compressor *compressor)
{
    (void)compressor;
    return true;
}

bool compressor_short_of_room(Compressor *compressor, bool awaited, Error *ret)
{
    (void)compressor;
    (void)awaited;
    (void)ret;
    return false;
}

Lsn compressor_oldest_waiting(const Compressor *compressor)
{
    (void)compressor;
    return UINT64_MAX;
}

void compressor_hurry(Compressor *compressor, bool hurry)
{
    (void)compressor;
    (void)hurry;
}

void compressor_abort(Compressor *compressor)
{
    (void)compressor;
}

void compressor_stop(Compressor *compressor)
{
    (void)compressor;
}
