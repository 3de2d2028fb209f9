/* SPDX-License-Identifier: PostgreSQL
 *
 * See check.h. What is wrong goes into one of three texts, by how bad it is; the worst that is not
 * empty decides. Figures are judged from the table of check_limits.c. Everything that others chose
 * (errors, names of hosts and directories) is cleaned on its way in: no line break, no '|'.
 */
#include "walrx/observe/check.h"

#include "walrx/observe/status_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_US 1000
#define NS_PER_SECOND UINT64_C(1000000000)
#define MEGABYTE (UINT64_C(1) << 20)
#define GIGABYTE (UINT64_C(1) << 30)
#define TEXT_SIZE 2048
#define WORDS_SIZE 512 /* of one error, of one name */
/* A live receiver's state may be so many intervals old. */
#define STALE_CRITICAL 3
/* Of the text: three severities and the summary; they and the performance data fit the line. */
#define PARTS 4
_Static_assert((PARTS + 1) * (TEXT_SIZE + 2) + 32 <= CHECK_LINE_SIZE, "every part fits");

typedef struct Text {
    size_t length;
    char data[TEXT_SIZE];
} Text;

typedef struct Check {
    const CheckInput *input;
    const Look *look;
    const Snapshot *snapshot;
    uint64_t silence_ns; /* since the server's last sign of life */
    Text found[CHECK_UNKNOWN + 1];
    Text summary;
    Text perfdata;
} Check;

static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

