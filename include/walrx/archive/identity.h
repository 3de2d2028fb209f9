/* SPDX-License-Identifier: PostgreSQL
 *
 * Which cluster an archive belongs to. Kept in .walrx/identity; where that is missing (an archive
 * that pg_receivewal began, or .walrx/ was deleted) read from the long page header of the newest
 * segments.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/os/files.h"

#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_FILE "identity"

typedef struct Identity {
    uint64_t system_identifier;
    uint32_t segment_size;
} Identity;

/* *ret_known false: there is no such file. ERROR_ARCHIVE when it cannot be understood (written by a
 * later version, damaged). */
bool identity_load(const Dir *private_dir, bool *ret_known, Identity *ret, Error *err) MUST_CHECK;

/* *ret_known false: no segment with a readable header (an empty archive, or only empty partials).
 */
bool identity_derive(const Dir *dir, bool *ret_known, Identity *ret, Error *err) MUST_CHECK;

/* Durable on return. */
bool identity_save(const Dir *private_dir, const Identity *identity, Error *err) MUST_CHECK;
