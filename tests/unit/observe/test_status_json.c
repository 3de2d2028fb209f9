/* SPDX-License-Identifier: PostgreSQL
 *
 * A snapshot survives the way to JSON and back; the manual page describes what is made, no more and
 * no less; and what is damaged is refused.
 */
#include "walrx/observe/status_json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fill_text(char *text, size_t size, const char *word)
{
    (void)snprintf(text, size, "%s", word);
}

static void fill_session(Snapshot *ret)
{
    TelemetrySession *session = &ret->session;
    fill_text(session->slot, sizeof(session->slot), "arch");
    fill_text(session->host, sizeof(session->host), "db1");
    fill_text(session->port, sizeof(session->port), "5432");
    fill_text(session->conninfo, sizeof(session->conninfo), "host=db1 password=********");
    session->system_identifier = UINT64_C(18446744073709551615);
    session->server_version = 150018;
    session->segment_size = 1 << 24;
    session->flush_reported = true;
    session->synchronous = true;
}

static void fill_monitor(Snapshot *ret)
{
    MonitorView *monitor = &ret->monitor;
    monitor->enabled = true;
    monitor->reachable = true;
    monitor->at = 6;
    fill_text(monitor->problem, sizeof(monitor->problem), "\"no\" such\nserver \xC3\xA4");
    fill_text(monitor->wal_status, sizeof(monitor->wal_status), "reserved");
    monitor->safe_wal_size = 0;
    monitor->retained_bytes = 41;
    monitor->restart_lsn = 42;
    fill_text(monitor->sync_state, sizeof(monitor->sync_state), "quorum");
    fill_text(monitor->synchronous_standby_names, sizeof(monitor->synchronous_standby_names), "*");
    fill_text(monitor->synchronous_commit, sizeof(monitor->synchronous_commit), "on");
    monitor->connections = 43;
    monitor->max_connections = 44;
    monitor->walsenders = 45;
    monitor->max_walsenders = 46;
}

static uint64_t last_value = 1000;

static uint64_t next_value(void)
{
    return last_value++;
}

/* No two values are alike where they could be mistaken for each other. */
static void fill_figures(Snapshot *ret)
{
    for (int i = 0; i < LAG_STAGE_COUNT; i++)
        ret->lag[i] =
            (StageLag){.lsn = next_value(), .bytes = next_value(), .ns = next_value() * 1000000007};
    for (int i = 0; i < RATE_WINDOW_COUNT; i++) {
        ret->rates.received[i] = next_value();
        ret->rates.generated[i] = next_value();
    }
    ret->rates.catch_up_ms = next_value();
    for (int i = 0; i < LATENCY_KIND_COUNT; i++) {
        ret->latency[i] = (LatencySummary){.count = next_value(),
                                           .sum_ns = next_value(),
                                           .p50_ns = next_value(),
                                           .p90_ns = next_value(),
                                           .p99_ns = next_value(),
                                           .p999_ns = next_value(),
                                           .max_ns = next_value()};
    }
    ret->bytes = next_value();
    ret->bytes_written = next_value();
    ret->messages = next_value();
    ret->statuses = next_value();
    ret->streams = next_value();
    ret->failures = next_value();
    ret->segments_completed = next_value();
    ret->segments_compressed = next_value();
    ret->compressed_in = next_value();
    ret->compressed_out = next_value();
    ret->queued_segments = next_value();
    ret->checks = (CheckCounts){
        .records = next_value(), .faults = next_value(), .latest_fault = next_value()};
    ret->gaps = next_value();
    ret->newest_gap_start = next_value();
    ret->newest_gap_end = next_value();
    ret->quarantined = next_value();
    ret->free_bytes = next_value();
    ret->min_free_bytes = next_value();
    ret->retention = (RetentionView){.enabled = true,
                                     .at = (PgTime)next_value(),
                                     .horizon = next_value(),
                                     .removed_files = next_value(),
                                     .removed_bytes = next_value(),
                                     .failing = next_value(),
                                     .held_by = "base backup \"x\"",
                                     .problem = "why"};
}

static void fill(Snapshot *ret)
{
    snapshot_clear(ret);
    ret->at = INT64_C(837000000123456);
    ret->pid = 4711;
    fill_text(ret->version, sizeof(ret->version), "0.1.0");
    fill_text(ret->directory, sizeof(ret->directory), "/srv/wal");
    ret->started = -1; /* in 1999 */
    ret->stopped = INT64_C(837000000000001);
    ret->exit_status = 0;
    ret->state = RECEIVER_RESTARTING;
    ret->state_since = 3;
    ret->held_by = HOLD_COMPRESSION;
    ret->state_interval_ns = 10 * UINT64_C(1000000000);
    ret->failure = (TelemetryFailure){.any = true, .at = 4};
    error_set(&ret->failure.error, ERROR_STORAGE, "could not write: no space");
    error_detail(&ret->failure.error, "more");
    error_hint(&ret->failure.error, "do");
    fill_text(ret->failure.error.sqlstate, sizeof(ret->failure.error.sqlstate), "53100");
    fill_session(ret);
    ret->start_timeline = 2;
    ret->start = 0x3000000;
    ret->timeline = UINT32_MAX;
    ret->server_end = UINT64_C(0xFFFFFFFF00000001);
    ret->server_end_at = 7;
    ret->server_end_sent = 8;
    ret->last_message_at = 9;
    ret->last_message_sent = 10;
    ret->last_message_age_ns = 123456789;
    ret->reported_write = 12;
    ret->reported_flush = 13;
    ret->clock_known = true;
    ret->clock_bounded = true;
    ret->clock_offset_us = -1500001;
    ret->clock_error_us = 77;
    fill_figures(ret);
    ret->verify = VERIFY_STOP;
    fill_monitor(ret);
}

