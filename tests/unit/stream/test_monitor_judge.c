/* SPDX-License-Identifier: PostgreSQL
 *
 * What the monitor tells, once each, and when WAL is flushed promptly.
 */
#include "../../../src/stream/monitor_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static MonitorTold told;
static MonitorFacts facts;
static MonitorSelf self;

static int setup(void **state)
{
    (void)state;
    told = (MonitorTold){.states = 0};
    self = (MonitorSelf){.reports_flush = true};
    monitor_facts_clear(&facts);
    facts.sender_known = facts.streaming = facts.flush_seen = true;
    return 0;
}

#define SET(member, text) (void)snprintf(facts.view.member, sizeof(facts.view.member), "%s", text)

static unsigned judge(void)
{
    return monitor_judge(&told, &facts, &self);
}

static unsigned in_state(const char *sync_state)
{
    SET(sync_state, sync_state);
    return judge();
}

static void sync_and_quorum_are_prompt_and_told_once(void **state)
{
    (void)state;
    assert_int_equal(in_state("async"), 0);
    assert_false(told.prompt);
    assert_int_equal(in_state("sync"), MONITOR_SYNC);
    assert_int_equal(in_state("sync"), 0);
    assert_int_equal(in_state("quorum"), 0);
    assert_true(told.prompt);
    assert_int_equal(in_state("async"), MONITOR_ASYNC);
    assert_false(told.prompt);
    assert_int_equal(in_state("quorum"), MONITOR_SYNC);
}

static void potential_is_not_synchronous(void **state)
{
    (void)state;
    facts.listed = true;
    assert_int_equal(in_state("potential"), 0);
    assert_false(told.prompt);
    (void)in_state("sync");
    assert_int_equal(in_state("potential"), MONITOR_ASYNC);
    assert_false(told.prompt);
}

static void what_was_asked_for_is_not_told(void **state)
{
    (void)state;
    self.synchronous = true;
    assert_int_equal(in_state("sync"), 0);
    assert_int_equal(in_state("async"), 0);
}

static void a_lost_connection_and_catching_up_change_nothing(void **state)
{
    (void)state;
    (void)in_state("sync");
    facts.sender_known = false;
    assert_int_equal(in_state(""), 0);
    facts.sender_known = true;
    facts.streaming = false;
    facts.flush_seen = false;
    assert_int_equal(in_state("async"), 0);
    assert_true(told.prompt);
    facts.streaming = true;
    facts.listed = true;
    assert_int_equal(in_state("async"), 0);
    facts.flush_seen = true;
    assert_int_equal(in_state("sync"), 0);
    assert_int_equal(in_state("async"), MONITOR_ASYNC);
}

static void the_first_flush_position_is_told_soon_where_commits_may_wait(void **state)
{
    (void)state;
    facts.flush_seen = false;
    assert_int_equal(in_state("async"), 0);
    assert_false(told.prompt);
    facts.listed = true;
    assert_int_equal(in_state("async"), 0);
    assert_true(told.prompt);
    facts.flush_seen = true;
    assert_int_equal(in_state("potential"), 0);
    assert_false(told.prompt);
}

static void listed_without_reporting_is_explained_and_never_prompt(void **state)
{
    (void)state;
    self.reports_flush = false;
    facts.listed = true;
    facts.flush_seen = false;
    assert_int_equal(in_state("async"), MONITOR_NOT_CHOSEN);
    assert_int_equal(in_state("async"), 0);
    assert_false(told.prompt);
}

static void hidden_state_is_told_where_it_matters(void **state)
{
    (void)state;
    facts.sender_known = facts.streaming = false;
    facts.sender_hidden = true;
    assert_int_equal(judge(), 0);
    SET(synchronous_standby_names, "x");
    assert_int_equal(judge(), MONITOR_HIDDEN);
    assert_int_equal(judge(), 0);
    SET(synchronous_commit, "remote_apply");
    assert_int_equal(judge(), MONITOR_REMOTE_APPLY);
}

static void remote_apply_is_warned_of_once(void **state)
{
    (void)state;
    SET(synchronous_commit, "remote_apply");
    assert_int_equal(in_state("async"), 0); /* not about us */
    facts.listed = true;
    assert_int_equal(in_state("potential"), MONITOR_REMOTE_APPLY);
    assert_int_equal(in_state("potential"), 0);
    self.reports_apply = true;
    assert_int_equal(judge(), 0);
    self.reports_apply = false;
    assert_int_equal(judge(), MONITOR_REMOTE_APPLY);
    SET(synchronous_commit, "on");
    assert_int_equal(judge(), 0);
    facts.others_remote_apply = true;
    assert_int_equal(judge(), MONITOR_REMOTE_APPLY);
    self.reports_flush = false;
    assert_int_equal(judge(), MONITOR_NOT_CHOSEN);
}

static unsigned with_status(const char *status)
{
    SET(wal_status, status);
    return judge();
}

static void the_slots_state_is_told_when_it_changes(void **state)
{
    (void)state;
    assert_int_equal(with_status("reserved"), 0);
    assert_int_equal(with_status("extended"), 0);
    assert_int_equal(with_status("unreserved"), MONITOR_SLOT_AT_RISK);
    assert_int_equal(with_status("unreserved"), 0);
    assert_int_equal(with_status("lost"), MONITOR_SLOT_LOST);
    assert_int_equal(with_status(""), 0);
    assert_int_equal(with_status("lost"), 0);
    assert_int_equal(with_status("reserved"), MONITOR_SLOT_SAFE);
    assert_int_equal(with_status("lost"), MONITOR_SLOT_LOST);
}

static unsigned with_connections(uint64_t used)
{
    facts.view.connections = used;
    return judge();
}

static void saturation_counts_without_what_is_reserved(void **state)
{
    (void)state;
    facts.view.max_connections = 103;
    facts.reserved = 3;
    assert_int_equal(with_connections(89), 0);
    assert_int_equal(with_connections(90), MONITOR_CONNECTIONS_FULL);
    assert_int_equal(with_connections(80), 0);
    assert_int_equal(with_connections(MONITOR_UNKNOWN), 0);
    assert_int_equal(with_connections(79), MONITOR_CONNECTIONS_FREE);
    facts.reserved = 500;
    assert_int_equal(with_connections(10), 0);
    facts.view.max_walsenders = 10;
    facts.view.walsenders = 9;
    assert_int_equal(judge(), MONITOR_SENDERS_FULL);
    facts.view.walsenders = 7;
    assert_int_equal(judge(), MONITOR_SENDERS_FREE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sync_and_quorum_are_prompt_and_told_once, setup),
        cmocka_unit_test_setup(potential_is_not_synchronous, setup),
        cmocka_unit_test_setup(what_was_asked_for_is_not_told, setup),
        cmocka_unit_test_setup(a_lost_connection_and_catching_up_change_nothing, setup),
        cmocka_unit_test_setup(the_first_flush_position_is_told_soon_where_commits_may_wait, setup),
        cmocka_unit_test_setup(listed_without_reporting_is_explained_and_never_prompt, setup),
        cmocka_unit_test_setup(hidden_state_is_told_where_it_matters, setup),
        cmocka_unit_test_setup(remote_apply_is_warned_of_once, setup),
        cmocka_unit_test_setup(the_slots_state_is_told_when_it_changes, setup),
        cmocka_unit_test_setup(saturation_counts_without_what_is_reserved, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
