/* SPDX-License-Identifier: PostgreSQL
 *
 * Files that must not be used, nor lost: moved to .walrx/quarantine/ under their name and a number.
 */
#pragma once

#include "walrx/archive/archive.h"
#include "walrx/base/error.h"

#define QUARANTINE_DIR "quarantine"

/* Moves `name` of `from` there as `as` (plus ".1", ".2", ... when taken). Durable on return. A file
 * with the same bytes under one of these names is enough: then `name` is removed. */
bool quarantine_move(const Archive *archive, const Dir *from, const char *name, const char *as,
                     Error *err) MUST_CHECK;
