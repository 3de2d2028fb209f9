/* SPDX-License-Identifier: PostgreSQL
 *
 * Where measured WAL goes: nowhere, or through the archive's own store into a folder made for it. A
 * thread removes segments once they are complete, so that the run needs little space; the store
 * never looks at complete segments again. Removals are not synced: that would be measured too.
 */
#include "bench_internal.h"
#include "receiver_internal.h"

#include "walrx/archive/memory_plan.h"
#include "walrx/os/clock.h"
#include "walrx/os/durable.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define BENCH_FREE_SEGMENTS 2 /* as receive leaves free */
#define SWEEP_INTERVAL_MS 20
#define FOLDER_ATTEMPTS 100
#define REMOVE_DEPTH 4
#define COMPRESSION_LOOK_MS 10

/* ---- removing ---- */

/* Removes complete segments below the flushed position. With compression the raw form belongs to
 * the workers until the compressed one is there. False: nothing more to remove for now. */
static bool sweep_one(BenchSink *sink)
{
    Dir dir = sink->archive.dir;
    uint32_t segment_size = sink->archive.segment_size;
    char name[WAL_FILE_NAME_SIZE];
    bool exists;
    uint64_t size;
    Error ignored; /* what stays is removed, or told, at the end */
    dir.sync = false;
    if (segment_start(sink->next_sweep + 1, segment_size) > store_positions(sink->store).flushed)
        return false;
    wal_segment_name(sink->timeline, sink->next_sweep, segment_size, sink->form, false, name);
    if (!file_status(&dir, name, &exists, &size, &ignored) || !exists ||
        !durable_remove(&dir, name, &ignored))
        return false;
    if (sink->form != WAL_RAW) {
        sink->packed_segments++;
        sink->packed_bytes += size;
    }
    sink->next_sweep++;
    return true;
}

static void *sweeper_main(void *context)
{
    BenchSink *sink = context;
    while (!atomic_load(&sink->swept_out)) {
        struct pollfd polled = {.fd = sink->stop_sweeping.fd, .events = POLLIN};
        while (sweep_one(sink))
            ;
        (void)poll(&polled, 1, SWEEP_INTERVAL_MS);
    }
    while (sweep_one(sink))
        ;
    return NULL;
}

static void stop_sweeper(BenchSink *sink)
{
    if (!sink->sweeping)
        return;
    atomic_store(&sink->swept_out, true);
    bell_ring(&sink->stop_sweeping);
    (void)pthread_join(sink->sweeper, NULL);
    sink->sweeping = false;
}

typedef struct Removal {
    const Dir *dir;
    unsigned depth;
} Removal;

static void remove_all(const Dir *dir, unsigned depth);

static bool remove_entry(void *context, const char *name)
{
    const Removal *removal = context;
    Dir inside = {.fd = -1};
    Error ignored;
    if (durable_remove(removal->dir, name, &ignored) || removal->depth == 0)
        return true;
    if (dir_open_inside(removal->dir, name, false, &inside, NULL, &ignored) && inside.fd >= 0) {
        remove_all(&inside, removal->depth - 1);
        dir_close(&inside);
        dir_remove_empty(removal->dir, name);
    }
    return true;
}

static void remove_all(const Dir *dir, unsigned depth)
{
    Removal removal = {.dir = dir, .depth = depth};
    Error ignored;
    (void)!dir_visit(dir, remove_entry, &removal, &ignored);
}

static bool remove_folder(BenchSink *sink, Error *err)
{
    Dir parent = sink->parent;
    Dir inside = {.fd = -1};
    bool exists = true;
    uint64_t size;
    Error ignored;
    parent.sync = false;
    if (dir_open_inside(&parent, sink->folder, false, &inside, NULL, &ignored) && inside.fd >= 0) {
        remove_all(&inside, REMOVE_DEPTH);
        dir_close(&inside);
    }
    dir_remove_empty(&parent, sink->folder);
    if (file_status(&parent, sink->folder, &exists, &size, &ignored) && !exists)
        return true;
    return error_set(err, ERROR_STORAGE, "could not remove everything in \"%s/%s\"", parent.path,
                     sink->folder);
}

/* ---- from open to close ---- */

static bool make_folder(BenchSink *sink, Error *err)
{
    for (int i = 0; i < FOLDER_ATTEMPTS; i++) {
        Dir made = {.fd = -1};
        bool created;
        (void)snprintf(sink->folder, sizeof(sink->folder), "walrx-bench-%06x",
                       (unsigned)(clock_seed() & 0xFFFFFF));
        if (!dir_open_inside(&sink->parent, sink->folder, true, &made, &created, err)) {
            sink->folder[0] = '\0';
            return false;
        }
        dir_close(&made);
        if (created)
            return true;
    }
    sink->folder[0] = '\0';
    return error_set(err, ERROR_STORAGE, "could not find a free name for a folder in \"%s\"",
                     sink->parent.path);
}

