/* SPDX-License-Identifier: PostgreSQL
 *
 * What walrx tells on standard error. One process-wide configuration, set once at the start; any
 * thread may log, lines never mix.
 *
 * Three formats:
 * - text: "2026-03-01T12:00:00.123Z info  streaming  timeline=1 lsn=0/3000000", then indented
 *   "detail:" and "hint:" lines; under systemd's journal a "<6>" priority instead of the time.
 * - json: one object a line: time, level, msg, detail, hint, error, sqlstate and the fields.
 * - client: as PostgreSQL's client programs: "NAME: text", "NAME: error: text", "NAME: hint: text";
 *   fields are not shown.
 * Only commands and drivers log; each error is told once, by whoever decides what follows.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum LogFormat {
    LOG_TEXT,
    LOG_JSON,
    LOG_CLIENT,
} LogFormat;

typedef enum LogLevel {
    LOG_DEBUG = 0,
    LOG_INFO,
    LOG_NOTICE, /* said by pg_receivewal without -v too; no word of its own in front of it */
    LOG_WARNING,
    LOG_ERROR,
} LogLevel;

void log_setup(const char *program, LogFormat format, LogLevel threshold);
void log_set_threshold(LogLevel threshold); /* SIGHUP may change it */

/* A field of a line. Text is borrowed for the call; a field whose text is NULL is left out. */
typedef enum LogFieldKind {
    LOG_FIELD_TEXT,
    LOG_FIELD_NUMBER,
    LOG_FIELD_LSN,
} LogFieldKind;

typedef struct LogField {
    const char *key; /* NULL ends a list */
    LogFieldKind kind;
    const char *text;
    uint64_t number;
} LogField;

#define LOG_STR(name, value)                                                                       \
    {                                                                                              \
        (name), LOG_FIELD_TEXT, (value), 0                                                         \
    }
#define LOG_NUM(name, value)                                                                       \
    {                                                                                              \
        (name), LOG_FIELD_NUMBER, NULL, (uint64_t)(value)                                          \
    }
#define LOG_POS(name, value)                                                                       \
    {                                                                                              \
        (name), LOG_FIELD_LSN, NULL, (uint64_t)(value)                                             \
    }
#define LOG_END                                                                                    \
    {                                                                                              \
        NULL, LOG_FIELD_TEXT, NULL, 0                                                              \
    }

/* `fields` ends with LOG_END, or is NULL. */
void log_line(LogLevel level, const LogField *fields, const char *format, ...) PRINTF_LIKE(3, 4);

/* An error with its detail and hint. */
void log_error(LogLevel level, const LogField *fields, const Error *error);
