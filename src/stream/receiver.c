/* SPDX-License-Identifier: PostgreSQL
 *
 * See receiver.h: the run around the sessions, from opening the archive to the last segment's
 * compression.
 */
#include "walrx/stream/receiver.h"

#include "receiver_internal.h"

#include "walrx/archive/partial.h"
#include "walrx/os/clock.h"
#include "walrx/os/log.h"
#include "walrx/os/notify.h"
#include "walrx/proto/walpage.h"

#include <inttypes.h>
#include <stdlib.h>

#define FIRST_DELAY_MS 250
#define MAX_DELAY_MS 30000
/* With the patience of the store (store_finish.c) a stop takes about 10 s at most. */
#define COMPRESSION_PATIENCE_MS 5000
#define COMPRESSION_LOOK_MS 20

static bool receiver_open(Receiver *receiver, Error *err)
{
    const ReceiverOptions *options = receiver->options;
    MachineConfig machine = {
        .no_loop = options->no_loop,
        .as_pg_receivewal = options->as_pg_receivewal,
        .first_delay_ms = FIRST_DELAY_MS,
        .max_delay_ms = MAX_DELAY_MS,
        .seed = clock_seed(),
    };
    machine_init(&receiver->machine, &machine);
    receiver->switches = calloc(TIMELINE_MAX_SWITCHES, sizeof(receiver->switches[0]));
    if (receiver->switches == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for timeline history");
    if (!connect_options_check(&options->connect, err) || !bell_open(&receiver->bell, err) ||
        !archive_open(options->directory, !options->no_sync, file_table_kernel(),
                      &receiver->archive, err))
        return false;
    receiver->archive.metrics = &options->telemetry->archive;
    receiver->archive.keep_index = true;
    note_session(receiver);
    note_state(receiver, RECEIVER_STARTING);
    return true;
}

/* Lets the workers finish what is queued. After a signal only for a while, and not after a further
 * one, and not for room on the disk: what stays raw is compressed after the next start. */
static int finish_compression(Receiver *receiver, int status)
{
    Error error;
    bool patient = receiver->control->stop_count == 0 || receiver->options->as_pg_receivewal;
    uint64_t deadline = patient ? UINT64_MAX : clock_monotonic_ms() + COMPRESSION_PATIENCE_MS;
    if (receiver->compressor == NULL)
        return status;
    if (status == 3)
        compressor_abort(receiver->compressor);
    while (!compressor_idle(receiver->compressor) &&
           !compressor_error(receiver->compressor, &error)) {
        uint64_t now = clock_monotonic_ms();
        if (now < deadline && compressor_short_of_room(receiver->compressor, false, &error)) {
            log_line(LOG_WARNING, NULL,
                     "%s; what is not compressed yet stays raw until the next start",
                     error.message);
            deadline = now;
        }
        if (now >= deadline ||
            control_wait(receiver->control, -1, 0, now + COMPRESSION_LOOK_MS) == CONTROL_STOP)
            compressor_abort(receiver->compressor);
    }
    if (compressor_error(receiver->compressor, &error) && status == 0) {
        log_error(LOG_ERROR, NULL, &error);
        note_failure(receiver, &error);
        status = error_exit_status(error.class);
    }
    compressor_stop(receiver->compressor);
    receiver->compressor = NULL;
    return status;
}

/* How much of the open segment is worth packing. Its raw partial may hold more than this run
 * received: an earlier one, that was killed, may have come further. So all goes along up to the end
 * of the page with the last byte that is not zero (the last record may end in zeros). */
static bool open_segment_length(const Receiver *receiver, SegNo segno, uint64_t *ret, Error *err)
{
    uint64_t received = segment_offset(receiver->open_lsn, receiver->archive.segment_size);
    uint64_t content;
    if (!partial_content_end(&receiver->archive, receiver->open_timeline, segno, &content, err))
        return false;
    *ret = content <= received ? received
                               : (content + WAL_PAGE_SIZE - 1) / WAL_PAGE_SIZE * WAL_PAGE_SIZE;
    return true;
}

/* What pg_receivewal leaves behind after a clean stop with compression. */
static int pack_open_segment(Receiver *receiver, int status)
{
    const ReceiverOptions *options = receiver->options;
    uint32_t size = receiver->archive.segment_size;
    uint64_t length;
    Error error;
    if (status != 0 || !options->as_pg_receivewal || options->compress.method == WAL_RAW ||
        receiver->open_lsn == LSN_INVALID || segment_offset(receiver->open_lsn, size) == 0)
        return status;
    SegNo segno = segment_of(receiver->open_lsn, size);
    if (open_segment_length(receiver, segno, &length, &error) &&
        compress_partial(&receiver->archive, options->compress, receiver->open_timeline, segno,
                         length, options->memory, &error))
        return 0;
    log_error(LOG_ERROR, NULL, &error);
    note_failure(receiver, &error);
    return 1;
}

/* A person should look, even when the messages are long gone. */
static void tell_damage(const Receiver *receiver)
{
    char text[LSN_TEXT_SIZE];
    if (receiver->store == NULL)
        return;
    CheckCounts counts = store_checks(receiver->store);
    if (counts.faults > 0 && receiver->options->verify == VERIFY_ON)
        log_line(LOG_WARNING, NULL,
                 "the server sent damaged WAL at %" PRIu64 " place%s, the latest at %s",
                 counts.faults, counts.faults == 1 ? "" : "s",
                 lsn_format(counts.latest_fault, text));
}

static int receiver_close(Receiver *receiver, int status)
{
    const ReceiverWatch *watch = &receiver->options->watch;
    tell_damage(receiver);
    monitor_close(receiver->monitor);
    if (receiver->shown)
        receiver_show_archive(receiver, NULL);
    store_close(receiver->store);
    status = finish_compression(receiver, status);
    status = pack_open_segment(receiver, status);
    note_state(receiver, RECEIVER_STOPPED);
    /* The lock is held until then: a successor's state must not be overwritten. */
    if (receiver->shown && watch->ended != NULL)
        watch->ended(watch->context, status);
    archive_close(&receiver->archive);
    bell_close(&receiver->bell);
    free(receiver->switches);
    return status;
}

/* A SIGHUP while there is no connection. */
static void reload_between(Receiver *receiver)
{
    if (!receiver->control->reload)
        return;
    receiver->control->reload = false;
    if (receiver->options->reload != NULL)
        (void)receiver->options->reload(receiver->options->reload_context, &receiver->tunables);
}

static void tell_retry(const Receiver *receiver, const Error *error, const MachineNext *next)
{
    if (!next->tell)
        return;
    if (receiver->options->as_pg_receivewal) {
        log_error(LOG_ERROR, NULL, error);
        log_line(LOG_NOTICE, NULL, "disconnected; waiting %d seconds to try again",
                 (int)(next->delay_ms / 1000));
        return;
    }
    Error told = *error;
    const LogField fields[] = {LOG_NUM("retry_ms", next->delay_ms), LOG_END};
    error_detail(&told,
                 "%s%sTrying again until it works; the next message comes when something "
                 "changes, or in ten minutes.",
                 error->detail, error->detail[0] != '\0' ? " " : "");
    log_error(LOG_WARNING, fields, &told);
    notify_status("waiting to reconnect: %s", error->message);
}

static int run_sessions(Receiver *receiver)
{
    for (;;) {
        Error error;
        if (session_run(receiver, &error))
            return 0;
        MachineNext next = machine_after(&receiver->machine, &error, clock_monotonic_ms());
        if (error.class != ERROR_STOPPED)
            note_failure(receiver, &error);
        /* A start that comes to nothing is told, too: what stands there is of an earlier one. An
         * archive that is refused stays untouched. */
        if (!receiver->shown && receiver->archive.private.fd >= 0 && error.class != ERROR_ARCHIVE)
            receiver_show_archive(receiver, NULL);
        if (!next.retry) {
            if (next.tell)
                log_error(LOG_ERROR, NULL, &error);
            if (next.tell && receiver->options->no_loop && receiver->machine.ever_connected)
                log_line(LOG_ERROR, NULL, "disconnected");
            return next.exit_status;
        }
        note_state(receiver, RECEIVER_RESTARTING);
        tell_retry(receiver, &error, &next);
        if (control_wait(receiver->control, -1, 0, clock_monotonic_ms() + next.delay_ms) ==
            CONTROL_STOP) {
            log_line(LOG_INFO, NULL, "received interrupt signal, exiting");
            notify_stopping();
            return 0;
        }
        reload_between(receiver);
    }
}

int receiver_run(const ReceiverOptions *options, Control *control)
{
    Receiver receiver = {
        .options = options,
        .control = control,
        .tunables = options->tunables,
        .archive = {.dir = {.fd = -1}, .private = {.fd = -1}, .lock = {.fd = -1}},
        .bell = {.fd = -1},
    };
    Error error;
    int status;
    if (receiver_open(&receiver, &error)) {
        char text[512];
        log_line(LOG_DEBUG, NULL, "connecting with %s",
                 connect_options_text(&options->connect, text, sizeof(text)));
        /* Ready: the options are good and the archive is ours. Whether WAL flows is the status
         * text's to tell, so that a primary that is away does not hold up the boot of this host. */
        notify_ready();
        notify_status("connecting");
        receiver.monitor = monitor_open(options, &receiver.bell);
        status = run_sessions(&receiver);
    } else {
        log_error(LOG_ERROR, NULL, &error);
        status = options->as_pg_receivewal ? 1 : error_exit_status(error.class);
    }
    return receiver_close(&receiver, status);
}
