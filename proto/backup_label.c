/* SPDX-License-Identifier: PostgreSQL
 *
 * A table of the known lines, each with a function that reads its value. Stricter than
 * read_backup_label (xlogrecovery.c, PostgreSQL 15), which takes half a line for a whole one.
 * Messages name the line, never its text: a hostile file cannot write into a log.
 */
#include "walrx/proto/backup_label.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A place in the WAL: "0/2000028 (file 000000010000000000000002)". */
typedef struct Location {
    Lsn lsn;
    char file[WAL_FILE_NAME_SIZE];
    Timeline timeline; /* of the file's name; 0: the line is not there */
} Location;

typedef struct Facts {
    BackupLabel label;
    Location start;
    Location stop;
    Timeline start_timeline;
    Timeline stop_timeline;
} Facts;

typedef struct Value {
    const char *text;
    size_t length;
} Value;

static bool value_lsn(Value value, Lsn *ret)
{
    char text[LSN_TEXT_SIZE];
    if (value.length >= sizeof(text))
        return false;
    memcpy(text, value.text, value.length);
    text[value.length] = '\0';
    return lsn_parse(text, ret) && *ret != LSN_INVALID && *ret <= LSN_LAST;
}

static bool value_timeline(Value value, Timeline *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.text[i] < '0' || value.text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(value.text[i] - '0');
        if (number > UINT32_MAX)
            return false;
    }
    *ret = (Timeline)number;
    return number > 0;
}

static bool value_location(Value value, Location *ret)
{
    static const char before[] = " (file ";
    const char *blank = memchr(value.text, ' ', value.length);
    size_t lsn_length = blank != NULL ? (size_t)(blank - value.text) : value.length;
    size_t rest = value.length - lsn_length;
    size_t around = strlen(before) + 1;
    WalFileName file;
    if (!value_lsn((Value){value.text, lsn_length}, &ret->lsn) || rest <= around ||
        rest - around >= sizeof(ret->file) || memcmp(blank, before, strlen(before)) != 0 ||
        value.text[value.length - 1] != ')')
        return false;
    memcpy(ret->file, blank + strlen(before), rest - around);
    ret->file[rest - around] = '\0';
    if (!wal_file_parse(ret->file, &file) || file.kind != WAL_FILE_SEGMENT || file.partial ||
        file.compression != WAL_RAW)
        return false;
    ret->timeline = file.timeline;
    return true;
}

/* Text for people: what would move a terminal's cursor does not get through. */
static bool value_text(Value value, char *buffer, size_t capacity)
{
    if (value.length >= capacity)
        return false;
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.text[i];
        buffer[i] = c < ' ' || c == 0x7f ? '?' : value.text[i];
    }
    buffer[value.length] = '\0';
    return true;
}

static bool value_is(Value value, const char *word)
{
    return value.length == strlen(word) && memcmp(value.text, word, value.length) == 0;
}

static bool read_start(Facts *facts, Value value)
{
    return value_location(value, &facts->start);
}

static bool read_stop(Facts *facts, Value value)
{
    return value_location(value, &facts->stop);
}

static bool read_checkpoint(Facts *facts, Value value)
{
    return value_lsn(value, &facts->label.checkpoint);
}

static bool read_method(Facts *facts, Value value)
{
    facts->label.rewound = value_is(value, "pg_rewind");
    return true;
}

static bool read_from(Facts *facts, Value value)
{
    facts->label.from_standby = value_is(value, "standby");
    return true;
}

static bool read_start_time(Facts *facts, Value value)
{
    return value_text(value, facts->label.start_time, sizeof(facts->label.start_time));
}

static bool read_stop_time(Facts *facts, Value value)
{
    return value_text(value, facts->label.stop_time, sizeof(facts->label.stop_time));
}

static bool read_label(Facts *facts, Value value)
{
    return value_text(value, facts->label.label, sizeof(facts->label.label));
}

static bool read_start_timeline(Facts *facts, Value value)
{
    return value_timeline(value, &facts->start_timeline);
}

static bool read_stop_timeline(Facts *facts, Value value)
{
    return value_timeline(value, &facts->stop_timeline);
}

static bool read_incremental(Facts *facts, Value value)
{
    return value_lsn(value, &facts->label.incremental_from);
}

