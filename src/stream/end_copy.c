/* SPDX-License-Identifier: PostgreSQL
 *
 * See end_copy.h.
 */
#include "end_copy.h"

#include "walrx/os/clock.h"

#include <poll.h>

/* How long the server may take to end COPY after our CopyDone, at most. */
#define END_COPY_TIMEOUT_MS 10000

static uint64_t patience_ms(const Connection *connection)
{
    uint64_t timeout = connection_timeout(connection);
    return timeout > 0 && timeout < END_COPY_TIMEOUT_MS ? timeout : END_COPY_TIMEOUT_MS;
}

void end_copy(Connection *connection, Control *control)
{
    uint64_t deadline = clock_monotonic_ms() + patience_ms(connection);
    Error ignored;
    connection_release(connection); /* what the ring had no room for comes again */
    if (!connection_end_copy(connection, &ignored) || control->stop_count > 1)
        return; /* a second stop may have come before this */
    for (;;) {
        const void *data;
        size_t length;
        short events = POLLIN;
        switch (connection_read(connection, &data, &length, &ignored)) {
        case COPY_READ_DATA:
            connection_release(connection);
            if (clock_monotonic_ms() >= deadline || control_wait(control, -1, 0, 0) == CONTROL_STOP)
                return;
            continue;
        case COPY_READ_EMPTY:
            break;
        case COPY_READ_END:
        case COPY_READ_FAILED:
            return;
        }
        if (connection_wants_write(connection))
            events |= POLLOUT;
        if (control_wait(control, connection_fd(connection), events, deadline) != CONTROL_READY)
            return;
        if (connection_wants_write(connection) && !connection_flush(connection, &ignored))
            return;
    }
}
