/* SPDX-License-Identifier: PostgreSQL
 *
 * Copying a directory: what comes along, what links become, what a failure leaves behind.
 */
#include "walrx/os/tree.h"

#include "fake_files.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_SIZE (2 * SCRATCH_PATH_SIZE)
#define CLAIM "unfinished"

static char path[SCRATCH_PATH_SIZE];
static char from[PATH_SIZE];
static char to[PATH_SIZE];
static const TreeOwner self = {.change = false};
static Error error;
static uint64_t copied;
static bool stopped;

static int setup(void **state)
{
    (void)state;
    scratch_make(path);
    scratch_mkdir(path, "from");
    (void)snprintf(from, sizeof(from), "%s/from", path);
    (void)snprintf(to, sizeof(to), "%s/to", path);
    fake_files_reset();
    copied = 0;
    stopped = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(path);
    return 0;
}

/* "left" stays behind, of "emptied" the directory comes along. */
static TreeChoice choose(void *context, const char *name, mode_t mode, bool is_link)
{
    (void)context;
    (void)mode;
    (void)is_link;
    if (strcmp(name, "inner/left") == 0)
        return TREE_LEAVE_OUT;
    return strcmp(name, "emptied") == 0 ? TREE_EMPTY : TREE_COPY;
}

static bool progress(void *context, uint64_t bytes)
{
    (void)context;
    copied += bytes;
    return !stopped;
}

static TreeCopy how(void)
{
    return (TreeCopy){.files = fake_files_table(), .choose = choose, .progress = progress};
}

static void link_to(const char *name, const char *target)
{
    char at[PATH_SIZE + 64];
    (void)snprintf(at, sizeof(at), "%s/%s", from, name);
    assert_int_equal(symlink(target, at), 0);
}

static bool copy_all(TreePlace *place)
{
    TreeCopy copy = how();
    return tree_place_begin(to, CLAIM, 0700, &self, fake_files_table(), place, &error) &&
           tree_copy(from, &place->dir, &copy, &error) && tree_place_finish(place, &error);
}

static mode_t mode_of(const char *name)
{
    struct stat status;
    char at[PATH_SIZE + 64];
    (void)snprintf(at, sizeof(at), "%s/%s", to, name);
    assert_int_equal(lstat(at, &status), 0);
    return status.st_mode;
}

static void fill(void)
{
    char at[PATH_SIZE + 64];
    scratch_mkdir(path, "from/inner");
    scratch_mkdir(path, "from/inner/deep");
    scratch_mkdir(path, "from/emptied");
    scratch_write(path, "from/one", "1", 1);
    scratch_write(path, "from/empty", "", 0);
    scratch_write(path, "from/inner/two", "22", 2);
    scratch_write(path, "from/inner/left", "left", 4);
    scratch_write(path, "from/inner/deep/three", "333", 3);
    scratch_write(path, "from/emptied/four", "4444", 4);
    (void)snprintf(at, sizeof(at), "%s/one", from);
    assert_int_equal(chmod(at, 0640), 0);
}

static void a_copy_has_what_was_chosen(void **state)
{
    TreePlace place;
    TreeSize size;
    TreeCopy copy = how();
    (void)state;
    fill();
    uint64_t before = scratch_fingerprint(from);
    if (!copy_all(&place))
        fail_msg("%s", error.message);
    assert_true(scratch_holds(to, "one", "1", 1));
    assert_true(scratch_holds(to, "empty", "", 0));
    assert_true(scratch_holds(to, "inner/two", "22", 2));
    assert_true(scratch_holds(to, "inner/deep/three", "333", 3));
    assert_false(scratch_exists(to, "inner/left"));
    assert_true(scratch_exists(to, "emptied"));
    assert_int_equal(scratch_count(to, "emptied"), 0);
    assert_false(scratch_exists(to, CLAIM));
    assert_int_equal(mode_of("one") & 0777, 0640);
    assert_int_equal(mode_of("") & 0777, 0700);
    assert_int_equal(copied, 6);
    assert_true(scratch_fingerprint(from) == before);
    assert_true(tree_measure(from, &copy, &size, &error));
    assert_int_equal(size.files, 4);
    assert_int_equal(size.bytes, 6);
}

