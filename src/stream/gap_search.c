/* SPDX-License-Identifier: PostgreSQL
 *
 * See gap_search.h. Bisection with trial streams: a walsender opens a segment only once COPY has
 * begun and fails then with 58P01 when the file is gone (WalSndSegmentOpen and WALReadRaiseError,
 * PostgreSQL 15), so a segment counts as there when WAL of it has come. Servers remove WAL from the
 * oldest on (RemoveOldXlogFiles, PostgreSQL 15), so what is there reaches to the end. Trial streams
 * use no slot and report nothing: a slot's position does not move.
 */
#include "gap_search.h"

#include "walrx/os/clock.h"
#include "walrx/proto/command.h"
#include "walrx/proto/copydata.h"
#include "walrx/stream/sqlstate.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

/* What may still be under way when a trial ends is what the buffers of both sockets hold. */
#define DRAIN_MAX_BYTES (256 * (uint64_t)1024 * 1024)

static uint64_t deadline_of(const Receiver *receiver)
{
    uint64_t timeout = connection_timeout(receiver->connection);
    return timeout == 0 ? UINT64_MAX : clock_monotonic_ms() + timeout;
}

/* connection_read that waits: never COPY_READ_EMPTY. */
static CopyRead wait_message(Receiver *receiver, uint64_t deadline, const void **ret_data,
                             size_t *ret_length, Error *err)
{
    Connection *connection = receiver->connection;
    for (;;) {
        CopyRead read = connection_read(connection, ret_data, ret_length, err);
        if (read != COPY_READ_EMPTY)
            return read;
        short events = connection_wants_write(connection) ? POLLIN | POLLOUT : POLLIN;
        switch (control_wait(receiver->control, connection_fd(connection), events, deadline)) {
        case CONTROL_READY:
            break;
        case CONTROL_STOP:
            error_set(err, ERROR_STOPPED, "stopped while looking for the end of a gap");
            return COPY_READ_FAILED;
        case CONTROL_TIMEOUT:
            error_set(err, ERROR_RETRY,
                      "no WAL from the server within %" PRIu64 " ms while looking for the end of a "
                      "gap",
                      connection_timeout(connection));
            return COPY_READ_FAILED;
        }
        if (connection_wants_write(connection) && !connection_flush(connection, err))
            return COPY_READ_FAILED;
    }
}

/* Reads until WAL comes. COPY_READ_END: COPY was over before. */
static CopyRead wait_wal(Receiver *receiver, Error *err)
{
    uint64_t deadline = deadline_of(receiver);
    for (;;) {
        const void *data;
        size_t length;
        CopyMessage message;
        CopyRead read = wait_message(receiver, deadline, &data, &length, err);
        if (read != COPY_READ_DATA)
            return read;
        bool ok = copy_message_decode(data, length, &message, err);
        connection_release(receiver->connection);
        if (!ok)
            return COPY_READ_FAILED;
        if (message.type == COPY_WAL_DATA)
            return COPY_READ_DATA;
    }
}

/* Ends COPY from our side and reads away what was under way. */
static bool end_trial(Receiver *receiver, Error *err)
{
    uint64_t bytes = 0;
    if (!connection_end_copy(receiver->connection, err))
        return false;
    for (;;) {
        const void *data;
        size_t length;
        switch (wait_message(receiver, deadline_of(receiver), &data, &length, err)) {
        case COPY_READ_DATA:
            connection_release(receiver->connection);
            bytes += length;
            if (bytes > DRAIN_MAX_BYTES)
                return error_set(err, ERROR_RETRY,
                                 "the server does not end COPY while looking for the end of a gap");
            break;
        case COPY_READ_END:
            return true;
        case COPY_READ_EMPTY:
        case COPY_READ_FAILED:
            return false;
        }
    }
}

static bool run_trial(Receiver *receiver, const char *command, Error *err)
{
    ResultRow row;
    bool copying;
    CopyRead read = COPY_READ_END;
    if (!connection_start_copy(receiver->connection, command, &copying, err))
        return false;
    if (copying) {
        read = wait_wal(receiver, err);
        if (read == COPY_READ_FAILED || (read == COPY_READ_DATA && !end_trial(receiver, err)))
            return false;
    }
    return connection_end_of_stream(receiver->connection, &row, err) &&
           (read == COPY_READ_DATA ||
            error_set(err, ERROR_RETRY, "the server ended streaming before it sent any WAL"));
}

bool gap_probe(Receiver *receiver, Timeline timeline, Lsn lsn, bool *ret_there, Error *err)
{
    ReplicationCommand command = {
        .kind = COMMAND_START_PHYSICAL, .start = lsn, .timeline = timeline};
    char text[COMMAND_TEXT_SIZE];
    if (!command_format(&command, text, sizeof(text), err))
        return false;
    *ret_there = run_trial(receiver, text, err);
    return *ret_there || strcmp(err->sqlstate, SQLSTATE_UNDEFINED_FILE) == 0;
}

static bool probe_segment(Receiver *receiver, SegNo segno, bool *ret_there, Error *err)
{
    Lsn lsn = segment_start(segno, receiver->archive.segment_size);
    return gap_probe(receiver, timeline_history_at(&receiver->history, lsn), lsn, ret_there, err);
}

bool gap_search(Receiver *receiver, Timeline timeline, Lsn from, Lsn to, Lsn *ret_first, Error *err)
{
    uint32_t size = receiver->archive.segment_size;
    char text[LSN_TEXT_SIZE];
    bool there;
    assert(segment_offset(to, size) == 0 && from < to && to <= receiver->server.flush_lsn);
    if (!gap_probe(receiver, timeline, from, &there, err))
        return false;
    if (there)
        return error_set(err, ERROR_RETRY,
                         "the server lacked the WAL at %s for a moment; now it has it",
                         lsn_format(from, text));
    SegNo missing = segment_of(from, size);
    SegNo first = segment_of(to, size);
    /* Where the server's WAL ends at a segment's start, there is no WAL to come yet. */
    bool proven = to == receiver->server.flush_lsn;
    while (first - missing > 1 || !proven) {
        SegNo middle = first - missing > 1 ? missing + (first - missing) / 2 : first;
        if (!probe_segment(receiver, middle, &there, err))
            return false;
        if (!there && middle == first)
            return error_set(err, ERROR_RETRY,
                             "the server removes WAL faster than the end of the gap can be found");
        if (there)
            first = middle;
        else
            missing = middle;
        proven = proven || there;
    }
    *ret_first = segment_start(first, size);
    return true;
}

/* Segment 0 does not exist: initdb begins with 1 (BootStrapXLOG in xlog.c, PostgreSQL 15). */
bool gap_oldest(Receiver *receiver, Lsn to, Lsn *ret_first, Error *err)
{
    Lsn first = segment_start(1, receiver->archive.segment_size);
    bool there = true;
    if (first < to && !probe_segment(receiver, 1, &there, err))
        return false;
    if (!there)
        return gap_search(receiver, timeline_history_at(&receiver->history, first), first, to,
                          ret_first, err);
    *ret_first = first < to ? first : to;
    return true;
}