typedef struct LineKind {
    const char *key; /* with the blank behind it */
    bool (*read)(Facts *facts, Value value);
} LineKind;

static const LineKind line_kinds[] = {
    {"START WAL LOCATION: ", read_start},
    {"STOP WAL LOCATION: ", read_stop},
    {"CHECKPOINT LOCATION: ", read_checkpoint},
    {"BACKUP METHOD: ", read_method},
    {"BACKUP FROM: ", read_from},
    {"START TIME: ", read_start_time},
    {"LABEL: ", read_label},
    {"START TIMELINE: ", read_start_timeline},
    {"STOP TIME: ", read_stop_time},
    {"STOP TIMELINE: ", read_stop_timeline},
    {"INCREMENTAL FROM LSN: ", read_incremental},
};
#define LINE_KINDS (sizeof(line_kinds) / sizeof(line_kinds[0]))

static bool parse_line(Value line, Facts *facts, unsigned *seen, Error *err)
{
    for (size_t i = 0; i < LINE_KINDS; i++) {
        const LineKind *kind = &line_kinds[i];
        size_t key = strlen(kind->key);
        if (line.length < key || memcmp(line.text, kind->key, key) != 0)
            continue;
        if ((*seen & (1u << i)) != 0)
            return error_set(err, ERROR_PROTOCOL, "line \"%.*s\" comes twice in a backup label",
                             (int)key - 2, kind->key);
        *seen |= 1u << i;
        if (!kind->read(facts, (Value){line.text + key, line.length - key}))
            return error_set(err, ERROR_PROTOCOL, "invalid line \"%.*s\" in a backup label",
                             (int)key - 2, kind->key);
        return true;
    }
    return true; /* of a later version */
}

/* What the lines say together. */
static bool settle(Facts *facts, BackupLabel *ret, Error *err)
{
    BackupLabel *label = &facts->label;
    const Location *start = &facts->start;
    const Location *stop = &facts->stop;
    if (start->timeline == 0)
        return error_set(err, ERROR_PROTOCOL, "a backup label has no line \"START WAL LOCATION\"");
    if (facts->start_timeline != 0 && facts->start_timeline != start->timeline)
        return error_set(err, ERROR_PROTOCOL,
                         "a backup label starts on timeline %" PRIu32 " in a file of timeline "
                         "%" PRIu32,
                         facts->start_timeline, start->timeline);
    label->start = start->lsn;
    label->timeline = start->timeline;
    memcpy(label->start_file, start->file, sizeof(label->start_file));
    if (label->checkpoint != LSN_INVALID && label->checkpoint < label->start)
        return error_set(err, ERROR_PROTOCOL, "a backup label's checkpoint lies before its start");
    label->stop = stop->lsn;
    label->stop_timeline = stop->timeline == 0         ? 0
                           : facts->stop_timeline != 0 ? facts->stop_timeline
                                                       : stop->timeline;
    if (stop->timeline != 0 &&
        (label->stop < label->start || label->stop_timeline < start->timeline))
        return error_set(err, ERROR_PROTOCOL, "a backup label's stop lies before its start");
    *ret = *label;
    return true;
}

bool backup_label_parse(const char *text, size_t length, BackupLabel *ret, Error *err)
{
    Facts facts = {.label = {.start = LSN_INVALID}};
    unsigned seen = 0;
    if (length > BACKUP_LABEL_MAX_BYTES)
        return error_set(err, ERROR_PROTOCOL, "a backup label of %zu bytes is too long", length);
    if (length > 0 && memchr(text, '\0', length) != NULL)
        return error_set(err, ERROR_PROTOCOL, "a backup label is not text: it holds a zero byte");
    while (length > 0) {
        const char *newline = memchr(text, '\n', length);
        size_t taken = newline != NULL ? (size_t)(newline - text) + 1 : length;
        Value line = {text, newline != NULL ? taken - 1 : taken};
        if (line.length > 0 && text[line.length - 1] == '\r')
            line.length--;
        if (!parse_line(line, &facts, &seen, err))
            return false;
        text += taken;
        length -= taken;
    }
    return settle(&facts, ret, err);
}

