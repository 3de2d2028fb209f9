/* SPDX-License-Identifier: PostgreSQL
 *
 * Physical replication slots over a replication connection. Names are checked before they travel.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/proto/result.h"
#include "walrx/stream/connection.h"

#include <stdbool.h>

/* READ_REPLICATION_SLOT on servers from 15 on; below, pg_replication_slots over a second, plain
 * connection made with `options`. ret->exists false when there is none. */
bool slot_read(Connection *connection, const ConnectOptions *options, Control *control,
               const char *name, ReadSlotResult *ret, Error *err) MUST_CHECK;

/* if_not_exists: an existing slot of that name is fine. */
bool slot_create(Connection *connection, const char *name, bool reserve_wal, bool if_not_exists,
                 Error *err) MUST_CHECK;

/* One that the server drops with the connection; reserves WAL. */
bool slot_create_temporary(Connection *connection, const char *name, Error *err) MUST_CHECK;

bool slot_drop(Connection *connection, const char *name, Error *err) MUST_CHECK;
