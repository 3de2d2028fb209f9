/* SPDX-License-Identifier: PostgreSQL
 *
 * See status_json.h. A member is a path, a kind and the place of its value in the snapshot; what
 * cannot be known is null. Values that occur under two names are written twice.
 */
#include "walrx/observe/status_json.h"

#include "walrx/base/parse.h"
#include "walrx/os/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_SECOND 1e9
#define MS_PER_SECOND 1e3
#define US_PER_SECOND 1e6
/* Durations beyond are refused, so that nanoseconds fit. */
#define MAX_SECONDS 9e9
/* Times of day that have a text of fixed form: 1970 to 9999. */
#define TIME_MIN (-PG_EPOCH_UNIX_SECONDS * 1000000)
#define TIME_MAX INT64_C(252455615999999999)
#define NAME_SIZE 64

typedef enum Kind {
    TEXT,       /* char[size]; "" is null */
    COUNT,      /* uint64_t */
    NUMBER,     /* uint64_t; SNAPSHOT_UNKNOWN is null */
    SECONDS,    /* uint64_t nanoseconds; SNAPSHOT_UNKNOWN is null */
    MILLIS,     /* uint64_t milliseconds; the same */
    MICROS,     /* int64_t microseconds, known where the bool at `known` says so */
    MICROS_OFF, /* uint64_t, the same */
    POSITION,   /* Lsn; LSN_INVALID is null */
    TIME,       /* PgTime; PG_TIME_NONE is null */
    FLAG,       /* bool */
    WORD,       /* an enum, by `names`; NULL there is null */
    WHOLE32,    /* uint32_t; 0 is null */
    INT,        /* int; `none` is null */
    IDENTIFIER, /* uint64_t as text; 0 is null */
} Kind;

typedef struct Field {
    const char *path;
    Kind kind;
    size_t offset;
    size_t size;              /* of TEXT */
    const char *const *names; /* of WORD, NULL-terminated behind its `count` */
    size_t count;
    size_t known; /* of MICROS */
    int none;     /* of INT */
} Field;

static const char *const state_names[] = {"starting", "streaming", "restarting", "stopping",
                                          "stopped"};
static const char *const hold_names[HOLD_CAUSE_COUNT] = {NULL, "disk", "compression", "room"};
static const char *const verify_names[] = {"off", "on", "stop"};
static const char *const class_names[ERROR_STOPPED + 1] = {
    "none",    "usage",   "retry",   "operator", "protocol",
    "archive", "storage", "no_room", "memory",   "stopped"};

#define AT(member) .offset = offsetof(Snapshot, member)
#define STRING(path, member)                                                                       \
    {                                                                                              \
        path, TEXT, AT(member), .size = sizeof(((Snapshot *)NULL)->member)                         \
    }
#define VALUE(path, kind, member)                                                                  \
    {                                                                                              \
        path, kind, AT(member)                                                                     \
    }
#define CHOICE(path, member, words)                                                                \
    {                                                                                              \
        path, WORD, AT(member), .names = words, .count = sizeof(words) / sizeof(words[0])          \
    }
#define STAGE(name, stage)                                                                         \
    VALUE("lag/" name "/bytes", NUMBER, lag[stage].bytes),                                         \
        VALUE("lag/" name "/seconds", SECONDS, lag[stage].ns)
#define RATE(name, window)                                                                         \
    VALUE("rates/" name "/received_bytes_per_second", NUMBER, rates.received[window]),             \
        VALUE("rates/" name "/generated_bytes_per_second", NUMBER, rates.generated[window])
#define LATENCY(name, which)                                                                       \
    VALUE("latency/" name "/count", COUNT, latency[which].count),                                  \
        VALUE("latency/" name "/sum_seconds", SECONDS, latency[which].sum_ns),                     \
        VALUE("latency/" name "/p50_seconds", SECONDS, latency[which].p50_ns),                     \
        VALUE("latency/" name "/p90_seconds", SECONDS, latency[which].p90_ns),                     \
        VALUE("latency/" name "/p99_seconds", SECONDS, latency[which].p99_ns),                     \
        VALUE("latency/" name "/p999_seconds", SECONDS, latency[which].p999_ns),                   \
        VALUE("latency/" name "/max_seconds", SECONDS, latency[which].max_ns)

