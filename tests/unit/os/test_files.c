/* SPDX-License-Identifier: PostgreSQL
 *
 * Files: opening, reading and writing whole ranges whatever the kernel transfers at once, sizes,
 * modes, and errors that name the file.
 */
#include "walrx/os/files.h"

#include "fake_files.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[SCRATCH_PATH_SIZE];
static Dir dir;
static Error error;

static int setup(void **state)
{
    (void)state;
    scratch_make(path);
    fake_files_reset();
    return dir_open(path, true, fake_files_table(), &dir, &error) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    dir_close(&dir);
    scratch_remove(path);
    return 0;
}

static int open_file(const char *name, FileOpen how)
{
    int fd = -1;
    if (!file_open(&dir, name, how, &fd, &error))
        fail_msg("%s", error.message);
    return fd;
}

static mode_t mode_of(const char *name)
{
    struct stat status;
    assert_int_equal(fstatat(dir.fd, name, &status, 0), 0);
    return status.st_mode & 0777;
}

static void a_missing_directory_or_a_file_is_refused(void **state)
{
    char name[2 * SCRATCH_PATH_SIZE];
    char long_name[DIR_PATH_SIZE + 10];
    Dir other = {.fd = 77};
    (void)state;
    (void)snprintf(name, sizeof(name), "%s/missing", path);
    assert_false(dir_open(name, true, fake_files_table(), &other, &error));
    assert_int_equal(error.class, ERROR_USAGE);
    assert_int_equal(error.os_errno, ENOENT);
    assert_non_null(strstr(error.message, name));
    scratch_write(path, "file", "x", 1);
    (void)snprintf(name, sizeof(name), "%s/file", path);
    assert_false(dir_open(name, true, fake_files_table(), &other, &error));
    assert_int_equal(error.os_errno, ENOTDIR);
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_false(dir_open(long_name, true, fake_files_table(), &other, &error));
    assert_int_equal(error.class, ERROR_USAGE);
    assert_int_equal(other.fd, 77);
}

static void a_directory_on_a_disk_that_fails_is_no_mistake_of_the_caller(void **state)
{
    Dir other;
    (void)state;
    fake_files_fail(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, EIO);
    assert_false(dir_open(path, true, fake_files_table(), &other, &error));
    assert_int_equal(error.class, ERROR_STORAGE);
    assert_int_equal(error.os_errno, EIO);
}

static void an_inner_directory_is_made_once(void **state)
{
    Dir inner;
    bool created;
    (void)state;
    assert_true(dir_open_inside(&dir, "inner", false, &inner, NULL, &error));
    assert_int_equal(inner.fd, -1);
    dir_close(&inner);
    assert_true(dir_open_inside(&dir, "inner", true, &inner, &created, &error));
    assert_true(created);
    assert_int_equal(mode_of("inner"), 0700);
    assert_int_equal(fake_files_count(FAKE_FSYNC), 1);
    dir_close(&inner);
    assert_true(dir_open_inside(&dir, "inner", true, &inner, &created, &error));
    assert_false(created);
    assert_non_null(strstr(inner.path, "/inner"));
    dir_close(&inner);
    dir_remove_empty(&dir, "inner");
    assert_false(scratch_exists(path, "inner"));
}

static void a_directory_that_is_not_empty_stays(void **state)
{
    (void)state;
    scratch_mkdir(path, "inner");
    scratch_write(path, "inner/file", "x", 1);
    dir_remove_empty(&dir, "inner");
    assert_true(scratch_exists(path, "inner/file"));
}

static void the_group_may_read_when_it_is_let(void **state)
{
    Dir inner;
    (void)state;
    assert_true(dir_open_inside(&dir, "inner", true, &inner, NULL, &error));
    (void)umask(0);
    file_close(&dir, open_file("before", FILE_CREATE));
    assert_int_equal(mode_of("before"), 0600);
    assert_true(dir_let_group_read(&dir, &inner, &error));
    file_close(&dir, open_file("after", FILE_CREATE));
    assert_int_equal(mode_of("after"), 0640);
    assert_int_equal(mode_of("inner"), 0750);
    dir_close(&inner);
    assert_true(dir_open_inside(&dir, "later", true, &inner, NULL, &error));
    assert_int_equal(mode_of("later"), 0750);
    assert_int_equal(inner.file_mode, 0640);
    dir_close(&inner);
}

typedef struct Visited {
    unsigned count;
    unsigned stop_after;
} Visited;

