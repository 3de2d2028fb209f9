/* SPDX-License-Identifier: PostgreSQL
 *
 * Answers to replication commands: rows of real servers, round trips, NULLs, missing and surplus
 * columns, and values without a final NUL.
 */
#include "vectors.h"
#include "walrx/proto/result.h"
#include "walrx/proto/timeline.h"

static ResultRow row_of(size_t count, const char *const *values)
{
    ResultRow row = {.count = count};

    for (size_t i = 0; i < count; i++) {
        row.values[i] = values[i];
        row.lengths[i] = values[i] == NULL ? 0 : strlen(values[i]);
    }
    return row;
}

#define ROW(...)                                                                                   \
    row_of(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *),                      \
           (const char *const[]){__VA_ARGS__})

static bool identify(const ResultRow *row, IdentifySystemResult *ret)
{
    Error err;

    error_clear(&err);
    bool done = result_identify_system(row, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static bool read_slot(const ResultRow *row, ReadSlotResult *ret)
{
    Error err;

    error_clear(&err);
    bool done = result_read_slot(row, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static bool slot_view(const ResultRow *row, SlotViewResult *ret)
{
    Error err;

    error_clear(&err);
    bool done = result_slot_view(row, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static bool timeline_history(const ResultRow *row, Timeline timeline, TimelineHistoryResult *ret)
{
    Error err;

    error_clear(&err);
    bool done = result_timeline_history(row, timeline, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static bool end_of_timeline(const ResultRow *row, EndOfTimelineResult *ret)
{
    Error err;

    error_clear(&err);
    bool done = result_end_of_timeline(row, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static bool segment_size(const ResultRow *row, uint32_t *ret)
{
    Error err;

    error_clear(&err);
    bool done = result_segment_size(row, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static bool directory_mode(const ResultRow *row, unsigned *ret)
{
    Error err;

    error_clear(&err);
    bool done = result_directory_mode(row, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static void identify_system_makes_the_round_trip(void **state)
{
    (void)state;
    for (int database = 0; database < 2; database++) {
        const IdentifySystemResult value = {.system_identifier = UINT64_MAX,
                                            .timeline = UINT32_MAX,
                                            .flush_lsn = UINT64_MAX,
                                            .has_database = database == 1};
        IdentifySystemResult back;
        ResultText text;

        result_identify_system_encode(&value, &text);
        assert_int_equal(text.row.count, 4);
        assert_true(identify(&text.row, &back));
        assert_true(back.system_identifier == UINT64_MAX);
        assert_int_equal(back.timeline, UINT32_MAX);
        assert_true(back.flush_lsn == UINT64_MAX);
        assert_int_equal(back.has_database, database);
    }
}

static void identify_system_refuses_rows_that_lack_something(void **state)
{
    const ResultRow rows[] = {
        ROW("7", "1", "0/1"),
        ROW("7"),
        {.count = 0},
        ROW(NULL, "1", "0/1", NULL),
        ROW("7", NULL, "0/1", NULL),
        ROW("7", "1", NULL, NULL),
        ROW("", "1", "0/1", NULL),
        ROW("0", "1", "0/1", NULL),
        ROW("18446744073709551616", "1", "0/1", NULL),
        ROW("-7", "1", "0/1", NULL),
        ROW(" 7", "1", "0/1", NULL),
        ROW("7x", "1", "0/1", NULL),
        ROW("7", "0", "0/1", NULL),
        ROW("7", "-1", "0/1", NULL),
        ROW("7", "4294967296", "0/1", NULL),
        ROW("7", "1", "0", NULL),
        ROW("7", "1", "0/1 ", NULL),
        ROW("7", "1", "0/123456789", NULL),
        ROW("000000000000000000000000000000000000000000000000000000000000000007", "1", "0/1", NULL),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        IdentifySystemResult result = {.timeline = 42};

        if (identify(&rows[i], &result))
            fail_msg("accepted row %zu", i);
        assert_int_equal(result.timeline, 42);
    }
}

static void surplus_columns_are_accepted(void **state)
{
    const ResultRow row = ROW("7", "1", "0/1", NULL, "new", NULL, "newer", "newest");
    ResultRow more = row;
    IdentifySystemResult result;

    (void)state;
    assert_true(identify(&row, &result));
    more.count = RESULT_MAX_COLUMNS + 5; /* a row of which only the first columns were taken over */
    assert_true(identify(&more, &result));
}

/* The bytes behind each value would make it another one. */
static void values_end_at_their_length(void **state)
{
    static const char TEXT[] = "7"
                               "12"
                               "0/123"
                               "16MB0";
    const ResultRow row = {
        .count = 4, .values = {TEXT, TEXT + 1, TEXT + 3, NULL}, .lengths = {1, 1, 3, 0}};
    const ResultRow size = {.count = 1, .values = {TEXT + 8}, .lengths = {4}};
    IdentifySystemResult result;
    uint32_t bytes;

    (void)state;
    assert_true(identify(&row, &result));
    assert_int_equal(result.system_identifier, 7);
    assert_int_equal(result.timeline, 1);
    assert_int_equal(result.flush_lsn, 1);
    assert_true(segment_size(&size, &bytes));
    assert_int_equal(bytes, 16 << 20);
}

static void values_with_a_zero_byte_are_refused(void **state)
{
    ResultRow row = ROW("7", "1", "0/1", NULL);
    IdentifySystemResult result;

    (void)state;
    row.values[0] = "7\0"
                    "7";
    row.lengths[0] = 3;
    assert_false(identify(&row, &result));
    row.lengths[0] = 2;
    assert_false(identify(&row, &result));
    row.lengths[0] = 1;
    assert_true(identify(&row, &result));
}

static void read_slot_makes_the_round_trip(void **state)
{
    static const ReadSlotResult VALUES[] = {
        {.exists = false},
        {.exists = true, .physical = true},
        {.exists = true, .physical = false},
        {.exists = true, .physical = true, .restart_lsn = UINT64_MAX, .restart_timeline = 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        ReadSlotResult back;
        ResultText text;

        result_read_slot_encode(&VALUES[i], &text);
        assert_int_equal(text.row.count, 3);
        assert_true(read_slot(&text.row, &back));
        assert_int_equal(back.exists, VALUES[i].exists);
        assert_int_equal(back.physical, VALUES[i].physical);
        assert_true(back.restart_lsn == VALUES[i].restart_lsn);
        assert_int_equal(back.restart_timeline, VALUES[i].restart_timeline);
    }
}

static void read_slot_refuses_half_a_position(void **state)
{
    const ResultRow rows[] = {
        ROW("physical", "0/1", NULL),  ROW("physical", NULL, "1"), ROW("physical", "0/0", "1"),
        ROW("physical", "0/1", "0"),   ROW(NULL, "0/1", "1"),      ROW(NULL, NULL, "1"),
        ROW("Physical", "0/1", "1"),   ROW("", NULL, NULL),        ROW("physical", "0/1"),
        ROW("physical", "0/1", "1.0"), ROW("physical", "x", "1"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ReadSlotResult result = {.restart_timeline = 42};

        if (read_slot(&rows[i], &result))
            fail_msg("accepted row %zu", i);
        assert_int_equal(result.restart_timeline, 42);
    }
}

static void slot_view_takes_what_servers_say(void **state)
{
    static const struct {
        const char *word;
        SlotWal wal;
    } WORDS[] = {
        {"reserved", SLOT_WAL_RESERVED},     {"extended", SLOT_WAL_EXTENDED},
        {"unreserved", SLOT_WAL_UNRESERVED}, {"lost", SLOT_WAL_LOST},
        {"mislaid", SLOT_WAL_OTHER},         {NULL, SLOT_WAL_NONE},
    };
    SlotViewResult view;

    (void)state;
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        const ResultRow row = ROW("arch", "physical", "1/2", "4711", WORDS[i].word, "-17");

        assert_true(slot_view(&row, &view));
        assert_int_equal(view.wal, WORDS[i].wal);
        if (view.wal != SLOT_WAL_NONE && view.wal != SLOT_WAL_OTHER)
            assert_string_equal(slot_wal_name(view.wal), WORDS[i].word);
    }
    assert_null(slot_wal_name(SLOT_WAL_NONE));
    assert_string_equal(view.name, "arch");
    assert_true(view.physical && view.limited);
    assert_true(view.restart_lsn == 0x100000002 && view.safe_size == -17);
    assert_int_equal(view.active_pid, 4711);
    const ResultRow bare = ROW("x", "logical", NULL, NULL, NULL, NULL);
    assert_true(slot_view(&bare, &view));
    assert_false(view.physical || view.limited);
    assert_true(view.restart_lsn == LSN_INVALID && view.active_pid == 0 && view.safe_size == 0);
}

static void slot_view_refuses_what_is_no_value(void **state)
{
    static const char LONG[] = "a234567890123456789012345678901234567890123456789012345678901234";
    const ResultRow rows[] = {
        ROW(NULL, "physical", NULL, NULL, NULL, NULL),
        ROW("", "physical", NULL, NULL, NULL, NULL),
        ROW(LONG, "physical", NULL, NULL, NULL, NULL),
        ROW("a", NULL, NULL, NULL, NULL, NULL),
        ROW("a", "physical", "here", NULL, NULL, NULL),
        ROW("a", "physical", NULL, "0", NULL, NULL),
        ROW("a", "physical", NULL, "-1", NULL, NULL),
        ROW("a", "physical", NULL, "2147483648", NULL, NULL),
        ROW("a", "physical", NULL, NULL, NULL, "much"),
        ROW("a", "physical", NULL, NULL, NULL, "--1"),
        ROW("a", "physical", NULL, NULL, NULL, "9223372036854775808"),
        ROW("a", "physical", NULL, NULL, NULL),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        SlotViewResult view = {.active_pid = 42};

        if (slot_view(&rows[i], &view))
            fail_msg("accepted row %zu", i);
        assert_int_equal(view.active_pid, 42);
    }
}

static void timeline_history_must_be_the_one_asked_for(void **state)
{
    const ResultRow row = ROW("00000002.history", "1\t0/1\tx\n");
    const ResultRow hostile = ROW("../00000002.history", "1\t0/1\tx\n");
    const ResultRow no_content = ROW("00000002.history", NULL);
    const ResultRow no_name = ROW(NULL, "");
    const ResultRow empty = ROW("00000002.history", "");
    ResultRow longest = row;
    TimelineHistoryResult result;

    (void)state;
    assert_true(timeline_history(&row, 2, &result));
    assert_ptr_equal(result.content, row.values[1]);
    assert_int_equal(result.content_length, 8);
    assert_int_equal(result.file_name_length, 16);
    assert_false(timeline_history(&row, 3, &result));
    assert_false(timeline_history(&hostile, 2, &result));
    assert_false(timeline_history(&no_content, 2, &result));
    assert_false(timeline_history(&no_name, 2, &result));
    assert_true(timeline_history(&empty, 2, &result));
    longest.lengths[1] = TIMELINE_HISTORY_MAX_BYTES; /* never read here */
    assert_true(timeline_history(&longest, 2, &result));
    longest.lengths[1]++;
    assert_false(timeline_history(&longest, 2, &result));
    longest.count = 1;
    assert_false(timeline_history(&longest, 2, &result));
}

static void end_of_timeline_makes_the_round_trip(void **state)
{
    const EndOfTimelineResult value = {.next_timeline = UINT32_MAX, .next_start = 0x3000028};
    const ResultRow short_row = ROW("2");
    const ResultRow null_timeline = ROW(NULL, "0/1");
    const ResultRow null_start = ROW("2", NULL);
    EndOfTimelineResult back;
    ResultText text;

    (void)state;
    result_end_of_timeline_encode(&value, &text);
    assert_int_equal(text.row.count, 2);
    assert_true(end_of_timeline(&text.row, &back));
    assert_int_equal(back.next_timeline, UINT32_MAX);
    assert_int_equal(back.next_start, 0x3000028);
    assert_false(end_of_timeline(&short_row, &back));
    assert_false(end_of_timeline(&null_timeline, &back));
    assert_false(end_of_timeline(&null_start, &back));
}

static void segment_sizes_make_the_round_trip(void **state)
{
    static const char *const WRONG[] = {
        "", "16", "16mb", "3MB", "512kB", "2GB", "16MB ", "-16MB", "18446744073709551616B", "0"};

    (void)state;
    for (uint64_t size = SEGMENT_SIZE_MIN; size <= SEGMENT_SIZE_MAX; size *= 2) {
        ResultText text;
        uint32_t back;

        result_segment_size_encode((uint32_t)size, &text);
        assert_int_equal(text.row.count, 1);
        assert_true(segment_size(&text.row, &back));
        assert_int_equal(back, size);
    }
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        const ResultRow row = row_of(1, &WRONG[i]);
        uint32_t back = 42;

        if (segment_size(&row, &back))
            fail_msg("accepted \"%s\"", WRONG[i]);
        assert_int_equal(back, 42);
    }
    const ResultRow null = ROW(NULL);
    const ResultRow none = {.count = 0};
    uint32_t back;

    assert_false(segment_size(&null, &back));
    assert_false(segment_size(&none, &back));
}

static void directory_modes_are_octal(void **state)
{
    static const char *const WRONG[] = {"",      "700",  "0x700", "0800",
                                        "00700", "1700", "070",   " 0700"};
    const ResultRow owner = ROW("0700");
    const ResultRow group = ROW("0750");
    unsigned mode = 0;

    (void)state;
    assert_true(directory_mode(&owner, &mode));
    assert_int_equal(mode, 0700);
    assert_true(directory_mode(&group, &mode));
    assert_int_equal(mode, 0750);
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        const ResultRow row = row_of(1, &WRONG[i]);

        if (directory_mode(&row, &mode))
            fail_msg("accepted \"%s\"", WRONG[i]);
        assert_int_equal(mode, 0750);
    }
}

static void rows_of_real_servers_are_decoded(void **state)
{
    static const char *const VERSIONS[] = {"13", "15", "18", "19"};

    (void)state;
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        static Vector vector;
        char name[64];
        ResultRow row;
        IdentifySystemResult system;
        IdentifySystemResult with_database;
        TimelineHistoryResult history;
        TimelineHistory parsed;
        TimelineSwitch switches[1];
        EndOfTimelineResult end;
        uint32_t size;
        unsigned mode;
        Error err;

        (void)snprintf(name, sizeof(name), "%s/identify_system.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(identify(&row, &system));
        assert_int_equal(system.timeline, 1);
        assert_false(system.has_database);
        (void)snprintf(name, sizeof(name), "%s/identify_system_database.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(identify(&row, &with_database));
        assert_true(with_database.has_database);
        assert_true(with_database.system_identifier == system.system_identifier);
        (void)snprintf(name, sizeof(name), "%s/show_wal_segment_size.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(segment_size(&row, &size));
        assert_int_equal(size, 1 << 20);
        (void)snprintf(name, sizeof(name), "%s/show_data_directory_mode.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(directory_mode(&row, &mode));
        assert_int_equal(mode, 0700);
        (void)snprintf(name, sizeof(name), "%s/end_of_timeline.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(end_of_timeline(&row, &end));
        assert_int_equal(end.next_timeline, 2);
        (void)snprintf(name, sizeof(name), "%s/timeline_history.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(timeline_history(&row, 2, &history));
        assert_true(timeline_history_parse(history.content, history.content_length, 2, switches, 1,
                                           &parsed, &err));
        assert_int_equal(parsed.count, 1);
        assert_int_equal(switches[0].end, end.next_start);
    }
}

static void slots_of_real_servers_are_decoded(void **state)
{
    static const char *const VERSIONS[] = {"15", "18", "19"};

    (void)state;
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        static Vector vector;
        char name[64];
        ResultRow row;
        ReadSlotResult slot;

        (void)snprintf(name, sizeof(name), "%s/read_slot_missing.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(read_slot(&row, &slot));
        assert_false(slot.exists);
        (void)snprintf(name, sizeof(name), "%s/read_slot_unreserved.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(read_slot(&row, &slot));
        assert_true(slot.exists);
        assert_true(slot.physical);
        assert_int_equal(slot.restart_lsn, LSN_INVALID);
        assert_int_equal(slot.restart_timeline, 0);
        (void)snprintf(name, sizeof(name), "%s/read_slot_reserved.row", VERSIONS[i]);
        vector_read_row(name, &vector, &row);
        assert_true(read_slot(&row, &slot));
        assert_true(slot.exists);
        assert_true(slot.restart_lsn > 0);
        assert_int_equal(slot.restart_timeline, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identify_system_makes_the_round_trip),
        cmocka_unit_test(identify_system_refuses_rows_that_lack_something),
        cmocka_unit_test(surplus_columns_are_accepted),
        cmocka_unit_test(values_end_at_their_length),
        cmocka_unit_test(values_with_a_zero_byte_are_refused),
        cmocka_unit_test(read_slot_makes_the_round_trip),
        cmocka_unit_test(read_slot_refuses_half_a_position),
        cmocka_unit_test(slot_view_takes_what_servers_say),
        cmocka_unit_test(slot_view_refuses_what_is_no_value),
        cmocka_unit_test(timeline_history_must_be_the_one_asked_for),
        cmocka_unit_test(end_of_timeline_makes_the_round_trip),
        cmocka_unit_test(segment_sizes_make_the_round_trip),
        cmocka_unit_test(directory_modes_are_octal),
        cmocka_unit_test(rows_of_real_servers_are_decoded),
        cmocka_unit_test(slots_of_real_servers_are_decoded),
    };

    return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
