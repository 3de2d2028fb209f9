/* SPDX-License-Identifier: PostgreSQL
 *
 * What a change from one snapshot to the next is told as, and that nothing is told twice.
 */
#include "walrx/observe/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS UINT64_C(1000000000)

static EventLog events;
static Snapshot before;
static Snapshot now;

static int streaming(void **state)
{
    (void)state;
    events_init(&events);
    snapshot_clear(&before);
    before.state = RECEIVER_STREAMING;
    before.streams = 1;
    before.timeline = 1;
    before.lag[LAG_FLUSHED].ns = 0;
    now = before;
    return 0;
}

static void expect(size_t index, EventLevel level, const char *part)
{
    assert_true(index < events.count);
    const Event *event = events_at(&events, index);
    assert_int_equal(event->level, level);
    if (strstr(event->text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, event->text);
}

static void nothing_new_is_no_event(void **state)
{
    (void)state;
    now.at += 1000000;
    now.bytes += 1000;
    now.server_end += 1000;
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 0);
}

static void the_first_snapshot_tells_the_start_and_what_is_there_is_not_new(void **state)
{
    (void)state;
    now.gaps = 3;
    now.quarantined = 2;
    now.state = RECEIVER_STARTING;
    events_note(&events, NULL, &now);
    assert_int_equal(events.count, 1);
    expect(0, EVENT_NOTE, "starts");
}

static void a_lost_connection_and_its_end_are_told_with_the_error(void **state)
{
    (void)state;
    now.state = RECEIVER_RESTARTING;
    now.failure.any = true;
    now.failure.at = 5;
    (void)snprintf(now.failure.error.message, sizeof(now.failure.error.message), "server gone");
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 2);
    expect(0, EVENT_BAD, "server gone");
    expect(1, EVENT_WARN, "not receiving");
    before = now;
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 2);
    now.failure.at = 6; /* the next try fails in the same way, then in another one */
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 2);
    before = now;
    now.failure.at = 7;
    (void)snprintf(now.failure.error.message, sizeof(now.failure.error.message), "starting up");
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 3);
    expect(2, EVENT_BAD, "starting up");
    before = now;
    now.state = RECEIVER_STREAMING;
    now.streams = 2;
    now.timeline = 2;
    now.start = 0x3000000;
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 5);
    expect(3, EVENT_NOTE, "new timeline, 2");
    expect(4, EVENT_GOOD, "streaming timeline 2 from 0/3000000");
    before = now;
    now.state = RECEIVER_RESTARTING; /* the same error ends the next stream: news again */
    now.failure.at = 8;
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 7);
    expect(5, EVENT_BAD, "starting up");
}

static void an_outage_between_two_looks_is_seen_by_the_new_stream(void **state)
{
    (void)state;
    now.streams = 2;
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 1);
    expect(0, EVENT_GOOD, "streaming timeline 1");
}

static void lag_is_told_when_it_passes_a_minute_and_when_it_is_gone(void **state)
{
    static const uint64_t seconds[] = {10, 59, 61, 300, 50, 61, 11, 9, 0};
    (void)state;
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        now.lag[LAG_FLUSHED].ns = seconds[i] * SECOND_NS;
        events_note(&events, &before, &now);
        before = now;
    }
    now.lag[LAG_FLUSHED].ns = SNAPSHOT_UNKNOWN;
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 2);
    expect(0, EVENT_WARN, "more than a minute");
    expect(1, EVENT_GOOD, "no longer behind");
}

static void damage_gaps_and_holdups_are_told(void **state)
{
    (void)state;
    now.checks = (CheckCounts){.faults = 2, .latest_fault = 0x16000028};
    now.gaps = 1;
    now.newest_gap_start = 0x1000000;
    now.newest_gap_end = 0x5000000;
    now.held_by = HOLD_COMPRESSION;
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 3);
    expect(0, EVENT_WARN, "waits for compression");
    expect(1, EVENT_BAD, "2 damaged places in arriving WAL, the latest at 0/16000028");
    expect(2, EVENT_WARN, "from 0/1000000 to 0/5000000");
    before = now;
    now.held_by = HOLD_NONE;
    events_note(&events, &before, &now);
    assert_int_equal(events.count, 4);
    expect(3, EVENT_GOOD, "nothing holds");
    before = now;
    now.held_by = HOLD_ROOM;
    events_note(&events, &before, &now);
    expect(4, EVENT_WARN, "waits for room on the disk");
}

static void a_slot_in_danger_is_bad_news(void **state)
{
    (void)state;
    now.monitor.enabled = now.monitor.reachable = true;
    (void)snprintf(now.monitor.wal_status, sizeof(now.monitor.wal_status), "reserved");
    events_note(&events, &before, &now);
    expect(0, EVENT_NOTE, "reserved");
    before = now;
    (void)snprintf(now.monitor.wal_status, sizeof(now.monitor.wal_status), "unreserved");
    events_note(&events, &before, &now);
    expect(1, EVENT_BAD, "unreserved");
    before = now;
    now.monitor.reachable = false;
    events_note(&events, &before, &now);
    expect(2, EVENT_WARN, "does not answer");
    assert_int_equal(events.count, 3);
}

static void only_the_newest_are_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < EVENTS_KEPT + 5; i++) {
        now.streams++;
        now.start = i + 1;
        events_note(&events, &before, &now);
        before = now;
    }
    assert_int_equal(events.count, EVENTS_KEPT);
    expect(0, EVENT_GOOD, "from 0/6");
    expect(EVENTS_KEPT - 1, EVENT_GOOD, "from 0/CD");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_new_is_no_event, streaming),
        cmocka_unit_test_setup(the_first_snapshot_tells_the_start_and_what_is_there_is_not_new,
                               streaming),
        cmocka_unit_test_setup(a_lost_connection_and_its_end_are_told_with_the_error, streaming),
        cmocka_unit_test_setup(an_outage_between_two_looks_is_seen_by_the_new_stream, streaming),
        cmocka_unit_test_setup(lag_is_told_when_it_passes_a_minute_and_when_it_is_gone, streaming),
        cmocka_unit_test_setup(damage_gaps_and_holdups_are_told, streaming),
        cmocka_unit_test_setup(a_slot_in_danger_is_bad_news, streaming),
        cmocka_unit_test_setup(only_the_newest_are_kept, streaming),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
