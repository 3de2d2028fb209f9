/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of the restore share: the fixture's archive, in it the folder of a server that
 * asks for files, and a receiver that is there or not. After each call the temporary file is gone,
 * and the archive is as it was.
 */
#pragma once

#include "walrx/restore/get.h"

#include "fake_files.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGNO FIXTURE_SEGNO
#define SEGMENT ((size_t)FIXTURE_SIZE)
#define TARGET "data/pg_wal/RECOVERYXLOG"

typedef struct Server {
    GetRequest request;
    char target[SCRATCH_PATH_SIZE + 64];
    bool receiver;         /* does one run? */
    void (*settled)(void); /* called when it is waited for; may be NULL */
    unsigned settles;
    unsigned warnings;
    Error warning; /* the newest */
} Server;
static Server server;

static bool receiver_runs(void *context)
{
    return ((Server *)context)->receiver;
}

static void receiver_settle(void *context)
{
    Server *it = context;
    it->settles++;
    if (it->settled != NULL)
        it->settled();
}

static void tell(void *context, const Error *warning)
{
    Server *it = context;
    it->warnings++;
    it->warning = *warning;
}

static inline int setup(void **state)
{
    int failed = fixture_setup(state);
    scratch_mkdir(fixture.path, "data");
    scratch_mkdir(fixture.path, "data/pg_wal");
    server = (Server){.receiver = false};
    (void)snprintf(server.target, sizeof(server.target), "%s/%s", fixture.path, TARGET);
    server.request = (GetRequest){
        .directory = fixture.path,
        .target = server.target,
        .partial = GET_PARTIAL_AUTO,
        .files = fake_files_table(),
        .receiver_runs = receiver_runs,
        .receiver_settle = receiver_settle,
        .tell = tell,
        .context = &server,
    };
    return failed;
}

/* Only the target may be new. */
static inline bool call(const char *name, bool *ret_placed)
{
    char path[SCRATCH_PATH_SIZE + 64];
    server.request.name = name;
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, TARGET);
    (void)unlink(path);
    uint64_t before = scratch_fingerprint(fixture.path);
    server.warnings = 0;
    *ret_placed = false;
    bool ok = get_file(&server.request, ret_placed, &fixture.error);
    size_t files = scratch_count(fixture.path, "data/pg_wal");
    assert_int_equal(files, ok && *ret_placed ? 1 : 0);
    if (files == 0 && server.settled == NULL)
        assert_true(scratch_fingerprint(fixture.path) == before);
    return ok;
}

static inline void expect_placed(const char *name, const void *data, size_t length)
{
    bool placed;
    if (!call(name, &placed))
        fail_msg("%s", fixture.error.message);
    assert_true(placed);
    assert_true(scratch_holds(fixture.path, TARGET, data, length));
}

static inline void expect_absent(const char *name)
{
    bool placed;
    if (!call(name, &placed))
        fail_msg("%s", fixture.error.message);
    assert_false(placed);
}

static inline void expect_error(const char *name, ErrorClass class, const char *reason)
{
    bool placed;
    assert_false(call(name, &placed));
    if (fixture.error.class != class || strstr(fixture.error.message, reason) == NULL)
        fail_msg("%s: %s", error_class_name(fixture.error.class), fixture.error.message);
}

static inline void expect_warning(const char *reason)
{
    assert_int_equal(server.warnings, 1);
    if (strstr(server.warning.message, reason) == NULL)
        fail_msg("%s", server.warning.message);
}

/* The name a server asks for. */
static inline const char *wanted(SegNo segno)
{
    return fixture_name(segno, WAL_RAW, false);
}

/* A whole segment with one byte changed. */
static inline void put_damaged(WalCompression form, size_t at)
{
    static uint8_t bytes[SEGMENT_SIZE_MIN];
    memcpy(bytes, fixture_wal(FIXTURE_START), SEGMENT);
    bytes[at] ^= 0x40;
    fixture_archive(SEGNO, form, false, bytes, SEGMENT);
}

static inline void put(SegNo segno, WalCompression form)
{
    fixture_archive(segno, form, false, fixture_wal((Lsn)segno * SEGMENT), SEGMENT);
}

/* The first `length` bytes of a segment, the rest zeros; valid until the next call. */
static inline const uint8_t *filled(SegNo segno, size_t length)
{
    static uint8_t bytes[SEGMENT_SIZE_MIN];
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, fixture_wal((Lsn)segno * SEGMENT), length);
    return bytes;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)