static bool visit(void *context, const char *name)
{
    Visited *visited = context;
    assert_true(name[0] == 'f');
    return ++visited->count != visited->stop_after;
}

static void every_name_is_visited_until_it_is_enough(void **state)
{
    Visited visited = {.count = 0};
    (void)state;
    for (int i = 0; i < 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "f%d", i);
        scratch_write(path, name, "x", 1);
    }
    assert_true(dir_visit(&dir, visit, &visited, &error));
    assert_int_equal(visited.count, 20);
    assert_true(dir_visit(&dir, visit, &visited, &error)); /* a second time sees them all again */
    assert_int_equal(visited.count, 40);
    visited = (Visited){.stop_after = 5};
    assert_true(dir_visit(&dir, visit, &visited, &error));
    assert_int_equal(visited.count, 5);
    fake_files_fail(FAKE_OPENAT, fake_files_count(FAKE_OPENAT) + 1, EACCES);
    assert_false(dir_visit(&dir, visit, &visited, &error));
    assert_int_equal(error.class, ERROR_STORAGE);
}

static void status_tells_size_or_absence(void **state)
{
    bool exists;
    uint64_t size = 1;
    (void)state;
    assert_true(file_status(&dir, "a", &exists, &size, &error));
    assert_false(exists);
    assert_int_equal(size, 0);
    scratch_write(path, "a", "12345", 5);
    assert_true(file_status(&dir, "a", &exists, &size, &error));
    assert_true(exists);
    assert_int_equal(size, 5);
    assert_false(file_status(&dir, "a/b", &exists, &size, &error)); /* ENOTDIR */
    assert_non_null(strstr(error.message, "a/b"));
}

static void symbolic_links_are_not_followed(void **state)
{
    int fd;
    (void)state;
    scratch_write(path, "target", "x", 1);
    assert_int_equal(symlinkat("target", dir.fd, "link"), 0);
    assert_false(file_open(&dir, "link", FILE_READ, &fd, &error));
    assert_false(file_open(&dir, "link", FILE_CREATE, &fd, &error));
    assert_int_equal(error.os_errno, ELOOP);
}

static void every_way_to_open_does_what_it_says(void **state)
{
    int fd = 77;
    char byte;
    size_t count;
    (void)state;
    assert_false(file_open(&dir, "a", FILE_READ, &fd, &error));
    assert_false(file_open(&dir, "a", FILE_WRITE, &fd, &error));
    assert_int_equal(fd, 77);
    assert_int_equal(error.class, ERROR_STORAGE);
    assert_int_equal(error.os_errno, ENOENT);
    scratch_write(path, "a", "old", 3);
    fd = open_file("a", FILE_WRITE);
    assert_int_equal(scratch_size(path, "a"), 3);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    file_close(&dir, fd);
    fd = open_file("a", FILE_CREATE);
    assert_int_equal(scratch_size(path, "a"), 0);
    file_close(&dir, fd);
    fd = open_file("a", FILE_READ);
    assert_true(file_read_at(&dir, "a", fd, &byte, 1, 0, &count, &error));
    assert_int_equal(count, 0);
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    assert_false(file_write_at(&dir, "a", fd, &part, 1, 0, &error));
    file_close(&dir, fd);
    file_close(&dir, -1);
    fake_files_direct(FAKE_DIRECT_REFUSED_AT_OPEN);
    assert_false(file_open(&dir, "a", FILE_WRITE_DIRECT, &fd, &error));
    assert_int_equal(error.os_errno, EINVAL);
}

/* Cuts every transfer in pieces: each call after the first is short as well. */
/* A FIFO cannot be read at a position: what matters is that opening it does not wait. */
static void a_fifo_that_nobody_fills_holds_nobody_up(void **state)
{
    (void)state;
    assert_int_equal(mkfifoat(dir.fd, "fifo", 0600), 0);
    file_close(&dir, open_file("fifo", FILE_READ));
}

static void whole_ranges_are_written_and_read_in_whatever_pieces(void **state)
{
    uint8_t bytes[3000];
    uint8_t back[3100];
    size_t count;
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 250) {
        struct iovec parts[2] = {{.iov_base = bytes, .iov_len = cut},
                                 {.iov_base = bytes + cut, .iov_len = sizeof(bytes) - cut}};
        int fd = open_file("a", FILE_CREATE);
        fake_files_shorten(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1);
        assert_true(file_write_at(&dir, "a", fd, parts, 2, 100, &error));
        assert_true(fake_files_struck(NULL));
        fake_files_shorten(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 1);
        assert_true(file_read_at(&dir, "a", fd, back, sizeof(back), 100, &count, &error));
        assert_true(fake_files_struck(NULL));
        assert_int_equal(count, sizeof(bytes));
        assert_memory_equal(back, bytes, sizeof(bytes));
        file_close(&dir, fd);
    }
}

