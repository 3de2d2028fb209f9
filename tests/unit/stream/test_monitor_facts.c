/* SPDX-License-Identifier: PostgreSQL
 *
 * The server's answers to the monitor as facts: of all versions, with and without privileges, and
 * answers that are none.
 */
#include "../../../src/stream/monitor_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static ResultRow row_of(size_t count, const char *const *values)
{
    ResultRow row = {.count = count};
    for (size_t i = 0; i < count; i++) {
        row.values[i] = values[i];
        row.lengths[i] = values[i] != NULL ? strlen(values[i]) : 0;
    }
    return row;
}

#define SENDER(...)                                                                                \
    row_of(MONITOR_SENDER_COLUMNS, (const char *const[MONITOR_SENDER_COLUMNS]){__VA_ARGS__})
#define LOAD(...)                                                                                  \
    row_of(MONITOR_LOAD_COLUMNS, (const char *const[MONITOR_LOAD_COLUMNS]){__VA_ARGS__})

static MonitorFacts facts_of(ResultRow row)
{
    MonitorFacts facts;
    Error error;
    monitor_facts_clear(&facts);
    assert_true(monitor_take_sender(&row, &facts, &error));
    return facts;
}

static void a_synchronous_standby_is_seen(void **state)
{
    (void)state;
    MonitorFacts facts =
        facts_of(SENDER("4711", "streaming", "sync", "0/1", "arch", "arch", "on", "f"));
    assert_true(facts.sender_known && facts.streaming && facts.listed && facts.flush_seen);
    assert_false(facts.sender_hidden || facts.others_remote_apply);
    assert_string_equal(facts.view.sync_state, "sync");
    assert_string_equal(facts.view.synchronous_standby_names, "arch");
    assert_string_equal(facts.view.synchronous_commit, "on");
}

static void without_privileges_only_the_pid_is_there(void **state)
{
    (void)state;
    MonitorFacts facts = facts_of(SENDER("4711", NULL, NULL, NULL, NULL, "arch", "on", "t"));
    assert_true(facts.sender_hidden && facts.others_remote_apply);
    assert_false(facts.sender_known || facts.listed || facts.streaming);
    assert_string_equal(facts.view.sync_state, "");
}

static void between_connections_there_is_no_walsender(void **state)
{
    (void)state;
    MonitorFacts facts = facts_of(SENDER(NULL, NULL, NULL, NULL, NULL, "*", "on", "f"));
    assert_false(facts.sender_hidden || facts.sender_known || facts.listed);
}

static void catching_up_without_a_flush_position(void **state)
{
    (void)state;
    MonitorFacts facts = facts_of(SENDER("1", "catchup", "async", NULL, "a", "a", "on", "f"));
    assert_true(facts.sender_known && facts.listed);
    assert_false(facts.streaming || facts.flush_seen);
}

static bool holds(const char *names, const char *name)
{
    return monitor_names_hold(names, strlen(names), name);
}

static void names_are_read_as_the_server_does(void **state)
{
    (void)state;
    assert_true(holds("arch", "arch"));
    assert_true(holds("ANY 1 (x, Arch)", "aRCH"));
    assert_true(holds("FIRST 2(x,\"arch\",y)", "arch"));
    assert_true(holds("2 (*)", "anything"));
    assert_true(holds("\"my arch\"", "my arch"));
    assert_true(holds("\"a\"\"b\"", "a\"b"));
    assert_false(holds("", "arch"));
    assert_false(holds("archive, my_arch", "arch"));
    assert_false(holds("\"arch x\"", "arch"));
    assert_false(holds("x", ""));
    assert_false(holds("\"\"", ""));
    assert_false(holds("\"unfinished", "arch"));
    assert_false(monitor_names_hold("arch", 3, "arch"));
}

