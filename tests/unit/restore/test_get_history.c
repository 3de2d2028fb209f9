/* SPDX-License-Identifier: PostgreSQL
 *
 * A timeline's history file that is not there: the end of what the archive knows, or a lack that
 * would end a recovery on an older timeline.
 */
#include "get_fixture.h"

#define ASKED "00000002.history"

static const char text[] = "1\t0/5000A0\tno recovery target specified\n";
static const char *late; /* appears while the archive is looked through */

static void put_wal(const char *name)
{
    scratch_write(fixture.path, name, "x", 1);
}

static void put_older(void)
{
    put_wal("000000010000000000000004.lz4");
}

static void what_the_archive_knows_nothing_of_is_not_there(void **state)
{
    (void)state;
    put_older();
    put_wal("000000010000000000000005.partial");
    expect_absent(ASKED);
    put_wal("00000003.history"); /* a receiver fetches the newest one first */
    expect_absent(ASKED);
}

static void wal_of_the_timeline_makes_the_lack_trouble(void **state)
{
    static const char *const names[] = {"000000020000000000000005", "000000020000000000000005.zst",
                                        "000000020000000000000005.partial",
                                        "000000030000000000000005.gz"};
    (void)state;
    put_older();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        put_wal(names[i]);
        expect_error(ASKED, ERROR_ARCHIVE, "history file \"" ASKED "\" is missing in \"");
        assert_non_null(strstr(fixture.error.detail, names[i]));
        assert_non_null(strstr(fixture.error.hint, i < 3 ? "timeline 2" : "timeline 3"));
        assert_int_equal(unlinkat(fixture.archive.dir.fd, names[i], 0), 0);
    }
    expect_absent(ASKED);
}

/* recovery_target_timeline = '3': the server has read that history, and copies those between. */
static void a_server_that_knows_a_newer_timeline_can_do_without(void **state)
{
    (void)state;
    put_older();
    put_wal("000000030000000000000005");
    scratch_write(fixture.path, "data/pg_wal/00000002.history.zst", "x", 1);
    server.request.name = ASKED;
    bool placed;
    assert_false(get_file(&server.request, &placed, &fixture.error));
    scratch_write(fixture.path, "data/pg_wal/00000003.history", "x", 1);
    assert_true(get_file(&server.request, &placed, &fixture.error));
    assert_false(placed);
}

static void the_lowest_timeline_is_named(void **state)
{
    (void)state;
    put_older();
    put_wal("000000040000000000000005");
    put_wal("000000030000000000000005");
    put_wal("000000050000000000000005");
    expect_error(ASKED, ERROR_ARCHIVE, "is missing");
    assert_non_null(
        strstr(fixture.error.detail, "WAL of timeline 3, \"000000030000000000000005\""));
}

/* The timelines before it are of no use to anybody. */
static void an_archive_that_begins_with_the_timeline_may_lack_it(void **state)
{
    (void)state;
    put_wal("000000020000000000000005");
    put_wal("000000030000000000000007");
    expect_absent(ASKED);
}

static void the_history_of_a_base_backup_may_be_missing(void **state)
{
    (void)state;
    put_older();
    put_wal("000000020000000000000005");
    expect_absent("000000010000000000000004.00000028.backup");
}

/* Once the names are read. */
static void appear(const FakeEvent *event)
{
    if (late != NULL && event->call == FAKE_OPENAT && strcmp(event->name, ".") == 0) {
        const char *name = late;
        late = NULL;
        scratch_write(fixture.path, name, text, strlen(text));
    }
}

/* A receiver stored it before the WAL that was seen. */
static void one_that_arrives_meanwhile_is_taken(void **state)
{
    (void)state;
    put_older();
    put_wal("000000020000000000000005.partial");
    late = ASKED;
    fake_files_observe(appear);
    expect_placed(ASKED, text, strlen(text));
    assert_null(late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_the_archive_knows_nothing_of_is_not_there),
        CASE(wal_of_the_timeline_makes_the_lack_trouble),
        CASE(a_server_that_knows_a_newer_timeline_can_do_without),
        CASE(the_lowest_timeline_is_named),
        CASE(an_archive_that_begins_with_the_timeline_may_lack_it),
        CASE(the_history_of_a_base_backup_may_be_missing),
        CASE(one_that_arrives_meanwhile_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
