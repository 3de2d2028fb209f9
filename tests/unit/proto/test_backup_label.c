/* SPDX-License-Identifier: PostgreSQL
 *
 * backup_label and backup history files: those of servers 10 to 19, and each way in which a file
 * can be wrong.
 */
#include "vectors.h"
#include "walrx/proto/backup_label.h"

#define MEGABYTE16 (16u << 20)

static const char LABEL[] = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
                            "CHECKPOINT LOCATION: 0/2000060\n"
                            "BACKUP METHOD: streamed\n"
                            "BACKUP FROM: primary\n"
                            "START TIME: 2026-11-20 16:09:57 CET\n"
                            "LABEL: sample\n"
                            "START TIMELINE: 1\n";

static bool parse(const char *text, BackupLabel *ret)
{
    Error err;
    error_clear(&err);
    bool done = backup_label_parse(text, strlen(text), ret, &err);
    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    if (!done)
        assert_int_not_equal(err.message[0], '\0');
    return done;
}

static void labels_of_all_versions_are_read(void **state)
{
    static const int MAJORS[] = {10, 11, 12, 13, 14, 16, 17, 18, 19};
    static Vector vector;
    (void)state;
    for (size_t i = 0; i < sizeof(MAJORS) / sizeof(MAJORS[0]); i++) {
        for (int history = 0; history < 2; history++) {
            char name[64];
            char own[32];
            BackupLabel label;
            (void)snprintf(name, sizeof(name), "backup/%d.%s", MAJORS[i],
                           history ? "history" : "label");
            vector_read(name, &vector);
            assert_true(parse((const char *)vector.data, &label));
            assert_int_equal(label.start, 0x2000028);
            assert_string_equal(label.start_file, "000000010000000000000002");
            assert_int_equal(label.timeline, 1);
            assert_int_equal(label.checkpoint, MAJORS[i] >= 17 ? 0x2000080 : 0x2000060);
            assert_false(label.from_standby);
            assert_false(label.rewound);
            (void)snprintf(own, sizeof(own), "sample %d", MAJORS[i]);
            assert_string_equal(label.label, own);
            assert_memory_equal(label.start_time, "2026-11-20 1", 12);
            assert_int_equal(label.stop != LSN_INVALID, history);
            assert_int_equal(label.stop_timeline, history);
            assert_int_equal(label.stop_time[0] != '\0', history);
        }
    }
}

/* As the server wrote it, but for a number's zeros and what a version before had other words for.
 */
static void history_files_of_servers_are_written_again(void **state)
{
    static const int MAJORS[] = {14, 16, 17, 18};
    static Vector vector;
    (void)state;
    for (size_t i = 0; i < sizeof(MAJORS) / sizeof(MAJORS[0]); i++) {
        char name[64];
        char text[4096];
        size_t length;
        BackupLabel label;
        (void)snprintf(name, sizeof(name), "backup/%d.history", MAJORS[i]);
        vector_read(name, &vector);
        assert_true(parse((const char *)vector.data, &label));
        assert_true(backup_history_format(&label, MEGABYTE16, text, sizeof(text), &length));
        assert_int_equal(length, vector.length);
        assert_memory_equal(text, vector.data, length);
        assert_string_equal(backup_history_name(&label, MEGABYTE16, name),
                            "000000010000000000000002.00000028.backup");
    }
}

static void what_is_not_known_has_no_line(void **state)
{
    BackupLabel label = {.start = 0x3000028, .timeline = 7, .label = "x"};
    BackupLabel back;
    char text[1024];
    char name[WAL_FILE_NAME_SIZE];
    size_t length;
    (void)state;
    assert_true(backup_history_format(&label, MEGABYTE16, text, sizeof(text), &length));
    assert_string_equal(text, "START WAL LOCATION: 0/3000028 (file 000000070000000000000003)\n"
                              "BACKUP METHOD: streamed\n"
                              "BACKUP FROM: primary\n"
                              "LABEL: x\n"
                              "START TIMELINE: 7\n");
    assert_true(parse(text, &back));
    assert_int_equal(back.checkpoint, LSN_INVALID);
    assert_int_equal(back.stop, LSN_INVALID);
    assert_string_equal(backup_history_name(&back, MEGABYTE16, name),
                        "000000070000000000000003.00000028.backup");
    assert_false(backup_history_format(&label, MEGABYTE16, text, length, &length));
    assert_true(backup_history_format(&label, MEGABYTE16, text, length + 1, &length));
}

static void the_name_has_the_timeline_of_the_stop(void **state)
{
    BackupLabel label = {
        .start = 0x3000028, .timeline = 1, .stop = 0x5000000, .stop_timeline = 2, .label = "x"};
    char name[WAL_FILE_NAME_SIZE];
    char text[1024];
    size_t length;
    (void)state;
    assert_string_equal(backup_history_name(&label, MEGABYTE16, name),
                        "000000020000000000000003.00000028.backup");
    assert_true(backup_history_format(&label, MEGABYTE16, text, sizeof(text), &length));
    /* The stop is the end of segment 4, not in segment 5. */
    assert_non_null(strstr(text, "STOP WAL LOCATION: 0/5000000 (file 000000020000000000000004)\n"));
}

