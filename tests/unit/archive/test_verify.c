/* SPDX-License-Identifier: PostgreSQL
 *
 * The verifier over archives of all kinds: sound ones say so, whatever their form; of the others
 * each thing that is wrong is told once, with its place and reason.
 */
#include "verify_fixture.h"

#include "../proto/walmaker.h"

#include <errno.h>

static uint8_t other[SEGMENTS * SEGMENT];

/* Sound ------------------------------------------------------------------------------------------
 */

static uint64_t count_records(Lsn begin, Lsn end)
{
    uint64_t count = 0;
    for (Lsn at = fixture_record_from(begin); at + WAL_RECORD_HEADER_SIZE < end;
         at = fixture_record_from(at + 1)) {
        if (fixture_record_before(end) <= at)
            break;
        count++;
    }
    return count;
}

static void archives_of_every_form_are_sound(void **state)
{
    (void)state;
    uint64_t records = count_records(FIXTURE_START, LSN_OF(SEGMENTS));
    for (int form = WAL_RAW; form < WAL_COMPRESSION_COUNT; form++) {
        for (SegNo i = 0; i < SEGMENTS; i++) {
            remove_segment(i);
            put(i, (WalCompression)form, false);
            if (form != WAL_RAW)
                put(i, WAL_RAW, false); /* for the next round; both must hold the same */
        }
        expect_sound();
        assert_int_equal(result.records, records);
        assert_int_equal(result.segments, SEGMENTS);
        assert_int_equal(result.range_count, 1);
        assert_int_equal(result.ranges[0].begin, FIXTURE_START);
        assert_int_equal(result.ranges[0].checked_from, FIXTURE_START);
        assert_int_equal(result.ranges[0].end, LSN_OF(SEGMENTS));
        assert_int_equal(result.ranges[0].tail.end, fixture_record_before(LSN_OF(SEGMENTS)));
        assert_true(result.ranges[0].tail.record_open);
        assert_false(result.ranges[0].tail.partial);
        assert_int_equal(result.major, 15);
    }
}

static void an_archive_of_packed_files_alone_is_read(void **state)
{
    (void)state;
    for (SegNo i = 0; i < SEGMENTS; i++) {
        remove_segment(i);
        put(i, (WalCompression)(1 + i % 3), false);
    }
    expect_sound();
    assert_string_equal(result.ranges[0].first_file, fixture_name(FIXTURE_SEGNO, WAL_GZIP, false));
}

static void an_archive_that_begins_within_a_record_says_what_is_unchecked(void **state)
{
    (void)state;
    remove_segment(0);
    expect_sound();
    assert_int_equal(result.gap_count, 0);
    assert_int_equal(result.ranges[0].begin, LSN_OF(1));
    assert_int_equal(result.ranges[0].checked_from, fixture_record_from(LSN_OF(1)));
}

static void without_the_private_folder_the_archive_is_known_by_its_wal(void **state)
{
    bool existed;
    (void)state;
    assert_true(file_remove(&fixture.archive.private, "identity", &existed, &fixture.error));
    expect_sound();
    assert_true(result.system_identifier == MAKER_SYSTEM);
    assert_int_equal(result.segment_size, FIXTURE_SIZE);
}

static void nothing_is_refused_and_an_empty_archive_is_sound(void **state)
{
    VerifyOptions options = {.directory = fixture.path, .jobs = 1, .files = fake_files_table()};
    bool existed;
    (void)state;
    for (SegNo i = 0; i < SEGMENTS; i++)
        remove_segment(i);
    expect_sound();
    assert_int_equal(result.range_count, 0);
    assert_true(file_remove(&fixture.archive.private, "identity", &existed, &fixture.error));
    assert_false(verify_run(&options, &result, &fixture.error));
    assert_non_null(strstr(fixture.error.message, "holds no WAL"));
    scratch_write(fixture.path, NAME(0), "", 0);
    assert_false(verify_run(&options, &result, &fixture.error));
    assert_non_null(strstr(fixture.error.message, "segment size"));
    options.directory = "/nonexistent/archive";
    assert_false(verify_run(&options, &result, &fixture.error));
    assert_int_equal(fixture.error.class, ERROR_USAGE);
}

/* Damage -----------------------------------------------------------------------------------------
 */

/* Flips a bit in the middle of the record behind `lsn`; returns the record. */
static Lsn spoil_record(Lsn lsn)
{
    Lsn record = fixture_record_from(lsn);
    Lsn next = fixture_record_from(record + 1);
    Lsn middle = record + (next - record) / 2;
    if (middle % WAL_PAGE_SIZE < WAL_PAGE_LONG_HEADER)
        middle += WAL_PAGE_LONG_HEADER;
    copy[middle - FIXTURE_START] ^= 0x10;
    put((middle - FIXTURE_START) / SEGMENT, WAL_RAW, false);
    return record;
}

