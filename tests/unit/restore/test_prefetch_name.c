/* SPDX-License-Identifier: PostgreSQL
 *
 * Names and seals of what is ready: the same as long as everything is the same, different as soon
 * as anything is; and which files are a helper's.
 */
#include "get_fixture.h"

#include "prefetch_internal.h"

#include <fcntl.h>

static char old_name[PREFETCH_NAME_SIZE];

/* The name as of now; "" where the archive does not have the segment. */
static const char *name_now(SegNo segno)
{
    static char name[PREFETCH_NAME_SIZE];
    PrefetchSource source;
    uint64_t token;
    name[0] = '\0';
    assert_true(prefetch_token(&fixture.archive, &token));
    prefetch_look(&fixture.archive, 1, segno, &source);
    return source.found ? prefetch_name(token, &source, 1, segno, FIXTURE_SIZE, name) : name;
}

static void remember(SegNo segno)
{
    (void)snprintf(old_name, sizeof(old_name), "%s", name_now(segno));
}

static void a_name_says_whose_and_which(void **state)
{
    (void)state;
    assert_string_equal(name_now(SEGNO), "");
    put(SEGNO, WAL_LZ4);
    remember(SEGNO);
    assert_string_equal(old_name, name_now(SEGNO));
    assert_int_equal(strlen(old_name), strlen("xlogtemp.walrx.") + 16 + 1 + 24);
    assert_string_equal(old_name + strlen("xlogtemp.walrx.") + 17, wanted(SEGNO));
    assert_int_equal(strncmp(old_name, "xlogtemp.walrx.", strlen("xlogtemp.walrx.")), 0);
}

static void any_change_of_the_source_is_another_name(void **state)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    const char *packed = fixture_name(SEGNO, WAL_LZ4, false);
    (void)state;
    put(SEGNO, WAL_LZ4);
    remember(SEGNO);
    /* The same time and size, but another file. */
    put(SEGNO + 1, WAL_LZ4);
    assert_string_not_equal(old_name, name_now(SEGNO + 1));
    assert_int_equal(renameat(fixture.archive.dir.fd, packed, fixture.archive.dir.fd, "old"), 0);
    put(SEGNO, WAL_LZ4);
    assert_string_not_equal(old_name, name_now(SEGNO));
    remember(SEGNO);
    assert_int_equal(utimensat(fixture.archive.dir.fd, packed, times, 0), 0);
    assert_string_not_equal(old_name, name_now(SEGNO));
    remember(SEGNO);
    put(SEGNO, WAL_ZSTD); /* raw, gzip, lz4 come before it */
    assert_string_equal(old_name, name_now(SEGNO));
    put(SEGNO, WAL_RAW);
    assert_string_not_equal(old_name, name_now(SEGNO));
}

static void another_archive_or_cluster_has_other_names(void **state)
{
    uint64_t one;
    uint64_t two;
    Archive other = fixture.archive;
    (void)state;
    assert_true(prefetch_token(&fixture.archive, &one));
    assert_true(prefetch_token(&other, &two));
    assert_true(one == two);
    other.system_identifier++;
    assert_true(prefetch_token(&other, &two));
    assert_true(one != two);
    other = fixture.archive;
    other.segment_size *= 2;
    assert_true(prefetch_token(&other, &two));
    assert_true(one != two);
    other = fixture.archive;
    other.dir = fixture.archive.private;
    assert_true(prefetch_token(&other, &two));
    assert_true(one != two);
}

