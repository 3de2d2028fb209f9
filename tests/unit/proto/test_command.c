/* SPDX-License-Identifier: PostgreSQL
 *
 * Replication commands: the exact text, round trips, quoting, and what a walsender would not
 * accept.
 */
#include "walrx/proto/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool parse(const char *text, ReplicationCommand *ret)
{
    Error err;

    error_clear(&err);
    bool done = command_parse(text, ret, &err);

    assert_int_equal(err.class, done ? ERROR_NONE : ERROR_PROTOCOL);
    return done;
}

static void assert_same(const ReplicationCommand *a, const ReplicationCommand *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->start, b->start);
    assert_int_equal(a->timeline, b->timeline);
    assert_int_equal(a->temporary, b->temporary);
    assert_int_equal(a->reserve_wal, b->reserve_wal);
    assert_int_equal(a->wait, b->wait);
}

#define SLOT_63 "abcdefghijklmnopqrstuvwxyz0123456789_abcdefghijklmnopqrstuvwxyz"

static void commands_have_the_exact_text_and_make_the_round_trip(void **state)
{
    static const struct {
        ReplicationCommand command;
        const char *text;
    } CASES[] = {
        {{.kind = COMMAND_IDENTIFY_SYSTEM}, "IDENTIFY_SYSTEM"},
        {{.kind = COMMAND_SHOW, .name = "wal_segment_size"}, "SHOW \"wal_segment_size\""},
        {{.kind = COMMAND_SHOW, .name = "a\"b"}, "SHOW \"a\"\"b\""},
        {{.kind = COMMAND_READ_SLOT, .name = "arch"}, "READ_REPLICATION_SLOT \"arch\""},
        {{.kind = COMMAND_TIMELINE_HISTORY, .timeline = UINT32_MAX}, "TIMELINE_HISTORY 4294967295"},
        {{.kind = COMMAND_START_PHYSICAL, .start = UINT64_C(0x16B3000000)},
         "START_REPLICATION PHYSICAL 16/B3000000"},
        {{.kind = COMMAND_START_PHYSICAL,
          .name = "arch",
          .start = UINT64_MAX,
          .timeline = UINT32_MAX},
         "START_REPLICATION SLOT \"arch\" PHYSICAL FFFFFFFF/FFFFFFFF TIMELINE 4294967295"},
        {{.kind = COMMAND_CREATE_PHYSICAL_SLOT, .name = "arch"},
         "CREATE_REPLICATION_SLOT \"arch\" PHYSICAL"},
        {{.kind = COMMAND_CREATE_PHYSICAL_SLOT,
          .name = SLOT_63,
          .temporary = true,
          .reserve_wal = true},
         "CREATE_REPLICATION_SLOT \"" SLOT_63 "\" TEMPORARY PHYSICAL RESERVE_WAL"},
        {{.kind = COMMAND_DROP_SLOT, .name = "arch"}, "DROP_REPLICATION_SLOT \"arch\""},
        {{.kind = COMMAND_DROP_SLOT, .name = "arch", .wait = true},
         "DROP_REPLICATION_SLOT \"arch\" WAIT"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char text[COMMAND_TEXT_SIZE];
        ReplicationCommand back;
        Error err;

        assert_true(command_format(&CASES[i].command, text, sizeof(text), &err));
        assert_string_equal(text, CASES[i].text);
        assert_true(parse(text, &back));
        assert_same(&back, &CASES[i].command);
    }
}

static void longest_setting_of_quotes_fits(void **state)
{
    ReplicationCommand command = {.kind = COMMAND_SHOW};
    char text[COMMAND_TEXT_SIZE];
    ReplicationCommand back;
    Error err;

    (void)state;
    memset(command.name, '"', SLOT_NAME_SIZE - 1);
    assert_true(command_format(&command, text, sizeof(text), &err));
    assert_int_equal(strlen(text), strlen("SHOW ") + 2 + 2 * (SLOT_NAME_SIZE - 1));
    assert_true(parse(text, &back));
    assert_string_equal(back.name, command.name);
}

static void format_needs_room_for_all_and_a_nul(void **state)
{
    const ReplicationCommand command = {.kind = COMMAND_IDENTIFY_SYSTEM};
    char text[16];
    Error err;

    (void)state;
    for (size_t capacity = 0; capacity < sizeof(text); capacity++) {
        memset(text, 'x', sizeof(text));
        assert_false(command_format(&command, text, capacity, &err));
        assert_int_equal(text[capacity], 'x');
        assert_int_equal(err.class, ERROR_USAGE);
    }
    assert_true(command_format(&command, text, sizeof(text), &err));
}

static void slot_names_follow_the_rule_of_postgres(void **state)
{
    static const char *const WRONG[] = {
        "", "A", "a-b", "a b", "a\"", "a.b", "\xC3\xA4", "a\n", SLOT_63 "x",
    };
    static const ReplicationCommandKind KINDS[] = {COMMAND_READ_SLOT, COMMAND_CREATE_PHYSICAL_SLOT,
                                                   COMMAND_DROP_SLOT, COMMAND_START_PHYSICAL};
    Error err;

    (void)state;
    assert_true(slot_name_check("a", &err));
    assert_true(slot_name_check("0_z", &err));
    assert_true(slot_name_check(SLOT_63, &err));
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        error_clear(&err);
        assert_false(slot_name_check(WRONG[i], &err));
        assert_int_equal(err.class, ERROR_USAGE);
        assert_int_not_equal(err.hint[0], '\0');
    }
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        ReplicationCommand command = {.kind = KINDS[i], .name = "No"};
        char text[COMMAND_TEXT_SIZE];

        assert_false(command_format(&command, text, sizeof(text), &err));
        assert_int_equal(err.class, ERROR_USAGE);
    }
}

