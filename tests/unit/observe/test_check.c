/* SPDX-License-Identifier: PostgreSQL
 *
 * How a receiver is judged: one case each changes a healthy one, and the status, the words and the
 * performance data follow. Whatever texts hold, the line stays one line of two parts.
 */
#include "walrx/observe/check.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_NS UINT64_C(1000000000)
#define SECOND_US INT64_C(1000000)
#define MB (UINT64_C(1) << 20)
#define GB (UINT64_C(1) << 30)
#define NOON INT64_C(836913600000000) /* 2026-07-09T12:00:00Z */

static Look look;
static Snapshot *const snapshot = &look.snapshot;
static CheckLimits warning;
static CheckLimits critical;
static CheckReport report;

/* Idle, and as it should be. */
static void make_healthy(void)
{
    look = (Look){.running = true, .pid = 7, .has_state = true, .is_its_own = true};
    snapshot_clear(snapshot);
    warning = (CheckLimits){0};
    critical = (CheckLimits){0};
    look.age_ns = 9 * SECOND_NS;
    snapshot->at = NOON;
    snapshot->started = NOON - 3600 * SECOND_US;
    snapshot->state = RECEIVER_STREAMING;
    snapshot->state_since = NOON - 3599 * SECOND_US;
    snapshot->state_interval_ns = 12 * SECOND_NS;
    snapshot->timeline = 3;
    (void)snprintf(snapshot->session.host, sizeof(snapshot->session.host), "db1");
    (void)snprintf(snapshot->session.port, sizeof(snapshot->session.port), "5432");
    (void)snprintf(snapshot->session.conninfo, sizeof(snapshot->session.conninfo),
                   "host=db1 password=secret");
    snapshot->session.segment_size = 16 << 20;
    snapshot->last_message_age_ns = 55 * SECOND_NS;
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++)
        snapshot->lag[stage] = (StageLag){.lsn = 0x5000000, .bytes = 0, .ns = 0};
    snapshot->verify = VERIFY_ON;
    snapshot->free_bytes = 10 * GB;
    snapshot->min_free_bytes = 32 * MB;
}

static int setup(void **state)
{
    (void)state;
    make_healthy();
    return 0;
}

static void judge(void)
{
    const CheckInput input = {
        .directory = "/srv/wal", .look = &look, .warning = &warning, .critical = &critical};
    check_judge(&input, &report);
    assert_null(strpbrk(report.line, "\n\r\t\x1b"));
    assert_null(strstr(report.line, "secret"));
    const char *pipe = strchr(report.line, '|');
    assert_true(pipe == NULL || strchr(pipe + 1, '|') == NULL);
}

static void expect(CheckStatus status, const char *words)
{
    judge();
    if (report.status != status || strstr(report.line, words) == NULL)
        fail_msg("not %d with \"%s\" but %d: %s", (int)status, words, (int)report.status,
                 report.line);
}

static void a_healthy_idle_receiver_is_ok(void **state)
{
    (void)state;
    judge();
    assert_int_equal(report.status, CHECK_OK);
    assert_string_equal(
        report.line,
        "WALRX OK - streaming timeline 3 from db1:5432, durable WAL is 0 bytes and 0 s behind |"
        " received-lag=0B;;;0 written-lag=0B;;;0 flushed-lag=0B;104857600;1073741824;0"
        " archived-lag=0B;;;0 received-lag-time=0.000000s;;;0 written-lag-time=0.000000s;;;0"
        " flushed-lag-time=0.000000s;300.000000;1800.000000;0 archived-lag-time=0.000000s;;;0"
        " message-age=55.000000s;120.000000;300.000000;0 gaps=0;;0;0 verification-errors=0;;0;0"
        " quarantined=0;0;;0 free-disk=10737418240B;2147483648:;536870912:;0 queue=0;64;;0");
}

