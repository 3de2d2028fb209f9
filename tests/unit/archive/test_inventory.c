/* SPDX-License-Identifier: PostgreSQL
 *
 * Inventory: from names alone, newest per timeline and form; strangers are ignored; names of
 * another segment size are refused.
 */
#include "walrx/archive/inventory.h"

#include "fake_files.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void touch(const char *name)
{
    scratch_write(fixture.path, name, "", 0);
}

static Inventory scan(uint32_t segment_size)
{
    Inventory inventory;
    if (!inventory_scan(&fixture.archive.dir, segment_size, &inventory, &fixture.error))
        fail_msg("%s", fixture.error.message);
    return inventory;
}

static void an_empty_archive_has_no_timeline(void **state)
{
    Inventory inventory = scan(FIXTURE_SIZE);
    (void)state;
    assert_int_equal(inventory.count, 0);
    assert_null(inventory_timeline(&inventory, 1));
    inventory_free(&inventory);
}

static void each_form_has_its_newest(void **state)
{
    (void)state;
    touch("000000010000000000000003");
    touch("000000010000000000000007");
    touch("000000010000000000000005");
    touch("000000010000000000000004.gz");
    touch("000000010000000000000009.lz4");
    touch("000000010000000000000008.lz4");
    touch("000000010000000000000001.zst");
    touch("00000001000000000000000A.partial");
    touch("000000010000000000000002.gz.partial");
    Inventory inventory = scan(FIXTURE_SIZE);
    assert_int_equal(inventory.count, 1);
    const TimelineInventory *one = inventory_timeline(&inventory, 1);
    assert_non_null(one);
    assert_int_equal(one->complete[WAL_RAW].segno, 7);
    assert_int_equal(one->complete[WAL_GZIP].segno, 4);
    assert_int_equal(one->complete[WAL_LZ4].segno, 9);
    assert_int_equal(one->complete[WAL_ZSTD].segno, 1);
    assert_true(one->any_partial);
    assert_int_equal(one->oldest_partial, 2);
    assert_int_equal(inventory_newest_complete(one).segno, 9);
    assert_int_equal(inventory_next(one, FIXTURE_SIZE), 10);
    inventory_free(&inventory);
}

static SegNo next_of(void)
{
    Inventory inventory = scan(FIXTURE_SIZE);
    SegNo next = inventory_next(inventory_timeline(&inventory, 1), FIXTURE_SIZE);
    inventory_free(&inventory);
    return next;
}

static void what_comes_next_is_behind_the_newest_complete_whatever_partials_there_are(void **state)
{
    (void)state;
    touch("000000010000000000000003.zst");
    touch("000000010000000000000003.partial");
    touch("000000010000000000000002.gz.partial");
    assert_int_equal(next_of(), 4);
    touch("000000010000000000000006.partial");
    assert_int_equal(next_of(), 4);
    touch("000000010000000000000004.lz4.partial");
    assert_int_equal(next_of(), 4);
}

static void without_complete_segments_the_oldest_partial_comes_next(void **state)
{
    (void)state;
    touch("000000010000000000000009.partial");
    assert_int_equal(next_of(), 9);
    touch("000000010000000000000005.gz.partial");
    assert_int_equal(next_of(), 5);
    touch("000000010000000000000007.partial");
    assert_int_equal(next_of(), 5);
}

static void segment_0_counts(void **state)
{
    (void)state;
    touch("000000010000000000000000.partial");
    Inventory inventory = scan(FIXTURE_SIZE);
    const TimelineInventory *one = inventory_timeline(&inventory, 1);
    assert_true(one->any_partial);
    assert_int_equal(inventory_next(one, FIXTURE_SIZE), 0);
    assert_false(inventory_newest_complete(one).any);
    inventory_free(&inventory);
}