static void put(Text *text, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(Text *text, const char *format, ...)
{
    va_list args;
    size_t room = sizeof(text->data) - text->length;
    va_start(args, format);
    int added = vsnprintf(text->data + text->length, room, format, args);
    va_end(args);
    if (added > 0)
        text->length += (size_t)added < room ? (size_t)added : room - 1;
}

/* The text that takes the next thing found. */
static Text *found(Check *check, CheckStatus status)
{
    Text *text = &check->found[status];
    if (text->length > 0)
        put(text, "; ");
    return text;
}

/* As many whole characters as fit, without what would end the line or begin performance data, or
 * command a terminal. */
static const char *clean(const char *text, char buffer[WORDS_SIZE])
{
    size_t used = 0;
    while (*text != '\0') {
        const unsigned char *at = (const unsigned char *)text;
        size_t length = 1;
        while ((at[length] & 0xC0) == 0x80)
            length++;
        if (used + length >= WORDS_SIZE)
            break;
        bool control = at[0] < 0x20 || at[0] == 0x7F || (at[0] == 0xC2 && at[1] < 0xA0);
        if (control)
            buffer[used++] = ' ';
        else if (at[0] == '|')
            buffer[used++] = '/';
        else
            memcpy(buffer + used, text, length);
        used += control || at[0] == '|' ? 0 : length;
        text += length;
    }
    buffer[used] = '\0';
    return buffer;
}

/* ---- figures ---- */

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t result;
    return __builtin_add_overflow(a, b, &result) ? UINT64_MAX : result;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t value_of(const Check *check, CheckFigure figure)
{
    const Snapshot *snapshot = check->snapshot;
    const MonitorView *monitor = &snapshot->monitor;
    bool asked = monitor->enabled && monitor->reachable;
    switch (figure) {
    case CHECK_RECEIVED_LAG:
    case CHECK_WRITTEN_LAG:
    case CHECK_FLUSHED_LAG:
    case CHECK_ARCHIVED_LAG:
        return snapshot->lag[figure - CHECK_RECEIVED_LAG].bytes;
    case CHECK_RECEIVED_LAG_TIME:
    case CHECK_WRITTEN_LAG_TIME:
    case CHECK_FLUSHED_LAG_TIME:
    case CHECK_ARCHIVED_LAG_TIME:
        return snapshot->lag[figure - CHECK_RECEIVED_LAG_TIME].ns;
    case CHECK_MESSAGE_AGE:
        return snapshot->last_message_age_ns == SNAPSHOT_UNKNOWN ? SNAPSHOT_UNKNOWN
                                                                 : check->silence_ns;
    case CHECK_SLOT_RETAINED:
        return asked ? monitor->retained_bytes : SNAPSHOT_UNKNOWN;
    case CHECK_SLOT_SAFE:
        return asked ? monitor->safe_wal_size : SNAPSHOT_UNKNOWN;
    case CHECK_GAPS:
        return snapshot->gaps;
    case CHECK_VERIFICATION_ERRORS:
        return snapshot->verify == VERIFY_OFF ? SNAPSHOT_UNKNOWN : snapshot->checks.faults;
    case CHECK_QUARANTINED:
        return snapshot->quarantined;
    case CHECK_FREE_DISK:
        return snapshot->free_bytes;
    case CHECK_QUEUE:
        return snapshot->queued_segments;
    }
    return SNAPSHOT_UNKNOWN;
}

/* Defaults that depend on other figures. */
static CheckLimit derived_limit(const Snapshot *snapshot, CheckFigure figure, bool critical)
{
    uint64_t value;
    if (figure == CHECK_FREE_DISK) {
        /* The receiver pauses before it takes what is to stay free. */
        uint64_t kept = snapshot->min_free_bytes != SNAPSHOT_UNKNOWN ? snapshot->min_free_bytes : 0;
        uint64_t pause = larger(512 * MEGABYTE, sum(kept, snapshot->session.segment_size));
        value = critical ? pause : larger(2 * GIGABYTE, sum(pause, pause));
    } else {
        /* Retained and safe together are max_slot_wal_keep_size, more or less. */
        uint64_t retained = snapshot->monitor.retained_bytes;
        if (retained == SNAPSHOT_UNKNOWN)
            return (CheckLimit){.kind = CHECK_LIMIT_OFF};
        value = critical ? retained / 4 : retained;
    }
    return (CheckLimit){.kind = CHECK_LIMIT_AT, .value = value};
}

static CheckLimit limit_of(const Check *check, CheckFigure figure, bool critical)
{
    const CheckFigureSpec *spec = &check_figures[figure];
    const CheckLimits *given = critical ? check->input->critical : check->input->warning;
    CheckLimit limit = given->limit[figure];
    if (limit.kind == CHECK_LIMIT_DEFAULT)
        limit = critical ? spec->critical : spec->warning;
    if (limit.kind == CHECK_LIMIT_DEFAULT)
        limit = derived_limit(check->snapshot, figure, critical);
    return limit;
}

static bool exceeds(CheckFigure figure, uint64_t value, CheckLimit limit)
{
    if (limit.kind != CHECK_LIMIT_AT)
        return false;
    return check_figures[figure].low ? value < limit.value : value > limit.value;
}

static const char *figure_text(CheckFigure figure, uint64_t value, char buffer[STATUS_SIZE_TEXT])
{
    switch (check_figures[figure].unit) {
    case CHECK_BYTES:
        return status_bytes(value, buffer);
    case CHECK_TIME:
        return status_time(value, buffer);
    case CHECK_COUNT:
        (void)snprintf(buffer, STATUS_SIZE_TEXT, "%" PRIu64, value);
        break;
    }
    return buffer;
}

static void tell_figure(Check *check, CheckStatus status, CheckFigure figure, CheckLimit limit)
{
    const Snapshot *snapshot = check->snapshot;
    char texts[2][STATUS_SIZE_TEXT];
    char lsn[2][LSN_TEXT_SIZE];
    Text *text = found(check, status);
    put(text, "%s is %s, %s than %s", check_figures[figure].name,
        figure_text(figure, value_of(check, figure), texts[0]),
        check_figures[figure].low ? "less" : "more", figure_text(figure, limit.value, texts[1]));
    if (figure == CHECK_GAPS)
        put(text, ", the newest from %s to %s", lsn_format(snapshot->newest_gap_start, lsn[0]),
            lsn_format(snapshot->newest_gap_end, lsn[1]));
    if (figure == CHECK_VERIFICATION_ERRORS)
        put(text, ", the latest at %s", lsn_format(snapshot->checks.latest_fault, lsn[0]));
}

/* Seconds with a point whatever the locale; counts and bytes as they are. */
static void put_number(Text *text, CheckUnit unit, uint64_t value)
{
    if (unit == CHECK_TIME)
        put(text, "%" PRIu64 ".%06" PRIu64, value / NS_PER_SECOND,
            value % NS_PER_SECOND / NS_PER_US);
    else
        put(text, "%" PRIu64, value);
}

/* A range alerts outside of it: "10" above, "10:" below. */
static void put_range(Text *text, const CheckFigureSpec *spec, CheckLimit limit)
{
    put(text, ";");
    if (limit.kind != CHECK_LIMIT_AT)
        return;
    put_number(text, spec->unit, limit.value);
    if (spec->low)
        put(text, ":");
}

static void judge_figure(Check *check, CheckFigure figure)
{
    static const char *const units[] = {"B", "s", ""};
    const CheckFigureSpec *spec = &check_figures[figure];
    CheckLimit warning = limit_of(check, figure, false);
    CheckLimit critical = limit_of(check, figure, true);
    uint64_t value = value_of(check, figure);
    Text *perfdata = &check->perfdata;
    if (value == SNAPSHOT_UNKNOWN)
        return;
    put(perfdata, " %s=", spec->name);
    put_number(perfdata, spec->unit, value);
    put(perfdata, "%s", units[spec->unit]);
    put_range(perfdata, spec, warning);
    put_range(perfdata, spec, critical);
    put(perfdata, ";0");
    /* Without a stream silence is no news: judge_state has looked at it. */
    if (figure == CHECK_MESSAGE_AGE && check->snapshot->state != RECEIVER_STREAMING)
        return;
    if (exceeds(figure, value, critical))
        tell_figure(check, CHECK_CRITICAL, figure, critical);
    else if (exceeds(figure, value, warning))
        tell_figure(check, CHECK_WARNING, figure, warning);
}

/* ---- the process ---- */

/* Old knowledge of a process that was stopped is older by as much. */
static uint64_t silence_of(const Look *look)
{
    const Snapshot *snapshot = &look->snapshot;
    uint64_t age = snapshot->last_message_age_ns;
    int64_t since_us;
    if (age == SNAPSHOT_UNKNOWN) {
        age = 0;
        if (snapshot->at != PG_TIME_NONE && snapshot->started != PG_TIME_NONE &&
            !__builtin_sub_overflow(snapshot->at, snapshot->started, &since_us) && since_us > 0 &&
            since_us < INT64_MAX / NS_PER_US)
            age = (uint64_t)since_us * NS_PER_US;
    }
    return look->stale ? sum(age, look->age_ns) : age;
}

static void put_failure(Text *text, const Snapshot *snapshot)
{
    char message[WORDS_SIZE];
    char time[CLOCK_TEXT_SIZE];
    if (snapshot->failure.any && snapshot->failure.error.message[0] != '\0')
        put(text, ", last error %s: %s", status_moment(snapshot->failure.at, time),
            clean(snapshot->failure.error.message, message));
}

static void judge_dead(Check *check)
{
    const Look *look = check->look;
    const Snapshot *snapshot = check->snapshot;
    char time[CLOCK_TEXT_SIZE];
    char age[STATUS_SIZE_TEXT];
    char name[WORDS_SIZE];
    if (!look->has_state && look->unusable.class == ERROR_NONE) {
        put(found(check, CHECK_UNKNOWN), "no receiver has told its state in \"%s\", and none runs",
            clean(check->input->directory, name));
        return;
    }
    Text *text = found(check, CHECK_CRITICAL);
    put(text, "the receiver does not run");
    if (!look->has_state) {
        put(text, ": %s", clean(look->unusable.message, name));
        return;
    }
    (void)status_time(look->age_ns / NS_PER_SECOND * NS_PER_SECOND, age);
    if (snapshot->stopped != PG_TIME_NONE)
        put(text, ": ended %s (%s ago) with exit status %d", status_moment(snapshot->stopped, time),
            age, snapshot->exit_status);
    else
        put(text, ": it was killed, last seen %s (%s ago)", status_moment(snapshot->at, time), age);
    if (snapshot->exit_status != 0)
        put_failure(text, snapshot);
}

/* One that runs, and of whom nothing else is known. */
static void judge_untold(Check *check)
{
    const Look *look = check->look;
    char age[STATUS_SIZE_TEXT];
    char message[WORDS_SIZE];
    if (look->unusable.class != ERROR_NONE) {
        put(found(check, CHECK_UNKNOWN), "a receiver runs, but %s",
            clean(look->unusable.message, message));
        return;
    }
    bool long_ago = look->has_state && exceeds(CHECK_MESSAGE_AGE, look->age_ns,
                                               limit_of(check, CHECK_MESSAGE_AGE, true));
    Text *text = found(check, long_ago ? CHECK_CRITICAL : CHECK_WARNING);
    put(text, "a receiver runs, but has not told its state yet");
    if (look->has_state)
        put(text, "; the one before was last seen %s ago",
            status_time(look->age_ns / NS_PER_SECOND * NS_PER_SECOND, age));
}

static void judge_stale(Check *check)
{
    const Look *look = check->look;
    char age[STATUS_SIZE_TEXT];
    if (!look->stale)
        return;
    bool critical = look->age_ns / STALE_CRITICAL > check->snapshot->state_interval_ns;
    put(found(check, critical ? CHECK_CRITICAL : CHECK_WARNING),
        "the receiver has not written its state for %s: it is stopped, or its disk is stuck",
        status_time(look->age_ns / NS_PER_SECOND * NS_PER_SECOND, age));
}

static void judge_state(Check *check)
{
    static const char *const states[] = {"it is starting", "", "the connection is gone",
                                         "it is stopping", "it has stopped"};
    const Snapshot *snapshot = check->snapshot;
    char time[CLOCK_TEXT_SIZE];
    if (snapshot->held_by == HOLD_ROOM)
        put(found(check, CHECK_CRITICAL), "receiving is paused: no room on the archive's disk");
    if (snapshot->state == RECEIVER_STREAMING)
        return;
    bool critical =
        exceeds(CHECK_MESSAGE_AGE, check->silence_ns, limit_of(check, CHECK_MESSAGE_AGE, true));
    Text *text = found(check, critical ? CHECK_CRITICAL : CHECK_WARNING);
    put(text, "no WAL is received: %s, since %s", states[snapshot->state],
        status_moment(snapshot->state_since, time));
    put_failure(text, snapshot);
}

static void judge_slot(Check *check)
{
    const MonitorView *monitor = &check->snapshot->monitor;
    if (!monitor->enabled || !monitor->reachable)
        return;
    if (strcmp(monitor->wal_status, "lost") == 0)
        put(found(check, CHECK_CRITICAL), "the slot is lost: the server has removed WAL it needs");
    else if (strcmp(monitor->wal_status, "unreserved") == 0)
        put(found(check, CHECK_CRITICAL), "the slot is about to be lost (unreserved)");
}

static void summarize(Check *check)
{
    const Snapshot *snapshot = check->snapshot;
    const StageLag *lag = &snapshot->lag[LAG_FLUSHED];
    char host[WORDS_SIZE];
    char port[WORDS_SIZE];
    char texts[2][STATUS_SIZE_TEXT];
    Text *text = &check->summary;
    if (snapshot->state != RECEIVER_STREAMING)
        return;
    put(text, "streaming timeline %" PRIu32 " from %s:%s", snapshot->timeline,
        clean(snapshot->session.host, host), clean(snapshot->session.port, port));
    if (lag->bytes != SNAPSHOT_UNKNOWN && lag->ns != SNAPSHOT_UNKNOWN)
        put(text, ", durable WAL is %s and %s behind", status_bytes(lag->bytes, texts[0]),
            status_time(lag->ns, texts[1]));
}

static void finish(const Check *check, CheckReport *ret)
{
    static const CheckStatus order[] = {CHECK_CRITICAL, CHECK_UNKNOWN, CHECK_WARNING};
    const Text *parts[PARTS];
    size_t count = 0;
    int used;
    ret->status = CHECK_OK;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (check->found[order[i]].length == 0)
            continue;
        ret->status = count == 0 ? order[i] : ret->status;
        parts[count++] = &check->found[order[i]];
    }
    if (check->summary.length > 0)
        parts[count++] = &check->summary;
    used = snprintf(ret->line, sizeof(ret->line), "WALRX %s -", words[ret->status]);
    for (size_t i = 0; i < count; i++)
        used += snprintf(ret->line + used, sizeof(ret->line) - (size_t)used, "%s %s",
                         i > 0 ? ";" : "", parts[i]->data);
    if (check->perfdata.length > 0)
        (void)snprintf(ret->line + used, sizeof(ret->line) - (size_t)used, " |%s",
                       check->perfdata.data);
}