static void a_helpers_files_are_known_by_their_names(void **state)
{
    static const struct {
        const char *name;
        PrefetchFile kind;
    } cases[] = {
        {"xlogtemp.walrx.0123456789abcdef.00000001000000A200000003", PREFETCH_FILE_READY},
        {"xlogtemp.walrx.0123456789abcdef.00000001000000A200000003.part", PREFETCH_FILE_PART},
        {"xlogtemp.walrx.0123456789abcdef.00000001000000A200000003.parts", PREFETCH_FILE_OTHER},
        {"xlogtemp.walrx.0123456789abcdef.00000001000000A20000000", PREFETCH_FILE_OTHER},
        {"xlogtemp.walrx.0123456789abcde.00000001000000A200000003", PREFETCH_FILE_OTHER},
        {"xlogtemp.walrx.0123456789abcdef", PREFETCH_FILE_OTHER},
        {"xlogtemp.walrx.RECOVERYXLOG", PREFETCH_FILE_OTHER},
        {"xlogtemp.walrx.prefetch", PREFETCH_FILE_OTHER},
        {"xlogtemp.walrx.", PREFETCH_FILE_OTHER},
        {"xlogtemp.4711", PREFETCH_FILE_OTHER},
        {"00000001000000A200000003", PREFETCH_FILE_OTHER},
        {"x", PREFETCH_FILE_OTHER},
        {"", PREFETCH_FILE_OTHER},
    };
    char part[PREFETCH_NAME_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(prefetch_file_kind(cases[i].name), cases[i].kind);
    assert_string_equal(prefetch_part_name(cases[0].name, part), cases[1].name);
}

static bool sealed(const char *name)
{
    return prefetch_is_sealed(&fixture.archive.dir, name, SEGMENT);
}

static void make_sealed(const char *name)
{
    int fd;
    scratch_write(fixture.path, name, fixture_wal(FIXTURE_START), SEGMENT);
    assert_false(sealed(name));
    assert_true(file_open(&fixture.archive.dir, name, FILE_WRITE, &fd, &fixture.error));
    assert_true(prefetch_seal(&fixture.archive.dir, name, fd));
    file_close(&fixture.archive.dir, fd);
    assert_true(sealed(name));
}

static void a_seal_holds_for_this_file_as_it_is(void **state)
{
    int dir = fixture.archive.dir.fd;
    struct stat status;
    (void)state;
    make_sealed("a");
    assert_false(prefetch_is_sealed(&fixture.archive.dir, "a", SEGMENT + 1));
    assert_int_equal(renameat(dir, "a", dir, "b"), 0);
    assert_true(sealed("b"));
    /* A copy with its time, as cp -p makes one. */
    assert_int_equal(fstatat(dir, "b", &status, 0), 0);
    scratch_write(fixture.path, "c", fixture_wal(FIXTURE_START), SEGMENT);
    const struct timespec times[2] = {status.st_atim, status.st_mtim};
    assert_int_equal(utimensat(dir, "c", times, 0), 0);
    assert_false(sealed("c"));
    /* A second name could be used to change it. */
    assert_int_equal(linkat(dir, "b", dir, "d", 0), 0);
    assert_false(sealed("b"));
    assert_int_equal(unlinkat(dir, "d", 0), 0);
    assert_true(sealed("b"));
    assert_int_equal(symlinkat("b", dir, "e"), 0);
    assert_false(sealed("e"));
    assert_false(sealed("nothing"));
    scratch_mkdir(fixture.path, "folder");
    assert_false(sealed("folder"));
}

static void a_change_breaks_the_seal(void **state)
{
    int fd;
    (void)state;
    make_sealed("a");
    fd = openat(fixture.archive.dir.fd, "a", O_WRONLY);
    assert_int_equal(pwrite(fd, "", 1, 4096), 1);
    (void)close(fd);
    assert_false(sealed("a"));
    make_sealed("b");
    fd = openat(fixture.archive.dir.fd, "b", O_WRONLY);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(ftruncate(fd, SEGMENT), 0);
    (void)close(fd);
    assert_false(sealed("b"));
}

static void a_sweep_takes_what_is_a_helpers(void **state)
{
    static const char *const helpers[] = {
        "xlogtemp.walrx.0123456789abcdef.00000001000000A200000003",
        "xlogtemp.walrx.0123456789abcdef.00000001000000A200000003.part",
        "xlogtemp.walrx.prefetch",
    };
    static const char *const others[] = {"xlogtemp.walrx.RECOVERYXLOG", "xlogtemp.1",
                                         "00000001000000A200000003"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        scratch_write(fixture.path, helpers[i], "x", 1);
        scratch_write(fixture.path, others[i], "x", 1);
    }
    prefetch_sweep(&fixture.archive.dir);
    for (size_t i = 0; i < 3; i++) {
        assert_false(scratch_exists(fixture.path, helpers[i]));
        assert_true(scratch_exists(fixture.path, others[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_name_says_whose_and_which),
        CASE(any_change_of_the_source_is_another_name),
        CASE(another_archive_or_cluster_has_other_names),
        CASE(a_helpers_files_are_known_by_their_names),
        CASE(a_seal_holds_for_this_file_as_it_is),
        CASE(a_change_breaks_the_seal),
        CASE(a_sweep_takes_what_is_a_helpers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
