/* SPDX-License-Identifier: PostgreSQL
 *
 * See jobs.h. The archive to begin with is the fixture's.
 */
#include "jobs.h"

#include "fake_files.h"
#include "fixture.h"

#include "../unit/proto/walmaker.h"
#include "walrx/archive/compressor.h"
#include "walrx/archive/gap.h"
#include "walrx/archive/history_file.h"
#include "walrx/archive/joint.h"
#include "walrx/archive/leftover.h"
#include "walrx/archive/listing.h"
#include "walrx/archive/newest.h"
#include "walrx/archive/stats.h"
#include "walrx/archive/store.h"
#include "walrx/archive/verify.h"
#include "walrx/restore/get.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SIZE FIXTURE_SIZE
#define FIRST FIXTURE_SEGNO
#define TAIL 300000

static const char history_text[] = "1\t0/700000\tno recovery target specified\n";
static const char other_text[] = "1\t0/650000\tno recovery target specified\n";

static const uint8_t *segment(SegNo segno)
{
    return fixture_wal(segment_start(segno, SIZE));
}

static void archive_segment(SegNo segno, WalCompression form)
{
    fixture_archive(segno, form, false, segment(segno), SIZE);
}

/* The last segment is open, with a part of its WAL. */
static void archive_partial(SegNo segno, size_t length)
{
    static uint8_t content[SIZE];
    memset(content, 0, sizeof(content));
    memcpy(content, segment(segno), length);
    fixture_archive(segno, WAL_RAW, true, content, SIZE);
}

/* --- with the archive open and bound --- */

typedef bool (*Work)(Archive *archive, Error *err);

static bool with_archive(const char *path, Work work, Error *err)
{
    Archive archive;
    if (!archive_open(path, true, fake_files_table(), &archive, err))
        return false;
    bool ok = archive_bind(&archive, MAKER_SYSTEM, SIZE, true, err) && work(&archive, err);
    archive_close(&archive);
    return ok;
}

static bool nothing(Archive *archive, Error *err)
{
    (void)archive;
    (void)err;
    return true;
}

static void prepare_nothing(void)
{
}

static bool run_first_start(const char *path, Error *err)
{
    return with_archive(path, nothing, err);
}