static void long_text_is_cut(void **state)
{
    char names[1000];
    (void)state;
    memset(names, 'n', sizeof(names) - 1);
    names[sizeof(names) - 1] = '\0';
    MonitorFacts facts = facts_of(SENDER("1", names, names, "0/1", names, names, names, names));
    assert_int_equal(strlen(facts.view.sync_state), sizeof(facts.view.sync_state) - 1);
    assert_int_equal(strlen(facts.view.synchronous_standby_names),
                     sizeof(facts.view.synchronous_standby_names) - 1);
    assert_int_equal(strlen(facts.view.synchronous_commit),
                     sizeof(facts.view.synchronous_commit) - 1);
}

static void load_is_read_and_hidden_connections_stay_unknown(void **state)
{
    MonitorFacts facts;
    Error error;
    (void)state;
    monitor_facts_clear(&facts);
    ResultRow row = LOAD("7", "100", "3", "2", "10");
    assert_true(monitor_take_load(&row, &facts, &error));
    assert_int_equal(facts.view.connections, 7);
    assert_int_equal(facts.view.max_connections, 100);
    assert_int_equal(facts.reserved, 3);
    assert_int_equal(facts.view.walsenders, 2);
    assert_int_equal(facts.view.max_walsenders, 10);
    monitor_facts_clear(&facts);
    row = LOAD(NULL, "100", "3", "2", "10");
    assert_true(monitor_take_load(&row, &facts, &error));
    assert_true(facts.view.connections == MONITOR_UNKNOWN);
}

static void answers_that_are_none_are_refused(void **state)
{
    MonitorFacts facts;
    Error error;
    ResultRow none = {.count = 0};
    ResultRow bad[] = {LOAD("seven", "1", "1", "1", "1"), LOAD("1", "-1", "1", "1", "1"),
                       LOAD("1", "1", "99999999999", "1", "1"),
                       LOAD("1", "1", "1", "1111111111111111111111111111111", "1"),
                       LOAD("1", "1", "1", "1", "")};
    (void)state;
    monitor_facts_clear(&facts);
    assert_false(monitor_take_sender(&none, &facts, &error));
    assert_int_equal(error.class, ERROR_PROTOCOL);
    assert_false(monitor_take_load(&none, &facts, &error));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(monitor_take_load(&bad[i], &facts, &error));
        assert_int_equal(error.class, ERROR_PROTOCOL);
    }
}

static void slots_of_each_version(void **state)
{
    MonitorFacts facts;
    SlotStatus slot = {.exists = true,
                       .restart_lsn = 0x1000,
                       .server_lsn = 0x5000,
                       .view = {.wal = SLOT_WAL_NONE}};
    (void)state;
    monitor_facts_clear(&facts);
    monitor_take_slot(&slot, &facts); /* 10 to 12 */
    assert_string_equal(facts.view.wal_status, "");
    assert_true(facts.view.safe_wal_size == MONITOR_UNKNOWN);
    assert_int_equal(facts.view.retained_bytes, 0x4000);
    slot.view.wal = SLOT_WAL_UNRESERVED;
    slot.view.limited = true;
    slot.view.safe_size = -5;
    slot.server_lsn = 0; /* a standby that restarted */
    monitor_facts_clear(&facts);
    monitor_take_slot(&slot, &facts);
    assert_string_equal(facts.view.wal_status, "unreserved");
    assert_int_equal(facts.view.safe_wal_size, 0);
    assert_true(facts.view.retained_bytes == MONITOR_UNKNOWN);
    slot.exists = false;
    monitor_facts_clear(&facts);
    monitor_take_slot(&slot, &facts);
    assert_int_equal(facts.view.restart_lsn, LSN_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_synchronous_standby_is_seen),
        cmocka_unit_test(without_privileges_only_the_pid_is_there),
        cmocka_unit_test(between_connections_there_is_no_walsender),
        cmocka_unit_test(catching_up_without_a_flush_position),
        cmocka_unit_test(names_are_read_as_the_server_does),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(load_is_read_and_hidden_connections_stay_unknown),
        cmocka_unit_test(answers_that_are_none_are_refused),
        cmocka_unit_test(slots_of_each_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
