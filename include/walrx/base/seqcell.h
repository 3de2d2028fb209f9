/* SPDX-License-Identifier: PostgreSQL
 *
 * A small struct that one thread publishes and others read whole, without a lock: the writer never
 * waits, a reader that meets a change reads again (a sequence lock, after H.-J. Boehm, "Can
 * seqlocks get along with programming language memory models?", 2012). Pure.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SEQCELL_WORDS 64
#define SEQCELL_MAX_SIZE (SEQCELL_WORDS * sizeof(uint64_t))

/* Zeroed: holds zeros. */
typedef struct SeqCell {
    _Atomic uint64_t sequence; /* odd while it is being written */
    _Atomic uint64_t words[SEQCELL_WORDS];
} SeqCell;

/* By the one thread that writes; size is at most SEQCELL_MAX_SIZE and the same for both sides. */
void seqcell_write(SeqCell *cell, const void *data, size_t size);
void seqcell_read(const SeqCell *cell, void *ret, size_t size);
