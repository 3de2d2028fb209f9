/* SPDX-License-Identifier: PostgreSQL
 *
 * How much libpq may read from a socket. libpq keeps whatever size a message announces, and there
 * is no call to bound that; see docs/decisions/0013. Private to src/stream.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct ReceiveMeter {
    uint64_t received; /* bytes read so far */
    uint64_t limit;    /* received stops here: then the socket seems empty */
} ReceiveMeter;

/* What this thread reads from now on counts here; NULL: is not counted. */
void receive_meter_use(ReceiveMeter *meter);

/* So many more bytes may come. */
void receive_meter_allow(ReceiveMeter *meter, uint64_t bytes);
bool receive_meter_used_up(const ReceiveMeter *meter);
