/* SPDX-License-Identifier: PostgreSQL
 *
 * The open segment: up to its last whole record and full of zeros behind, when nothing complete is
 * there, and only to whom it is of use.
 */
#include "get_fixture.h"

#include "../proto/walmaker.h"

#include <errno.h>

/* Of a partial that holds `length` bytes so much may be given: what ends with a record. */
static size_t whole(size_t length)
{
    return (size_t)(fixture_record_before(FIXTURE_START + length) - FIXTURE_START);
}

static void partials_of_every_form_are_given_up_to_the_last_whole_record(void **state)
{
    static const size_t lengths[] = {5000, 100000, 123457, 1000000};
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            fixture_archive(SEGNO, (WalCompression)form, true, fixture_wal(FIXTURE_START),
                            lengths[i]);
            expect_placed(wanted(SEGNO), filled(SEGNO, whole(lengths[i])), SEGMENT);
            assert_int_equal(server.warnings, 0);
            /* at its full size, as walrx keeps it */
            fixture_archive(SEGNO, (WalCompression)form, true, filled(SEGNO, lengths[i]), SEGMENT);
            expect_placed(wanted(SEGNO), filled(SEGNO, whole(lengths[i])), SEGMENT);
        }
        assert_int_equal(
            unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, (WalCompression)form, true), 0),
            0);
    }
}

static void a_complete_segment_of_any_form_comes_first(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, filled(SEGNO, 100000), SEGMENT);
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        put(SEGNO, (WalCompression)form);
        expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
        assert_int_equal(
            unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, (WalCompression)form, false), 0),
            0);
    }
    put_damaged(WAL_GZIP, SEGMENT / 2);
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "is damaged");
}

static void of_several_forms_the_longest_counts(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, filled(SEGNO, 100000), SEGMENT);
    fixture_archive(SEGNO, WAL_LZ4, true, filled(SEGNO, 300000), 300000);
    fixture_archive(SEGNO, WAL_GZIP, true, filled(SEGNO, 200000), 200000);
    expect_placed(wanted(SEGNO), filled(SEGNO, whole(300000)), SEGMENT);
}

/* As a crash of pg_receivewal leaves it. */
static void what_can_be_read_of_a_compressed_partial_counts(void **state)
{
    (void)state;
    for (int form = 1; form < WAL_COMPRESSION_COUNT; form++) {
        const char *name = fixture_name(SEGNO, (WalCompression)form, true);
        size_t length;
        bool placed;
        fixture_archive(SEGNO, (WalCompression)form, true, fixture_wal(FIXTURE_START), SEGMENT);
        uint8_t *packed = scratch_read(fixture.path, name, &length);
        assert_non_null(packed);
        scratch_write(fixture.path, name, packed, length / 2);
        free(packed);
        assert_true(call(wanted(SEGNO), &placed));
        assert_true(placed);
        expect_warning("is restored up to 0/5");
        uint8_t *given = scratch_read(fixture.path, TARGET, &length);
        assert_non_null(given);
        assert_int_equal(length, SEGMENT);
        size_t end = SEGMENT;
        while (given[end - 1] == 0)
            end--;
        assert_true(end > 200000);
        assert_memory_equal(given, filled(SEGNO, whole(end + 7)), SEGMENT);
        free(given);
        assert_int_equal(unlinkat(fixture.archive.dir.fd, name, 0), 0);
    }
}

static void damage_ends_what_is_given_and_is_told(void **state)
{
    static uint8_t bytes[SEGMENT_SIZE_MIN];
    (void)state;
    memcpy(bytes, filled(SEGNO, 600000), SEGMENT);
    bytes[300000] ^= 0xFF;
    fixture_archive(SEGNO, WAL_RAW, true, bytes, SEGMENT);
    expect_placed(wanted(SEGNO), filled(SEGNO, whole(300000)), SEGMENT);
    expect_warning("incorrect checksum");
}