static void what_is_not_known_is_not_compared(void **state)
{
    (void)state;
    for (int stage = 0; stage < LAG_STAGE_COUNT; stage++)
        snapshot->lag[stage] =
            (StageLag){.bytes = SNAPSHOT_UNKNOWN, .ns = SNAPSHOT_UNKNOWN, .lsn = LSN_INVALID};
    snapshot->last_message_age_ns = SNAPSHOT_UNKNOWN;
    snapshot->free_bytes = SNAPSHOT_UNKNOWN;
    snapshot->min_free_bytes = SNAPSHOT_UNKNOWN;
    snapshot->verify = VERIFY_OFF;
    snapshot->checks.faults = 9;
    judge();
    assert_int_equal(report.status, CHECK_OK);
    assert_string_equal(report.line, "WALRX OK - streaming timeline 3 from db1:5432 | gaps=0;;0;0"
                                     " quarantined=0;0;;0 queue=0;64;;0");
}

typedef struct Edge {
    CheckFigure figure;
    uint64_t value;
    CheckStatus status;
    const char *words;
} Edge;

static void set_figure(CheckFigure figure, uint64_t value)
{
    uint64_t *const places[CHECK_FIGURE_COUNT] = {
        [CHECK_MESSAGE_AGE] = &snapshot->last_message_age_ns,
        [CHECK_SLOT_RETAINED] = &snapshot->monitor.retained_bytes,
        [CHECK_SLOT_SAFE] = &snapshot->monitor.safe_wal_size,
        [CHECK_GAPS] = &snapshot->gaps,
        [CHECK_VERIFICATION_ERRORS] = &snapshot->checks.faults,
        [CHECK_QUARANTINED] = &snapshot->quarantined,
        [CHECK_FREE_DISK] = &snapshot->free_bytes,
        [CHECK_QUEUE] = &snapshot->queued_segments,
    };
    snapshot->monitor.enabled = true;
    snapshot->monitor.reachable = true;
    if (figure <= CHECK_ARCHIVED_LAG)
        snapshot->lag[figure - CHECK_RECEIVED_LAG].bytes = value;
    else if (figure <= CHECK_ARCHIVED_LAG_TIME)
        snapshot->lag[figure - CHECK_RECEIVED_LAG_TIME].ns = value;
    else
        *places[figure] = value;
}