static void numbers_roll_over_at_4_gb_for_each_size(void **state)
{
    (void)state;
    touch("00000001000000010000000F");
    Inventory inventory = scan(256 * 1024 * 1024); /* 16 segments to 4 GB */
    assert_int_equal(inventory.timelines[0].complete[WAL_RAW].segno, 31);
    inventory_free(&inventory);
    inventory = scan(16 * 1024 * 1024);
    assert_int_equal(inventory.timelines[0].complete[WAL_RAW].segno, 256 + 15);
    inventory_free(&inventory);
}

static void timelines_ascend_in_whatever_order_they_come(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        char name[WAL_FILE_NAME_SIZE];
        Timeline timeline = 1 + i * 7919 % 300; /* 7919 is prime: each once */
        touch(wal_segment_name(timeline, i, FIXTURE_SIZE, WAL_RAW, false, name));
    }
    Inventory inventory = scan(FIXTURE_SIZE);
    assert_int_equal(inventory.count, 300);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(inventory.timelines[i].timeline, i + 1);
        assert_ptr_equal(inventory_timeline(&inventory, i + 1), &inventory.timelines[i]);
    }
    assert_null(inventory_timeline(&inventory, 0));
    assert_null(inventory_timeline(&inventory, 301));
    inventory_free(&inventory);
    assert_int_equal(inventory.count, 0);
}

static void strangers_are_ignored(void **state)
{
    (void)state;
    touch("00000002.history");
    touch("00000003.history.gz");
    touch("000000010000000000000003.00000028.backup");
    touch("000000010000000000000009.bz2");
    touch("00000001000000000000000a");
    touch("000000000000000000000009"); /* timeline 0 does not exist */
    touch("0000000100000000000000099");
    touch("backup_label");
    touch("000000010000000000000009.partial.gz");
    Inventory inventory = scan(FIXTURE_SIZE);
    assert_int_equal(inventory.count, 0);
    inventory_free(&inventory);
}

static void a_name_of_another_segment_size_is_refused(void **state)
{
    Inventory inventory;
    (void)state;
    touch("0000000100000000000000FF");
    assert_false(
        inventory_scan(&fixture.archive.dir, 1 << 26, &inventory, &fixture.error)); /* 64 MB */
    assert_int_equal(fixture.error.class, ERROR_ARCHIVE);
    assert_non_null(strstr(fixture.error.message, "0000000100000000000000FF"));
    assert_non_null(strstr(fixture.error.message, "67108864"));
    inventory = scan(1 << 24);
    inventory_free(&inventory);
}

/* So that start-up and each reconnect cost the same however much is archived. */
static void only_the_directory_is_read_however_many_segments_there_are(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 1000; i++) {
        char name[WAL_FILE_NAME_SIZE];
        wal_segment_name(1, i, FIXTURE_SIZE, (WalCompression)(i % WAL_COMPRESSION_COUNT), false,
                         name);
        touch(name);
    }
    unsigned calls = fake_files_count(FAKE_ANY) - fake_files_count(FAKE_READDIR);
    Inventory inventory = scan(FIXTURE_SIZE);
    /* Opens the directory, and reads it. */
    assert_int_equal(fake_files_count(FAKE_ANY) - fake_files_count(FAKE_READDIR) - calls, 1);
    assert_int_equal(inventory_next(inventory_timeline(&inventory, 1), FIXTURE_SIZE), 1001);
    inventory_free(&inventory);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_empty_archive_has_no_timeline),
        CASE(each_form_has_its_newest),
        CASE(what_comes_next_is_behind_the_newest_complete_whatever_partials_there_are),
        CASE(without_complete_segments_the_oldest_partial_comes_next),
        CASE(segment_0_counts),
        CASE(numbers_roll_over_at_4_gb_for_each_size),
        CASE(timelines_ascend_in_whatever_order_they_come),
        CASE(strangers_are_ignored),
        CASE(a_name_of_another_segment_size_is_refused),
        CASE(only_the_directory_is_read_however_many_segments_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