/* A commit at the end of a segment whose record ends in the next one, which holds nothing more. */
static void the_end_of_a_record_that_began_before_is_given(void **state)
{
    SegNo segno = SEGNO + 1;
    Lsn start = (Lsn)segno * SEGMENT;
    Lsn first = fixture_record_from(start);
    (void)state;
    assert_true(first > start + WAL_PAGE_LONG_HEADER);
    fixture_archive(segno, WAL_RAW, true, filled(segno, (size_t)(first - start)), SEGMENT);
    expect_placed(wanted(segno), filled(segno, (size_t)(first - start)), SEGMENT);
    /* one byte too few: whether that is enough is for the server to see, which knows the rest */
    fixture_archive(segno, WAL_RAW, true, fixture_wal(start), (size_t)(first - start) - 9);
    expect_placed(wanted(segno), filled(segno, (size_t)(first - start) - 9), SEGMENT);
}

/* Full, and only its name not changed yet: the last record goes on in the next one. */
static void a_full_partial_is_given_as_it_is(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, fixture_wal(FIXTURE_START), SEGMENT);
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
    fixture_archive(SEGNO, WAL_ZSTD, true, fixture_wal(FIXTURE_START), SEGMENT);
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
}

static void one_without_wal_is_not_there(void **state)
{
    (void)state;
    put(SEGNO, WAL_RAW); /* or nobody knows the cluster */
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        fixture_archive(SEGNO + 1, (WalCompression)form, true, filled(SEGNO, 0), SEGMENT);
        expect_absent(wanted(SEGNO + 1));
        fixture_archive(SEGNO + 1, (WalCompression)form, true, "", 0);
        expect_absent(wanted(SEGNO + 1));
        /* what a recycled file held */
        fixture_archive(SEGNO + 1, (WalCompression)form, true, filled(SEGNO, SEGMENT), SEGMENT);
        expect_absent(wanted(SEGNO + 1));
    }
}

static void one_of_another_cluster_is_refused(void **state)
{
    static uint8_t bytes[SEGMENT_SIZE_MIN];
    (void)state;
    memcpy(bytes, filled(SEGNO, 100000), SEGMENT);
    bytes[24] ^= 1;
    fixture_archive(SEGNO, WAL_RAW, true, bytes, SEGMENT);
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "of another system");
    bytes[0] ^= 1;
    fixture_archive(SEGNO, WAL_RAW, true, bytes, SEGMENT);
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "is damaged");
}

static void one_that_cannot_be_read_is_trouble(void **state)
{
    static const FakeCall calls[] = {FAKE_OPENAT, FAKE_PREAD, FAKE_STAT, FAKE_READDIR};
    const uint8_t *partial = filled(SEGNO, 100000);
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, partial, SEGMENT);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        bool placed;
        fake_files_reset();
        assert_true(call(wanted(SEGNO), &placed));
        unsigned count = fake_files_count(calls[i]);
        assert_true(placed && count > 0);
        fake_files_reset();
        fake_files_fail_from(calls[i], count, EACCES);
        assert_false(call(wanted(SEGNO), &placed));
        assert_int_equal(fixture.error.class, ERROR_STORAGE);
    }
}

static void never_means_never_and_always_means_always(void **state)
{
    const uint8_t *partial = filled(SEGNO, SEGMENT);
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, partial, SEGMENT);
    scratch_write(fixture.path, "data/standby.signal", "", 0);
    server.receiver = true;
    server.request.partial = GET_PARTIAL_NEVER;
    expect_absent(wanted(SEGNO));
    server.receiver = false;
    expect_absent(wanted(SEGNO));
    server.receiver = true;
    server.request.partial = GET_PARTIAL_ALWAYS;
    expect_placed(wanted(SEGNO), partial, SEGMENT);
    /* and whoever asks for it by name gets it */
    server.request.partial = GET_PARTIAL_NEVER;
    expect_placed(fixture_name(SEGNO, WAL_RAW, true), partial, SEGMENT);
    expect_absent(fixture_name(SEGNO + 1, WAL_RAW, true));
}

static const uint8_t *grown(void)
{
    static uint8_t bytes[SEGMENT_SIZE_MIN];
    memcpy(bytes, filled(SEGNO, whole(300000)), SEGMENT);
    return bytes;
}

