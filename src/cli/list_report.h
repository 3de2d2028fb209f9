/* SPDX-License-Identifier: PostgreSQL
 *
 * The result of `walrx list`, for people and for programs.
 */
#pragma once

#include "walrx/archive/listing.h"

#include <stdio.h>

void list_print_text(FILE *out, const char *directory, const Listing *listing);
/* One object. ERROR_MEMORY when it cannot be built. */
bool list_print_json(FILE *out, const char *directory, const Listing *listing,
                     Error *err) MUST_CHECK;

/* Bytes of WAL for a byte on the disk; 0 where there is none. */
double list_ratio(uint64_t wal_bytes, uint64_t disk_bytes);
uint64_t list_wal_bytes(const Listing *listing, uint64_t segments);
/* "raw", "gzip", "lz4", "zstd" */
const char *list_form_name(WalCompression form);