static ssize_t write_nothing(int fd, const struct iovec *parts, int count, off_t offset)
{
    (void)fd;
    (void)parts;
    (void)count;
    (void)offset;
    return 0;
}

static void a_write_without_progress_is_a_full_disk(void **state)
{
    FileTable stuck = *fake_files_table();
    struct iovec part = {.iov_base = path, .iov_len = 10};
    int fd = open_file("a", FILE_CREATE);
    (void)state;
    stuck.pwritev = write_nothing;
    dir.files = &stuck;
    assert_false(file_write_at(&dir, "a", fd, &part, 1, 0, &error));
    assert_int_equal(error.os_errno, ENOSPC);
    assert_true(strlen(error.hint) > 0);
    dir.files = fake_files_table();
    assert_false(file_write_at(&dir, "a", fd, &part, 3, 0, &error));
    file_close(&dir, fd);
}

static void errors_name_what_was_done_to_which_file(void **state)
{
    char expected[2 * SCRATCH_PATH_SIZE];
    char byte = 'x';
    size_t count;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    int fd = open_file("a", FILE_CREATE);
    (void)state;
    fake_files_fail(FAKE_PWRITEV, 1, EIO);
    assert_false(file_write_at(&dir, "a", fd, &part, 1, 0, &error));
    (void)snprintf(expected, sizeof(expected), "could not write file \"%s/a\": %s", path,
                   strerror(EIO));
    assert_string_equal(error.message, expected);
    assert_int_equal(error.class, ERROR_STORAGE);
    fake_files_fail(FAKE_PREAD, 1, EIO);
    assert_false(file_read_at(&dir, "a", fd, &byte, 1, 0, &count, &error));
    assert_non_null(strstr(error.message, "could not read file"));
    fake_files_fail(FAKE_FTRUNCATE, 1, EFBIG);
    assert_false(file_truncate(&dir, "a", fd, 10, &error));
    assert_int_equal(error.os_errno, EFBIG);
    file_close(&dir, fd);
}

static void allocation_gives_the_full_size_with_or_without_fallocate(void **state)
{
    static const int unsupported[] = {EOPNOTSUPP, ENOSYS, EINVAL};
    int fd = open_file("a", FILE_CREATE);
    (void)state;
    assert_true(file_allocate(&dir, "a", fd, 1000000, &error));
    assert_int_equal(scratch_size(path, "a"), 1000000);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(file_truncate(&dir, "a", fd, 10, &error));
        fake_files_fail(FAKE_FALLOCATE, fake_files_count(FAKE_FALLOCATE) + 1, unsupported[i]);
        assert_true(file_allocate(&dir, "a", fd, 500000, &error));
        assert_int_equal(scratch_size(path, "a"), 500000);
    }
    fake_files_fail(FAKE_FALLOCATE, fake_files_count(FAKE_FALLOCATE) + 1, ENOSPC);
    assert_false(file_allocate(&dir, "a", fd, 600000, &error));
    assert_int_equal(error.os_errno, ENOSPC);
    assert_int_equal(scratch_size(path, "a"), 500000);
    file_close(&dir, fd);
}

static void what_has_no_blocks_yet_is_told(void **state)
{
    uint64_t unbacked;
    char bytes[4096] = "x";
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    int fd = open_file("a", FILE_CREATE);
    (void)state;
    assert_true(file_truncate(&dir, "a", fd, 1 << 20, &error));
    assert_true(file_unbacked(&dir, "a", fd, &unbacked, &error));
    assert_true(unbacked == 1 << 20);
    assert_true(file_write_at(&dir, "a", fd, &part, 1, 0, &error));
    assert_true(fsync(fd) == 0); /* blocks may be found only then */
    assert_true(file_unbacked(&dir, "a", fd, &unbacked, &error));
    assert_in_range(unbacked, 1, (1 << 20) - sizeof(bytes));
    file_close(&dir, fd);
    assert_false(file_unbacked(&dir, "a", -1, &unbacked, &error));
    assert_int_equal(error.class, ERROR_STORAGE);
}