static void grow(void)
{
    fixture_archive(SEGNO, WAL_RAW, true, grown(), SEGMENT);
}

static void a_receiver_that_runs_is_waited_for_first(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, filled(SEGNO, 100000), SEGMENT);
    expect_placed(wanted(SEGNO), filled(SEGNO, whole(100000)), SEGMENT);
    assert_int_equal(server.settles, 0);
    server.receiver = true;
    server.settled = grow;
    expect_placed(wanted(SEGNO), grown(), SEGMENT);
    assert_int_equal(server.settles, 1);
    put(SEGNO + 1, WAL_RAW);
    expect_placed(wanted(SEGNO + 1), fixture_wal(FIXTURE_START + SEGMENT), SEGMENT);
    expect_absent(wanted(SEGNO + 2));
    assert_int_equal(server.settles, 1);
}

static void complete(void)
{
    put(SEGNO, WAL_LZ4);
    assert_int_equal(unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, WAL_RAW, true), 0), 0);
}

static void one_that_becomes_complete_meanwhile_is_given_complete(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, filled(SEGNO, 100000), SEGMENT);
    server.receiver = true;
    server.settled = complete;
    expect_placed(wanted(SEGNO), fixture_wal(FIXTURE_START), SEGMENT);
}

static void put_own(SegNo content, size_t length)
{
    char own[SCRATCH_PATH_SIZE];
    (void)snprintf(own, sizeof(own), "data/pg_wal/%s", wanted(SEGNO));
    scratch_write(fixture.path, own, filled(content, length), SEGMENT);
}

static void expect_given(bool given)
{
    char path[SCRATCH_PATH_SIZE + 64];
    bool placed;
    server.request.name = wanted(SEGNO);
    assert_true(get_file(&server.request, &placed, &fixture.error));
    assert_true(placed == given);
    (void)snprintf(path, sizeof(path), "%s/%s", fixture.path, TARGET);
    assert_int_equal(unlink(path), given ? 0 : -1);
}

/* The server would put what it is given in place of its own, and lose what lies behind. */
static void the_servers_own_segment_is_left_to_it_when_it_goes_further(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, filled(SEGNO, 100000), SEGMENT);
    put_own(SEGNO, 200000);
    expect_given(false);
    scratch_write(fixture.path, "data/standby.signal", "", 0);
    expect_given(false);
    put_own(SEGNO, whole(100000));
    expect_given(true);
    put_own(SEGNO, 50000);
    expect_given(true);
    put_own(SEGNO + 1, 200000); /* recycled */
    expect_given(true);
    put_own(SEGNO, 200000);
    server.request.partial = GET_PARTIAL_ALWAYS;
    expect_given(true);
}

/* Its own goes on along a dead branch. */
static void a_servers_own_dead_branch_is_not_preferred(void **state)
{
    char history[64];
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, true, filled(SEGNO, 100000), SEGMENT);
    put_own(SEGNO, 200000);
    (void)snprintf(history, sizeof(history), "1\t0/%X\tby a test\n",
                   (unsigned)(FIXTURE_START + whole(150000)));
    scratch_write(fixture.path, "00000002.history", history, strlen(history));
    expect_given(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(partials_of_every_form_are_given_up_to_the_last_whole_record),
        CASE(a_complete_segment_of_any_form_comes_first),
        CASE(of_several_forms_the_longest_counts),
        CASE(what_can_be_read_of_a_compressed_partial_counts),
        CASE(damage_ends_what_is_given_and_is_told),
        CASE(the_end_of_a_record_that_began_before_is_given),
        CASE(a_full_partial_is_given_as_it_is),
        CASE(one_without_wal_is_not_there),
        CASE(one_of_another_cluster_is_refused),
        CASE(one_that_cannot_be_read_is_trouble),
        CASE(never_means_never_and_always_means_always),
        CASE(a_receiver_that_runs_is_waited_for_first),
        CASE(one_that_becomes_complete_meanwhile_is_given_complete),
        CASE(the_servers_own_segment_is_left_to_it_when_it_goes_further),
        CASE(a_servers_own_dead_branch_is_not_preferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
