/* SPDX-License-Identifier: PostgreSQL
 *
 * The figures that `walrx check` compares, with their names, units and default thresholds, and what
 * people write to set others: "flushed-lag=1GB,message-age=5min,gaps=off". One table feeds the
 * parser, --help, the judgement and the performance data. Pure.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum CheckFigure {
    CHECK_RECEIVED_LAG, /* the four in the order of LagStage, twice */
    CHECK_WRITTEN_LAG,
    CHECK_FLUSHED_LAG,
    CHECK_ARCHIVED_LAG,
    CHECK_RECEIVED_LAG_TIME,
    CHECK_WRITTEN_LAG_TIME,
    CHECK_FLUSHED_LAG_TIME,
    CHECK_ARCHIVED_LAG_TIME,
    CHECK_MESSAGE_AGE,
    CHECK_SLOT_RETAINED,
    CHECK_SLOT_SAFE,
    CHECK_GAPS,
    CHECK_VERIFICATION_ERRORS,
    CHECK_QUARANTINED,
    CHECK_FREE_DISK,
    CHECK_QUEUE,
} CheckFigure;
#define CHECK_FIGURE_COUNT (CHECK_QUEUE + 1)

typedef enum CheckUnit {
    CHECK_BYTES,
    CHECK_TIME, /* nanoseconds */
    CHECK_COUNT,
} CheckUnit;

typedef enum CheckLimitKind {
    CHECK_LIMIT_DEFAULT, /* not set; in the table: it depends on other figures */
    CHECK_LIMIT_OFF,
    CHECK_LIMIT_AT,
} CheckLimitKind;

typedef struct CheckLimit {
    CheckLimitKind kind;
    uint64_t value; /* of CHECK_LIMIT_AT, in the figure's unit */
} CheckLimit;

/* One severity's thresholds. All zero: all by default. */
typedef struct CheckLimits {
    CheckLimit limit[CHECK_FIGURE_COUNT];
} CheckLimits;

typedef struct CheckFigureSpec {
    const char *name;
    CheckUnit unit;
    bool low; /* less is worse: below the limit, not above it */
    CheckLimit warning;
    CheckLimit critical;
    const char *warning_help; /* for a default that depends on other figures */
    const char *critical_help;
    const char *help;
} CheckFigureSpec;

extern const CheckFigureSpec check_figures[CHECK_FIGURE_COUNT];

/* Sets what the text names, over what was set before; a value alone is for flushed-lag. ERROR_USAGE
 * and *limits untouched when the text is no list of thresholds. */
bool check_limits_parse(const char *text, CheckLimits *limits, Error *err) MUST_CHECK;

/* A default as people would write it: "100MB", "off". */
#define CHECK_LIMIT_TEXT_SIZE 32
const char *check_limit_text(CheckFigure figure, bool critical, char buffer[CHECK_LIMIT_TEXT_SIZE]);
