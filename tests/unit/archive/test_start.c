/* SPDX-License-Identifier: PostgreSQL
 *
 * Start point: every combination of archive, slot and server history that start.c tells apart. The
 * table uses 1 MB segments; positions are written as segment number and offset.
 */
#include "walrx/archive/start.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIZE SEGMENT_SIZE_MIN
#define AT(segment, offset) ((Lsn)(segment)*SIZE + (Lsn)(offset))
#define NONE UINT64_MAX

/* What an archive holds of one timeline: newest complete and oldest partial segment, or NONE. */
typedef struct Held {
    Timeline timeline;
    SegNo complete;
    SegNo partial;
} Held;

typedef struct Case {
    const char *name;
    Held held[3]; /* ends with timeline 0 */
    TimelineSwitch switches[3];
    size_t switch_count;
    Timeline target;
    Lsn server;
    bool in_recovery;
    Lsn slot;
    Timeline slot_timeline;
    StartPoint expected;
    ErrorClass error; /* instead, with ERROR_NONE none */
} Case;

static const Case cases[] = {
    {.name = "empty archive, no slot: the server's segment",
     .target = 1,
     .server = AT(9, 77),
     .expected = {.reason = START_AT_SERVER, .timeline = 1, .lsn = AT(9, 0)}},
    {.name = "empty archive, server at the edge of a segment",
     .target = 1,
     .server = AT(9, 0),
     .expected = {.reason = START_AT_SERVER, .timeline = 1, .lsn = AT(9, 0)}},
    {.name = "empty archive, no slot, later timeline",
     .switches = {{1, AT(5, 10)}},
     .switch_count = 1,
     .target = 2,
     .server = AT(9, 77),
     .expected = {.reason = START_AT_SERVER, .timeline = 2, .lsn = AT(9, 0)}},
    {.name = "empty archive, slot behind the server",
     .target = 1,
     .server = AT(9, 77),
     .slot = AT(4, 500),
     .slot_timeline = 1,
     .expected = {.reason = START_AT_SLOT, .timeline = 1, .lsn = AT(4, 0)}},
    {.name = "empty archive, slot on an ancestor, as the server says",
     .switches = {{1, AT(5, 10)}, {3, AT(7, 10)}},
     .switch_count = 2,
     .target = 4,
     .server = AT(9, 77),
     .slot = AT(6, 500),
     .slot_timeline = 3,
     .expected = {.reason = START_AT_SLOT, .timeline = 3, .lsn = AT(6, 0)}},
    {.name = "empty archive, slot on an ancestor, timeline not told",
     .switches = {{1, AT(5, 10)}, {3, AT(7, 10)}},
     .switch_count = 2,
     .target = 4,
     .server = AT(9, 77),
     .slot = AT(5, 9),
     .expected = {.reason = START_AT_SLOT, .timeline = 1, .lsn = AT(5, 0)}},
    {.name = "empty archive, slot exactly at a switch belongs to the later timeline",
     .switches = {{1, AT(5, 10)}, {3, AT(7, 10)}},
     .switch_count = 2,
     .target = 4,
     .server = AT(9, 77),
     .slot = AT(5, 10),
     .expected = {.reason = START_AT_SLOT, .timeline = 3, .lsn = AT(5, 0)}},
    {.name = "empty archive, slot behind the last switch",
     .switches = {{1, AT(5, 10)}},
     .switch_count = 1,
     .target = 2,
     .server = AT(9, 77),
     .slot = AT(8, 0),
     .expected = {.reason = START_AT_SLOT, .timeline = 2, .lsn = AT(8, 0)}},
    {.name = "a slot's timeline that is not on the history is not believed",
     .switches = {{1, AT(5, 10)}},
     .switch_count = 1,
     .target = 3,
     .server = AT(9, 77),
     .slot = AT(4, 1),
     .slot_timeline = 2,
     .expected = {.reason = START_AT_SLOT, .timeline = 1, .lsn = AT(4, 0)}},
    {.name = "after the newest complete segment",
     .held = {{1, 6, NONE}},
     .target = 1,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(7, 0)}},
    {.name = "the archive decides, not the slot",
     .held = {{1, 6, NONE}},
     .target = 1,
     .server = AT(9, 77),
     .slot = AT(3, 0),
     .slot_timeline = 1,
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(7, 0)}},
    {.name = "at the open segment",
     .held = {{1, 6, 7}},
     .target = 1,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(7, 0)}},
    {.name = "a partial beyond a hole is reached by receiving",
     .held = {{1, 4, 7}},
     .target = 1,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(5, 0)}},
    {.name = "only an open segment",
     .held = {{1, NONE, 7}},
     .target = 1,
     .server = AT(7, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(7, 0)}},
    {.name = "an old partial below the newest complete segment is no open segment",
     .held = {{1, 6, 4}},
     .target = 1,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(7, 0)}},
    {.name = "the server is exactly where the archive ends",
     .held = {{1, 6, NONE}},
     .target = 1,
     .server = AT(7, 0),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(7, 0)}},
    {.name = "primary behind the archive",
     .held = {{1, 6, NONE}},
     .target = 1,
     .server = AT(7, 0) - 1,
     .error = ERROR_ARCHIVE},
    {.name = "standby behind the archive",
     .held = {{1, 6, NONE}},
     .target = 1,
     .server = AT(7, 0) - 1,
     .in_recovery = true,
     .error = ERROR_RETRY},
    {.name = "primary behind the open segment",
     .held = {{1, NONE, 7}},
     .target = 1,
     .server = AT(5, 3),
     .error = ERROR_ARCHIVE},
    {.name = "fork behind the tip: the server goes on in the middle of the open segment",
     .held = {{1, 4, 5}},
     .switches = {{1, AT(5, 10)}},
     .switch_count = 1,
     .target = 2,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(5, 0)}},
    {.name = "fork exactly at the end of the archive",
     .held = {{1, 4, NONE}},
     .switches = {{1, AT(5, 0)}},
     .switch_count = 1,
     .target = 2,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE,
                  .timeline = 2,
                  .lsn = AT(5, 0),
                  .left_timeline = 1,
                  .left_end = AT(5, 0),
                  .fork = AT(5, 0)}},
    {.name = "fork below the tip: the rest of the old timeline is a dead branch",
     .held = {{1, 6, NONE}},
     .switches = {{1, AT(5, 10)}},
     .switch_count = 1,
     .target = 2,
     .server = AT(9, 77),
     .expected = {.reason = START_AT_FORK,
                  .timeline = 2,
                  .lsn = AT(5, 0),
                  .left_timeline = 1,
                  .left_end = AT(7, 0),
                  .fork = AT(5, 10)}},
    {.name = "fork in the newest complete segment",
     .held = {{1, 5, NONE}},
     .switches = {{1, AT(5, 10)}},
     .switch_count = 1,
     .target = 2,
     .server = AT(5, 77),
     .expected = {.reason = START_AT_FORK,
                  .timeline = 2,
                  .lsn = AT(5, 0),
                  .left_timeline = 1,
                  .left_end = AT(6, 0),
                  .fork = AT(5, 10)}},
    {.name = "several timelines: the newest one on the history decides",
     .held = {{1, 5, NONE}, {2, 7, 8}},
     .switches = {{1, AT(5, 10)}, {2, AT(8, 99)}},
     .switch_count = 2,
     .target = 3,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 2, .lsn = AT(8, 0)}},
    {.name = "several timelines: the target itself is archived",
     .held = {{1, 5, NONE}, {2, 7, 8}, {3, 8, NONE}},
     .switches = {{1, AT(5, 10)}, {2, AT(8, 99)}},
     .switch_count = 2,
     .target = 3,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 3, .lsn = AT(9, 0)}},
    {.name = "several timelines: one between is missing in the archive",
     .held = {{1, 4, NONE}},
     .switches = {{1, AT(5, 10)}, {2, AT(8, 99)}},
     .switch_count = 2,
     .target = 3,
     .server = AT(9, 77),
     .expected = {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(5, 0)}},
    {.name = "several timelines: the fork leads to the next one, not to the target",
     .held = {{1, 6, NONE}},
     .switches = {{1, AT(5, 10)}, {2, AT(8, 99)}},
     .switch_count = 2,
     .target = 3,
     .server = AT(9, 77),
     .expected = {.reason = START_AT_FORK,
                  .timeline = 2,
                  .lsn = AT(5, 0),
                  .left_timeline = 1,
                  .left_end = AT(7, 0),
                  .fork = AT(5, 10)}},
    {.name = "an unknown newer timeline is told and left alone",
     .held = {{1, 5, NONE}, {4, 8, NONE}},
     .target = 1,
     .server = AT(9, 77),
     .expected =
         {.reason = START_AFTER_ARCHIVE, .timeline = 1, .lsn = AT(6, 0), .unknown_timeline = 4}},
    {.name = "an unknown timeline and a dead branch at once",
     .held = {{1, 6, NONE}, {2, 8, NONE}},
     .switches = {{1, AT(5, 10)}},
     .switch_count = 1,
     .target = 3,
     .server = AT(9, 77),
     .expected = {.reason = START_AT_FORK,
                  .timeline = 3,
                  .lsn = AT(5, 0),
                  .left_timeline = 1,
                  .left_end = AT(7, 0),
                  .fork = AT(5, 10),
                  .unknown_timeline = 2}},
    {.name = "only an unknown timeline: as an empty archive",
     .held = {{7, 5, NONE}},
     .target = 1,
     .server = AT(9, 77),
     .expected =
         {.reason = START_AT_SERVER, .timeline = 1, .lsn = AT(9, 0), .unknown_timeline = 7}},
    {.name = "a primary behind on its own timeline, whatever older ones say",
     .held = {{1, 5, NONE}, {2, 11, NONE}},
     .switches = {{1, AT(5, 10)}},
     .switch_count = 1,
     .target = 2,
     .server = AT(9, 77),
     .error = ERROR_ARCHIVE},
    {.name = "nothing on the server's history: where its timeline begins",
     .held = {{2, 5, NONE}},
     .switches = {{1, AT(4, 10)}},
     .switch_count = 1,
     .target = 3,
     .server = AT(9, 77),
     .expected =
         {.reason = START_AT_TIMELINE, .timeline = 3, .lsn = AT(4, 0), .unknown_timeline = 2}},
    {.name = "nothing on the server's history, and a slot behind the begin of its timeline",
     .held = {{2, 5, NONE}},
     .switches = {{1, AT(4, 10)}},
     .switch_count = 1,
     .target = 3,
     .server = AT(9, 77),
     .slot = AT(6, 5),
     .expected =
         {.reason = START_AT_TIMELINE, .timeline = 3, .lsn = AT(4, 0), .unknown_timeline = 2}},
    {.name = "nothing on the server's history, but an older slot",
     .held = {{2, 5, NONE}},
     .switches = {{1, AT(4, 10)}},
     .switch_count = 1,
     .target = 3,
     .server = AT(9, 77),
     .slot = AT(3, 5),
     .expected = {.reason = START_AT_SLOT, .timeline = 1, .lsn = AT(3, 0), .unknown_timeline = 2}},
    {.name = "the last segment there can be: the next position does not wrap to zero",
     .held = {{1, UINT64_MAX / SIZE, NONE}},
     .target = 1,
     .server = AT(9, 77),
     .error = ERROR_ARCHIVE},
};