static void assert_same(const Snapshot *a, const Snapshot *b)
{
    size_t length[2];
    char *text[2] = {status_json_text(a, &length[0]), status_json_text(b, &length[1])};
    assert_string_equal(text[0], text[1]);
    free(text[0]);
    free(text[1]);
}

static void round_trip(const Snapshot *snapshot, Snapshot *ret)
{
    size_t length;
    Error err;
    char *text = status_json_text(snapshot, &length);
    assert_non_null(text);
    assert_int_equal(strlen(text), length);
    assert_int_equal(text[length - 1], '\n');
    if (!status_json_parse(text, length, ret, &err))
        fail_msg("%s", err.message);
    free(text);
}

static void everything_survives_the_way_there_and_back(void **state)
{
    static Snapshot before;
    static Snapshot after;
    (void)state;
    fill(&before);
    round_trip(&before, &after);
    assert_same(&before, &after);
    assert_int_equal(after.session.system_identifier, before.session.system_identifier);
    assert_int_equal(after.server_end, before.server_end);
    assert_int_equal(after.started, before.started);
    assert_int_equal(after.clock_offset_us, before.clock_offset_us);
    assert_int_equal(after.lag[LAG_ARCHIVED].ns, before.lag[LAG_ARCHIVED].ns);
    assert_int_equal(after.latency[LATENCY_COMPRESS].p999_ns,
                     before.latency[LATENCY_COMPRESS].p999_ns);
    assert_int_equal(after.failure.error.class, ERROR_STORAGE);
    assert_int_equal(after.monitor.safe_wal_size, 0);
    assert_true(after.monitor.enabled && after.failure.any);
    assert_string_equal(after.monitor.problem, before.monitor.problem);
}

static void every_cause_and_class_has_its_own_word(void **state)
{
    static Snapshot before;
    static Snapshot after;
    (void)state;
    fill(&before);
    for (unsigned cause = 0; cause < HOLD_CAUSE_COUNT; cause++) {
        before.held_by = (HoldCause)cause;
        round_trip(&before, &after);
        assert_int_equal(after.held_by, cause);
    }
    for (unsigned class = ERROR_NONE; class <= ERROR_STOPPED; class ++) {
        before.failure.error.class = (ErrorClass) class;
        round_trip(&before, &after);
        assert_int_equal(after.failure.error.class, class);
    }
}

static void what_is_unknown_stays_unknown(void **state)
{
    static Snapshot before;
    static Snapshot after;
    (void)state;
    snapshot_clear(&before);
    round_trip(&before, &after);
    assert_same(&before, &after);
    assert_int_equal(after.lag[LAG_FLUSHED].bytes, SNAPSHOT_UNKNOWN);
    assert_int_equal(after.min_free_bytes, SNAPSHOT_UNKNOWN);
    assert_int_equal(after.rates.catch_up_ms, SNAPSHOT_UNKNOWN);
    assert_int_equal(after.stopped, PG_TIME_NONE);
    assert_int_equal(after.exit_status, EXIT_STATUS_NONE);
    assert_false(after.failure.any || after.monitor.enabled || after.clock_known);
    assert_int_equal(after.monitor.walsenders, SNAPSHOT_UNKNOWN);
}

static void a_time_no_calendar_has_is_null(void **state)
{
    const PgTime odd[] = {INT64_MAX, INT64_MIN + 1, INT64_C(252455616000000000)};
    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        static Snapshot before;
        static Snapshot after;
        fill(&before);
        before.last_message_sent = odd[i];
        round_trip(&before, &after);
        assert_int_equal(after.last_message_sent, PG_TIME_NONE);
    }
}

static void bytes_that_are_no_text_do_not_break_it(void **state)
{
    static Snapshot before;
    static Snapshot after;
    (void)state;
    fill(&before);
    fill_text(before.directory, sizeof(before.directory), "/srv/\xFFwal");
    round_trip(&before, &after);
    assert_string_equal(after.directory, "/srv/?wal");
}

static void whatever_is_cut_off_is_refused(void **state)
{
    static Snapshot snapshot;
    size_t length;
    (void)state;
    fill(&snapshot);
    char *text = status_json_text(&snapshot, &length);
    for (size_t cut = 0; cut < length - 1; cut++) {
        Error err;
        assert_false(status_json_parse(text, cut, &snapshot, &err));
        assert_int_equal(err.class, ERROR_ARCHIVE);
    }
    free(text);
}

