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
    /* streaming messages over all streams, what they took on the wire, and what the meter had
     * counted besides when the stream at hand began */
    uint64_t copy_messages;
    uint64_t copy_bytes;
    uint64_t copy_began;
    char peer[128];
};