static void links_are_followed_so_that_nothing_is_shared(void **state)
{
    TreePlace place;
    (void)state;
    fill();
    scratch_mkdir(path, "elsewhere");
    scratch_write(path, "elsewhere/five", "55555", 5);
    link_to("folder", "../elsewhere");
    link_to("file", "../elsewhere/five");
    link_to("nowhere", "/nowhere/at/all");
    if (!copy_all(&place))
        fail_msg("%s", error.message);
    assert_true(S_ISDIR(mode_of("folder")));
    assert_true(S_ISREG(mode_of("file")));
    assert_true(scratch_holds(to, "folder/five", "55555", 5));
    assert_true(scratch_holds(to, "file", "55555", 5));
    assert_false(scratch_exists(to, "nowhere"));
}

static void a_link_below_the_top_that_leads_nowhere_is_an_error(void **state)
{
    TreePlace place = {.begun = false};
    (void)state;
    fill();
    link_to("inner/nowhere", "/nowhere/at/all");
    assert_false(copy_all(&place));
    assert_int_equal(error.os_errno, ENOENT);
    assert_non_null(strstr(error.message, "inner/nowhere"));
    tree_place_undo(&place);
}

static void links_in_a_circle_come_to_an_end(void **state)
{
    TreePlace place = {.begun = false};
    (void)state;
    scratch_mkdir(path, "from/inner");
    link_to("inner/again", "..");
    assert_false(copy_all(&place));
    tree_place_undo(&place);
    assert_false(scratch_exists(path, "to"));
}

static void sockets_and_pipes_are_left_out(void **state)
{
    TreePlace place;
    char at[PATH_SIZE + 64];
    (void)state;
    fill();
    (void)snprintf(at, sizeof(at), "%s/pipe", from);
    assert_int_equal(mkfifo(at, 0600), 0);
    assert_true(copy_all(&place));
    assert_false(scratch_exists(to, "pipe"));
}

static void a_place_must_be_empty_and_is_claimed_once(void **state)
{
    TreePlace place;
    TreePlace other = {.begun = false};
    bool exists;
    (void)state;
    assert_true(tree_place_check(to, CLAIM, fake_files_table(), &exists, &error));
    assert_false(exists);
    scratch_mkdir(path, "to");
    assert_true(tree_place_check(to, CLAIM, fake_files_table(), &exists, &error));
    assert_true(exists);
    scratch_write(path, "to/precious", "x", 1);
    assert_false(tree_place_begin(to, CLAIM, 0700, &self, fake_files_table(), &place, &error));
    assert_int_equal(error.class, ERROR_USAGE);
    assert_non_null(strstr(error.detail, "precious"));
    assert_true(scratch_exists(to, "precious"));
    assert_false(tree_place_check(to, CLAIM, fake_files_table(), &exists, &error));
    assert_non_null(strstr(error.detail, "precious"));
    assert_int_equal(scratch_count(path, "to"), 1);
    scratch_remove(to);
    assert_true(tree_place_begin(to, CLAIM, 0750, &self, fake_files_table(), &place, &error));
    assert_false(tree_place_begin(to, CLAIM, 0700, &self, fake_files_table(), &other, &error));
    assert_non_null(strstr(error.message, "unfinished copy"));
    assert_int_equal(mode_of("") & 0777, 0750);
    tree_place_undo(&other);
    assert_true(scratch_exists(to, CLAIM));
    tree_place_undo(&place);
    assert_false(scratch_exists(path, "to"));
    assert_false(tree_place_begin("to", CLAIM, 0700, &self, fake_files_table(), &place, &error));
}