static void commands_without_what_they_need_are_not_written(void **state)
{
    static const ReplicationCommand COMMANDS[] = {
        {.kind = COMMAND_SHOW},
        {.kind = COMMAND_READ_SLOT},
        {.kind = COMMAND_TIMELINE_HISTORY},
        {.kind = COMMAND_CREATE_PHYSICAL_SLOT},
        {.kind = COMMAND_DROP_SLOT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
        char text[COMMAND_TEXT_SIZE];
        Error err;

        assert_false(command_format(&COMMANDS[i], text, sizeof(text), &err));
        assert_int_equal(err.class, ERROR_USAGE);
    }
}

static void parse_reads_what_people_and_other_clients_write(void **state)
{
    static const struct {
        const char *text;
        ReplicationCommand command;
    } CASES[] = {
        {"identify_system;", {.kind = COMMAND_IDENTIFY_SYSTEM}},
        {" \t\r\n\fIDENTIFY_SYSTEM\n;\n", {.kind = COMMAND_IDENTIFY_SYSTEM}},
        {"SHOW wal_segment_size", {.kind = COMMAND_SHOW, .name = "wal_segment_size"}},
        {"show WAL_Segment_Size", {.kind = COMMAND_SHOW, .name = "wal_segment_size"}},
        {"SHOW a.\"B\".c", {.kind = COMMAND_SHOW, .name = "a.B.c"}},
        {"SHOW \"slot\"", {.kind = COMMAND_SHOW, .name = "slot"}},
        {"READ_REPLICATION_SLOT Arch", {.kind = COMMAND_READ_SLOT, .name = "arch"}},
        {"READ_REPLICATION_SLOT\"Arch\"", {.kind = COMMAND_READ_SLOT, .name = "Arch"}},
        {"START_REPLICATION 0/3000000", {.kind = COMMAND_START_PHYSICAL, .start = 0x3000000}},
        {"START_REPLICATION A/B TIMELINE 3",
         {.kind = COMMAND_START_PHYSICAL, .start = UINT64_C(0xA0000000B), .timeline = 3}},
        {"START_REPLICATION SLOT abc AB/CD",
         {.kind = COMMAND_START_PHYSICAL, .name = "abc", .start = UINT64_C(0xAB000000CD)}},
        {"START_REPLICATION SLOT \"abc\" PHYSICAL 1/0 TIMELINE 007",
         {.kind = COMMAND_START_PHYSICAL,
          .name = "abc",
          .start = UINT64_C(0x100000000),
          .timeline = 7}},
        {"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL)",
         {.kind = COMMAND_CREATE_PHYSICAL_SLOT, .name = "s", .reserve_wal = true}},
        {"CREATE_REPLICATION_SLOT s TEMPORARY PHYSICAL (\"reserve_wal\" true)",
         {.kind = COMMAND_CREATE_PHYSICAL_SLOT,
          .name = "s",
          .temporary = true,
          .reserve_wal = true}},
        {"CREATE_REPLICATION_SLOT s PHYSICAL(reserve_wal 'OFF')",
         {.kind = COMMAND_CREATE_PHYSICAL_SLOT, .name = "s"}},
        {"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL 1);",
         {.kind = COMMAND_CREATE_PHYSICAL_SLOT, .name = "s", .reserve_wal = true}},
        {"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL 0)",
         {.kind = COMMAND_CREATE_PHYSICAL_SLOT, .name = "s"}},
        {"drop_replication_slot s wait", {.kind = COMMAND_DROP_SLOT, .name = "s", .wait = true}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        ReplicationCommand command;

        if (!parse(CASES[i].text, &command))
            fail_msg("refused \"%s\"", CASES[i].text);
        assert_same(&command, &CASES[i].command);
    }
}

static const char *const REFUSED[] = {
    "",
    ";",
    "SELECT 1",
    "IDENTIFY_SYSTEM;;",
    "IDENTIFY_SYSTEM x",
    "IDENTIFY_SYSTE",
    "\"IDENTIFY_SYSTEM\"",
    "SHOW",
    "SHOW slot",
    "SHOW a.",
    "SHOW .a",
    "SHOW 'a'",
    "SHOW \"\"",
    "SHOW \"a",
    "SHOW \"a\"\"",
    "SHOW a.\"b",
    "SHOW abcdefghijklmnopqrstuvwxyz0123456789_abcdefghijklmnopqrstuvwxyzx",
    "SHOW \"abcdefghijklmnopqrstuvwxyz0123456789_abcdefghijklmnopqrstuvwxyzx\"",
    "SHOW abcdefghijklmnopqrstuvwxyz0123456789.abcdefghijklmnopqrstuvwxyzx",
    "READ_REPLICATION_SLOT",
    "TIMELINE_HISTORY",
    "TIMELINE_HISTORY 0",
    "TIMELINE_HISTORY -1",
    "TIMELINE_HISTORY 4294967296",
    "TIMELINE_HISTORY 99999999999999999999999999",
    "TIMELINE_HISTORY x",
    "TIMELINE_HISTORY 1/1",
    "START_REPLICATION",
    "START_REPLICATION SLOT",
    "START_REPLICATION SLOT s",
    "START_REPLICATION SLOT \"\" 0/1",
    "START_REPLICATION SLOT s LOGICAL 0/1",
    "START_REPLICATION PHYSICAL",
    "START_REPLICATION PHYSICAL PHYSICAL 0/1",
    "START_REPLICATION 0",
    "START_REPLICATION 0/",
    "START_REPLICATION 0 / 1",
    "START_REPLICATION 123456789/0",
    "START_REPLICATION 0/123456789",
    "START_REPLICATION 0/1 TIMELINE",
    "START_REPLICATION 0/1 TIMELINE 0",
    "START_REPLICATION 0/1 0/1",
    "START_REPLICATION 0/1 PHYSICAL",
    "CREATE_REPLICATION_SLOT",
    "CREATE_REPLICATION_SLOT s",
    "CREATE_REPLICATION_SLOT s TEMPORARY",
    "CREATE_REPLICATION_SLOT s PHYSICAL TEMPORARY",
    "CREATE_REPLICATION_SLOT s LOGICAL test_decoding",
    "CREATE_REPLICATION_SLOT s PHYSICAL RESERVE_WAL RESERVE_WAL",
    "CREATE_REPLICATION_SLOT s PHYSICAL ()",
    "CREATE_REPLICATION_SLOT s PHYSICAL (",
    "CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL",
    "CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL 2)",
    "CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL maybe)",
    "CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL, RESERVE_WAL)",
    "CREATE_REPLICATION_SLOT s PHYSICAL (TWO_PHASE)",
    "CREATE_REPLICATION_SLOT s PHYSICAL (snapshot 'export')",
    "DROP_REPLICATION_SLOT",
    "DROP_REPLICATION_SLOT s NOW",
    "DROP_REPLICATION_SLOT s WAIT WAIT",
    "BASE_BACKUP",
    "IDENTIFY_SYSTEM -- comment",
    "'",
    "\"",
};

static void parse_refuses_everything_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++) {
        ReplicationCommand command = {.kind = COMMAND_DROP_SLOT, .name = "untouched"};

        if (parse(REFUSED[i], &command))
            fail_msg("accepted \"%s\"", REFUSED[i]);
        assert_string_equal(command.name, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_have_the_exact_text_and_make_the_round_trip),
        cmocka_unit_test(longest_setting_of_quotes_fits),
        cmocka_unit_test(format_needs_room_for_all_and_a_nul),
        cmocka_unit_test(slot_names_follow_the_rule_of_postgres),
        cmocka_unit_test(commands_without_what_they_need_are_not_written),
        cmocka_unit_test(parse_reads_what_people_and_other_clients_write),
        cmocka_unit_test(parse_refuses_everything_else),
    };

    return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