static void defaults_are_where_the_manual_says(void **state)
{
    static const Edge edges[] = {
        {CHECK_FLUSHED_LAG, 100 * MB, CHECK_OK, "WALRX OK"},
        {CHECK_FLUSHED_LAG, 100 * MB + 1, CHECK_WARNING,
         "WALRX WARNING - flushed-lag is 100.0 MB, more than 100.0 MB; streaming"},
        {CHECK_FLUSHED_LAG, GB, CHECK_WARNING, "flushed-lag is 1.0 GB"},
        {CHECK_FLUSHED_LAG, 2 * GB, CHECK_CRITICAL,
         "WALRX CRITICAL - flushed-lag is 2.0 GB, more than 1.0 GB"},
        {CHECK_RECEIVED_LAG, 900 * GB, CHECK_OK, " received-lag=966367641600B;;;0"},
        {CHECK_FLUSHED_LAG_TIME, 300 * SECOND_NS, CHECK_OK, ""},
        {CHECK_FLUSHED_LAG_TIME, 301 * SECOND_NS, CHECK_WARNING, "is 5 min 1 s, more than 5 min 0"},
        {CHECK_FLUSHED_LAG_TIME, 1801 * SECOND_NS, CHECK_CRITICAL, "more than 30 min"},
        {CHECK_MESSAGE_AGE, 120 * SECOND_NS, CHECK_OK, "message-age=120.000000s"},
        {CHECK_MESSAGE_AGE, 121 * SECOND_NS, CHECK_WARNING, "message-age is 2 min 1 s"},
        {CHECK_MESSAGE_AGE, 301 * SECOND_NS, CHECK_CRITICAL, "message-age is 5 min 1 s"},
        {CHECK_SLOT_RETAINED, 51 * GB, CHECK_WARNING, "slot-retained is 51.0 GB"},
        {CHECK_SLOT_SAFE, 0, CHECK_OK, "slot-safe=0B;;;0"},
        {CHECK_GAPS, 1, CHECK_CRITICAL, "gaps is 1, more than 0, the newest from 0/0 to 0/0"},
        {CHECK_VERIFICATION_ERRORS, 2, CHECK_CRITICAL,
         "verification-errors is 2, more than 0, the"},
        {CHECK_QUARANTINED, 1, CHECK_WARNING, "quarantined is 1, more than 0"},
        {CHECK_FREE_DISK, 2 * GB, CHECK_OK, ""},
        {CHECK_FREE_DISK, 2 * GB - 1, CHECK_WARNING, "free-disk is 2.0 GB, less than 2.0 GB"},
        {CHECK_FREE_DISK, 512 * MB, CHECK_WARNING, ""},
        {CHECK_FREE_DISK, 512 * MB - 1, CHECK_CRITICAL, "less than 512.0 MB"},
        {CHECK_QUEUE, 64, CHECK_OK, ""},
        {CHECK_QUEUE, 65, CHECK_WARNING, "queue is 65, more than 64"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(edges); i++) {
        make_healthy();
        set_figure(edges[i].figure, edges[i].value);
        expect(edges[i].status, edges[i].words);
    }
}

static void thresholds_are_taken_and_turned_off(void **state)
{
    (void)state;
    for (int i = 0; i < CHECK_FIGURE_COUNT; i++) {
        bool low = check_figures[i].low;
        make_healthy();
        set_figure((CheckFigure)i, 500);
        warning.limit[i].kind = CHECK_LIMIT_OFF;
        critical.limit[i].kind = CHECK_LIMIT_OFF;
        expect(CHECK_OK, "");
        warning.limit[i] = (CheckLimit){CHECK_LIMIT_AT, 500};
        expect(CHECK_OK, "");
        warning.limit[i].value = low ? 501 : 499;
        expect(CHECK_WARNING, check_figures[i].name);
        critical.limit[i] = (CheckLimit){CHECK_LIMIT_AT, low ? 501 : 499};
        expect(CHECK_CRITICAL, check_figures[i].name);
    }
}

static void a_gap_that_is_known_can_be_silenced(void **state)
{
    (void)state;
    snapshot->gaps = 1;
    snapshot->newest_gap_start = 0x3000000;
    snapshot->newest_gap_end = 0x5000000;
    expect(CHECK_CRITICAL, "the newest from 0/3000000 to 0/5000000");
    critical.limit[CHECK_GAPS] = (CheckLimit){CHECK_LIMIT_AT, 1};
    expect(CHECK_OK, "gaps=1;;1;0");
    snapshot->gaps = 2;
    expect(CHECK_CRITICAL, "gaps is 2, more than 1");
}

static void room_goes_by_what_the_receiver_keeps_free(void **state)
{
    (void)state;
    snapshot->session.segment_size = 1 << 30;
    snapshot->min_free_bytes = 2 * GB;
    expect(CHECK_OK, "free-disk=10737418240B;6442450944:;3221225472:;0");
    snapshot->free_bytes = 6 * GB - 1;
    expect(CHECK_WARNING, "free-disk is");
    snapshot->free_bytes = 3 * GB - 1;
    expect(CHECK_CRITICAL, "free-disk is");
    snapshot->min_free_bytes = SNAPSHOT_UNKNOWN - 1;
    expect(CHECK_CRITICAL, "free-disk is");
}

static void a_pause_for_room_is_critical(void **state)
{
    (void)state;
    snapshot->held_by = HOLD_COMPRESSION;
    expect(CHECK_OK, "");
    snapshot->held_by = HOLD_ROOM;
    expect(CHECK_CRITICAL, "receiving is paused: no room on the archive's disk; streaming");
}

static void a_slot_in_danger_is_told_when_the_primary_is_asked(void **state)
{
    MonitorView *monitor = &snapshot->monitor;
    (void)state;
    monitor->retained_bytes = 60 * GB;
    monitor->safe_wal_size = 30 * GB;
    (void)snprintf(monitor->wal_status, sizeof(monitor->wal_status), "lost");
    expect(CHECK_OK, "");
    monitor->enabled = true;
    expect(CHECK_OK, ""); /* the answer is old */
    monitor->reachable = true;
    expect(CHECK_CRITICAL, "the slot is lost");
    (void)snprintf(monitor->wal_status, sizeof(monitor->wal_status), "unreserved");
    expect(CHECK_CRITICAL, "unreserved");
    (void)snprintf(monitor->wal_status, sizeof(monitor->wal_status), "extended");
    expect(CHECK_WARNING, "slot-retained is 60.0 GB, more than 50.0 GB; slot-safe is 30.0 GB, less "
                          "than 60.0 GB; streaming");
    monitor->safe_wal_size = 14 * GB;
    expect(CHECK_CRITICAL, "slot-safe is 14.0 GB, less than 15.0 GB; slot-retained");
}

static void fail_with(const char *message)
{
    snapshot->failure.any = true;
    snapshot->failure.at = NOON - 2 * SECOND_US;
    error_set(&snapshot->failure.error, ERROR_RETRY, "%s", message);
    error_hint(&snapshot->failure.error, "secret");
}

static void a_reconnecting_receiver_warns_until_it_takes_too_long(void **state)
{
    (void)state;
    snapshot->state = RECEIVER_RESTARTING;
    snapshot->state_since = NOON - 2 * SECOND_US;
    fail_with("connection refused");
    expect(CHECK_WARNING, "WALRX WARNING - no WAL is received: the connection is gone, since ");
    expect(CHECK_WARNING, ": connection refused |");
    snapshot->last_message_age_ns = 200 * SECOND_NS;
    expect(CHECK_WARNING, "");
    assert_null(strstr(report.line, "message-age is"));
    snapshot->last_message_age_ns = 301 * SECOND_NS;
    expect(CHECK_CRITICAL, "WALRX CRITICAL - no WAL is received");
    critical.limit[CHECK_MESSAGE_AGE].kind = CHECK_LIMIT_OFF;
    expect(CHECK_WARNING, "no WAL is received");
}

static void one_that_never_got_a_message_counts_from_its_start(void **state)
{
    (void)state;
    snapshot->last_message_age_ns = SNAPSHOT_UNKNOWN;
    snapshot->state = RECEIVER_STARTING;
    expect(CHECK_CRITICAL, "it is starting");
    snapshot->started = NOON - 10 * SECOND_US;
    expect(CHECK_WARNING, "it is starting");
    snapshot->started = NOON + 10 * SECOND_US; /* the clock was set */
    expect(CHECK_WARNING, "it is starting");
    snapshot->state = RECEIVER_STOPPING;
    expect(CHECK_WARNING, "it is stopping");
}

static void a_process_that_was_stopped_is_seen_by_its_old_state(void **state)
{
    (void)state;
    look.stale = true;
    look.age_ns = 15 * SECOND_NS;
    expect(CHECK_WARNING, "has not written its state for 15.0 s");
    look.age_ns = 36 * SECOND_NS;
    expect(CHECK_WARNING, "");
    look.age_ns = 37 * SECOND_NS;
    expect(CHECK_CRITICAL, "has not written its state for 37.0 s");
    look.age_ns = 100 * SECOND_NS;
    expect(CHECK_CRITICAL, "message-age=155.000000s");
    look.age_ns = UINT64_MAX - 1;
    expect(CHECK_CRITICAL, "");
}

static void a_dead_receiver_is_critical_and_tells_since_when(void **state)
{
    (void)state;
    look.running = look.is_its_own = false;
    look.age_ns = 62 * SECOND_NS;
    expect(CHECK_CRITICAL, "WALRX CRITICAL - the receiver does not run: it was killed, last seen "
                           "2026-07-09T12:00:00Z (1 min 2 s ago)");
    assert_null(strchr(report.line, '|'));
    fail_with("it broke");
    expect(CHECK_CRITICAL, "ago), last error 2026-07-09T11:59:58Z: it broke");
    snapshot->stopped = NOON;
    snapshot->exit_status = 3;
    expect(CHECK_CRITICAL, "ended 2026-07-09T12:00:00Z (1 min 2 s ago) with exit status 3, last");
    snapshot->exit_status = 0;
    expect(CHECK_CRITICAL, "with exit status 0");
    assert_null(strstr(report.line, "it broke"));
    look.has_state = false;
    error_set(&look.unusable, ERROR_ARCHIVE, "file cannot be used");
    expect(CHECK_CRITICAL, "the receiver does not run: file cannot be used");
}

static void what_cannot_be_told_is_unknown(void **state)
{
    Error error;
    (void)state;
    look.running = look.is_its_own = look.has_state = false;
    expect(CHECK_UNKNOWN, "no receiver has told its state in \"/srv/wal\", and none runs");
    look.running = true;
    error_set(&look.unusable, ERROR_ARCHIVE, "file \"x\" cannot be used");
    expect(CHECK_UNKNOWN, "a receiver runs, but file \"x\" cannot be used");
    error_set(&error, ERROR_USAGE, "bad | option\n");
    error_detail(&error, "It is no number.");
    error_hint(&error, "Try.");
    check_give_up(&error, &report);
    assert_int_equal(report.status, CHECK_UNKNOWN);
    assert_string_equal(report.line, "WALRX UNKNOWN - bad / option  (It is no number. Try.)");
    error_set(&error, ERROR_USAGE, "bad");
    check_give_up(&error, &report);
    assert_string_equal(report.line, "WALRX UNKNOWN - bad");
}

static void one_that_has_told_nothing_yet_warns(void **state)
{
    (void)state;
    look.is_its_own = look.has_state = false;
    expect(CHECK_WARNING, "has not told its state yet");
    look.has_state = true;
    look.age_ns = 300 * SECOND_NS;
    expect(CHECK_WARNING, "the one before was last seen 5 min 0 s ago");
    look.age_ns = 301 * SECOND_NS;
    expect(CHECK_CRITICAL, "");
}

static void texts_cannot_break_the_line(void **state)
{
    char long_text[ERROR_MESSAGE_SIZE];
    (void)state;
    snapshot->state = RECEIVER_RESTARTING;
    fail_with("a|b\nc\x1b[2Jd\xc2\x9b"
              "e\xe2\x82\xac");
    expect(CHECK_WARNING, ": a/b c [2Jd e\xe2\x82\xac |");
    /* What is cut is cut between characters. */
    (void)snprintf(long_text, sizeof(long_text), "x");
    while (strlen(long_text) + 4 < sizeof(long_text))
        memcpy(long_text + strlen(long_text), "\xe2\x82\xac", 4);
    fail_with(long_text);
    expect(CHECK_WARNING, "\xe2\x82\xac\xe2\x82\xac |");
}

/* As long as it can be: performance data is whole. */
static void everything_wrong_at_once_fits(void **state)
{
    (void)state;
    for (int i = 0; i < CHECK_FIGURE_COUNT; i++) {
        bool low = check_figures[i].low;
        set_figure((CheckFigure)i, low ? 0 : UINT64_MAX - 1);
        warning.limit[i] = critical.limit[i] = (CheckLimit){CHECK_LIMIT_AT, low ? UINT64_MAX : 0};
    }
    memset(snapshot->session.host, '|', sizeof(snapshot->session.host) - 1);
    look.stale = true;
    look.age_ns = UINT64_MAX - 1;
    snapshot->held_by = HOLD_ROOM;
    expect(CHECK_CRITICAL, "; streaming timeline 3 from ////");
    assert_string_equal(strrchr(report.line, ' '), " queue=18446744073709551614;0;0;0");
}

static void numbers_have_a_point_in_every_locale(void **state)
{
    (void)state;
    snapshot->lag[LAG_FLUSHED].bytes = 3 * MB / 2;
    snapshot->lag[LAG_FLUSHED].ns = 1500 * UINT64_C(1001);
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        (void)setlocale(LC_ALL, "C.UTF-8");
    expect(CHECK_OK, " flushed-lag-time=0.001501s;300.000000;1800.000000;0");
    expect(CHECK_OK, " flushed-lag=1572864B;");
    (void)setlocale(LC_ALL, "C");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        CASE(a_healthy_idle_receiver_is_ok),
        CASE(what_is_not_known_is_not_compared),
        CASE(defaults_are_where_the_manual_says),
        CASE(thresholds_are_taken_and_turned_off),
        CASE(a_gap_that_is_known_can_be_silenced),
        CASE(room_goes_by_what_the_receiver_keeps_free),
        CASE(a_pause_for_room_is_critical),
        CASE(a_slot_in_danger_is_told_when_the_primary_is_asked),
        CASE(a_reconnecting_receiver_warns_until_it_takes_too_long),
        CASE(one_that_never_got_a_message_counts_from_its_start),
        CASE(a_process_that_was_stopped_is_seen_by_its_old_state),
        CASE(a_dead_receiver_is_critical_and_tells_since_when),
        CASE(what_cannot_be_told_is_unknown),
        CASE(one_that_has_told_nothing_yet_warns),
        CASE(texts_cannot_break_the_line),
        CASE(everything_wrong_at_once_fits),
        CASE(numbers_have_a_point_in_every_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
