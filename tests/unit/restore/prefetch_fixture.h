/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of reading ahead share: the archive of get_fixture.h with all its segments, a
 * server's folder, and the things of one request opened.
 */
#pragma once

#include "../proto/walmaker.h"
#include "get_fixture.h"

#include "prefetch_internal.h"

#include "walrx/os/dirlock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define WAL_FOLDER "data/pg_wal"
#define LAST_SEGNO (SEGNO + 4)
#define PATIENCE_MS 20000

static Get get;

static inline void open_get(SegNo segno)
{
    bool loaded;
    get = (Get){.request = &server.request,
                .segno = segno,
                .file = {.kind = WAL_FILE_SEGMENT, .timeline = 1}};
    assert_true(get_target_open(&server.request, &get.target, &fixture.error));
    assert_true(archive_open_to_read(fixture.path, fake_files_table(), &get.archive, &loaded,
                                     &fixture.error));
    prefetch_begin(&get);
}

static inline void close_get(void)
{
    archive_close(&get.archive);
    get_target_close(&get.target);
}

static inline void put_all(WalCompression form)
{
    for (SegNo segno = SEGNO; segno <= LAST_SEGNO; segno++)
        put(segno, form);
}

static inline void put_server(pid_t pid, const char *signal_file)
{
    uint64_t identifier = MAKER_SYSTEM;
    char text[64];
    (void)snprintf(text, sizeof(text), "%ld\n/data\n", (long)pid);
    if (!scratch_exists(fixture.path, "data/global"))
        scratch_mkdir(fixture.path, "data/global");
    scratch_write(fixture.path, "data/global/pg_control", &identifier, sizeof(identifier));
    scratch_write(fixture.path, "data/postmaster.pid", text, strlen(text));
    scratch_write(fixture.path, signal_file, "", 0);
}

static inline void forget(const char *name)
{
    assert_int_equal(unlinkat(fixture.archive.dir.fd, name, 0), 0);
}

/* The name under which the segment would be ready, within the fixture's folder. */
static inline const char *ready_name(SegNo segno)
{
    static char path[PREFETCH_NAME_SIZE + 32];
    char name[PREFETCH_NAME_SIZE];
    PrefetchSource source;
    uint64_t token;
    assert_true(prefetch_token(&fixture.archive, &token));
    prefetch_look(&fixture.archive, 1, segno, &source);
    assert_true(source.found);
    (void)snprintf(path, sizeof(path), WAL_FOLDER "/%s",
                   prefetch_name(token, &source, 1, segno, FIXTURE_SIZE, name));
    return path;
}

static inline bool is_ready(SegNo segno)
{
    return scratch_exists(fixture.path, ready_name(segno));
}

static inline bool all_ready(void)
{
    bool all = true;
    for (SegNo segno = SEGNO + 1; segno <= LAST_SEGNO; segno++)
        all = all && is_ready(segno);
    return all;
}

/* Neither a helper nor anything of one. */
static inline bool nothing_left(void)
{
    return scratch_count(fixture.path, WAL_FOLDER) == 0;
}

static inline void await(bool (*condition)(void), const char *what)
{
    for (unsigned i = 0; i < PATIENCE_MS / 5; i++) {
        if (condition())
            return;
        (void)poll(NULL, 0, 5);
    }
    fail_msg("never: %s", what);
}

static inline ino_t inode_of(const char *name)
{
    struct stat status;
    return fstatat(fixture.archive.dir.fd, name, &status, 0) == 0 ? status.st_ino : 0;
}

/* Nobody serves the folder; one that was killed has let its things go. */
static inline bool nobody_serves(void)
{
    char path[SCRATCH_PATH_SIZE + 32];
    Dir dir;
    (void)snprintf(path, sizeof(path), "%s/" WAL_FOLDER, fixture.path);
    assert_true(dir_open(path, false, fake_files_table(), &dir, &fixture.error));
    bool free_now = dirlock_try_directory(&dir);
    dir_close(&dir);
    return free_now;
}

/* A request like a server's, which takes what it gets away; was it handed over? */
static inline bool ask(SegNo segno)
{
    bool placed = false;
    /* While it is open, no other file gets its number. */
    int fd = openat(fixture.archive.dir.fd, ready_name(segno), O_RDONLY);
    ino_t before = inode_of(ready_name(segno));
    server.request.name = wanted(segno);
    if (!get_file(&server.request, &placed, &fixture.error))
        fail_msg("%s", fixture.error.message);
    assert_true(placed);
    assert_true(scratch_holds(fixture.path, TARGET, fixture_wal((Lsn)segno * SEGMENT), SEGMENT));
    ino_t after = inode_of(TARGET);
    forget(TARGET);
    if (fd >= 0)
        (void)close(fd);
    return before != 0 && before == after;
}