static const Field fields[] = {
    VALUE("at", TIME, at),
    VALUE("process/pid", COUNT, pid),
    STRING("process/version", version),
    STRING("process/directory", directory),
    VALUE("process/started", TIME, started),
    VALUE("process/stopped", TIME, stopped),
    {"process/exit_status", INT, AT(exit_status), .none = EXIT_STATUS_NONE},
    CHOICE("process/state", state, state_names),
    VALUE("process/state_since", TIME, state_since),
    CHOICE("process/held_by", held_by, hold_names),
    VALUE("process/state_interval_seconds", SECONDS, state_interval_ns),
    VALUE("last_error/at", TIME, failure.at),
    CHOICE("last_error/class", failure.error.class, class_names),
    STRING("last_error/sqlstate", failure.error.sqlstate),
    STRING("last_error/message", failure.error.message),
    STRING("last_error/detail", failure.error.detail),
    STRING("last_error/hint", failure.error.hint),
    VALUE("pg_stat_wal_receiver/pid", COUNT, pid),
    CHOICE("pg_stat_wal_receiver/status", state, state_names),
    VALUE("pg_stat_wal_receiver/receive_start_lsn", POSITION, start),
    VALUE("pg_stat_wal_receiver/receive_start_tli", WHOLE32, start_timeline),
    VALUE("pg_stat_wal_receiver/written_lsn", POSITION, lag[LAG_WRITTEN].lsn),
    VALUE("pg_stat_wal_receiver/flushed_lsn", POSITION, lag[LAG_FLUSHED].lsn),
    VALUE("pg_stat_wal_receiver/received_tli", WHOLE32, timeline),
    VALUE("pg_stat_wal_receiver/last_msg_send_time", TIME, last_message_sent),
    VALUE("pg_stat_wal_receiver/last_msg_receipt_time", TIME, last_message_at),
    VALUE("pg_stat_wal_receiver/latest_end_lsn", POSITION, server_end),
    VALUE("pg_stat_wal_receiver/latest_end_time", TIME, server_end_sent),
    STRING("pg_stat_wal_receiver/slot_name", session.slot),
    STRING("pg_stat_wal_receiver/sender_host", session.host),
    STRING("pg_stat_wal_receiver/sender_port", session.port),
    STRING("pg_stat_wal_receiver/conninfo", session.conninfo),
    VALUE("server/system_identifier", IDENTIFIER, session.system_identifier),
    {"server/version_number", INT, AT(session.server_version), .none = 0},
    VALUE("server/segment_size_bytes", WHOLE32, session.segment_size),
    VALUE("server/end_lsn", POSITION, server_end),
    VALUE("server/end_at", TIME, server_end_at),
    VALUE("server/last_message_age_seconds", SECONDS, last_message_age_ns),
    VALUE("positions/timeline", WHOLE32, timeline),
    VALUE("positions/received_lsn", POSITION, lag[LAG_RECEIVED].lsn),
    VALUE("positions/written_lsn", POSITION, lag[LAG_WRITTEN].lsn),
    VALUE("positions/flushed_lsn", POSITION, lag[LAG_FLUSHED].lsn),
    VALUE("positions/archived_lsn", POSITION, lag[LAG_ARCHIVED].lsn),
    VALUE("positions/reported_write_lsn", POSITION, reported_write),
    VALUE("positions/reported_flush_lsn", POSITION, reported_flush),
    VALUE("positions/flush_is_reported", FLAG, session.flush_reported),
    VALUE("positions/synchronous", FLAG, session.synchronous),
    STAGE("received", LAG_RECEIVED),
    STAGE("written", LAG_WRITTEN),
    STAGE("flushed", LAG_FLUSHED),
    STAGE("archived", LAG_ARCHIVED),
    {"clock/offset_seconds", MICROS, AT(clock_offset_us), .known = offsetof(Snapshot, clock_known)},
    {"clock/error_seconds", MICROS_OFF, AT(clock_error_us),
     .known = offsetof(Snapshot, clock_bounded)},
    RATE("1s", RATE_SECOND),
    RATE("1min", RATE_MINUTE),
    RATE("10min", RATE_TEN_MINUTES),
    VALUE("rates/catch_up_seconds", MILLIS, rates.catch_up_ms),
    LATENCY("sync", LATENCY_SYNC),
    LATENCY("write", LATENCY_WRITE),
    LATENCY("receive_to_flush", LATENCY_RECEIVE_TO_FLUSH),
    LATENCY("flush_to_report", LATENCY_FLUSH_TO_REPORT),
    LATENCY("compress", LATENCY_COMPRESS),
    VALUE("counters/received_bytes", COUNT, bytes),
    VALUE("counters/written_bytes", COUNT, bytes_written),
    VALUE("counters/wal_messages", COUNT, messages),
    VALUE("counters/statuses_sent", COUNT, statuses),
    VALUE("counters/streams", COUNT, streams),
    VALUE("counters/failures", COUNT, failures),
    VALUE("counters/segments_completed", COUNT, segments_completed),
    VALUE("compression/segments", COUNT, segments_compressed),
    VALUE("compression/wal_bytes", COUNT, compressed_in),
    VALUE("compression/disk_bytes", COUNT, compressed_out),
    VALUE("compression/waiting_segments", COUNT, queued_segments),
    CHOICE("verification/mode", verify, verify_names),
    VALUE("verification/records", COUNT, checks.records),
    VALUE("verification/faults", COUNT, checks.faults),
    VALUE("verification/latest_fault_lsn", POSITION, checks.latest_fault),
    VALUE("gaps/recorded", COUNT, gaps),
    VALUE("gaps/newest_begin_lsn", POSITION, newest_gap_start),
    VALUE("gaps/newest_end_lsn", POSITION, newest_gap_end),
    VALUE("gaps/quarantined_files", COUNT, quarantined),
    VALUE("disk/free_bytes", NUMBER, free_bytes),
    VALUE("disk/min_free_bytes", NUMBER, min_free_bytes),
    VALUE("retention/at", TIME, retention.at),
    VALUE("retention/horizon_lsn", POSITION, retention.horizon),
    VALUE("retention/removed_files", COUNT, retention.removed_files),
    VALUE("retention/removed_bytes", COUNT, retention.removed_bytes),
    VALUE("retention/failing", COUNT, retention.failing),
    STRING("retention/held_by", retention.held_by),
    STRING("retention/problem", retention.problem),
    VALUE("monitor/reachable", FLAG, monitor.reachable),
    VALUE("monitor/at", TIME, monitor.at),
    STRING("monitor/problem", monitor.problem),
    STRING("monitor/slot_wal_status", monitor.wal_status),
    VALUE("monitor/slot_safe_wal_size_bytes", NUMBER, monitor.safe_wal_size),
    VALUE("monitor/slot_retained_bytes", NUMBER, monitor.retained_bytes),
    VALUE("monitor/slot_restart_lsn", POSITION, monitor.restart_lsn),
    STRING("monitor/sync_state", monitor.sync_state),
    STRING("monitor/synchronous_standby_names", monitor.synchronous_standby_names),
    STRING("monitor/synchronous_commit", monitor.synchronous_commit),
    VALUE("monitor/connections", NUMBER, monitor.connections),
    VALUE("monitor/max_connections", NUMBER, monitor.max_connections),
    VALUE("monitor/walsenders", NUMBER, monitor.walsenders),
    VALUE("monitor/max_walsenders", NUMBER, monitor.max_walsenders),
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

/* Objects that are null while their flag is off. */
typedef struct Group {
    const char *name;
    size_t flag;
    bool added; /* states of earlier walrx do not have it, which is as null */
} Group;
static const Group groups[] = {
    {"last_error", offsetof(Snapshot, failure.any), false},
    {"monitor", offsetof(Snapshot, monitor.enabled), false},
    {"retention", offsetof(Snapshot, retention.enabled), true},
};
#define GROUP_COUNT (sizeof(groups) / sizeof(groups[0]))

static const void *value_at(const Snapshot *snapshot, size_t offset)
{
    return (const char *)snapshot + offset;
}

static uint64_t number_at(const Snapshot *snapshot, const Field *field)
{
    uint64_t value;
    memcpy(&value, value_at(snapshot, field->offset), sizeof(value));
    return value;
}

static unsigned word_at(const Snapshot *snapshot, size_t offset)
{
    unsigned value;
    memcpy(&value, value_at(snapshot, offset), sizeof(value));
    return value;
}

static bool flag_at(const Snapshot *snapshot, size_t offset)
{
    return *(const bool *)value_at(snapshot, offset);
}

/* Whatever the bytes: jansson refuses what is not UTF-8. */
static json_t *make_text(const char *text, size_t size)
{
    char clean[sizeof(((Snapshot *)NULL)->session.conninfo)];
    if (text[0] == '\0')
        return json_null();
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    size_t i = 0;
    for (; i + 1 < size && i + 1 < sizeof(clean) && text[i] != '\0'; i++)
        clean[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    clean[i] = '\0';
    return json_string(clean);
}

static json_t *make_whole(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *make_time(PgTime time)
{
    char text[CLOCK_TEXT_SIZE];
    if (time < TIME_MIN || time > TIME_MAX)
        return json_null();
    return json_string(clock_pg_text(time, text));
}

static json_t *make_part(uint64_t value, double per_second)
{
    return value == SNAPSHOT_UNKNOWN ? json_null() : json_real((double)value / per_second);
}

static json_t *make_identifier(uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    return value == 0 ? json_null() : json_string(text);
}

static json_t *make_lsn(Lsn lsn)
{
    char text[LSN_TEXT_SIZE];
    return lsn == LSN_INVALID ? json_null() : json_string(lsn_format(lsn, text));
}

static json_t *make_value(const Snapshot *snapshot, const Field *field)
{
    const void *at = value_at(snapshot, field->offset);
    unsigned word;
    switch (field->kind) {
    case TEXT:
        return make_text(at, field->size);
    case COUNT:
        return make_whole(number_at(snapshot, field));
    case NUMBER:
        return number_at(snapshot, field) == SNAPSHOT_UNKNOWN
                   ? json_null()
                   : make_whole(number_at(snapshot, field));
    case SECONDS:
        return make_part(number_at(snapshot, field), NS_PER_SECOND);
    case MILLIS:
        return make_part(number_at(snapshot, field), MS_PER_SECOND);
    case MICROS:
        return flag_at(snapshot, field->known)
                   ? json_real((double)(int64_t)number_at(snapshot, field) / US_PER_SECOND)
                   : json_null();
    case MICROS_OFF:
        return flag_at(snapshot, field->known)
                   ? json_real((double)number_at(snapshot, field) / US_PER_SECOND)
                   : json_null();
    case POSITION:
        return make_lsn(number_at(snapshot, field));
    case TIME:
        return make_time((PgTime)number_at(snapshot, field));
    case FLAG:
        return json_boolean(flag_at(snapshot, field->offset));
    case WORD:
        word = word_at(snapshot, field->offset);
        return word < field->count && field->names[word] != NULL ? json_string(field->names[word])
                                                                 : json_null();
    case WHOLE32:
        word = word_at(snapshot, field->offset);
        return word == 0 ? json_null() : json_integer(word);
    case INT:
        word = word_at(snapshot, field->offset);
        return (int)word == field->none ? json_null() : json_integer((int)word);
    case IDENTIFIER:
        return make_identifier(number_at(snapshot, field));
    }
    return NULL;
}

/* The object that holds the last name of a path, made where it is missing. */
static json_t *holder_of(json_t *root, const char *path, const char **ret_name)
{
    json_t *object = root;
    for (const char *slash = strchr(path, '/'); object != NULL && slash != NULL;
         slash = strchr(path, '/')) {
        char name[NAME_SIZE];
        (void)snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
        json_t *inner = json_object_get(object, name);
        if (inner == NULL && json_object_set_new(object, name, json_object()) == 0)
            inner = json_object_get(object, name);
        object = inner;
        path = slash + 1;
    }
    *ret_name = path;
    return object;
}

static bool fill(json_t *root, const Snapshot *snapshot)
{
    if (json_object_set_new(root, "format_version", json_integer(STATUS_FORMAT_VERSION)) != 0)
        return false;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *name;
        json_t *object = holder_of(root, fields[i].path, &name);
        if (object == NULL ||
            json_object_set_new(object, name, make_value(snapshot, &fields[i])) != 0)
            return false;
    }
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (!flag_at(snapshot, groups[i].flag) &&
            json_object_set_new(root, groups[i].name, json_null()) != 0)
            return false;
    }
    json_t *ratio =
        snapshot->compressed_out == 0
            ? json_null()
            : json_real((double)snapshot->compressed_in / (double)snapshot->compressed_out);
    return json_object_set_new(json_object_get(root, "compression"), "ratio", ratio) == 0;
}

json_t *status_json_make(const Snapshot *snapshot)
{
    json_t *root = json_object();
    if (root != NULL && fill(root, snapshot))
        return root;
    json_decref(root);
    return NULL;
}

char *status_json_text(const Snapshot *snapshot, size_t *ret_length)
{
    json_t *root = status_json_make(snapshot);
    char *text = root == NULL ? NULL : json_dumps(root, STATUS_JSON_FLAGS);
    json_decref(root);
    if (text == NULL)
        return NULL;
    size_t length = strlen(text);
    char *whole = realloc(text, length + 2);
    if (whole == NULL) {
        free(text);
        return NULL;
    }
    whole[length] = '\n';
    whole[length + 1] = '\0';
    *ret_length = length + 1;
    return whole;
}

static void put(Snapshot *snapshot, size_t offset, const void *value, size_t size)
{
    memcpy((char *)snapshot + offset, value, size);
}

static bool parse_digits(const char *text, size_t count, int *ret)
{
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *ret = value;
    return true;
}

/* "2026-03-01T12:00:00.123456Z", exactly. */
static bool parse_time(const char *text, PgTime *ret)
{
    struct tm parts = {.tm_isdst = 0};
    int micros;
    if (strlen(text) != 27 || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
        text[13] != ':' || text[16] != ':' || text[19] != '.' || text[26] != 'Z' ||
        !parse_digits(text, 4, &parts.tm_year) || !parse_digits(text + 5, 2, &parts.tm_mon) ||
        !parse_digits(text + 8, 2, &parts.tm_mday) || !parse_digits(text + 11, 2, &parts.tm_hour) ||
        !parse_digits(text + 14, 2, &parts.tm_min) || !parse_digits(text + 17, 2, &parts.tm_sec) ||
        !parse_digits(text + 20, 6, &micros))
        return false;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    *ret = ((int64_t)timegm(&parts) - PG_EPOCH_UNIX_SECONDS) * 1000000 + micros;
    return *ret >= TIME_MIN && *ret <= TIME_MAX;
}

static bool take_seconds(const json_t *value, double per_second, Snapshot *ret, size_t offset,
                         bool may_be_negative)
{
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds <= MAX_SECONDS) ||
        !(seconds >= (may_be_negative ? -MAX_SECONDS : 0)))
        return false;
    int64_t parts = (int64_t)(seconds * per_second + (seconds < 0 ? -0.5 : 0.5));
    put(ret, offset, &parts, sizeof(parts));
    return true;
}

