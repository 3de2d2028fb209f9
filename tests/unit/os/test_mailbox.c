/* SPDX-License-Identifier: PostgreSQL
 *
 * A mailbox: the newest message arrives once and whole, its reader is woken, and nobody waits.
 */
#include "walrx/os/mailbox.h"

#include "fake_files.h"
#include "scratch.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[SCRATCH_PATH_SIZE];
static Dir dir;
static Mailbox box;
static char text[MAIL_MAX];

static int setup(void **state)
{
    Error error;
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

static bool is_woken(void)
{
    struct pollfd polled = {.fd = box.watch, .events = POLLIN};
    return poll(&polled, 1, 0) == 1;
}

static void the_newest_message_arrives_once(void **state)
{
    (void)state;
    assert_false(mailbox_send(&dir, "box", "one", 3)); /* there is none */
    assert_int_equal(scratch_count(path, "."), 0);
    assert_true(mailbox_open(&dir, "box", &box));
    assert_false(is_woken());
    assert_false(mailbox_read(&box, text, 3));
    assert_true(mailbox_send(&dir, "box", "one", 3));
    assert_true(mailbox_send(&dir, "box", "two", 3));
    assert_true(is_woken());
    assert_true(mailbox_read(&box, text, 3));
    assert_memory_equal(text, "two", 3);
    assert_false(is_woken());
    assert_false(mailbox_read(&box, text, 3));
    assert_true(mailbox_send(&dir, "box", "two", 3)); /* the same again is news */
    assert_true(mailbox_read(&box, text, 3));
    mailbox_close(&box);
    assert_true(mailbox_open(&dir, "box", &box)); /* a new one is empty */
    assert_false(mailbox_read(&box, text, 3));
    mailbox_close(&box);
}

static void a_message_of_another_length_is_none(void **state)
{
    char large[MAIL_MAX + 1] = "";
    (void)state;
    assert_true(mailbox_open(&dir, "box", &box));
    assert_true(mailbox_send(&dir, "box", large, MAIL_MAX));
    assert_false(mailbox_read(&box, text, 3));
    assert_true(mailbox_read(&box, text, MAIL_MAX));
    assert_false(mailbox_send(&dir, "box", large, MAIL_MAX + 1));
    mailbox_close(&box);
}

static void what_is_not_whole_is_none(void **state)
{
    (void)state;
    assert_true(mailbox_open(&dir, "box", &box));
    assert_true(mailbox_send(&dir, "box", "one", 3));
    for (off_t at = 0; at < 64; at++) {
        char byte;
        int fd = openat(dir.fd, "box", O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte = (char)(byte ^ 1);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_false(mailbox_read(&box, text, 3));
        byte = (char)(byte ^ 1);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        (void)close(fd);
    }
    assert_true(is_woken());
    assert_true(mailbox_read(&box, text, 3));
    scratch_write(path, "box", "x", 1);
    assert_false(mailbox_read(&box, text, 3));
    mailbox_close(&box);
}

static void without_a_watch_it_can_be_read_all_the_same(void **state)
{
    (void)state;
    assert_true(mailbox_open(&dir, "box", &box));
    (void)close(box.watch);
    box.watch = -1;
    assert_true(mailbox_send(&dir, "box", "one", 3));
    assert_true(mailbox_read(&box, text, 3));
    mailbox_close(&box);
}

/* Left by another user: it can be removed, not written to. */
static void what_lies_in_its_place_is_replaced(void **state)
{
    char outside[SCRATCH_PATH_SIZE + 8];
    (void)state;
    (void)snprintf(outside, sizeof(outside), "%s/box", path);
    assert_int_equal(symlink("elsewhere", outside), 0); /* nobody opens this, root neither */
    assert_true(mailbox_open(&dir, "box", &box));
    assert_true(mailbox_send(&dir, "box", "one", 3));
    assert_true(mailbox_read(&box, text, 3));
    mailbox_close(&box);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_newest_message_arrives_once),
        CASE(what_lies_in_its_place_is_replaced),
        CASE(a_message_of_another_length_is_none),
        CASE(what_is_not_whole_is_none),
        CASE(without_a_watch_it_can_be_read_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
