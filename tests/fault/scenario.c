/* SPDX-License-Identifier: PostgreSQL
 *
 * See scenario.h. The steps are those of src/stream (session.c and stream.c) without the network.
 */
#include "scenario.h"

#include "fake_files.h"
#include "index_internal.h"
#include "scratch.h"

#include "../unit/proto/walmaker.h"
#include "walrx/archive/history_file.h"
#include "walrx/archive/inventory.h"
#include "walrx/archive/partial.h"
#include "walrx/archive/segment_file.h"
#include "walrx/archive/start.h"
#include "walrx/archive/store.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT SEGMENT_SIZE_MIN
#define FIRST ((Lsn)5 * SEGMENT)
#define TAIL 200000
#define LENGTH (3 * (size_t)SEGMENT + TAIL)
#define PIECE 90000
#define FLUSH_EVERY 4 /* pieces */
#define FLUSH_ONCE (FIRST + SEGMENT + 500000)
#define MEMORY (4 * RING_EXTENT_BYTES)
#define RING_EXTENT_BYTES ((size_t)1 << 20)

static const char history_text[] = "1\t0/600000\tno recovery target specified\n";
static uint8_t *wal;
static Lsn wal_end;

static pthread_mutex_t mark_mutex = PTHREAD_MUTEX_INITIALIZER;
static Store *open_store;
static Lsn highest_flush;
static bool history_promised;
static ScenarioPace pace;
static uint64_t index_known;

void scenario_pace(ScenarioPace wanted)
{
    pace = wanted;
}

void scenario_prepare(void)
{
    static uint8_t memory[LENGTH + MAKER_RECORD_MAX + SEGMENT];
    WalMaker maker = maker_over(memory, sizeof(memory), FIRST, SEGMENT);
    for (uint32_t i = 0; maker.length < LENGTH; i++)
        (void)maker_record(&maker, 60 + i * 37 % 3000, 10, 0);
    wal = memory;
    wal_end = FIRST + LENGTH;
}

uint64_t scenario_mark(void)
{
    (void)pthread_mutex_lock(&mark_mutex);
    if (open_store != NULL) {
        Lsn flushed = store_positions(open_store).flushed;
        highest_flush = flushed > highest_flush ? flushed : highest_flush;
    }
    uint64_t mark = highest_flush * 2 + history_promised;
    (void)pthread_mutex_unlock(&mark_mutex);
    return mark;
}

static void show_store(Store *store)
{
    (void)scenario_mark();
    (void)pthread_mutex_lock(&mark_mutex);
    open_store = store;
    (void)pthread_mutex_unlock(&mark_mutex);
}

static void promise_history(void)
{
    (void)pthread_mutex_lock(&mark_mutex);
    history_promised = true;
    (void)pthread_mutex_unlock(&mark_mutex);
}

void scenario_forget(void)
{
    highest_flush = LSN_INVALID;
    history_promised = false;
}

typedef struct Run {
    Archive archive;
    Bell bell;
    Compressor *compressor;
    Store *store;
} Run;

static void wait_for_bell(Run *run)
{
    struct pollfd polled = {.fd = run->bell.fd, .events = POLLIN};
    (void)poll(&polled, 1, 1000);
    bell_silence(&run->bell);
}

static bool troubled(Run *run, Error *err)
{
    if (store_positions(run->store).failed) {
        store_error(run->store, err);
        return true;
    }
    return compressor_error(run->compressor, err);
}

/* Behind this piece, which ends at `end`? */
static bool flush_now(unsigned pieces, Lsn end)
{
    if (pace == SCENARIO_OFTEN)
        return pieces % FLUSH_EVERY == 0;
    return end > FLUSH_ONCE && end - FLUSH_ONCE <= PIECE;
}

static bool feed(Run *run, Lsn lsn, Error *err)
{
    for (unsigned pieces = 1; lsn < wal_end; pieces++) {
        size_t left = wal_end - lsn < PIECE ? (size_t)(wal_end - lsn) : PIECE;
        while (left > 0) {
            size_t room;
            uint8_t *place = store_reserve(run->store, &room);
            if (place == NULL) {
                if (troubled(run, err))
                    return false;
                wait_for_bell(run);
                continue;
            }
            size_t count = left < room ? left : room;
            memcpy(place, wal + (lsn - FIRST), count);
            store_publish(run->store, count);
            lsn += count;
            left -= count;
        }
        if (!flush_now(pieces, lsn))
            continue;
        if (!store_flush_here(run->store))
            store_request_flush(run->store);
        while (store_positions(run->store).flushed < lsn) {
            if (troubled(run, err))
                return false;
            wait_for_bell(run);
        }
    }
    return true;
}