static Inventory inventory_of(const Case *now, TimelineInventory timelines[3])
{
    Inventory inventory = {.timelines = timelines};
    for (int i = 0; i < 3 && now->held[i].timeline != 0; i++) {
        TimelineInventory *timeline = &timelines[inventory.count++];
        *timeline = (TimelineInventory){.timeline = now->held[i].timeline};
        /* The form plays no part. */
        if (now->held[i].complete != NONE)
            timeline->complete[WAL_LZ4] = (InventoryNewest){true, now->held[i].complete};
        if (now->held[i].partial != NONE)
            timeline->oldest_partial = now->held[i].partial;
        timeline->any_partial = now->held[i].partial != NONE;
    }
    return inventory;
}

static void check_case(const Case *now)
{
    TimelineInventory timelines[3];
    Inventory inventory = inventory_of(now, timelines);
    StartServer server = {
        .history = {now->target, now->switch_count, now->switches},
        .flush_lsn = now->server,
        .in_recovery = now->in_recovery,
        .slot_restart_lsn = now->slot,
        .slot_timeline = now->slot_timeline,
    };
    StartPoint point;
    StartPoint untouched;
    Error error;
    memset(&point, 0x5A, sizeof(point));
    untouched = point;
    bool ok = start_choose(&inventory, &server, SIZE, &point, &error);
    if (ok != (now->error == ERROR_NONE))
        fail_msg("%s: %s", now->name, ok ? "no error" : error.message);
    if (!ok) {
        if (error.class != now->error)
            fail_msg("%s: class %s", now->name, error_class_name(error.class));
        assert_true(strlen(error.hint) > 0);
        assert_memory_equal(&point, &untouched, sizeof(point));
        return;
    }
    const StartPoint *expected = &now->expected;
    if (point.reason != expected->reason || point.timeline != expected->timeline ||
        point.lsn != expected->lsn || point.left_timeline != expected->left_timeline ||
        point.left_end != expected->left_end || point.fork != expected->fork ||
        point.unknown_timeline != expected->unknown_timeline)
        fail_msg("%s: reason %d timeline %u lsn %llx left %u to %llx fork %llx unknown %u",
                 now->name, (int)point.reason, point.timeline, (unsigned long long)point.lsn,
                 point.left_timeline, (unsigned long long)point.left_end,
                 (unsigned long long)point.fork, point.unknown_timeline);
}