static void a_bad_record_is_told_with_its_place(void **state)
{
    (void)state;
    Lsn record = spoil_record(LSN_OF(2) + 500000);
    const VerifyProblem *problem = expect_one(VERIFY_DAMAGE, NAME(2), "incorrect checksum");
    assert_int_equal(problem->begin, record);
    assert_int_equal(problem->offset, record - LSN_OF(2));
    assert_int_equal(problem->end, fixture_record_from(record + 1));
    assert_int_equal(problem->timeline, 1);
}

static void every_damaged_place_is_told(void **state)
{
    Lsn records[SEGMENTS * 4];
    size_t count = 0;
    (void)state;
    for (SegNo i = 0; i < SEGMENTS; i++) {
        for (size_t at = 100000; at < SEGMENT; at += 250000)
            records[count++] = spoil_record(LSN_OF(i) + at);
    }
    run();
    assert_int_equal(result.problem_total, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(result.problems[i].begin, records[i]);
        assert_int_equal(result.problems[i].end, fixture_record_from(records[i] + 1));
    }
}

/* On either side of the joint, and only once, whoever scans which segment. */
static void a_record_over_a_joint_is_checked(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        Lsn joint = LSN_OF(3);
        Lsn record = fixture_record_before(joint);
        put_all();
        size_t at = side == 0 ? SEGMENT * 3 - 1 : SEGMENT * 3 + WAL_PAGE_LONG_HEADER;
        copy[at] ^= 1;
        put(at / SEGMENT, WAL_RAW, false);
        const VerifyProblem *problem = expect_one(VERIFY_DAMAGE, NAME(2), "incorrect checksum");
        assert_true(record < joint);
        assert_int_equal(problem->begin, record);
        assert_int_equal(problem->end, fixture_record_from(joint));
    }
}

/* The same WAL but for one record: each segment is sound, together they are not. */
static void segments_that_do_not_belong_together_are_told(void **state)
{
    WalMaker maker = maker_over(other, sizeof(other), FIXTURE_START, FIXTURE_SIZE);
    (void)state;
    (void)maker_record(&maker, 5000, 10, 0);
    while (maker.length < 2 * SEGMENT)
        (void)maker_record(&maker, 1234, 10, 0);
    scratch_write(fixture.path, NAME(0), other, SEGMENT);
    run();
    assert_int_equal(result.problem_total, 1);
    assert_true(result.problems[0].begin < LSN_OF(1));
    assert_true(result.problems[0].end > LSN_OF(1));
}

static void lost_pages_are_one_damage_each(void **state)
{
    (void)state;
    memset(copy + SEGMENT + 5 * WAL_PAGE_SIZE, 0, 3 * WAL_PAGE_SIZE);
    memcpy(copy + SEGMENT + 50 * WAL_PAGE_SIZE, copy, WAL_PAGE_SIZE);
    put(1, WAL_RAW, false);
    run();
    assert_int_equal(result.problem_total, 2);
    assert_non_null(strstr(result.problems[0].message, "zeros instead of the WAL page"));
    assert_true(result.problems[0].begin <= LSN_OF(1) + 5 * WAL_PAGE_SIZE);
    assert_true(result.problems[0].end > LSN_OF(1) + 8 * WAL_PAGE_SIZE);
    assert_true(result.problems[0].end < LSN_OF(1) + 9 * WAL_PAGE_SIZE);
    assert_non_null(strstr(result.problems[1].message, "another place, 0/500000"));
}

static void a_segment_of_zeros_or_of_another_place_is_told(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        put_all();
        if (kind == 0)
            memset(copy + 2 * SEGMENT, 0, SEGMENT);
        else
            memcpy(copy + 2 * SEGMENT, copy, SEGMENT);
        put(2, WAL_RAW, false);
        run();
        assert_int_equal(result.problem_total, 1);
        assert_true(result.problems[0].begin <= LSN_OF(2));
        assert_true(result.problems[0].end >= LSN_OF(3));
    }
}

