/* SPDX-License-Identifier: PostgreSQL
 *
 * Whose end the end of a prepared transaction is. COMMIT PREPARED and ROLLBACK PREPARED have no
 * transaction of their own: the XID lies inside the record, behind lists (subtransactions, dropped
 * relations, invalidations) that may be megabytes long. So it is found while the record's bytes
 * pass, and none of them is kept.
 * Source: ParseCommitRecord and ParseAbortRecord (xactdesc.c), xact.h; PostgreSQL 15. 10 to 19
 * agree but for the dropped statistics: since 15, and 16 bytes each instead of 12 since 18.
 *
 * Pure, constant memory, safe with any bytes.
 */
#pragma once

#include "walrx/proto/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct WalTwophase {
    int step; /* private, and so is all of it */
    int major;
    bool has_info;
    uint32_t lists; /* xinfo */
    uint64_t skip;  /* bytes of no interest before the next value */
    uint32_t wanted;
    uint32_t gathered;
    uint8_t value[4];
    uint32_t xid;
} WalTwophase;

/* Is it such a record? By its header alone. */
bool wal_twophase_ends(uint8_t rmgr, uint8_t info);

/* A record begins; feed what follows its header, from the first byte on, in pieces of any size. */
void wal_twophase_begin(WalTwophase *twophase, uint8_t info, int major);
void wal_twophase_feed(WalTwophase *twophase, const uint8_t *bytes, size_t count);

/* False: the XID was not among the bytes that were fed, or the record has parts that such a record
 * never has. */
bool wal_twophase_xid(const WalTwophase *twophase, uint32_t *ret);
