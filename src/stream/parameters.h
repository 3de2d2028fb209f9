/* SPDX-License-Identifier: PostgreSQL
 *
 * From our options to libpq's parameters, as pg_receivewal 15 does (GetConnection in streamutil.c).
 * Private to src/stream.
 */
#pragma once

#include "walrx/stream/connection.h"

#include <libpq-fe.h>

#define MAX_PARAMETERS 96 /* libpq 15 knows 46 keywords */

typedef struct Parameters {
    const char *keywords[MAX_PARAMETERS + 1];
    const char *values[MAX_PARAMETERS + 1];
    size_t count;
    bool user_timeout_given;
} Parameters;

/* A later value of a keyword takes the place of an earlier one. NULL values are passed over. */
void parameters_add(Parameters *parameters, const char *keyword, const char *value);

/* The connection string taken apart, or NULL with ERROR_USAGE. Free with PQconninfoFree. */
PQconninfoOption *parameters_parse(const ConnectOptions *options, Error *err) MUST_CHECK;

/* `parsed` keeps the memory of what it lends to the parameters. */
void parameters_fill(Parameters *parameters, const ConnectOptions *options, ConnectionKind kind,
                     const PQconninfoOption *parsed);