void check_judge(const CheckInput *input, CheckReport *ret)
{
    const Look *look = input->look;
    Check check = {.input = input, .look = look, .snapshot = &look->snapshot};
    if (!look->running) {
        judge_dead(&check);
    } else if (!look->is_its_own) {
        judge_untold(&check);
    } else {
        check.silence_ns = silence_of(look);
        judge_state(&check);
        judge_stale(&check);
        judge_slot(&check);
        for (int figure = 0; figure < CHECK_FIGURE_COUNT; figure++)
            judge_figure(&check, (CheckFigure)figure);
        summarize(&check);
    }
    finish(&check, ret);
}

void check_give_up(const Error *reason, CheckReport *ret)
{
    char texts[3][WORDS_SIZE];
    bool more = reason->detail[0] != '\0' || reason->hint[0] != '\0';
    bool both = reason->detail[0] != '\0' && reason->hint[0] != '\0';
    ret->status = CHECK_UNKNOWN;
    (void)snprintf(ret->line, sizeof(ret->line), "WALRX UNKNOWN - %s%s%s%s%s%s",
                   clean(reason->message, texts[0]), more ? " (" : "",
                   clean(reason->detail, texts[1]), both ? " " : "", clean(reason->hint, texts[2]),
                   more ? ")" : "");
}
