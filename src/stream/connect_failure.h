/* SPDX-License-Identifier: PostgreSQL
 *
 * The error of a connection attempt that failed. Private to src/stream.
 */
#pragma once

#include "walrx/base/error.h"

#include <libpq-fe.h>
#include <stdbool.h>

typedef enum ConnectFailedWhen {
    CONNECT_FAILED_AT_ONCE, /* before anything was sent: a setting is wrong, if the message does
                             * not tell of a host that was not reached */
    CONNECT_FAILED_BY_NAME, /* before anything was sent, and some host has no address right now */
    CONNECT_FAILED_LATER,
} ConnectFailedWhen;

/* Fills *err from a connection in state CONNECTION_BAD; returns false. */
bool connect_failed(PGconn *pg, ConnectFailedWhen when, Error *err);

/* Does some host of the connection's list have no address right now? Looks names up, so it may take
 * long. */
bool connect_name_unknown(PGconn *pg);
