/* SPDX-License-Identifier: PostgreSQL
 *
 * The text of metrics: what is known has a sample, what is not has none, histograms are cumulative,
 * labels survive any text. (That promtool accepts it is checked in tests/integration.)
 */
#include "walrx/observe/metrics_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Snapshot snapshot;
static Histogram histograms[LATENCY_KIND_COUNT];
static const Histogram *latency[LATENCY_KIND_COUNT];

static int nothing_known(void **state)
{
    (void)state;
    snapshot_clear(&snapshot);
    for (size_t i = 0; i < LATENCY_KIND_COUNT; i++) {
        histogram_reset(&histograms[i]);
        latency[i] = &histograms[i];
    }
    return 0;
}

static char *text_now(void)
{
    size_t length;
    char *text = metrics_text(&snapshot, latency, &length);
    assert_non_null(text);
    assert_int_equal(strlen(text), length);
    return text;
}

static void expect_line(const char *text, const char *line)
{
    char wanted[512];
    (void)snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    if (strstr(text, wanted) == NULL)
        fail_msg("no line '%s' in:\n%s", line, text);
}

static void expect_no(const char *text, const char *name)
{
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "\n%s", name);
    if (strstr(text, wanted) != NULL)
        fail_msg("there is a '%s' in:\n%s", name, text);
}

static void what_is_not_known_has_no_sample(void **state)
{
    (void)state;
    char *text = text_now();
    expect_line(text, "walrx_up 0");
    expect_line(text, "walrx_received_bytes_total 0");
    expect_no(text, "walrx_lag_seconds{");
    expect_no(text, "walrx_lag_bytes{");
    expect_no(text, "walrx_position_bytes{");
    expect_no(text, "walrx_timeline ");
    expect_no(text, "walrx_last_message_age_seconds ");
    expect_no(text, "walrx_archive_free_bytes ");
    expect_no(text, "walrx_archive_min_free_bytes ");
    expect_no(text, "walrx_clock_offset_seconds ");
    expect_no(text, "walrx_monitor_up ");
    expect_no(text, "walrx_slot_retained_bytes ");
    free(text);
}

static void positions_and_lags_are_told_per_stage_in_base_units(void **state)
{
    (void)state;
    snapshot.state = RECEIVER_STREAMING;
    snapshot.started = 0; /* 2000-01-01 */
    snapshot.timeline = 3;
    snapshot.server_end = 0x16B374D848;
    snapshot.last_message_age_ns = 1500000000;
    for (unsigned i = 0; i < LAG_STAGE_COUNT; i++)
        snapshot.lag[i] = (StageLag){.lsn = 1000 - i, .bytes = 100 * i, .ns = 1000000001 * i};
    snapshot.held_by = HOLD_ROOM;
    snapshot.free_bytes = UINT64_C(18446744073709551614);
    char *text = text_now();
    expect_line(text, "walrx_up 1");
    expect_line(text, "walrx_state{state=\"streaming\"} 1");
    expect_line(text, "walrx_state{state=\"starting\"} 0");
    expect_line(text, "walrx_start_time_seconds 946684800.000000");
    expect_line(text, "walrx_timeline 3");
    expect_line(text, "walrx_server_end_position_bytes 97500059720");
    expect_line(text, "walrx_last_message_age_seconds 1.500000000");
    expect_line(text, "walrx_position_bytes{stage=\"received\"} 1000");
    expect_line(text, "walrx_lag_bytes{stage=\"flushed\"} 200");
    expect_line(text, "walrx_lag_seconds{stage=\"received\"} 0.000000000");
    expect_line(text, "walrx_lag_seconds{stage=\"archived\"} 3.000000003");
    expect_line(text, "walrx_held_up{cause=\"room\"} 1");
    expect_line(text, "walrx_archive_free_bytes 18446744073709551614");
    free(text);
}

static void a_clock_behind_ours_has_a_negative_offset(void **state)
{
    (void)state;
    snapshot.clock_known = true;
    snapshot.clock_offset_us = -1000250;
    char *text = text_now();
    expect_line(text, "walrx_clock_offset_seconds -1.000250");
    expect_no(text, "walrx_clock_error_seconds ");
    free(text);
    snapshot.clock_offset_us = INT64_MIN;
    text = text_now();
    expect_line(text, "walrx_clock_offset_seconds -9223372036854.775808");
    free(text);
}

static void labels_are_escaped(void **state)
{
    (void)state;
    (void)snprintf(snapshot.session.slot, sizeof(snapshot.session.slot), "a\"b\\c\nd\te\xc3\xa4");
    char *text = text_now();
    assert_non_null(strstr(text, ",slot=\"a\\\"b\\\\c\\nd?e\xc3\xa4\","));
    free(text);
}