static void a_full_disk_and_a_quota_are_no_failure_of_the_disk(void **state)
{
    static const int codes[] = {ENOSPC, EDQUOT, EIO, EROFS};
    int fd = open_file("a", FILE_CREATE);
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        fake_files_fail(FAKE_FTRUNCATE, fake_files_count(FAKE_FTRUNCATE) + 1, codes[i]);
        assert_false(file_truncate(&dir, "a", fd, 10, &error));
        assert_int_equal(error.class, i < 2 ? ERROR_NO_ROOM : ERROR_STORAGE);
        assert_int_equal(error.hint[0] != '\0', i < 2);
    }
    file_close(&dir, fd);
}

static void free_space_is_what_the_filesystem_tells(void **state)
{
    uint64_t left;
    (void)state;
    fake_files_space(12345);
    assert_true(file_space_left(&dir, &left, &error));
    assert_true(left == 12345);
}

static void what_is_appended_comes_behind_what_others_append(void **state)
{
    int mine = open_file("log", FILE_APPEND);
    int other = open_file("log", FILE_APPEND);
    (void)state;
    assert_true(file_append(&dir, "log", mine, "one", 3, &error));
    assert_true(file_append(&dir, "log", other, "two", 3, &error));
    assert_true(file_append(&dir, "log", mine, "three", 5, &error));
    assert_true(scratch_holds(path, "log", "onetwothree", 11));
    assert_int_equal(mode_of("log"), 0600);
    fake_files_shorten(FAKE_PWRITEV, fake_files_count(FAKE_PWRITEV) + 1);
    assert_false(file_append(&dir, "log", mine, "four", 4, &error));
    assert_int_equal(error.class, ERROR_NO_ROOM);
    assert_true(file_append(&dir, "log", other, "five", 4, &error));
    assert_true(scratch_holds(path, "log", "onetwothreefofive", 17));
    file_close(&dir, mine);
    file_close(&dir, other);
}

static void the_date_of_a_file_can_be_handed_on(void **state)
{
    int64_t first;
    int64_t second;
    bool exists;
    (void)state;
    scratch_write(path, "first", "x", 1);
    (void)usleep(20000);
    int fd = open_file("second", FILE_CREATE);
    assert_true(file_modified(&dir, "first", &exists, &first, &error) && exists);
    assert_true(file_modified(&dir, "second", &exists, &second, &error) && exists);
    assert_true(second > first);
    file_set_modified(&dir, fd, first);
    assert_true(file_modified(&dir, "second", &exists, &second, &error) && exists);
    assert_true(second == first);
    file_close(&dir, fd);
    assert_true(file_modified(&dir, "third", &exists, &second, &error));
    assert_false(exists);
}

static void a_directory_is_ones_own_or_not(void **state)
{
    Dir inside;
    (void)state;
    assert_true(dir_open_inside(&dir, "inside", true, &inside, NULL, &error));
    assert_true(dir_is_own(&inside));
    assert_int_equal(inside.file_mode, 0600);
    assert_int_equal(fchmod(inside.fd, 0750), 0);
    assert_true(dir_is_own(&inside));
    assert_int_equal(inside.file_mode, 0640);
    if (geteuid() == 0) {
        assert_int_equal(fchown(inside.fd, 1234, (gid_t)-1), 0);
        assert_false(dir_is_own(&inside));
    }
    dir_close(&inside);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_missing_directory_or_a_file_is_refused),
        CASE(a_directory_on_a_disk_that_fails_is_no_mistake_of_the_caller),
        CASE(an_inner_directory_is_made_once),
        CASE(a_directory_that_is_not_empty_stays),
        CASE(the_group_may_read_when_it_is_let),
        CASE(every_name_is_visited_until_it_is_enough),
        CASE(status_tells_size_or_absence),
        CASE(symbolic_links_are_not_followed),
        CASE(every_way_to_open_does_what_it_says),
        CASE(a_fifo_that_nobody_fills_holds_nobody_up),
        CASE(whole_ranges_are_written_and_read_in_whatever_pieces),
        CASE(a_write_without_progress_is_a_full_disk),
        CASE(errors_name_what_was_done_to_which_file),
        CASE(allocation_gives_the_full_size_with_or_without_fallocate),
        CASE(what_has_no_blocks_yet_is_told),
        CASE(a_full_disk_and_a_quota_are_no_failure_of_the_disk),
        CASE(free_space_is_what_the_filesystem_tells),
        CASE(what_is_appended_comes_behind_what_others_append),
        CASE(the_date_of_a_file_can_be_handed_on),
        CASE(a_directory_is_ones_own_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
