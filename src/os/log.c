/* SPDX-License-Identifier: PostgreSQL
 *
 * See log.h. A line is composed in one buffer and leaves with one write(2), so that lines of
 * several threads do not mix. Text from outside (server messages) may hold anything: control
 * characters become blanks, and for JSON bytes that are not UTF-8 become '?'.
 */
#include "walrx/os/log.h"

#include "interrupted.h"

#include "walrx/os/clock.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_SIZE 4096

/* Set by log_setup before any thread exists; only the threshold changes later. */
static struct {
    char program[64];
    LogFormat format;
    bool journal;
    atomic_int threshold;
} config = {.program = "walrx", .format = LOG_CLIENT, .threshold = LOG_INFO};

static const char *const level_names[] = {"debug", "info", "notice", "warning", "error"};
static const char *const journal_prefixes[] = {"<7>", "<6>", "<5>", "<4>", "<3>"};

/* systemd sets JOURNAL_STREAM to the device and inode of the journal's socket: systemd.exec(5). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char mine[64];
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return false;
    (void)snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    return strcmp(stream, mine) == 0;
}

void log_setup(const char *program, LogFormat format, LogLevel threshold)
{
    (void)snprintf(config.program, sizeof(config.program), "%s", program);
    config.format = format;
    config.journal = stderr_is_journal();
    atomic_store(&config.threshold, (int)threshold);
}

void log_set_threshold(LogLevel threshold)
{
    atomic_store(&config.threshold, (int)threshold);
}

typedef struct Line {
    char text[LINE_SIZE];
    size_t length; /* always leaves room for the final newline */
} Line;

static void line_add(Line *line, const char *format, ...) PRINTF_LIKE(2, 3);

static void line_add(Line *line, const char *format, ...)
{
    size_t room = sizeof(line->text) - 1 - line->length;
    va_list args;
    va_start(args, format);
    int written = vsnprintf(line->text + line->length, room, format, args);
    va_end(args);
    if (written > 0)
        line->length += (size_t)written < room ? (size_t)written : room - 1;
}

static void write_out(const char *text, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n;
        RETRY_EINTR(n, write(STDERR_FILENO, text + done, length - done));
        if (n <= 0)
            return; /* nobody listens: there is no other place to say so */
        done += (size_t)n;
    }
}

static void line_write(Line *line)
{
    line->text[line->length++] = '\n';
    write_out(line->text, line->length);
}

static bool is_control(char c)
{
    return c != '\0' && ((unsigned char)c < 0x20 || c == 0x7f);
}

/* What a run of control characters and blanks at *at becomes; moves *at to the run's last one. */
static const char *fold_run(const char **at)
{
    bool line_break = false;
    for (;; (*at)++) {
        line_break = line_break || **at == '\n';
        if (!is_control((*at)[1]) && (*at)[1] != ' ')
            break;
    }
    if ((*at)[1] == '\0')
        return "";
    return line_break ? "; " : " ";
}

/* One line: line breaks, as in libpq's messages of several lines, become "; ", other control
 * characters blanks. In the client format lines stay lines, as pg_receivewal's do. */
static void fold_controls(char *text, size_t capacity)
{
    char folded[2048];
    size_t length = 0;
    for (const char *at = text; *at != '\0' && length + 3 < sizeof(folded); at++) {
        bool keep = config.format == LOG_CLIENT && (*at == '\n' || *at == '\t');
        if (!is_control(*at) || keep) {
            folded[length++] = *at;
            continue;
        }
        for (const char *instead = fold_run(&at); *instead != '\0'; instead++)
            folded[length++] = *instead;
    }
    folded[length] = '\0';
    (void)snprintf(text, capacity, "%s", folded);
}

static const char *field_value(const LogField *field, char buffer[32])
{
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        return field->text;
    case LOG_FIELD_NUMBER:
        (void)snprintf(buffer, 32, "%" PRIu64, field->number);
        return buffer;
    case LOG_FIELD_LSN:
        return lsn_format(field->number, buffer);
    }
    return "";
}

static bool needs_quotes(const char *value)
{
    for (const char *at = value; *at != '\0'; at++) {
        if (is_control(*at) || strchr(" \"=\\", *at) != NULL)
            return true;
    }
    return *value == '\0';
}

