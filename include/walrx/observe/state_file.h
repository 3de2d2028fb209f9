/* SPDX-License-Identifier: PostgreSQL
 *
 * .walrx/state.json: what the receiver last told of itself, for `walrx status` and `walrx wait`.
 * Nothing depends on it: it is replaced as a whole, never synced, and whatever lies there at the
 * start is ignored. What it says of durable WAL was true when it was written, and stays so.
 */
#pragma once

#include "walrx/observe/snapshot.h"
#include "walrx/os/files.h"

#define STATE_FILE "state.json"
/* The next state before it gets its name. Not a name that start-up removes: that would race with
 * the thread that writes. It is overwritten by the next write. */
#define STATE_FILE_NEXT "state.json.next"

bool state_file_write(const Dir *private_dir, const Snapshot *snapshot, Error *err) MUST_CHECK;

/* *ret_exists false: there is none. ERROR_ARCHIVE: it is damaged or of another version. */
bool state_file_read(const Dir *private_dir, bool *ret_exists, Snapshot *ret,
                     Error *err) MUST_CHECK;
