/* SPDX-License-Identifier: PostgreSQL
 *
 * Where a hole ends: the first segment behind it that the server still has. Private to src/stream.
 */
#pragma once

#include "receiver_internal.h"

/* Does the server send WAL from `lsn` on, which must be before its flush position? If not, *err
 * holds its answer. False only for other failures. */
bool gap_probe(Receiver *receiver, Timeline timeline, Lsn lsn, bool *ret_there,
               Error *err) MUST_CHECK;

/* *ret_first: the oldest segment start, at most `to`, from which the server sends. `to` as below.
 */
bool gap_oldest(Receiver *receiver, Lsn to, Lsn *ret_first, Error *err) MUST_CHECK;

/* The server has refused the WAL at `from` on `timeline`. *ret_first: the first segment start above
 * `from`, at most `to`, from which it sends. `to` is a segment start above `from`, not beyond
 * receiver->server.flush_lsn. The connection is ready for commands afterwards. ERROR_RETRY: the
 * server has the WAL at `from` after all, or the search met something else that another try mends.
 */
bool gap_search(Receiver *receiver, Timeline timeline, Lsn from, Lsn to, Lsn *ret_first,
                Error *err) MUST_CHECK;
