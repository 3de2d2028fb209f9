/* SPDX-License-Identifier: PostgreSQL
 *
 * Adds what was received to the segment index: a thread of its own, so that nobody who makes WAL
 * durable or acknowledges it ever waits for the index. Private to src/archive.
 *
 * Entries come while their segment is still on its way to the disk; each is written once its
 * segment has its final name. What does not fit into the queue, and what cannot be written, is left
 * to those who look for it.
 */
#pragma once

#include "walrx/archive/index.h"

typedef struct Indexer Indexer;

bool indexer_open(const Archive *archive, Indexer **ret, Error *err) MUST_CHECK;

/* A stream begins at `lsn`; what waits for a name since an earlier one is dropped. */
void indexer_start(Indexer *indexer, Lsn lsn);
/* A segment was seen from its start to its end. */
void indexer_add(Indexer *indexer, const IndexEntry *entry);
/* All segments of the stream that end at or before `lsn` have their names. */
void indexer_named(Indexer *indexer, Lsn lsn);

/* Writes what has a name, then ends the thread. NULL is fine. */
void indexer_close(Indexer *indexer);
