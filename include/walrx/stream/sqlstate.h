/* SPDX-License-Identifier: PostgreSQL
 *
 * What a SQLSTATE means for a receiver: try again, ask a person, or a hole in the archive.
 * Source: src/backend/utils/errcodes.txt, PostgreSQL 15. Pure.
 */
#pragma once

#include "walrx/base/error.h"

/* "58P01": a WAL file that START_REPLICATION or TIMELINE_HISTORY wanted is gone. */
#define SQLSTATE_UNDEFINED_FILE "58P01"
#define SQLSTATE_DUPLICATE_OBJECT "42710"
/* START_REPLICATION or DROP_REPLICATION_SLOT: there is no such slot. */
#define SQLSTATE_UNDEFINED_OBJECT "42704"
#define SQLSTATE_OBJECT_IN_USE "55006"
/* START_REPLICATION with an existing physical slot: it was invalidated (ReplicationSlotAcquire in
 * slot.c, PostgreSQL 18; before that the server does not look). */
#define SQLSTATE_NOT_IN_PREREQUISITE_STATE "55000"

ErrorClass sqlstate_class(const char *sqlstate);
