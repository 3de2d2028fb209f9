/* SPDX-License-Identifier: PostgreSQL
 *
 * What connection.c and connect.c share. Private to them.
 */
#pragma once

#include "receive_meter.h"

#include "walrx/stream/connection.h"
#include "walrx/stream/sqlstate.h"

#include <libpq-fe.h>

#define MAX_SEND_BYTES 1024

struct Connection {
    PGconn *pg;
    Control *control;
    uint64_t timeout_ms; /* for each answer; 0: none */
    PGresult *result;    /* of the last query */
    char *message;       /* CopyData handed out */
    bool wants_write;
    ReceiveMeter meter;
    uint64_t copy_messages; /* CopyData messages so far, and what they took on the wire */
    uint64_t copy_bytes;
    uint64_t copy_began; /* what the meter showed before the first */
    char peer[128];
};
