/* SPDX-License-Identifier: PostgreSQL
 *
 * How far the WAL was given up by prunes: one line in .walrx/pruned. It is durable before the first
 * file goes, and answers one question: has a segment that a worker was about to compress been
 * removed on purpose? Private to src/archive.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"

#define PRUNED_FILE "pruned"

/* LSN_INVALID: nothing was. One that cannot be understood counts as nothing. */
bool pruned_read(const Archive *archive, Lsn *ret, Error *err) MUST_CHECK;
/* Durable on return; never moves back. */
bool pruned_note(const Archive *archive, Lsn before, Error *err) MUST_CHECK;

/* Was the segment of that file's name given up? */
bool pruned_covers(const Archive *archive, const char *name);
