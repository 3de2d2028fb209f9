/* SPDX-License-Identifier: PostgreSQL
 *
 * See rmgr.h.
 */
#include "walrx/proto/rmgr.h"

#include <stdio.h>

#define FIRST_CUSTOM 128
#define XLOG2 22

const char *rmgr_name(uint8_t rmgr, int major, char buffer[RMGR_NAME_SIZE])
{
    static const char *const names[] = {
        "XLOG",       "Transaction",    "Storage", "CLOG",     "Database",
        "Tablespace", "MultiXact",      "RelMap",  "Standby",  "Heap2",
        "Heap",       "Btree",          "Hash",    "Gin",      "Gist",
        "Sequence",   "SPGist",         "BRIN",    "CommitTs", "ReplicationOrigin",
        "Generic",    "LogicalMessage", "XLOG2",
    };
    if (rmgr >= FIRST_CUSTOM)
        (void)snprintf(buffer, RMGR_NAME_SIZE, "custom%03u", (unsigned)rmgr);
    else if (rmgr < XLOG2 || (rmgr == XLOG2 && major >= 19))
        (void)snprintf(buffer, RMGR_NAME_SIZE, "%s", names[rmgr]);
    else
        (void)snprintf(buffer, RMGR_NAME_SIZE, "rmgr %u", (unsigned)rmgr);
    return buffer;
}
