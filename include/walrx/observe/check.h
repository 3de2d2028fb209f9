/* SPDX-License-Identifier: PostgreSQL
 *
 * The judgement of a monitoring plugin (Nagios, Icinga) over a receiver seen from outside: a
 * status, and one line with performance data. What is not known is not compared. Pure.
 */
#pragma once

#include "walrx/observe/check_limits.h"
#include "walrx/observe/look.h"

/* The exit statuses of plugins. */
typedef enum CheckStatus {
    CHECK_OK,
    CHECK_WARNING,
    CHECK_CRITICAL,
    CHECK_UNKNOWN,
} CheckStatus;

#define CHECK_LINE_SIZE 12288

typedef struct CheckReport {
    CheckStatus status;
    char line[CHECK_LINE_SIZE]; /* without a newline; the only '|' in it begins performance data */
} CheckReport;

typedef struct CheckInput {
    const char *directory;
    const Look *look;
    const CheckLimits *warning;
    const CheckLimits *critical;
} CheckInput;

void check_judge(const CheckInput *input, CheckReport *ret);

/* CHECK_UNKNOWN, for this reason. */
void check_give_up(const Error *reason, CheckReport *ret);