static void every_case_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_case(&cases[i]);
}

static void a_server_behind_is_told_with_both_positions(void **state)
{
    TimelineInventory held = {.timeline = 3, .complete = {{true, 6}}};
    Inventory inventory = {.timelines = &held, .count = 1};
    StartServer server = {.history = {.target = 3}, .flush_lsn = AT(5, 0x77)};
    StartPoint point;
    Error error;

    (void)state;
    assert_false(start_choose(&inventory, &server, SIZE, &point, &error));
    assert_non_null(strstr(error.message, "0/500077"));
    assert_non_null(strstr(error.message, "0/700000"));
    assert_non_null(strstr(error.message, "timeline 3"));
}

static void every_form_of_segment_counts(void **state)
{
    (void)state;
    for (int form = 0; form < WAL_COMPRESSION_COUNT; form++) {
        TimelineInventory held = {.timeline = 1};
        Inventory inventory = {.timelines = &held, .count = 1};
        StartServer server = {.history = {.target = 1}, .flush_lsn = AT(9, 0)};
        StartPoint point;
        Error error;
        held.complete[form] = (InventoryNewest){true, 6};
        held.complete[(form + 1) % WAL_COMPRESSION_COUNT] = (InventoryNewest){true, 5};
        assert_true(start_choose(&inventory, &server, SIZE, &point, &error));
        assert_true(point.lsn == AT(7, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_of_the_table),
        cmocka_unit_test(a_server_behind_is_told_with_both_positions),
        cmocka_unit_test(every_form_of_segment_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