static void undoing_leaves_a_directory_that_was_there(void **state)
{
    TreePlace place;
    TreeCopy copy = how();
    (void)state;
    fill();
    scratch_mkdir(path, "to");
    assert_true(tree_place_begin(to, CLAIM, 0700, &self, fake_files_table(), &place, &error));
    assert_true(tree_copy(from, &place.dir, &copy, &error));
    assert_true(tree_link(&place.dir, "link", from, &self, &error));
    uint64_t before = scratch_fingerprint(from);
    tree_place_undo(&place);
    assert_int_equal(scratch_count(path, "to"), 0);
    assert_true(scratch_exists(path, "to"));
    assert_true(scratch_fingerprint(from) == before);
}

static void a_stop_ends_the_copy(void **state)
{
    TreePlace place = {.begun = false};
    (void)state;
    fill();
    stopped = true;
    assert_false(copy_all(&place));
    assert_int_equal(error.class, ERROR_STOPPED);
    tree_place_undo(&place);
    assert_false(scratch_exists(path, "to"));
}

/* Each call in turn. */
static void whatever_fails_nothing_is_left(void **state)
{
    unsigned nth = 1;
    (void)state;
    fill();
    uint64_t before = scratch_fingerprint(from);
    for (;; nth++) {
        TreePlace place = {.begun = false};
        FakeCall call;
        fake_files_reset();
        fake_files_fail(FAKE_ANY, nth, nth % 2 == 0 ? EIO : ENOSPC);
        bool ok = copy_all(&place);
        bool struck = fake_files_struck(&call);
        fake_files_reset();
        if (!ok) {
            assert_true(struck);
            assert_true(error.class != ERROR_NONE && error.message[0] != '\0');
            tree_place_undo(&place);
            if (scratch_exists(path, "to"))
                fail_msg("call %u, %s: the copy stays", nth, fake_files_call_name(call));
        } else {
            assert_true(scratch_holds(to, "inner/deep/three", "333", 3));
            scratch_remove(to);
        }
        assert_true(scratch_fingerprint(from) == before);
        if (!struck)
            break;
    }
    assert_true(nth > 20);
}

static void files_and_directories_are_made_but_never_over_others(void **state)
{
    TreePlace place;
    TreeCopy copy = how();
    (void)state;
    scratch_write(path, "from/one", "1", 1);
    assert_true(tree_place_begin(to, CLAIM, 0700, &self, fake_files_table(), &place, &error));
    assert_true(tree_make_directory(&place.dir, "folder", 0750, &self, &error));
    assert_true(tree_write(&place.dir, "folder/file", "text", 4, &self, &error));
    assert_true(tree_copy_file(from, "one", &place.dir, "folder/other", &copy, &error));
    assert_true(scratch_holds(to, "folder/file", "text", 4));
    assert_true(scratch_holds(to, "folder/other", "1", 1));
    assert_int_equal(mode_of("folder") & 0777, 0750);
    assert_int_equal(mode_of("folder/file") & 0777, 0600);
    assert_false(tree_write(&place.dir, "folder/file", "more", 4, &self, &error));
    assert_int_equal(error.os_errno, EEXIST);
    assert_false(tree_make_directory(&place.dir, "folder", 0750, &self, &error));
    assert_false(tree_copy_file(from, "one", &place.dir, "folder/file", &copy, &error));
    assert_true(scratch_holds(to, "folder/file", "text", 4));
    tree_place_undo(&place);
}

/* Larger than what one call copies, and than the buffer. */
static void large_files_are_whole(void **state)
{
    TreePlace place;
    size_t length = ((size_t)17 << 20) + 5;
    uint8_t *data = malloc(length);
    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)(i * 31 + i / 4096);
    scratch_write(path, "from/large", data, length);
    assert_true(copy_all(&place));
    assert_true(scratch_holds(to, "large", data, length));
    assert_int_equal(copied, length);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_has_what_was_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_followed_so_that_nothing_is_shared, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_link_below_the_top_that_leads_nowhere_is_an_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(links_in_a_circle_come_to_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(sockets_and_pipes_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_place_must_be_empty_and_is_claimed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(undoing_leaves_a_directory_that_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_ends_the_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(whatever_fails_nothing_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(files_and_directories_are_made_but_never_over_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(large_files_are_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
