/* SPDX-License-Identifier: PostgreSQL
 *
 * Calls that a signal interrupted. Private to src/os.
 */
#pragma once

#include <errno.h>

/* Runs a call that returns -1 and errno again while a signal interrupts it. Also for syncs: an
 * interrupted one gave up waiting, it did not meet an error of the disk. */
#define RETRY_EINTR(result, call)                                                                  \
    do {                                                                                           \
        (result) = (call);                                                                         \
    } while ((result) < 0 && errno == EINTR)
