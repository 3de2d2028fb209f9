/* SPDX-License-Identifier: PostgreSQL
 *
 * Who is the server: the questions at the start of each replication connection. Private to
 * src/stream.
 */
#pragma once

#include "walrx/proto/command.h"
#include "walrx/proto/result.h"
#include "walrx/stream/connection.h"

typedef struct ServerIdentity {
    IdentifySystemResult system;
    uint32_t segment_size;
    bool in_recovery;    /* just before `system` was told */
    bool group_may_read; /* its data directory; false before PostgreSQL 11 */
} ServerIdentity;

/* ERROR_OPERATOR for servers before PostgreSQL 10. slot: for messages, may be NULL. */
bool identify_server(Connection *connection, const char *slot, ServerIdentity *ret,
                     Error *err) MUST_CHECK;

/* Sends one replication command that answers with a row. */
bool identify_ask(Connection *connection, const ReplicationCommand *command, ResultRow *ret,
                  Error *err) MUST_CHECK;
/* The value of a setting. */
bool identify_show(Connection *connection, const char *setting, ResultRow *ret,
                   Error *err) MUST_CHECK;