static void a_standby_a_rewind_and_an_increment_are_told(void **state)
{
    BackupLabel label;
    (void)state;
    assert_true(parse("START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
                      "BACKUP METHOD: pg_rewind\nBACKUP FROM: standby\n"
                      "INCREMENTAL FROM LSN: 0/1000028\nINCREMENTAL FROM TLI: 1\n",
                      &label));
    assert_true(label.rewound);
    assert_true(label.from_standby);
    assert_int_equal(label.incremental_from, 0x1000028);
}

static void a_label_cannot_move_a_terminals_cursor(void **state)
{
    BackupLabel label;
    (void)state;
    assert_true(parse("START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\r\n"
                      "LABEL: a\033[2Jb\tc\x7f\r\n",
                      &label));
    assert_string_equal(label.label, "a?[2Jb?c?");
}

static void files_that_are_wrong_are_refused(void **state)
{
    static const char *const WRONG[] = {
        "",
        "\n",
        "CHECKPOINT LOCATION: 0/2000060\n",
        "START WAL LOCATION: 0/2000028\n",
        "START WAL LOCATION: 0/2000028 (file )\n",
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002\n",
        "START WAL LOCATION: 0/2000028 (file 00000001000000000000000)\n",
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002.gz)\n",
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002.partial)\n",
        "START WAL LOCATION: 0/2000028 (file 00000002.history)\n",
        "START WAL LOCATION: 0/0 (file 000000010000000000000002)\n",
        "START WAL LOCATION: FFFFFFFF/FFFFFFFF (file 000000010000000000000002)\n",
        "START WAL LOCATION: 2000028 (file 000000010000000000000002)\n",
        /* another timeline than the file's */
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nSTART TIMELINE: 2\n",
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nSTART TIMELINE: 0\n",
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nSTART TIMELINE: 1x\n",
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
        "START TIMELINE: 4294967297\n",
        /* the checkpoint, the stop before the start */
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
        "CHECKPOINT LOCATION: 0/2000020\n",
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
        "STOP WAL LOCATION: 0/2000020 (file 000000010000000000000002)\n",
        "START WAL LOCATION: 0/2000028 (file 000000020000000000000002)\n"
        "STOP WAL LOCATION: 0/2000060 (file 000000010000000000000002)\n",
        /* a LABEL with a newline forges a line that comes again */
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
        "LABEL: x\nSTART TIMELINE: 1\nSTART TIMELINE: 1\n",
        "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nLABEL: x\nLABEL: y\n",
    };
    BackupLabel label;
    Error err;
    (void)state;
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        if (parse(WRONG[i], &label))
            fail_msg("file %zu was accepted", i);
    }
    assert_false(backup_label_parse("LABEL: \0x\n", 10, &label, &err));
    static char huge[BACKUP_LABEL_MAX_BYTES + 2];
    memset(huge, '\n', sizeof(huge) - 1);
    memcpy(huge, LABEL, sizeof(LABEL) - 1);
    assert_false(parse(huge, &label));
    huge[BACKUP_LABEL_MAX_BYTES] = '\0';
    assert_true(parse(huge, &label));
}

static void a_label_of_the_longest_length_is_read(void **state)
{
    static char text[2 * BACKUP_LABEL_NAME_SIZE];
    static char again[4 * BACKUP_LABEL_NAME_SIZE];
    BackupLabel label;
    size_t length;
    size_t start = strlen(LABEL);
    (void)state;
    memcpy(text, LABEL, start);
    char *own = strstr(text, "LABEL: ") + strlen("LABEL: ");
    memset(own, 'y', BACKUP_LABEL_NAME_SIZE);
    own[BACKUP_LABEL_NAME_SIZE] = '\0';
    assert_false(parse(text, &label));
    own[BACKUP_LABEL_NAME_SIZE - 1] = '\0';
    assert_true(parse(text, &label));
    assert_int_equal(strlen(label.label), BACKUP_LABEL_NAME_SIZE - 1);
    assert_true(backup_history_format(&label, MEGABYTE16, again, sizeof(again), &length));
    assert_true(parse(again, &label));
    assert_int_equal(strlen(label.label), BACKUP_LABEL_NAME_SIZE - 1);
}

static void labels_that_people_may_give(void **state)
{
    static char longest[BACKUP_LABEL_NAME_SIZE + 1];
    Error err;
    (void)state;
    assert_true(backup_label_check_name("nightly 2026-11-20", &err));
    assert_true(backup_label_check_name("größer", &err));
    assert_false(backup_label_check_name("", &err));
    assert_int_equal(err.class, ERROR_USAGE);
    assert_false(backup_label_check_name("a\nb", &err));
    assert_false(backup_label_check_name("a\x7f", &err));
    memset(longest, 'x', BACKUP_LABEL_NAME_SIZE);
    assert_false(backup_label_check_name(longest, &err));
    longest[BACKUP_LABEL_NAME_SIZE - 1] = '\0';
    assert_true(backup_label_check_name(longest, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_of_all_versions_are_read),
        cmocka_unit_test(history_files_of_servers_are_written_again),
        cmocka_unit_test(what_is_not_known_has_no_line),
        cmocka_unit_test(the_name_has_the_timeline_of_the_stop),
        cmocka_unit_test(a_standby_a_rewind_and_an_increment_are_told),
        cmocka_unit_test(a_label_cannot_move_a_terminals_cursor),
        cmocka_unit_test(files_that_are_wrong_are_refused),
        cmocka_unit_test(a_label_of_the_longest_length_is_read),
        cmocka_unit_test(labels_that_people_may_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