static bool take_text(const json_t *value, const Field *field, Snapshot *ret)
{
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) >= field->size)
        return false;
    put(ret, field->offset, text, strlen(text) + 1);
    return true;
}

static bool take_word(const json_t *value, const Field *field, Snapshot *ret)
{
    const char *text = json_string_value(value);
    for (unsigned i = 0; i < field->count; i++) {
        const char *name = field->names[i];
        if (name == NULL ? json_is_null(value) : text != NULL && strcmp(text, name) == 0) {
            put(ret, field->offset, &i, sizeof(i));
            return true;
        }
    }
    return false;
}

static bool take_integer(const json_t *value, json_int_t min, json_int_t max, size_t size,
                         Snapshot *ret, size_t offset)
{
    json_int_t number = json_integer_value(value);
    uint32_t small;
    if (!json_is_integer(value) || number < min || number > max)
        return false;
    small = (uint32_t)number;
    put(ret, offset, size == sizeof(small) ? (const void *)&small : &number, size);
    return true;
}

static bool take_lsn(const json_t *value, const Field *field, Snapshot *ret)
{
    Lsn lsn;
    if (!json_is_string(value) || !lsn_parse(json_string_value(value), &lsn))
        return false;
    put(ret, field->offset, &lsn, sizeof(lsn));
    return true;
}

