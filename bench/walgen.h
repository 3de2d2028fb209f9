/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL out of nothing: valid pages, one record each, for any position, at several GB/s. What the
 * synthetic walsender sends.
 *
 * Every page holds its header and one record that fills it (resource manager XLOG, XLOG_FPI-like
 * info), so the chain of xl_prev and the CRCs are right from any position on and a receiver that
 * verifies finds nothing wrong. Bodies come from a template whose compressibility resembles
 * pgbench's WAL (about 4:1 with lz4).
 */
#pragma once

#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct WalGen {
    uint64_t system_identifier;
    Timeline timeline;
    uint32_t segment_size;
    uint8_t *templates;  /* TEMPLATE_PAGES pages */
    uint32_t *body_crcs; /* unfinished CRC of each template's record behind its header */
    uint32_t *body_crcs_long;
} WalGen;

bool walgen_init(WalGen *gen, uint64_t system_identifier, Timeline timeline, uint32_t segment_size);
void walgen_free(WalGen *gen);

/* Writes the pages [lsn, lsn + length), both multiples of the page size, into `out`. */
void walgen_pages(const WalGen *gen, Lsn lsn, uint8_t *out, size_t length);