bool bench_sink_open(BenchSink *sink, const BenchOptions *options, Error *err)
{
    char path[DIR_PATH_SIZE];
    sink->disk = options->directory != NULL;
    if (!bell_open(&sink->bell, err))
        return false;
    if (!sink->disk)
        return true;
    if (!bell_open(&sink->stop_sweeping, err) ||
        !dir_open(options->directory, true, file_table_kernel(), &sink->parent, err) ||
        !make_folder(sink, err))
        return false;
    int length = snprintf(path, sizeof(path), "%s/%s", options->directory, sink->folder);
    if (length < 0 || (size_t)length >= sizeof(path))
        return error_set(err, ERROR_USAGE, "the path of directory \"%s\" is too long",
                         options->directory);
    return archive_open(path, true, file_table_kernel(), &sink->archive, err);
}

bool bench_sink_start(BenchSink *sink, const BenchOptions *options, uint64_t system_identifier,
                      uint32_t segment_size, Timeline timeline, Lsn lsn, Error *err)
{
    const PartialTrust nothing = {.exists = false};
    sink->received = lsn;
    sink->acknowledged = lsn;
    if (!sink->disk)
        return true;
    if (!archive_bind(&sink->archive, system_identifier, segment_size, false, err))
        return false;
    sink->archive.min_free = (uint64_t)BENCH_FREE_SEGMENTS * segment_size;
    MemoryPlan plan =
        memory_plan(options->memory, segment_size, options->compress, options->compress_workers);
    if (options->compress.method != WAL_RAW &&
        !compressor_start(&sink->archive, options->compress, plan.workers, plan.codec, &sink->bell,
                          &sink->compressor, err))
        return false;
    if (!store_open(&sink->archive, plan.ring, sink->compressor, VERIFY_ON, &sink->bell,
                    &sink->store, err))
        return false;
    sink->form = options->compress.method;
    sink->timeline = timeline;
    sink->next_sweep = segment_of(lsn, segment_size);
    store_start(sink->store, timeline, lsn, &nothing, LSN_INVALID);
    int rc = pthread_create(&sink->sweeper, NULL, sweeper_main, sink);
    if (rc != 0)
        return error_set_errno(err, ERROR_MEMORY, rc, "could not start a thread");
    sink->sweeping = true;
    return true;
}

bool bench_sink_finish(BenchSink *sink, Control *control, Error *err)
{
    if (!sink->disk)
        return true;
    if (!store_finish(sink->store, err))
        return false;
    while (sink->compressor != NULL && !compressor_idle(sink->compressor)) {
        if (compressor_error(sink->compressor, err))
            return false;
        if (control_wait(control, -1, 0, clock_monotonic_ms() + COMPRESSION_LOOK_MS) ==
            CONTROL_STOP)
            compressor_abort(sink->compressor); /* asked again: do not wait */
    }
    return true;
}

bool bench_sink_close(BenchSink *sink, Error *err)
{
    bool ok = true;
    stop_sweeper(sink);
    if (sink->compressor != NULL)
        compressor_abort(sink->compressor);
    store_close(sink->store);
    compressor_stop(sink->compressor);
    archive_close(&sink->archive);
    if (sink->folder[0] != '\0')
        ok = remove_folder(sink, err);
    dir_close(&sink->parent);
    bell_close(&sink->stop_sweeping);
    bell_close(&sink->bell);
    return ok;
}

/* ---- while WAL streams ---- */

FeedbackPositions bench_sink_positions(const BenchSink *sink)
{
    if (!sink->disk)
        return (FeedbackPositions){.received = sink->received,
                                   .written = sink->acknowledged,
                                   .flushed = sink->acknowledged};
    StorePositions store = store_positions(sink->store);
    return (FeedbackPositions){
        .received = store.received, .written = store.written, .flushed = store.flushed};
}

size_t bench_sink_take(BenchSink *sink, const uint8_t *data, size_t length)
{
    size_t taken = 0;
    if (!sink->disk) {
        sink->received += length;
        return length;
    }
    while (taken < length) {
        size_t room;
        uint8_t *place = store_reserve(sink->store, &room);
        if (place == NULL)
            break;
        size_t count = length - taken < room ? length - taken : room;
        memcpy(place, data + taken, count);
        store_publish(sink->store, count);
        taken += count;
    }
    return taken;
}

void bench_sink_request_flush(BenchSink *sink)
{
    if (sink->disk)
        store_request_flush(sink->store);
    else
        sink->acknowledged = sink->received;
}

void bench_sink_request_write(BenchSink *sink)
{
    if (sink->disk)
        store_request_write(sink->store);
}

bool bench_sink_check(BenchSink *sink, Error *err)
{
    if (!sink->disk)
        return true;
    StorePositions positions = store_positions(sink->store);
    /* A pause for a full disk would be measured, too. */
    if (positions.failed || positions.no_room) {
        store_error(sink->store, err);
        return false;
    }
    return sink->compressor == NULL || !compressor_error(sink->compressor, err);
}