static bool take_time(const json_t *value, const Field *field, Snapshot *ret)
{
    PgTime time;
    if (!json_is_string(value) || !parse_time(json_string_value(value), &time))
        return false;
    put(ret, field->offset, &time, sizeof(time));
    return true;
}

static bool take_identifier(const json_t *value, const Field *field, Snapshot *ret)
{
    uint64_t number;
    if (!json_is_string(value) || !parse_u64(json_string_value(value), 1, UINT64_MAX, &number))
        return false;
    put(ret, field->offset, &number, sizeof(number));
    return true;
}

static bool take_flag(bool flag, Snapshot *ret, size_t offset)
{
    put(ret, offset, &flag, sizeof(flag));
    return true;
}

/* The snapshot is clear: null leaves what is not known as it is. */
static bool take_value(const json_t *value, const Field *field, Snapshot *ret)
{
    bool present = !json_is_null(value);
    switch (field->kind) {
    case TEXT:
        return !present || take_text(value, field, ret);
    case COUNT:
        return take_integer(value, 0, INT64_MAX, sizeof(uint64_t), ret, field->offset);
    case NUMBER:
        return !present || take_integer(value, 0, INT64_MAX, sizeof(uint64_t), ret, field->offset);
    case SECONDS:
        return !present || take_seconds(value, NS_PER_SECOND, ret, field->offset, false);
    case MILLIS:
        return !present || take_seconds(value, MS_PER_SECOND, ret, field->offset, false);
    case MICROS:
    case MICROS_OFF:
        return !present ||
               (take_flag(true, ret, field->known) &&
                take_seconds(value, US_PER_SECOND, ret, field->offset, field->kind == MICROS));
    case POSITION:
        return !present || take_lsn(value, field, ret);
    case TIME:
        return !present || take_time(value, field, ret);
    case FLAG:
        return json_is_boolean(value) && take_flag(json_is_true(value), ret, field->offset);
    case WORD:
        return take_word(value, field, ret);
    case WHOLE32:
        return !present || take_integer(value, 0, UINT32_MAX, sizeof(uint32_t), ret, field->offset);
    case INT:
        return !present || take_integer(value, 0, INT32_MAX, sizeof(uint32_t), ret, field->offset);
    case IDENTIFIER:
        return !present || take_identifier(value, field, ret);
    }
    return false;
}