static void another_system_size_version_and_timeline_are_told(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *reason;
    } cases[] = {
        {24, 1, "another system"},
        {34, 0x20, "segment size"},
        {0, 0x0D, "PostgreSQL 14"},
        {4, 9, "timeline 9 where timeline 1 belongs"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_all();
        copy[2 * SEGMENT + cases[i].at] = cases[i].value;
        put(2, WAL_RAW, false);
        run();
        assert_int_equal(result.problem_total, 1);
        assert_int_equal(result.problems[0].kind, VERIFY_DAMAGE);
        if (strstr(result.problems[0].message, cases[i].reason) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", result.problems[0].message, cases[i].reason);
    }
}

static void bytes_that_must_be_zero_are_told(void **state)
{
    (void)state;
    Lsn record = fixture_record_from(LSN_OF(1) + 300000);
    while (fixture_record_from(record + 1) % WAL_PAGE_SIZE < 100 ||
           copy[fixture_record_from(record + 1) - 1 - FIXTURE_START] != 0)
        record = fixture_record_from(record + 1);
    Lsn end = fixture_record_from(record + 1);
    uint32_t total = copy[record - FIXTURE_START] | (uint32_t)copy[record - FIXTURE_START + 1] << 8;
    while (total % 8 == 0 || record / WAL_PAGE_SIZE != (end - 1) / WAL_PAGE_SIZE) {
        record = end;
        end = fixture_record_from(record + 1);
        total = copy[record - FIXTURE_START] | (uint32_t)copy[record - FIXTURE_START + 1] << 8;
    }
    copy[end - 1 - FIXTURE_START] = 7;
    put(1, WAL_RAW, false);
    const VerifyProblem *problem = expect_one(VERIFY_STRAY, NAME(1), "padding");
    assert_int_equal(problem->begin, end - 1);
}

static void files_of_wrong_sizes_are_told(void **state)
{
    (void)state;
    scratch_write(fixture.path, NAME(2), copy + 2 * SEGMENT, SEGMENT - 100);
    const VerifyProblem *problem = expect_one(VERIFY_DAMAGE, NAME(2), "ends after 1048476 bytes");
    assert_true(problem->end > LSN_OF(3)); /* the record over the joint is gone */
    scratch_write(fixture.path, NAME(2), copy, 0);
    run();
    assert_int_equal(result.problem_total, 1);
    put_all();
    scratch_write(fixture.path, NAME(2), copy + 2 * SEGMENT, SEGMENT + 1);
    (void)expect_one(VERIFY_FILE, NAME(2), "longer than a segment");
}

static void torn_packed_files_are_told(void **state)
{
    (void)state;
    for (int form = WAL_GZIP; form < WAL_COMPRESSION_COUNT; form++) {
        const char *name = fixture_name(FIXTURE_SEGNO + 2, (WalCompression)form, false);
        size_t size;
        bool existed;
        put_all();
        remove_segment(2);
        put(2, (WalCompression)form, false);
        uint8_t *bytes = scratch_read(fixture.path, name, &size);
        assert_non_null(bytes);
        scratch_write(fixture.path, name, bytes, size / 2);
        run();
        assert_int_equal(result.problem_total, 1);
        assert_true(result.problems[0].end > LSN_OF(3) - 1);
        bytes[size / 2] ^= 0x55;
        scratch_write(fixture.path, name, bytes, size);
        run();
        assert_false(result.sound);
        free(bytes);
        assert_true(file_remove(&fixture.archive.dir, name, &existed, &fixture.error));
    }
}

static void names_of_another_segment_size_are_told(void **state)
{
    (void)state;
    scratch_write(fixture.path, "0000000100000000FFFFFFFF", copy, 100);
    (void)expect_one(VERIFY_FILE, "0000000100000000FFFFFFFF", "no segment of a cluster");
    assert_int_equal(result.gap_count, 0);
}

static void strangers_files_are_left_alone(void **state)
{
    (void)state;
    scratch_write(fixture.path, "README", "x", 1);
    scratch_write(fixture.path, "000000010000000000000005.00000028.backup", "x", 1);
    scratch_write(fixture.path, "000000010000000000000005.tmp", "x", 1);
    expect_sound();
}

/* Forms ------------------------------------------------------------------------------------------
 */

static void two_forms_that_differ_are_told(void **state)
{
    (void)state;
    put(1, WAL_ZSTD, false);
    copy[SEGMENT + 400000] ^= 1;
    put(1, WAL_RAW, false);
    run();
    assert_int_equal(result.problem_total, 2);
    const VerifyProblem *difference = &result.problems[0];
    const VerifyProblem *damage = &result.problems[1];
    if (difference->kind != VERIFY_DIFFERENCE) {
        difference = damage;
        damage = &result.problems[0];
    }
    assert_int_equal(damage->kind, VERIFY_DAMAGE);
    assert_string_equal(damage->file, NAME(1)); /* the raw one is wrong, the other is whole */
    assert_int_equal(difference->kind, VERIFY_DIFFERENCE);
    assert_string_equal(difference->file, fixture_name(FIXTURE_SEGNO + 1, WAL_ZSTD, false));
    assert_int_equal(difference->offset, 400000 / WAL_PAGE_SIZE * WAL_PAGE_SIZE);
}

static void a_second_form_that_is_damaged_is_told(void **state)
{
    (void)state;
    copy[SEGMENT + 400000] ^= 1;
    put(1, WAL_LZ4, false);
    run();
    assert_int_equal(result.problem_total, 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(result.problems[i].file,
                            fixture_name(FIXTURE_SEGNO + 1, WAL_LZ4, false));
}

static void a_partial_beside_the_segment_is_its_beginning(void **state)
{
    (void)state;
    memset(copy + SEGMENT + 400000, 0, SEGMENT - 400000);
    put(1, WAL_RAW, true);
    expect_sound();
    copy[SEGMENT + 8192 * 3 + 200] ^= 1;
    put(1, WAL_RAW, true);
    run();
    assert_false(result.sound);
}

/* Files that cannot be had, or go away -----------------------------------------------------------
 */

static void an_unreadable_file_is_told_apart(void **state)
{
    (void)state;
    run_with(1);
    /* the sixth byte of work is some read of a segment: all from there on fail */
    fake_files_fail_from(FAKE_PREAD, fake_files_count(FAKE_PREAD) + 8, EIO);
    run_with(1);
    assert_false(result.sound);
    assert_true(result.unreadable > 0);
    assert_non_null(strstr(result.problems[0].message, "Input/output error"));
    fake_files_reset();
    run_with(1);
    assert_true(result.sound);
}

static int packs_left;

/* As the compressor: the packed form first, then the raw one goes. While the directory is read, or
 * a segment before it. */
static void pack_segment(const FakeEvent *event)
{
    char name[SCRATCH_PATH_SIZE + WAL_FILE_NAME_SIZE];
    if (event->call != FAKE_OPENAT || packs_left == 0 || --packs_left > 0)
        return;
    put(2, WAL_ZSTD, false);
    (void)snprintf(name, sizeof(name), "%s/%s", fixture.path, NAME(2));
    assert_int_equal(remove(name), 0);
}

static void a_segment_that_is_packed_meanwhile_is_found(void **state)
{
    (void)state;
    for (int nth = 1; nth < 16; nth++) {
        put(2, WAL_RAW, false);
        packs_left = nth;
        fake_files_observe(pack_segment);
        run_with(1);
        fake_files_observe(NULL);
        assert_int_equal(packs_left, 0);
        if (!result.sound)
            fail_msg("%d: %s %s", nth, result.problem_total > 0 ? result.problems[0].message : "",
                     result.gap_count > 0 ? "gap" : "");
        assert_int_equal(result.segments, SEGMENTS);
        bool existed;
        assert_true(file_remove(&fixture.archive.dir,
                                fixture_name(FIXTURE_SEGNO + 2, WAL_ZSTD, false), &existed,
                                &fixture.error));
    }
}

static void remove_meanwhile(const FakeEvent *event)
{
    char name[SCRATCH_PATH_SIZE + WAL_FILE_NAME_SIZE];
    if (event->call != FAKE_OPENAT || packs_left == 0 || --packs_left > 0)
        return;
    (void)snprintf(name, sizeof(name), "%s/%s", fixture.path, NAME(4));
    assert_int_equal(remove(name), 0);
}

static void a_segment_that_goes_away_is_told(void **state)
{
    (void)state;
    run_with(1);
    packs_left = 14; /* behind the listing: some segment is being read */
    fake_files_observe(remove_meanwhile);
    run_with(1);
    fake_files_observe(NULL);
    assert_int_equal(result.problem_total, 1);
    assert_int_equal(result.problems[0].kind, VERIFY_VANISHED);
    assert_string_equal(result.problems[0].file, NAME(4));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(archives_of_every_form_are_sound),
        CASE(an_archive_of_packed_files_alone_is_read),
        CASE(an_archive_that_begins_within_a_record_says_what_is_unchecked),
        CASE(without_the_private_folder_the_archive_is_known_by_its_wal),
        CASE(nothing_is_refused_and_an_empty_archive_is_sound),
        CASE(a_bad_record_is_told_with_its_place),
        CASE(every_damaged_place_is_told),
        CASE(a_record_over_a_joint_is_checked),
        CASE(segments_that_do_not_belong_together_are_told),
        CASE(lost_pages_are_one_damage_each),
        CASE(a_segment_of_zeros_or_of_another_place_is_told),
        CASE(another_system_size_version_and_timeline_are_told),
        CASE(bytes_that_must_be_zero_are_told),
        CASE(files_of_wrong_sizes_are_told),
        CASE(torn_packed_files_are_told),
        CASE(names_of_another_segment_size_are_told),
        CASE(strangers_files_are_left_alone),
        CASE(two_forms_that_differ_are_told),
        CASE(a_second_form_that_is_damaged_is_told),
        CASE(a_partial_beside_the_segment_is_its_beginning),
        CASE(an_unreadable_file_is_told_apart),
        CASE(a_segment_that_is_packed_meanwhile_is_found),
        CASE(a_segment_that_goes_away_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