static bool choose(Run *run, StartPoint *ret, Error *err)
{
    Inventory inventory;
    StartServer server = {
        .history = {.target = 1}, .flush_lsn = wal_end, .slot_restart_lsn = FIRST};
    if (!inventory_scan(&run->archive.dir, SEGMENT, &inventory, err))
        return false;
    bool ok = start_choose(&inventory, &server, SEGMENT, ret, err);
    inventory_free(&inventory);
    return ok;
}

static bool stream(Run *run, Error *err)
{
    StartPoint start;
    PartialTrust trust;
    uint64_t old_size;
    Error ignored;
    if (!history_file_store(&run->archive, 2, history_text, strlen(history_text), err))
        return false;
    promise_history();
    if (!choose(run, &start, err) ||
        !partial_examine(&run->archive, 1, segment_of(start.lsn, SEGMENT), &trust, &old_size, err))
        return false;
    store_start(run->store, 1, start.lsn, &trust, LSN_INVALID);
    bool ok = feed(run, start.lsn, err);
    return store_finish(run->store, ok ? err : &ignored) && ok;
}

static bool run_threads(Run *run, Error *err)
{
    CompressSpec spec = {.method = WAL_LZ4, .level = 1};
    if (!compressor_start(&run->archive, spec, 2, CODEC_MEMORY_ANY, &run->bell, &run->compressor,
                          err))
        return false;
    bool ok =
        compressor_submit_leftovers(run->compressor, &run->archive, err) &&
        store_open(&run->archive, MEMORY, run->compressor, VERIFY_ON, &run->bell, &run->store, err);
    if (ok) {
        show_store(run->store);
        ok = stream(run, err);
        show_store(NULL);
        store_close(run->store);
    }
    while (ok && !compressor_idle(run->compressor) && !compressor_error(run->compressor, err))
        (void)usleep(200);
    ok = ok && !compressor_error(run->compressor, err);
    compressor_stop(run->compressor);
    return ok;
}

bool scenario_run(const char *path, Error *err)
{
    Run run = {.store = NULL};
    if (!archive_open(path, true, fake_files_table(), &run.archive, err))
        return false;
    run.archive.keep_index = true;
    bool ok = bell_open(&run.bell, err);
    if (ok) {
        ok =
            archive_bind(&run.archive, MAKER_SYSTEM, SEGMENT, false, err) && run_threads(&run, err);
        bell_close(&run.bell);
    }
    archive_close(&run.archive);
    return ok;
}

/* --- what an archive must look like --- */

typedef struct Check {
    const char *path;
    const char *what;
    Dir dir;
    bool complete[4];
    uint8_t *partial[4]; /* SEGMENT bytes each, malloc'ed; NULL: none */
    bool history;
} Check;

typedef struct Buffer {
    uint8_t *bytes;
    size_t length;
} Buffer;

static bool take(void *context, const void *data, size_t length, Error *err)
{
    Buffer *buffer = context;
    if (length > SEGMENT - buffer->length)
        return error_set(err, ERROR_ARCHIVE, "longer than a segment");
    memcpy(buffer->bytes + buffer->length, data, length);
    buffer->length += length;
    return true;
}

static void check_segment(Check *check, const char *name, const WalFileName *file)
{
    Buffer buffer = {.bytes = calloc(1, SEGMENT)};
    SegNo segno;
    Error error;
    assert_non_null(buffer.bytes);
    bool read = segment_file_read(&check->dir, name, file->compression, take, &buffer, &error);
    if (!wal_file_segno(file, SEGMENT, &segno) || segno < segment_of(FIRST, SEGMENT) ||
        segno > segment_of(wal_end, SEGMENT) || file->timeline != 1)
        fail_msg("%s: unexpected file \"%s\"", check->what, name);
    size_t at = (size_t)(segno - segment_of(FIRST, SEGMENT));
    if (file->partial) {
        if (file->compression != WAL_RAW || check->partial[at] != NULL)
            fail_msg("%s: unexpected partial \"%s\"", check->what, name);
        check->partial[at] = buffer.bytes;
        return;
    }
    if (!read || buffer.length != SEGMENT || at > 2 ||
        memcmp(buffer.bytes, wal + at * SEGMENT, SEGMENT) != 0)
        fail_msg("%s: \"%s\" is incomplete or wrong", check->what, name);
    check->complete[at] = true;
    free(buffer.bytes);
}

static void check_names(Check *check)
{
    DIR *dir = opendir(check->path);
    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        WalFileName file;
        if (entry->d_name[0] == '.')
            continue;
        if (!wal_file_parse(entry->d_name, &file))
            fail_msg("%s: unexpected name \"%s\"", check->what, entry->d_name);
        if (file.kind == WAL_FILE_SEGMENT) {
            check_segment(check, entry->d_name, &file);
            continue;
        }
        if (strcmp(entry->d_name, "00000002.history") != 0 ||
            !scratch_holds(check->path, entry->d_name, history_text, strlen(history_text)))
            fail_msg("%s: \"%s\" is incomplete or wrong", check->what, entry->d_name);
        check->history = true;
    }
    (void)closedir(dir);
}

