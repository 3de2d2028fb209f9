/* SPDX-License-Identifier: PostgreSQL
 *
 * A complete segment that is not right is refused with the place, in every form.
 */
#include "get_fixture.h"

#include "../proto/walmaker.h"

static uint8_t bytes[2 * SEGMENT_SIZE_MIN];

static void each_damage_is_refused_in_every_form(void **state)
{
    static const struct {
        size_t at;
        const char *reason;
    } damages[] = {
        {0, "damaged"},                                /* the first page's magic */
        {8, "its first page is not that of 0/500000"}, /* its address */
        {24, "of another system"},                     /* its cluster */
        {SEGMENT / 2 + 4, "damaged"},                  /* a page's timeline */
        {SEGMENT / 2 + 4000, "incorrect checksum"},    /* a record's body */
    };
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
            put_damaged((WalCompression)form, damages[i].at);
            expect_error(wanted(SEGNO), ERROR_ARCHIVE, damages[i].reason);
            assert_non_null(
                strstr(fixture.error.message, fixture_name(SEGNO, (WalCompression)form, false)));
        }
        assert_non_null(strstr(fixture.error.detail, "The record is at 0/5"));
        assert_int_equal(
            unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, (WalCompression)form, false), 0),
            0);
    }
}

static void a_wrong_size_is_refused_in_every_form(void **state)
{
    static const size_t sizes[] = {
        0, 1, 8192, SEGMENT_SIZE_MIN - 1, SEGMENT_SIZE_MIN + 1, 2 * SEGMENT_SIZE_MIN};
    (void)state;
    memcpy(bytes, fixture_wal(FIXTURE_START), sizeof(bytes));
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            fixture_archive(SEGNO, (WalCompression)form, false, bytes, sizes[i]);
            expect_error(wanted(SEGNO), ERROR_ARCHIVE, "is damaged");
        }
        assert_int_equal(
            unlinkat(fixture.archive.dir.fd, fixture_name(SEGNO, (WalCompression)form, false), 0),
            0);
    }
}

static void a_compressed_file_that_was_cut_is_refused(void **state)
{
    (void)state;
    for (int form = 1; form < WAL_COMPRESSION_COUNT; form++) {
        const char *name = fixture_name(SEGNO, (WalCompression)form, false);
        size_t length;
        put(SEGNO, (WalCompression)form);
        uint8_t *packed = scratch_read(fixture.path, name, &length);
        assert_non_null(packed);
        scratch_write(fixture.path, name, packed, length - 1);
        expect_error(wanted(SEGNO), ERROR_ARCHIVE, "is damaged");
        scratch_write(fixture.path, name, packed, length / 2);
        expect_error(wanted(SEGNO), ERROR_ARCHIVE, "is damaged");
        free(packed);
        assert_int_equal(unlinkat(fixture.archive.dir.fd, name, 0), 0);
    }
}

static void another_segment_under_the_name_is_refused(void **state)
{
    (void)state;
    fixture_archive(SEGNO, WAL_RAW, false, fixture_wal(FIXTURE_START + SEGMENT), SEGMENT);
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "its first page is not that of 0/500000");
}

/* A block that was lost: zeros, or what a recycled file held. */
static void a_hole_with_wal_behind_it_is_refused(void **state)
{
    (void)state;
    memcpy(bytes, fixture_wal(FIXTURE_START), SEGMENT);
    Lsn end = fixture_record_before(FIXTURE_START + SEGMENT / 2);
    size_t at = (size_t)(end - FIXTURE_START);
    memset(bytes + at, 0, 100000);
    fixture_archive(SEGNO, WAL_RAW, false, bytes, SEGMENT);
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "there is no WAL at 0/57");
    fixture_archive(SEGNO, WAL_ZSTD, false, bytes, SEGMENT);
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "there is no WAL at 0/57");
}

/* Somebody renamed a partial: its end is the end of WAL, unless WAL follows. */
static void an_early_end_is_right_only_where_nothing_follows(void **state)
{
    Lsn end = fixture_record_before(FIXTURE_START + SEGMENT / 2);
    (void)state;
    memcpy(bytes, filled(SEGNO, (size_t)(end - FIXTURE_START)), SEGMENT);
    fixture_archive(SEGNO, WAL_RAW, false, bytes, SEGMENT);
    expect_placed(wanted(SEGNO), bytes, SEGMENT);
    expect_warning("ends at 0/57");
    put(SEGNO + 1, WAL_GZIP);
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "although the next segment is there");
    expect_placed(wanted(SEGNO + 1), fixture_wal(FIXTURE_START + SEGMENT), SEGMENT);
}

static void the_rest_behind_a_switch_is_nobodys_business(void **state)
{
    (void)state;
    memset(bytes, 0, sizeof(bytes));
    WalMaker maker = maker_over(bytes, sizeof(bytes), FIXTURE_START, FIXTURE_SIZE);
    maker.previous = FIXTURE_START - 100;
    for (int i = 0; i < 20; i++)
        (void)maker_record(&maker, 3000, 10, 0);
    (void)maker_switch(&maker);
    fixture_archive(SEGNO, WAL_RAW, false, bytes, SEGMENT);
    put(SEGNO + 1, WAL_RAW);
    expect_placed(wanted(SEGNO), bytes, SEGMENT);
    memset(bytes + SEGMENT - 100000, 0x55, 100000);
    fixture_archive(SEGNO, WAL_RAW, false, bytes, SEGMENT);
    expect_placed(wanted(SEGNO), bytes, SEGMENT);
    assert_int_equal(server.warnings, 0);
}

static void pages_of_a_newer_timeline_than_the_name_are_refused(void **state)
{
    (void)state;
    WalMaker maker = maker_over(bytes, sizeof(bytes), FIXTURE_START, FIXTURE_SIZE);
    maker.previous = FIXTURE_START - 100;
    while (maker.length < SEGMENT) {
        maker.timeline = maker.length < SEGMENT / 2 ? 1 : 2;
        (void)maker_record(&maker, 3000, 10, 0);
    }
    fixture_archive(SEGNO, WAL_RAW, false, bytes, SEGMENT);
    expect_error(wanted(SEGNO), ERROR_ARCHIVE, "is of timeline 2, the file of timeline 1");
    scratch_write(fixture.path, "000000020000000000000005", bytes, SEGMENT);
    expect_placed("000000020000000000000005", bytes, SEGMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_damage_is_refused_in_every_form),
        CASE(a_wrong_size_is_refused_in_every_form),
        CASE(a_compressed_file_that_was_cut_is_refused),
        CASE(another_segment_under_the_name_is_refused),
        CASE(a_hole_with_wal_behind_it_is_refused),
        CASE(an_early_end_is_right_only_where_nothing_follows),
        CASE(the_rest_behind_a_switch_is_nobodys_business),
        CASE(pages_of_a_newer_timeline_than_the_name_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