/* .walrx/ is gone: who the archive belongs to is read from the WAL. */
static void prepare_strangers(void)
{
    archive_segment(FIRST, WAL_LZ4);
    archive_segment(FIRST + 1, WAL_ZSTD);
    scratch_write(fixture.path, ".walrx/old.tmp", "x", 1);
    char path[2 * SCRATCH_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/.walrx/identity", fixture.path);
    (void)unlink(path);
}

static void prepare_raw(void)
{
    archive_segment(FIRST, WAL_RAW);
    archive_segment(FIRST + 1, WAL_RAW);
    archive_partial(FIRST + 2, TAIL);
}

static bool compress(Archive *archive, WalCompression method, Error *err)
{
    CompressSpec spec = {.method = method, .level = 1};
    Compressor *compressor;
    Bell bell;
    if (!bell_open(&bell, err))
        return false;
    bool ok = compressor_start(archive, spec, 1, CODEC_MEMORY_ANY, &bell, &compressor, err);
    if (ok) {
        ok = compressor_submit_leftovers(compressor, archive, err);
        while (ok && !compressor_idle(compressor) && !compressor_error(compressor, err))
            (void)usleep(100);
        ok = ok && !compressor_error(compressor, err);
        compressor_stop(compressor);
    }
    bell_close(&bell);
    return ok;
}

static bool pack_partial(Archive *archive, WalCompression method, Error *err)
{
    CompressSpec spec = {.method = method, .level = 1};
    PartialTrust trust;
    /* As a start does; what an earlier run has packed is unpacked first. */
    return leftover_examine(archive, 1, FIRST + 2, &trust, err) &&
           compress_partial(archive, spec, 1, FIRST + 2, TAIL, CODEC_MEMORY_ANY, err);
}

#define BY_CODEC(what, method)                                                                     \
    static bool what##_##method(Archive *archive, Error *err)                                      \
    {                                                                                              \
        return what(archive, method, err);                                                         \
    }                                                                                              \
    static bool run_##what##_##method(const char *path, Error *err)                                \
    {                                                                                              \
        return with_archive(path, what##_##method, err);                                           \
    }
BY_CODEC(compress, WAL_GZIP)
BY_CODEC(compress, WAL_LZ4)
BY_CODEC(compress, WAL_ZSTD)
BY_CODEC(pack_partial, WAL_GZIP)
BY_CODEC(pack_partial, WAL_LZ4)
BY_CODEC(pack_partial, WAL_ZSTD)

/* --- leftovers --- */

static void prepare_mixed_partials(void)
{
    archive_segment(FIRST, WAL_ZSTD);
    archive_segment(FIRST + 1, WAL_RAW);
    archive_partial(FIRST + 2, TAIL / 2);
    fixture_archive(FIRST + 2, WAL_GZIP, true, segment(FIRST + 2), TAIL);
    fixture_archive(FIRST + 2, WAL_LZ4, true, segment(FIRST + 2) + 1, TAIL); /* other bytes */
}

static void prepare_short_partial(void)
{
    archive_segment(FIRST + 1, WAL_RAW);
    fixture_archive(FIRST + 2, WAL_RAW, true, segment(FIRST + 2), TAIL);
}

static bool examine(Archive *archive, Error *err)
{
    PartialTrust trust;
    return leftover_examine(archive, 1, FIRST + 2, &trust, err);
}

static bool run_examine(const char *path, Error *err)
{
    return with_archive(path, examine, err);
}

/* Not a whole segment; and one that cannot be decompressed. */
static void prepare_damaged(void)
{
    archive_segment(FIRST, WAL_RAW);
    fixture_archive(FIRST + 1, WAL_RAW, false, segment(FIRST + 1), TAIL);
    scratch_write(fixture.path, fixture_name(FIRST + 2, WAL_GZIP, false), segment(FIRST), TAIL);
}

static bool check_newest(Archive *archive, Error *err)
{
    bool sound;
    Error moved;
    return newest_check(archive, 1, FIRST + 2, &sound, &moved, err) &&
           newest_check(archive, 1, FIRST + 1, &sound, &moved, err) &&
           newest_check(archive, 1, FIRST, &sound, &moved, err);
}

static bool run_newest(const char *path, Error *err)
{
    return with_archive(path, check_newest, err);
}

static void prepare_history(void)
{
    scratch_write(fixture.path, "00000002.history", other_text, strlen(other_text));
}

static bool store_history(Archive *archive, Error *err)
{
    return history_file_store(archive, 2, history_text, strlen(history_text), err);
}

static bool run_history(const char *path, Error *err)
{
    return with_archive(path, store_history, err);
}

static bool take_gap(void *context, const Gap *gap)
{
    (void)gap;
    ++*(unsigned *)context;
    return true;
}

static bool record_gaps(Archive *archive, Error *err)
{
    Gap gap = {1, (FIRST + 2) * (Lsn)SIZE, (FIRST + 3) * (Lsn)SIZE};
    Inventory inventory;
    unsigned count = 0;
    if (!gap_record(archive, &gap, "2026-03-01", err) ||
        !gap_visit(archive, take_gap, &count, err) ||
        !inventory_scan(&archive->dir, SIZE, &inventory, err))
        return false;
    bool ok = inventory.count == 0 || gap_resume(archive, &inventory.timelines[0], err);
    inventory_free(&inventory);
    return ok;
}

static bool run_gaps(const char *path, Error *err)
{
    return with_archive(path, record_gaps, err);
}

/* The first WAL behind a compressed segment. One that cannot be read is told, and no more. */
static bool follow_joint(Archive *archive, Error *err)
{
    static Joint joint;
    Lsn lsn = (FIRST + 2) * (Lsn)SIZE;
    if (!joint_prepare(archive, 1, lsn, &joint, err))
        return false;
    return !joint.active || joint_feed(&joint, fixture_wal(lsn), TAIL, err);
}

static bool run_joint(const char *path, Error *err)
{
    return with_archive(path, follow_joint, err);
}

/* --- another timeline --- */

static bool feed(Store *store, const Bell *bell, const uint8_t *data, size_t length)
{
    while (length > 0) {
        size_t room;
        uint8_t *place = store_reserve(store, &room);
        if (store_positions(store).failed)
            return false;
        if (place == NULL) {
            struct pollfd polled = {.fd = bell->fd, .events = POLLIN};
            (void)poll(&polled, 1, 100);
            bell_silence(bell);
            continue;
        }
        room = room < length ? room : length;
        memcpy(place, data, room);
        store_publish(store, room);
        data += room;
        length -= room;
    }
    store_request_flush(store);
    return true;
}

static bool fail_over(Archive *archive, Error *err)
{
    Store *store;
    Bell bell;
    PartialTrust trust;
    Lsn begin = (FIRST + 2) * (Lsn)SIZE;
    if (!store_history(archive, err) || !leftover_examine(archive, 2, FIRST + 2, &trust, err) ||
        !bell_open(&bell, err))
        return false;
    bool ok = store_open(archive, (size_t)4 << 20, NULL, VERIFY_OFF, &bell, &store, err);
    if (ok) {
        store_start(store, 2, begin, &trust, LSN_INVALID);
        bool fed = feed(store, &bell, fixture_wal(begin), SIZE + TAIL);
        ok = store_finish(store, err) && fed;
        store_close(store);
    }
    bell_close(&bell);
    return ok;
}

static bool run_failover(const char *path, Error *err)
{
    return with_archive(path, fail_over, err);
}

/* --- those that only look --- */

static void prepare_all_forms(void)
{
    archive_segment(FIRST, WAL_ZSTD);
    archive_segment(FIRST + 1, WAL_GZIP);
    archive_partial(FIRST + 2, TAIL);
    scratch_write(fixture.path, "00000002.history", history_text, strlen(history_text));
}

static bool run_verify(const char *path, Error *err)
{
    VerifyOptions options = {.directory = path, .jobs = 2, .files = fake_files_table()};
    VerifyResult result;
    if (!verify_run(&options, &result, err))
        return false;
    bool sound = result.sound;
    verify_result_free(&result);
    return sound || error_set(err, ERROR_ARCHIVE, "not sound");
}

static bool run_list(const char *path, Error *err)
{
    Archive archive;
    Listing listing;
    bool loaded;
    if (!archive_open_to_read(path, fake_files_table(), &archive, &loaded, err))
        return false;
    bool ok = listing_make(&archive, archive.bound, loaded, &listing, err);
    archive_close(&archive);
    if (!ok) {
        listing_free(&listing);
        return false;
    }
    bool complete =
        listing.known && listing.segments == 2 && listing.unreadable.class == ERROR_NONE;
    if (!complete && listing.unreadable.class != ERROR_NONE)
        *err = listing.unreadable;
    else if (!complete)
        (void)error_set(err, ERROR_ARCHIVE, "something is missing in the list");
    listing_free(&listing);
    return complete;
}

static bool count(const Archive *archive, const Listing *listing, Error *err)
{
    Branch branch;
    Stats stats;
    bool ok = branch_make(archive, listing, 1, &branch, err) &&
              stats_make(archive, &branch, 0, UINT64_MAX, &stats, err);
    branch_free(&branch);
    if (ok && (stats.segments != 3 || stats.total.records == 0 || !stats.last_open))
        return error_set(err, ERROR_ARCHIVE, "something was not counted");
    return ok;
}

/* Without the index, whose entries name times. */
static bool run_stats(const char *path, Error *err)
{
    Archive archive;
    Listing listing;
    bool loaded;
    if (!archive_open_to_read(path, fake_files_table(), &archive, &loaded, err))
        return false;
    dir_close(&archive.private);
    bool ok = listing_make(&archive, archive.bound, loaded, &listing, err) &&
              count(&archive, &listing, err);
    listing_free(&listing);
    archive_close(&archive);
    return ok;
}

/* --- restoring --- */

static const char later_text[] = "1\t0/7A0000\tbehind the partial's end\n";

static void prepare_restore(void)
{
    scratch_mkdir(fixture.path, "data");
    scratch_mkdir(fixture.path, "data/pg_wal");
    scratch_write(fixture.path, "data/recovery.signal", "", 0);
    archive_segment(FIRST + 1, WAL_ZSTD);
    archive_partial(FIRST + 2, TAIL);
    scratch_write(fixture.path, "00000002.history", later_text, strlen(later_text));
}

static bool no_receiver(void *context)
{
    (void)context;
    return false;
}

/* Without memory, which may be what fails. */
static bool holds(const char *target, const void *data, size_t length)
{
    static uint8_t content[SIZE + 1];
    int fd = open(target, O_RDONLY);
    ssize_t count = fd < 0 ? -1 : read(fd, content, sizeof(content));
    if (fd >= 0)
        (void)close(fd);
    return count == (ssize_t)length && memcmp(content, data, length) == 0;
}

/* What lies under a final name is whole, whatever happened to the run that put it there. */
static bool restore_file(const char *path, const char *name, const void *data, size_t length,
                         Error *err)
{
    char target[2 * SCRATCH_PATH_SIZE];
    GetRequest request = {.directory = path,
                          .name = name,
                          .target = target,
                          .sync = true,
                          .files = fake_files_table(),
                          .receiver_runs = no_receiver};
    bool placed = false;
    (void)snprintf(target, sizeof(target), "%s/data/pg_wal/%s", path, name);
    bool ok = get_file(&request, &placed, err);
    bool whole = holds(target, data, length);
    if ((ok && !(placed && whole)) || (!whole && access(target, F_OK) == 0))
        return error_set(err, ERROR_PROTOCOL, "not placed, or not whole");
    return ok;
}

static bool run_restore(const char *path, Error *err)
{
    static uint8_t partial[SIZE];
    Lsn start = segment_start(FIRST + 2, SIZE);
    size_t end = (size_t)(fixture_record_before(start + TAIL) - start);
    memcpy(partial, segment(FIRST + 2), end);
    return restore_file(path, fixture_name(FIRST + 1, WAL_RAW, false), segment(FIRST + 1), SIZE,
                        err) &&
           restore_file(path, fixture_name(FIRST + 2, WAL_RAW, false), partial, SIZE, err) &&
           restore_file(path, "00000002.history", later_text, strlen(later_text), err);
}

const Job jobs[] = {
    {.name = "the first start", .prepare = prepare_nothing, .run = run_first_start},
    {.name = "a start without .walrx", .prepare = prepare_strangers, .run = run_first_start},
    {.name = "compressing with gzip", .prepare = prepare_raw, .run = run_compress_WAL_GZIP},
    {.name = "compressing with lz4",
     .prepare = prepare_raw,
     .run = run_compress_WAL_LZ4,
     .brief = true},
    {.name = "compressing with zstd",
     .prepare = prepare_raw,
     .run = run_compress_WAL_ZSTD,
     .brief = true},
    {.name = "a partial packed with gzip",
     .prepare = prepare_raw,
     .run = run_pack_partial_WAL_GZIP},
    {.name = "a partial packed with lz4",
     .prepare = prepare_raw,
     .run = run_pack_partial_WAL_LZ4,
     .brief = true},
    {.name = "a partial packed with zstd",
     .prepare = prepare_raw,
     .run = run_pack_partial_WAL_ZSTD,
     .brief = true},
    {.name = "partials in several forms", .prepare = prepare_mixed_partials, .run = run_examine},
    {.name = "a short partial", .prepare = prepare_short_partial, .run = run_examine},
    {.name = "damaged segments", .prepare = prepare_damaged, .run = run_newest},
    {.name = "a history file", .prepare = prepare_raw, .run = run_history},
    {.name = "another history file",
     .prepare = prepare_history,
     .run = run_history,
     .refuses = true},
    {.name = "gaps", .prepare = prepare_raw, .run = run_gaps},
    {.name = "a joint", .prepare = prepare_strangers, .run = run_joint},
    {.name = "a failover", .prepare = prepare_raw, .run = run_failover, .stores = true},
    {.name = "verify", .prepare = prepare_all_forms, .run = run_verify, .looks = true},
    {.name = "restore", .prepare = prepare_restore, .run = run_restore},
    {.name = "list", .prepare = prepare_all_forms, .run = run_list, .looks = true},
    {.name = "stats", .prepare = prepare_all_forms, .run = run_stats, .looks = true},
};
const size_t job_count = sizeof(jobs) / sizeof(jobs[0]);
