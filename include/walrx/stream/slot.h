/* SPDX-License-Identifier: PostgreSQL
 *
 * Physical replication slots. Names are checked before they travel.
 *
 * A replication connection can create, drop and (from PostgreSQL 15 on) read a slot. Everything
 * else stands in the view pg_replication_slots, which takes a second connection, to a database.
 * Servers often refuse that one (pg_hba.conf), so nothing that a receiver needs may depend on it.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/result.h"
#include "walrx/stream/connection.h"

#include <stdbool.h>

#define SLOT_READ_VERSION 150000 /* READ_REPLICATION_SLOT */

/* READ_REPLICATION_SLOT, for servers from SLOT_READ_VERSION on. ret->exists false when there is
 * none. A slot that was lost looks like one without reserved WAL. */
bool slot_read(Connection *connection, const char *name, ReadSlotResult *ret,
               Error *err) MUST_CHECK;

/* The row of the view, over a plain connection to the host of `connection`. *ret_exists false (and
 * *ret untouched) when there is none. Asks for no password. */
bool slot_view(const Connection *connection, const ConnectOptions *options, Control *control,
               const char *name, bool *ret_exists, SlotViewResult *ret, Error *err) MUST_CHECK;

typedef struct SlotStatus {
    bool exists;
    bool physical;
    Lsn restart_lsn;           /* LSN_INVALID: none */
    Timeline restart_timeline; /* 0: not known */
    Lsn server_lsn;            /* the end of the server's WAL */
    bool viewed;               /* the view was reached: `view` holds what it says */
    SlotViewResult view;
    Error refusal; /* why not */
} SlotStatus;

/* All that can be found out about one slot, over a replication connection. Fails when the view is
 * out of reach only on servers that have nothing else. */
bool slot_status(Connection *connection, const ConnectOptions *options, Control *control,
                 const char *name, SlotStatus *ret, Error *err) MUST_CHECK;
/* The physical slot whose name follows `after` ("": the first), over a plain connection.
 * ret->exists false: there is none. */
bool slot_status_next(Connection *plain, const char *after, SlotStatus *ret, Error *err) MUST_CHECK;

/* One slot, over a plain connection. */
bool slot_status_plain(Connection *plain, const char *name, SlotStatus *ret, Error *err) MUST_CHECK;

/* if_not_exists: an existing slot of that name is fine. */
bool slot_create(Connection *connection, const char *name, bool reserve_wal, bool if_not_exists,
                 Error *err) MUST_CHECK;

/* One that the server drops with the connection; reserves WAL. */
bool slot_create_temporary(Connection *connection, const char *name, Error *err) MUST_CHECK;

bool slot_drop(Connection *connection, const char *name, Error *err) MUST_CHECK;