/* NULL: there is no such member. */
static const json_t *find(const json_t *root, const char *path)
{
    const json_t *value = root;
    while (value != NULL && *path != '\0') {
        char name[NAME_SIZE];
        size_t length = strcspn(path, "/");
        (void)snprintf(name, sizeof(name), "%.*s", (int)length, path);
        value = json_object_get(value, name);
        path += length;
        if (*path == '/')
            path++;
    }
    return value;
}

static bool is_absent(const json_t *root, const char *path)
{
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        size_t length = strlen(groups[i].name);
        if (strncmp(path, groups[i].name, length) == 0 && path[length] == '/') {
            const json_t *group = json_object_get(root, groups[i].name);
            return group == NULL ? groups[i].added : json_is_null(group);
        }
    }
    return false;
}

static bool take_all(const json_t *root, Snapshot *ret, Error *err)
{
    const json_t *version = json_object_get(root, "format_version");
    if (!json_is_integer(version))
        return error_set(err, ERROR_ARCHIVE, "it is no state of a receiver");
    if (json_integer_value(version) != STATUS_FORMAT_VERSION)
        return error_set(err, ERROR_ARCHIVE, "its format is of another version of walrx");
    for (size_t i = 0; i < GROUP_COUNT; i++)
        (void)take_flag(json_is_object(json_object_get(root, groups[i].name)), ret, groups[i].flag);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (is_absent(root, fields[i].path))
            continue;
        const json_t *value = find(root, fields[i].path);
        if (value == NULL)
            return error_set(err, ERROR_ARCHIVE, "\"%s\" is missing", fields[i].path);
        if (!take_value(value, &fields[i], ret))
            return error_set(err, ERROR_ARCHIVE, "the value of \"%s\" is not possible",
                             fields[i].path);
    }
    return true;
}

bool status_json_parse(const char *text, size_t length, Snapshot *ret, Error *err)
{
    json_error_t problem;
    Snapshot snapshot;
    if (length > STATUS_JSON_MAX)
        return error_set(err, ERROR_ARCHIVE, "it is larger than a state can be");
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        return error_set(err, ERROR_ARCHIVE, "it is not whole JSON (line %d)", problem.line);
    snapshot_clear(&snapshot);
    bool ok = take_all(root, &snapshot, err);
    json_decref(root);
    if (ok)
        *ret = snapshot;
    return ok;
}