bool backup_label_check_name(const char *label, Error *err)
{
    size_t length = strlen(label);
    if (length == 0)
        return error_set(err, ERROR_USAGE, "the label of a backup must not be empty");
    if (length >= BACKUP_LABEL_NAME_SIZE)
        return error_set(err, ERROR_USAGE, "the label of a backup has at most %d bytes",
                         BACKUP_LABEL_NAME_SIZE - 1);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)label[i] < ' ' || label[i] == 0x7f)
            return error_set(err, ERROR_USAGE,
                             "the label of a backup must not hold control characters");
    }
    return true;
}

typedef struct Output {
    char *buffer;
    size_t capacity;
    size_t length;
    bool full;
} Output;

/* One line, where its value is known. */
static void put_line(Output *out, bool known, const char *key, const char *value)
{
    size_t left = out->capacity - out->length;
    if (!known || out->full)
        return;
    int written = snprintf(out->buffer + out->length, left, "%s: %s\n", key, value);
    out->full = written < 0 || (size_t)written >= left;
    out->length += out->full ? 0 : (size_t)written;
}

static void put_location(Output *out, bool known, const char *key, Lsn lsn, const char *file)
{
    char text[LSN_TEXT_SIZE];
    char value[LSN_TEXT_SIZE + WAL_FILE_NAME_SIZE + 16];
    (void)snprintf(value, sizeof(value), "%s (file %s)", lsn_format(lsn, text), file);
    put_line(out, known, key, value);
}

static void put_timeline(Output *out, bool known, const char *key, Timeline timeline)
{
    char value[16];
    (void)snprintf(value, sizeof(value), "%" PRIu32, timeline);
    put_line(out, known, key, value);
}

bool backup_history_format(const BackupLabel *backup, uint32_t segment_size, char *buffer,
                           size_t capacity, size_t *ret_length)
{
    char lsn[LSN_TEXT_SIZE];
    char start_file[WAL_FILE_NAME_SIZE];
    char stop_file[WAL_FILE_NAME_SIZE] = "";
    bool stopped = backup->stop != LSN_INVALID && backup->stop_timeline != 0;
    Output out = {.buffer = buffer, .capacity = capacity};
    if (stopped) /* the segment of the last byte, as XLByteToPrevSeg gives it */
        wal_segment_name(backup->stop_timeline, segment_of(backup->stop - 1, segment_size),
                         segment_size, WAL_RAW, false, stop_file);
    wal_segment_name(backup->timeline, segment_of(backup->start, segment_size), segment_size,
                     WAL_RAW, false, start_file);
    put_location(&out, true, "START WAL LOCATION", backup->start, start_file);
    put_location(&out, stopped, "STOP WAL LOCATION", backup->stop, stop_file);
    put_line(&out, backup->checkpoint != LSN_INVALID, "CHECKPOINT LOCATION",
             lsn_format(backup->checkpoint, lsn));
    put_line(&out, true, "BACKUP METHOD", "streamed");
    put_line(&out, true, "BACKUP FROM", backup->from_standby ? "standby" : "primary");
    put_line(&out, backup->start_time[0] != '\0', "START TIME", backup->start_time);
    put_line(&out, true, "LABEL", backup->label);
    put_timeline(&out, true, "START TIMELINE", backup->timeline);
    put_line(&out, backup->stop_time[0] != '\0', "STOP TIME", backup->stop_time);
    put_timeline(&out, stopped, "STOP TIMELINE", backup->stop_timeline);
    put_line(&out, backup->incremental_from != LSN_INVALID, "INCREMENTAL FROM LSN",
             lsn_format(backup->incremental_from, lsn));
    if (out.full)
        return false;
    *ret_length = out.length;
    return true;
}

/* BackupHistoryFileName (xlog_internal.h, PostgreSQL 15) with the timeline of the stop, as
 * do_pg_backup_stop calls it. */
const char *backup_history_name(const BackupLabel *backup, uint32_t segment_size,
                                char buffer[WAL_FILE_NAME_SIZE])
{
    char segment[WAL_FILE_NAME_SIZE];
    Timeline timeline = backup->stop_timeline != 0 ? backup->stop_timeline : backup->timeline;
    wal_segment_name(timeline, segment_of(backup->start, segment_size), segment_size, WAL_RAW,
                     false, segment);
    (void)snprintf(buffer, WAL_FILE_NAME_SIZE, "%.24s.%08" PRIX32 ".backup", segment,
                   segment_offset(backup->start, segment_size));
    return buffer;
}