/* Every member in turn gets a value that no member may have. */
static void break_each(json_t *root, json_t *object, size_t *count)
{
    static const char *const wrong[] = {"[]", "-1e300", "\"\\uD83D\\uDE00\"", "1.5e300"};
    void *safe;
    const char *name;
    json_t *value;
    json_object_foreach_safe(object, safe, name, value)
    {
        if (json_is_object(value)) {
            break_each(root, value, count);
            continue;
        }
        json_incref(value);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            static Snapshot ret;
            Error err;
            bool is_text = json_is_string(value) && wrong[i][0] == '"';
            json_object_set_new(object, name, json_loads(wrong[i], JSON_DECODE_ANY, NULL));
            char *text = json_dumps(root, 0);
            /* Any text is as good as another where text belongs. */
            if (status_json_parse(text, strlen(text), &ret, &err) && !is_text &&
                strcmp(name, "ratio") != 0)
                fail_msg("%s may be %s", name, wrong[i]);
            free(text);
        }
        json_object_set(object, name, value);
        json_decref(value);
        ++*count;
    }
}

static void no_value_is_taken_unchecked(void **state)
{
    static Snapshot snapshot;
    size_t count = 0;
    (void)state;
    fill(&snapshot);
    json_t *root = status_json_make(&snapshot);
    break_each(root, root, &count);
    assert_true(count > 100);
    json_decref(root);
}

static void other_versions_and_other_json_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "{}",
                                        "[]",
                                        "null",
                                        "{\"format_version\": 2}",
                                        "{\"format_version\": 1}",
                                        "{\"format_version\": \"1\"}"};
    static char large[STATUS_JSON_MAX + 1];
    static Snapshot snapshot;
    Error err;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(status_json_parse(texts[i], strlen(texts[i]), &snapshot, &err));
        assert_int_equal(err.class, ERROR_ARCHIVE);
    }
    memset(large, '[', sizeof(large));
    assert_false(status_json_parse(large, sizeof(large), &snapshot, &err));
    assert_false(status_json_parse(large, sizeof(large) - 1, &snapshot, &err));
}

/* ---- docs/status.md ---- */

static char *read_page(void)
{
    char path[4096];
    const char *root = getenv("WALRX_SOURCE_ROOT");
    static char page[65536];
    assert_non_null(root);
    (void)snprintf(path, sizeof(path), "%s/docs/status.md", root);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(page, 1, sizeof(page) - 1, file);
    (void)fclose(file);
    assert_true(length < sizeof(page) - 1);
    page[length] = '\0';
    return page;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

/* One row for all stages, windows and ways: "lag.STAGE.bytes". The word itself must be named. */
static const char *row_name(const char *page, const char *group, const char *word)
{
    static const char *const names[][2] = {
        {"lag", "STAGE"}, {"rates", "WINDOW"}, {"latency", "WAY"}};
    char quoted[80];
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(group, names[i][0]) != 0)
            continue;
        (void)snprintf(quoted, sizeof(quoted), "`%s`", word);
        if (count_of(page, quoted) == 0)
            fail_msg("%s is not described", quoted);
        return names[i][1];
    }
    return word;
}

static void look_up(const char *page, json_t *object, const char *prefix, size_t *rows)
{
    static char seen[65536];
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char path[256];
        char row[300];
        bool inner = json_is_object(value);
        (void)snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
                       inner && prefix[0] != '\0' ? row_name(page, prefix, name) : name);
        if (inner) {
            look_up(page, value, path, rows);
            continue;
        }
        (void)snprintf(row, sizeof(row), "| `%s` |", path);
        if (count_of(page, row) != 1)
            fail_msg("%s has %zu rows", row, count_of(page, row));
        if (strstr(seen, row) == NULL) {
            assert_true(strlen(seen) + strlen(row) < sizeof(seen));
            strncat(seen, row, sizeof(seen) - strlen(seen) - 1);
            ++*rows;
        }
    }
}

static void the_manual_describes_each_member_and_no_other(void **state)
{
    static Snapshot snapshot;
    const char *page = read_page();
    size_t rows = 0;
    (void)state;
    fill(&snapshot);
    json_t *root = status_json_make(&snapshot);
    look_up(page, root, "", &rows);
    json_decref(root);
    assert_int_equal(rows, count_of(page, "\n| `"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_survives_the_way_there_and_back),
        cmocka_unit_test(every_cause_and_class_has_its_own_word),
        cmocka_unit_test(what_is_unknown_stays_unknown),
        cmocka_unit_test(a_time_no_calendar_has_is_null),
        cmocka_unit_test(bytes_that_are_no_text_do_not_break_it),
        cmocka_unit_test(whatever_is_cut_off_is_refused),
        cmocka_unit_test(no_value_is_taken_unchecked),
        cmocka_unit_test(other_versions_and_other_json_are_refused),
        cmocka_unit_test(the_manual_describes_each_member_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