static void add_fields(Line *line, const LogField *fields)
{
    char buffer[32];
    for (; fields != NULL && fields->key != NULL; fields++) {
        if (fields->kind == LOG_FIELD_TEXT && fields->text == NULL)
            continue;
        const char *value = field_value(fields, buffer);
        line_add(line, " %s=", fields->key);
        if (!needs_quotes(value)) {
            line_add(line, "%s", value);
            continue;
        }
        line_add(line, "\"");
        for (; *value != '\0'; value++)
            line_add(line, *value == '"' || *value == '\\' ? "\\%c" : "%c",
                     is_control(*value) ? ' ' : *value);
        line_add(line, "\"");
    }
}

static void write_text(LogLevel level, const LogField *fields, const char *message,
                       const char *detail, const char *hint)
{
    Line line = {.length = 0};
    char time[CLOCK_TEXT_SIZE];
    const char *extra_prefix = "  ";
    if (config.journal) {
        line_add(&line, "%s%s", journal_prefixes[level], message);
        extra_prefix = journal_prefixes[level];
    } else {
        line_add(&line, "%s %-7s %s", clock_utc_text(time), level_names[level], message);
    }
    add_fields(&line, fields);
    if (detail[0] != '\0')
        line_add(&line, "\n%sdetail: %s", extra_prefix, detail);
    if (hint[0] != '\0')
        line_add(&line, "\n%shint: %s", extra_prefix, hint);
    line_write(&line);
}

static void write_client(LogLevel level, const char *message, const char *detail, const char *hint)
{
    Line line = {.length = 0};
    bool plain = level != LOG_WARNING && level != LOG_ERROR;
    const char *word = plain ? "" : level_names[level];
    line_add(&line, "%s: %s%s%s", config.program, word, word[0] != '\0' ? ": " : "", message);
    if (detail[0] != '\0')
        line_add(&line, "\n%s: detail: %s", config.program, detail);
    if (hint[0] != '\0')
        line_add(&line, "\n%s: hint: %s", config.program, hint);
    line_write(&line);
}

/* A JSON string whatever the bytes: jansson refuses what is not UTF-8. */
static json_t *json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    char clean[LINE_SIZE];
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < sizeof(clean); i++)
        clean[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    clean[i] = '\0';
    return json_string(clean);
}

static void add_json(json_t *object, const char *key, const char *text)
{
    if (text[0] != '\0')
        (void)json_object_set_new(object, key, json_text(text));
}

static void write_json(LogLevel level, const LogField *fields, const char *message,
                       const Error *error)
{
    char buffer[CLOCK_TEXT_SIZE];
    json_t *object = json_object();
    add_json(object, "time", clock_utc_text(buffer));
    add_json(object, "level", level_names[level]);
    add_json(object, "msg", message);
    for (; fields != NULL && fields->key != NULL; fields++) {
        char number[32];
        if (fields->kind == LOG_FIELD_NUMBER)
            (void)json_object_set_new(object, fields->key,
                                      json_integer((json_int_t)fields->number));
        else if (fields->kind != LOG_FIELD_TEXT || fields->text != NULL)
            (void)json_object_set_new(object, fields->key, json_text(field_value(fields, number)));
    }
    if (error != NULL) {
        add_json(object, "detail", error->detail);
        add_json(object, "hint", error->hint);
        add_json(object, "error", error_class_name(error->class));
        add_json(object, "sqlstate", error->sqlstate);
    }
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text == NULL)
        return; /* out of memory: no line rather than a broken one */
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL */
    write_out(text, length + 1);
    free(text);
}

static void emit(LogLevel level, const LogField *fields, const char *text, const Error *error)
{
    char message[2048];
    char detail[ERROR_DETAIL_SIZE] = "";
    char hint[ERROR_HINT_SIZE] = "";
    (void)snprintf(message, sizeof(message), "%s", text);
    fold_controls(message, sizeof(message));
    if (error != NULL) {
        (void)snprintf(detail, sizeof(detail), "%s", error->detail);
        (void)snprintf(hint, sizeof(hint), "%s", error->hint);
        fold_controls(detail, sizeof(detail));
        fold_controls(hint, sizeof(hint));
    }
    switch (config.format) {
    case LOG_TEXT:
        write_text(level, fields, message, detail, hint);
        break;
    case LOG_JSON:
        write_json(level, fields, message, error);
        break;
    case LOG_CLIENT:
        write_client(level, message, detail, hint);
        break;
    }
}

void log_line(LogLevel level, const LogField *fields, const char *format, ...)
{
    if ((int)level < atomic_load(&config.threshold))
        return;
    char message[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    emit(level, fields, message, NULL);
}

void log_error(LogLevel level, const LogField *fields, const Error *error)
{
    if ((int)level >= atomic_load(&config.threshold))
        emit(level, fields, error->message, error);
}
