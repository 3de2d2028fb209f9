/* SPDX-License-Identifier: PostgreSQL
 *
 * The polite end of a stream from our side. Private to src/stream.
 */
#pragma once

#include "walrx/stream/connection.h"

/* The server may still send what it had in its buffers: it is read away until the server ends COPY
 * too, but not for ever. Everything we promised is reported already, so a failure here loses
 * nothing. */
void end_copy(Connection *connection, Control *control);