/* A later start would not see it. */
static void check_no_hole(const Check *check)
{
    for (size_t at = 1; at < 4; at++) {
        if ((check->complete[at] || check->partial[at] != NULL) && !check->complete[at - 1])
            fail_msg("%s: segment %zu is there without the one before it", check->what, at);
    }
}

static void check_bytes(const Check *check, Lsn upto)
{
    for (size_t at = 0; at < 4; at++) {
        Lsn begin = FIRST + at * SEGMENT;
        size_t count = upto <= begin ? 0 : (size_t)(upto - begin);
        if (count == 0 || check->complete[at])
            continue;
        count = count < SEGMENT ? count : SEGMENT;
        if (check->partial[at] == NULL)
            fail_msg("%s: flushed to %llX, but segment %zu is missing", check->what,
                     (unsigned long long)upto, at);
        if (memcmp(check->partial[at], wal + at * SEGMENT, count) != 0)
            fail_msg("%s: flushed to %llX, but the partial of segment %zu differs", check->what,
                     (unsigned long long)upto, at);
    }
}

typedef struct IndexCheck {
    const Check *check;
    const Archive *archive;
    const Branch *branch;
    IndexFile file;
    IndexEntry found;
} IndexCheck;

/* Is what the index says of a segment what the WAL says? */
static bool compare_entry(void *context, const IndexEntry *entry)
{
    IndexCheck *check = context;
    if (!branch_find(check->branch, entry->segno)->partial &&
        index_find(&check->file, check->archive, check->branch, 1, entry->segno, &check->found)) {
        check->found.modified = entry->modified;
        if (memcmp(&check->found, entry, sizeof(*entry)) != 0)
            fail_msg("%s: the index is wrong about segment %llX", check->check->what,
                     (unsigned long long)entry->segno);
        index_known++;
    }
    return true;
}

static void check_index(const Check *check)
{
    Archive archive;
    Archive without_index;
    Listing listing;
    Branch branch;
    IndexUse use;
    bool loaded;
    Error error;
    if (!archive_open_to_read(check->path, file_table_kernel(), &archive, &loaded, &error))
        fail_msg("%s: %s", check->what, error.message);
    without_index = archive;
    without_index.private.fd = -1;
    if (!listing_make(&archive, archive.bound, loaded, &listing, &error))
        fail_msg("%s: %s", check->what, error.message);
    if (listing.timeline_count > 0 && scratch_count(check->path, ".walrx/index") > 0) {
        IndexCheck index = {.check = check, .archive = &archive, .branch = &branch};
        if (!branch_make(&archive, &listing, 1, &branch, &error) ||
            !index_visit(&without_index, &branch, 0, UINT64_MAX, compare_entry, &index, &use,
                         &error))
            fail_msg("%s: %s", check->what, error.message);
        index_file_free(&index.file);
        branch_free(&branch);
    }
    listing_free(&listing);
    archive_close(&archive);
}

uint64_t scenario_index_known(void)
{
    return index_known;
}

void scenario_check(const char *path, uint64_t mark, const char *what)
{
    Check check = {.path = path, .what = what};
    Error error;
    assert_true(dir_open(path, false, file_table_kernel(), &check.dir, &error));
    check_names(&check);
    dir_close(&check.dir);
    check_no_hole(&check);
    check_bytes(&check, mark / 2);
    check_index(&check);
    if (mark % 2 != 0 && !check.history)
        fail_msg("%s: the history file is missing", what);
    for (size_t at = 0; at < 4; at++)
        free(check.partial[at]);
}

void scenario_check_complete(const char *path, const char *what)
{
    static const char *const names[] = {"000000010000000000000005", "000000010000000000000006",
                                        "000000010000000000000007"};
    scenario_check(path, wal_end * 2 + 1, what);
    for (size_t i = 0; i < 3; i++) {
        char partial[64];
        char packed[64];
        (void)snprintf(partial, sizeof(partial), "%s.partial", names[i]);
        (void)snprintf(packed, sizeof(packed), "%s.lz4", names[i]);
        if (scratch_exists(path, partial) ||
            scratch_exists(path, names[i]) == scratch_exists(path, packed))
            fail_msg("%s: segment %s is there twice, or as a partial", what, names[i]);
    }
    if (!scratch_exists(path, "000000010000000000000008.partial"))
        fail_msg("%s: the open segment is missing", what);
    /* Identity, lock, a spare segment whose removal failed, an index unless that failed too. */
    if (scratch_count(path, ".walrx") != 2U + (scratch_exists(path, ".walrx/spare.tmp") ? 1 : 0) +
                                             (scratch_exists(path, ".walrx/index") ? 1 : 0))
        fail_msg("%s: .walrx holds %zu files", what, scratch_count(path, ".walrx"));
}
