/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of the verifier share: an archive of five raw segments, changes to it, and runs
 * over it. Every archive is checked with one thread and with more, so with chunks of several
 * segments and of one: the result is the same, and nothing in the directory changes.
 */
#pragma once

#include "walrx/archive/verify.h"

#include "fake_files.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEGMENTS 5
#define SEGMENT ((size_t)FIXTURE_SIZE)
#define LSN_OF(segment) (FIXTURE_START + (segment)*SEGMENT)
#define NAME(segment) fixture_name(FIXTURE_SEGNO + (segment), WAL_RAW, false)

static VerifyResult result;
static uint8_t copy[SEGMENTS * SEGMENT];

static inline void run_with(unsigned jobs)
{
    VerifyOptions options = {.directory = fixture.path, .jobs = jobs, .files = fake_files_table()};
    verify_result_free(&result);
    if (!verify_run(&options, &result, &fixture.error))
        fail_msg("%s", fixture.error.message);
}

/* Does not change with the number of threads. */
static inline void run(void)
{
    uint64_t before = scratch_fingerprint(fixture.path);
    run_with(1);
    uint64_t records = result.records;
    uint64_t problems = result.problem_total;
    size_t gaps = result.gap_count;
    run_with(7);
    assert_int_equal(result.records, records);
    assert_int_equal(result.problem_total, problems);
    assert_int_equal(result.gap_count, gaps);
    assert_true(scratch_fingerprint(fixture.path) == before);
}

static inline void put(SegNo segment, WalCompression form, bool partial)
{
    fixture_archive(FIXTURE_SEGNO + segment, form, partial, copy + segment * SEGMENT, SEGMENT);
}

static inline void put_all(void)
{
    memcpy(copy, fixture_wal(FIXTURE_START), sizeof(copy));
    for (SegNo i = 0; i < SEGMENTS; i++)
        put(i, WAL_RAW, false);
}

static inline void remove_segment(SegNo segment)
{
    bool existed;
    assert_true(file_remove(&fixture.archive.dir, NAME(segment), &existed, &fixture.error));
    assert_true(existed);
}

static inline void put_other(Timeline timeline, SegNo segment, bool partial, const uint8_t *data)
{
    char name[WAL_FILE_NAME_SIZE];
    wal_segment_name(timeline, FIXTURE_SEGNO + segment, FIXTURE_SIZE, WAL_RAW, partial, name);
    scratch_write(fixture.path, name, data, SEGMENT);
}

static inline void expect_sound(void)
{
    run();
    if (result.problem_total > 0)
        fail_msg("%s: %s", result.problems[0].file, result.problems[0].message);
    assert_true(result.sound);
}

static inline const VerifyProblem *expect_one(VerifyKind kind, const char *file, const char *reason)
{
    run();
    assert_false(result.sound);
    if (result.problem_total != 1)
        fail_msg("%u problems; %s: %s", (unsigned)result.problem_total, result.problems[0].file,
                 result.problems[0].message);
    const VerifyProblem *problem = &result.problems[0];
    assert_string_equal(verify_kind_name(problem->kind), verify_kind_name(kind));
    assert_string_equal(problem->file, file);
    if (strstr(problem->message, reason) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", problem->message, reason);
    return problem;
}

static inline int setup(void **state)
{
    int failed = fixture_setup(state);
    put_all();
    return failed;
}

static inline int teardown(void **state)
{
    verify_result_free(&result);
    return fixture_teardown(state);
}
