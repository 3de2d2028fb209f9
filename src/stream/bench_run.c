/* SPDX-License-Identifier: PostgreSQL
 *
 * See bench.h: the measurement as a whole, from the connection to the verdict.
 */
#include "walrx/stream/bench.h"

#include "bench_internal.h"
#include "end_copy.h"
#include "identify.h"

#include "walrx/os/clock.h"
#include "walrx/proto/timeline.h"
#include "walrx/stream/slot.h"
#include "walrx/stream/sqlstate.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef union Address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
} Address;

/* Loopback, or both ends of the connection have one address: then they are one machine. */
static bool same_host(const Address *here, const Address *there)
{
    if (here->any.sa_family != there->any.sa_family)
        return false;
    if (there->any.sa_family == AF_INET)
        return ntohl(there->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ||
               there->v4.sin_addr.s_addr == here->v4.sin_addr.s_addr;
    return there->any.sa_family == AF_INET6 &&
           memcmp(&there->v6.sin6_addr, &here->v6.sin6_addr, sizeof(here->v6.sin6_addr)) == 0;
}

static void look_at_peer(const Connection *connection, BenchResult *ret)
{
    Address here = {.any = {.sa_family = AF_UNSPEC}};
    Address there = here;
    socklen_t length_here = sizeof(here);
    socklen_t length_there = sizeof(there);
    int fd = connection_fd(connection);
    (void)snprintf(ret->peer, sizeof(ret->peer), "%s", connection_peer(connection));
    ret->server_version = connection_server_version(connection);
    if (getsockname(fd, &here.any, &length_here) != 0 ||
        getpeername(fd, &there.any, &length_there) != 0)
        return;
    ret->unix_socket = there.any.sa_family == AF_UNIX;
    ret->local = ret->unix_socket || same_host(&here, &there);
}

/* The timeline of `lsn` on the server's history. */
static bool find_timeline(Bench *bench, Timeline newest, Lsn lsn, Timeline *ret, Error *err)
{
    ReplicationCommand command = {.kind = COMMAND_TIMELINE_HISTORY, .timeline = newest};
    ResultRow row;
    TimelineHistoryResult result;
    TimelineHistory history;
    *ret = newest;
    if (newest == 1)
        return true;
    TimelineSwitch *switches = calloc(TIMELINE_MAX_SWITCHES, sizeof(switches[0]));
    if (switches == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for timeline history");
    bool ok = identify_ask(bench->connection, &command, &row, err) &&
              result_timeline_history(&row, newest, &result, err) &&
              timeline_history_parse(result.content, result.content_length, newest, switches,
                                     TIMELINE_MAX_SWITCHES, &history, err);
    if (ok)
        *ret = timeline_history_at(&history, lsn);
    free(switches);
    return ok;
}

static bool choose_range(Bench *bench, const ServerIdentity *identity, Error *err)
{
    const BenchOptions *options = bench->options;
    const IdentifySystemResult *system = &identity->system;
    char text[2][LSN_TEXT_SIZE];
    bench->server_end = system->flush_lsn;
    bench->timeline = system->timeline;
    bench->from = options->from != LSN_INVALID ? options->from : system->flush_lsn;
    if (bench->from > system->flush_lsn)
        return error_set(err, ERROR_OPERATOR, "cannot measure from %s: the server's WAL ends at %s",
                         lsn_format(bench->from, text[0]), lsn_format(system->flush_lsn, text[1]));
    if (options->end_position != LSN_INVALID && options->end_position <= bench->from)
        return error_set(
            err, ERROR_OPERATOR, "the end position %s is not behind %s, where measuring begins",
            lsn_format(options->end_position, text[0]), lsn_format(bench->from, text[1]));
    bench->start =
        bench->sink.disk ? segment_floor(bench->from, identity->segment_size) : bench->from;
    return options->from == LSN_INVALID ||
           find_timeline(bench, system->timeline, bench->from, &bench->timeline, err);
}

/* Is it safe to report a flush? With a slot the server needs one to let go of WAL. But it would
 * also count as the acknowledgement of a synchronous standby, and what is received here is thrown
 * away: so only where there are no such standbys, or where that is asked for. */
static bool choose_reporting(Bench *bench, Error *err)
{
    ResultRow row;
    if (!identify_show(bench->connection, "synchronous_standby_names", &row, err))
        return false;
    bool none = row.count > 0 && row.lengths[0] == 0;
    bench->result->flush_reported = bench->options->synchronous || none;
    return true;
}

static bool make_slot(Bench *bench, Error *err)
{
    (void)snprintf(bench->slot, sizeof(bench->slot), "walrx_bench_%08" PRIx32,
                   (uint32_t)clock_seed());
    if (slot_create_temporary(bench->connection, bench->slot, err))
        return true;
    if (err->hint[0] == '\0')
        error_hint(err, "Measuring takes a temporary slot for its time: a free one of "
                        "max_replication_slots, and a user with REPLICATION.");
    return false;
}

/* The server no longer has the WAL from here on: from where would it? */
static void tell_missing_wal(const Bench *bench, Lsn kept_from, Error *err)
{
    char text[LSN_TEXT_SIZE];
    Error cause = *err;
    if (strcmp(err->sqlstate, SQLSTATE_UNDEFINED_FILE) != 0)
        return;
    error_set(err, ERROR_OPERATOR, "the server no longer has the WAL to measure from %s on",
              lsn_format(bench->from, text));
    error_detail(err, "%s", cause.message);
    if (kept_from == LSN_INVALID)
        error_hint(err, "Choose a later position for --from, or none.");
    else
        error_hint(err, "It has everything from %s on: use that for --from, or no --from.",
                   lsn_format(kept_from, text));
}

static bool measure(Bench *bench, Error *err)
{
    const BenchOptions *options = bench->options;
    ServerIdentity identity;
    SlotStatus slot = {.restart_lsn = LSN_INVALID};
    Error ignored;
    if (!identify_server(bench->connection, NULL, &identity, err) ||
        !choose_range(bench, &identity, err) || !choose_reporting(bench, err) ||
        !make_slot(bench, err))
        return false;
    if (options->from != LSN_INVALID)
        (void)!slot_status(bench->connection, &options->connect, bench->control, bench->slot, &slot,
                           &ignored);
    bench->result->segment_size = identity.segment_size;
    bench->result->timeline = bench->timeline;
    if (!bench_sink_start(&bench->sink, options, identity.system.system_identifier,
                          identity.segment_size, bench->timeline, bench->start, err))
        return false;
    if (!bench_stream(bench, err)) {
        tell_missing_wal(bench, slot.restart_lsn, err);
        return false;
    }
    end_copy(bench->connection, bench->control);
    return true;
}

static bool run_connected(Bench *bench, Error *err)
{
    const BenchOptions *options = bench->options;
    if (!connection_open(&options->connect, CONNECTION_REPLICATION, bench->control,
                         options->receive_timeout_ms, &bench->connection, err))
        return false;
    look_at_peer(bench->connection, bench->result);
    bool ok = measure(bench, err);
    connection_close(bench->connection);
    return ok;
}

static BenchLimit judge(const Bench *bench)
{
    const BenchResult *result = bench->result;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t process_us = result->process_cpu.user_us + result->process_cpu.system_us;
    uint64_t stream_us = result->stream_thread_cpu.user_us + result->stream_thread_cpu.system_us;
    BenchEvidence evidence = {.shares = result->shares, .local = result->local};
    memcpy(evidence.samples, result->samples, sizeof(evidence.samples));
    evidence.worker_cpu_ns = process_us > stream_us ? (process_us - stream_us) * 1000 : 0;
    if (bench->sink.compressor != NULL) {
        evidence.workers = bench->options->compress_workers;
        if (cores > 0 && evidence.workers > (unsigned long)cores)
            evidence.workers = (unsigned)cores;
    }
    return bench_verdict(&evidence);
}

static void reset_result(BenchResult *ret)
{
    memset(ret, 0, sizeof(*ret));
    bench_series_reset(&ret->series);
    histogram_reset(&ret->message_bytes);
    histogram_reset(&ret->write_ns);
    histogram_reset(&ret->flush_ns);
    histogram_reset(&ret->report_ns);
    histogram_reset(&ret->age_ns);
}

static bool run(Bench *bench, Error *err)
{
    Error left_behind;
    bool ok = connect_options_check(&bench->options->connect, err) &&
              bench_sink_open(&bench->sink, bench->options, err) && run_connected(bench, err);
    bench->result->limit = judge(bench);
    if (!bench_sink_close(&bench->sink, &left_behind)) {
        if (ok)
            *err = left_behind;
        else
            error_detail(err, "%s", left_behind.message);
        ok = false;
    }
    bench->result->packed_segments = bench->sink.packed_segments;
    bench->result->packed_bytes = bench->sink.packed_bytes;
    return ok;
}

bool bench_run(const BenchOptions *options, Control *control, BenchResult *ret, Error *err)
{
    Bench *bench = calloc(1, sizeof(*bench));
    if (bench == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for measuring");
    reset_result(ret);
    bench->options = options;
    bench->control = control;
    bench->result = ret;
    bench->sink.bell.fd = -1;
    bench->sink.stop_sweeping.fd = -1;
    bench->sink.parent.fd = -1;
    bench->sink.archive = (Archive){.dir = {.fd = -1}, .private = {.fd = -1}, .lock = {.fd = -1}};
    bench->probe.stop.fd = -1;
    bool ok = run(bench, err);
    free(bench);
    return ok;
}
