/* SPDX-License-Identifier: PostgreSQL
 *
 * History files: what PostgreSQL writes and accepts, and each way in which a file can be wrong.
 */
#include "vectors.h"
#include "walrx/proto/timeline.h"

static const char THREE[] = "1\t0/3000000\tno recovery target specified\n"
                            "\n"
                            "2\t1/5000028\tbefore 2026-01-01 00:00:00+00\n"
                            "\n"
                            "4\t1/5000028\tat restore point \"x\"\n";

static bool parse(const char *text, size_t length, Timeline target, TimelineSwitch *switches,
                  size_t capacity, TimelineHistory *ret)
{
    Error err;

    error_clear(&err);
    bool done = timeline_history_parse(text, length, target, switches, capacity, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    if (!done)
        assert_int_not_equal(err.message[0], '\0');
    return done;
}

static void lines_become_switches(void **state)
{
    TimelineSwitch switches[3];
    TimelineHistory history;

    (void)state;
    assert_true(parse(THREE, sizeof(THREE) - 1, 5, switches, 3, &history));
    assert_int_equal(history.target, 5);
    assert_int_equal(history.count, 3);
    assert_ptr_equal(history.switches, switches);
    assert_int_equal(switches[0].timeline, 1);
    assert_int_equal(switches[0].end, 0x3000000);
    assert_int_equal(switches[1].timeline, 2);
    assert_int_equal(switches[1].end, UINT64_C(0x105000028));
    assert_int_equal(switches[2].timeline, 4);
    assert_int_equal(switches[2].end, UINT64_C(0x105000028));
}

static void unusual_but_valid_files_are_read(void **state)
{
    static const struct {
        const char *text;
        size_t count;
    } FILES[] = {
        {"", 0},
        {"\n\n", 0},
        {"# only a comment\n", 0},
        {"   \t # a comment behind blanks\n1 0/1 x", 1},
        {"1\t0/3000000", 1},
        {"1\t0/3000000\n2\t0/3000000", 2},
        {"1\t0/3000000\r\n\r\n2\t0/4000000\treason\r\n", 2},
        {"  1   0/3000000   reason with blanks  \n", 1},
        {"1\t00000000/03000000\treason\n", 1},
        {"# 9 0/0\n\n#\n1\t0/3000000\t# not a comment\n", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        TimelineSwitch switches[3];
        TimelineHistory history;

        if (!parse(FILES[i].text, strlen(FILES[i].text), 3, switches, 3, &history))
            fail_msg("refused \"%s\"", FILES[i].text);
        assert_int_equal(history.count, FILES[i].count);
        if (history.count > 0)
            assert_int_equal(switches[0].timeline, 1);
    }
}

static void wrong_files_are_refused(void **state)
{
    static const char *const FILES[] = {
        "x\n",
        "1\n",
        "1\t\n",
        "1 reason\n",
        "1\t0/\n",
        "1\t0\n",
        "1\t0/3000000x\n",
        "1\t0/123456789\n",
        "1\t123456789/0\n",
        "1\t-0/1\n",
        "1\t0x0/1\n",
        "-1\t0/1\n",
        "+1\t0/1\n",
        "1.5\t0/1\n",
        "1,0/1\n",
        "0\t0/1\n",
        "4294967296\t0/1\n",
        "99999999999999999999999\t0/1\n",
        "1\t0/0\n",                /* PostgreSQL would take it for the tip */
        "3\t0/1\n",                /* the target itself */
        "4\t0/1\n",                /* above the target */
        "1\t0/1\n1\t0/2\n",        /* twice */
        "2\t0/1\n1\t0/2\n",        /* not ascending */
        "1\t0/2\n2\t0/1\n",        /* backwards */
        "1\t1/0\n2\t0/FFFFFFFF\n", /* backwards across words */
        "1\t0/1\nrubbish\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        TimelineSwitch switches[3];
        TimelineHistory history = {.target = 42};

        if (parse(FILES[i], strlen(FILES[i]), 3, switches, 3, &history))
            fail_msg("accepted \"%s\"", FILES[i]);
        assert_int_equal(history.target, 42);
    }
}

static void zero_bytes_are_no_text(void **state)
{
    static const char TEXT[] = "1\t0/3000000\tx\0y\n";
    TimelineSwitch switches[3];
    TimelineHistory history;

    (void)state;
    assert_false(parse(TEXT, sizeof(TEXT) - 1, 3, switches, 3, &history));
    assert_true(parse(TEXT, strlen(TEXT), 3, switches, 3, &history));
}

static void timeline_0_has_no_history(void **state)
{
    TimelineSwitch switches[1];
    TimelineHistory history;

    (void)state;
    assert_false(parse("", 0, 0, switches, 1, &history));
}

static void more_lines_than_room_are_refused(void **state)
{
    TimelineSwitch switches[3] = {[2] = {.timeline = 42}};
    TimelineHistory history;

    (void)state;
    assert_false(parse(THREE, sizeof(THREE) - 1, 5, switches, 2, &history));
    assert_int_equal(switches[2].timeline, 42);
    assert_true(parse(THREE, sizeof(THREE) - 1, 5, switches, 3, &history));
}

static void too_long_a_file_is_refused(void **state)
{
    size_t length = TIMELINE_HISTORY_MAX_BYTES + 1;
    char *text = test_malloc(length);
    TimelineHistory history;

    (void)state;
    memset(text, '\n', length);
    assert_false(parse(text, length, 3, NULL, 0, &history));
    assert_true(parse(text, length - 1, 3, NULL, 0, &history));
    test_free(text);
}

static void error_names_the_line_and_not_its_text(void **state)
{
    static const char TEXT[] = "# comment\n1\t0/1\n\nsecret\n";
    TimelineSwitch switches[3];
    TimelineHistory history;
    Error err;

    (void)state;
    assert_false(timeline_history_parse(TEXT, strlen(TEXT), 3, switches, 3, &history, &err));
    assert_non_null(strstr(err.message, "line 4"));
    assert_null(strstr(err.message, "secret"));
    assert_null(strstr(err.detail, "secret"));
    assert_int_not_equal(err.hint[0], '\0');
}

static void format_writes_what_the_server_wrote(void **state)
{
    static const char *const FILES[] = {"13/00000002.history", "15/00000002.history",
                                        "18/00000002.history"};
    Vector vector;

    (void)state;
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        TimelineSwitch switches[1];
        TimelineHistory history;
        char text[256];
        size_t length;

        vector_read(FILES[i], &vector);
        assert_true(parse((const char *)vector.data, vector.length, 2, switches, 1, &history));
        assert_int_equal(history.count, 1);
        assert_true(timeline_history_format(&history, text, sizeof(text), &length));
        assert_int_equal(length, vector.length);
        assert_memory_equal(text, vector.data, length);
    }
}

static void history_of_postgres_19_is_read(void **state)
{
    TimelineSwitch switches[1];
    TimelineHistory history;
    Vector vector;

    (void)state;
    vector_read("19/00000002.history", &vector);
    assert_true(parse((const char *)vector.data, vector.length, 2, switches, 1, &history));
    assert_int_equal(history.count, 1);
    assert_int_equal(switches[0].timeline, 1);
}

static void format_then_parse_gives_the_same_history(void **state)
{
    static const TimelineSwitch SWITCHES[] = {
        {1, 0x3000000}, {2, UINT64_C(0xFFFFFFFF)}, {UINT32_MAX - 1, UINT64_MAX}};
    const TimelineHistory history = {.target = UINT32_MAX, .count = 3, .switches = SWITCHES};
    TimelineSwitch switches[3];
    TimelineHistory back;
    char text[512];
    size_t length;

    (void)state;
    assert_true(timeline_history_format(&history, text, sizeof(text), &length));
    assert_true(parse(text, length, UINT32_MAX, switches, 3, &back));
    assert_int_equal(back.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(switches[i].timeline, SWITCHES[i].timeline);
        assert_int_equal(switches[i].end, SWITCHES[i].end);
    }
}

static void format_needs_room_for_all_and_a_nul(void **state)
{
    static const TimelineSwitch SWITCHES[] = {{1, 0x3000000}, {2, 0x4000000}};
    const TimelineHistory history = {.target = 3, .count = 2, .switches = SWITCHES};
    char text[512];
    size_t length;
    size_t same;

    (void)state;
    assert_true(timeline_history_format(&history, text, sizeof(text), &length));
    assert_int_equal(length, strlen(text));
    for (size_t capacity = 0; capacity <= length; capacity++)
        assert_false(timeline_history_format(&history, text, capacity, &same));
    assert_true(timeline_history_format(&history, text, length + 1, &same));
    assert_int_equal(same, length);
}

static void find_at_and_begin_agree(void **state)
{
    TimelineSwitch switches[3];
    TimelineHistory history;
    Lsn lsn;
    Timeline next;

    (void)state;
    assert_true(parse(THREE, sizeof(THREE) - 1, 5, switches, 3, &history));
    assert_true(timeline_history_find(&history, 1, &lsn, &next));
    assert_int_equal(lsn, 0x3000000);
    assert_int_equal(next, 2);
    assert_true(timeline_history_find(&history, 4, &lsn, &next));
    assert_int_equal(next, 5);
    assert_true(timeline_history_find(&history, 5, &lsn, &next));
    assert_int_equal(lsn, UINT64_MAX);
    assert_int_equal(next, 0);
    assert_true(timeline_history_find(&history, 2, NULL, NULL));
    assert_false(timeline_history_find(&history, 3, &lsn, &next));
    assert_false(timeline_history_find(&history, 6, &lsn, &next));

    assert_int_equal(timeline_history_at(&history, 0), 1);
    assert_int_equal(timeline_history_at(&history, 0x2FFFFFF), 1);
    assert_int_equal(timeline_history_at(&history, 0x3000000), 2);
    assert_int_equal(timeline_history_at(&history, UINT64_C(0x105000027)), 2);
    /* Timeline 4 began and ended at the same place: no byte is its own. */
    assert_int_equal(timeline_history_at(&history, UINT64_C(0x105000028)), 5);
    assert_int_equal(timeline_history_at(&history, UINT64_MAX), 5);

    assert_true(timeline_history_begin(&history, 1, &lsn));
    assert_int_equal(lsn, 0);
    assert_true(timeline_history_begin(&history, 2, &lsn));
    assert_int_equal(lsn, 0x3000000);
    assert_true(timeline_history_begin(&history, 5, &lsn));
    assert_int_equal(lsn, UINT64_C(0x105000028));
    assert_false(timeline_history_begin(&history, 3, &lsn));
}

static void timeline_without_ancestors_begins_at_zero(void **state)
{
    TimelineHistory history;
    Lsn lsn = 42;

    (void)state;
    assert_true(parse("", 0, 1, NULL, 0, &history));
    assert_true(timeline_history_begin(&history, 1, &lsn));
    assert_int_equal(lsn, 0);
    assert_int_equal(timeline_history_at(&history, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_switches),
        cmocka_unit_test(unusual_but_valid_files_are_read),
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(zero_bytes_are_no_text),
        cmocka_unit_test(timeline_0_has_no_history),
        cmocka_unit_test(more_lines_than_room_are_refused),
        cmocka_unit_test(too_long_a_file_is_refused),
        cmocka_unit_test(error_names_the_line_and_not_its_text),
        cmocka_unit_test(format_writes_what_the_server_wrote),
        cmocka_unit_test(history_of_postgres_19_is_read),
        cmocka_unit_test(format_then_parse_gives_the_same_history),
        cmocka_unit_test(format_needs_room_for_all_and_a_nul),
        cmocka_unit_test(find_at_and_begin_agree),
        cmocka_unit_test(timeline_without_ancestors_begins_at_zero),
    };

    return cmocka_run_group_tests_name("timeline", tests, NULL, NULL);
}