static void histograms_are_cumulative_and_whole(void **state)
{
    (void)state;
    histogram_record(&histograms[LATENCY_SYNC], 9000);  /* 9 us */
    histogram_record(&histograms[LATENCY_SYNC], 20000); /* 20 us */
    histogram_record(&histograms[LATENCY_SYNC], 20000);
    histogram_record(&histograms[LATENCY_SYNC], 70000000);               /* 70 ms */
    histogram_record(&histograms[LATENCY_SYNC], UINT64_C(200000000000)); /* 200 s */
    char *text = text_now();
    expect_line(text, "# TYPE walrx_sync_duration_seconds histogram");
    expect_line(text, "walrx_sync_duration_seconds_bucket{le=\"0.00001\"} 1");
    expect_line(text, "walrx_sync_duration_seconds_bucket{le=\"0.000025\"} 3");
    expect_line(text, "walrx_sync_duration_seconds_bucket{le=\"0.05\"} 3");
    expect_line(text, "walrx_sync_duration_seconds_bucket{le=\"0.1\"} 4");
    expect_line(text, "walrx_sync_duration_seconds_bucket{le=\"100\"} 4");
    expect_line(text, "walrx_sync_duration_seconds_bucket{le=\"+Inf\"} 5");
    expect_line(text, "walrx_sync_duration_seconds_sum 200.070049000");
    expect_line(text, "walrx_sync_duration_seconds_count 5");
    expect_line(text, "walrx_compress_duration_seconds_count 0");
    free(text);
}

static void what_the_primary_said_long_ago_is_no_sample_of_now(void **state)
{
    (void)state;
    snapshot.monitor.enabled = true;
    snapshot.monitor.reachable = true;
    snapshot.monitor.retained_bytes = 4711;
    snapshot.monitor.safe_wal_size = SNAPSHOT_UNKNOWN;
    (void)snprintf(snapshot.monitor.wal_status, sizeof(snapshot.monitor.wal_status), "reserved");
    char *text = text_now();
    expect_line(text, "walrx_monitor_up 1");
    expect_line(text, "walrx_slot_retained_bytes 4711");
    expect_line(text, "walrx_slot_wal_status_info{status=\"reserved\"} 1");
    expect_no(text, "walrx_slot_safe_bytes ");
    free(text);
    snapshot.monitor.reachable = false;
    text = text_now();
    expect_line(text, "walrx_monitor_up 0");
    expect_no(text, "walrx_slot_retained_bytes ");
    expect_no(text, "walrx_slot_wal_status_info{");
    free(text);
}

/* "# HELP NAME " of each family, once each, and a row in the table of docs/metrics.md. */
static void every_metric_is_described_once_and_in_the_manual(void **state)
{
    (void)state;
    char path[1024];
    static char manual[65536];
    snapshot.clock_known = true;
    snapshot.clock_bounded = true;
    snapshot.started = snapshot.state_since = 0;
    snapshot.timeline = 1;
    snapshot.server_end = 1;
    snapshot.last_message_age_ns = snapshot.rates.catch_up_ms = snapshot.free_bytes = 1;
    snapshot.min_free_bytes = 1;
    snapshot.monitor = (MonitorView){.enabled = true, .reachable = true};
    (void)snprintf(snapshot.monitor.wal_status, sizeof(snapshot.monitor.wal_status), "lost");
    (void)snprintf(snapshot.monitor.sync_state, sizeof(snapshot.monitor.sync_state), "sync");
    (void)snprintf(path, sizeof(path), "%s/docs/metrics.md", getenv("WALRX_SOURCE_ROOT"));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    manual[fread(manual, 1, sizeof(manual) - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);

    char *text = text_now();
    size_t families = 0;
    for (const char *at = strstr(text, "# HELP "); at != NULL; at = strstr(at + 1, "# HELP ")) {
        char name[128];
        char wanted[160];
        families++;
        size_t length = strcspn(at + strlen("# HELP "), " ");
        assert_in_range(length, 1, sizeof(name) - 1);
        memcpy(name, at + strlen("# HELP "), length);
        name[length] = '\0';
        (void)snprintf(wanted, sizeof(wanted), "# HELP %s ", name);
        assert_null(strstr(at + 1, wanted));
        (void)snprintf(wanted, sizeof(wanted), "| `%s` |", name);
        if (strstr(manual, wanted) == NULL)
            fail_msg("docs/metrics.md has no row for %s", name);
    }
    size_t rows = 0;
    for (const char *at = strstr(manual, "\n| `walrx_"); at != NULL;
         at = strstr(at + 1, "\n| `walrx_"))
        rows++;
    assert_int_equal(rows, families); /* and describes nothing else */
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_not_known_has_no_sample, nothing_known),
        cmocka_unit_test_setup(positions_and_lags_are_told_per_stage_in_base_units, nothing_known),
        cmocka_unit_test_setup(a_clock_behind_ours_has_a_negative_offset, nothing_known),
        cmocka_unit_test_setup(labels_are_escaped, nothing_known),
        cmocka_unit_test_setup(histograms_are_cumulative_and_whole, nothing_known),
        cmocka_unit_test_setup(what_the_primary_said_long_ago_is_no_sample_of_now, nothing_known),
        cmocka_unit_test_setup(every_metric_is_described_once_and_in_the_manual, nothing_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
