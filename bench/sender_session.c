/* SPDX-License-Identifier: PostgreSQL
 *
 * See sender_session.h. A blocking dialogue up to START_REPLICATION, then a poll loop that sends
 * WAL, takes status messages, and measures the time from sending a message to the first report that
 * covers its last byte.
 */
#include "sender_session.h"

#include "walrx/base/cursor.h"
#include "walrx/proto/command.h"
#include "walrx/proto/copydata.h"
#include "walrx/proto/frame.h"
#include "walrx/proto/result.h"
#include "walrx/proto/walpage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 65536    /* latency samples kept, the newest */
#define OUTSTANDING 4096 /* messages whose flush is awaited */
#define WINDOW (SENDER_MESSAGE_MAX + 2 * (size_t)WAL_PAGE_SIZE)
#define MESSAGE_HEADER (FRAME_COPY_DATA_HEADER + COPY_WAL_HEADER_SIZE)
/* Small messages leave together, so that their system calls do not limit what is measured. */
#define BATCH ((size_t)64 * 1024)
#define OUT_SIZE (BATCH + MESSAGE_HEADER + SENDER_MESSAGE_MAX)

typedef struct Awaited {
    Lsn end;
    uint64_t sent_us;
} Awaited;

typedef struct Session {
    int fd;
    const SenderConfig *config;
    const WalGen *gen;
    SenderReport *report;
    uint8_t in[FRAME_MAX_CLIENT_MESSAGE + 1];
    size_t in_length;
    uint8_t *pages; /* WAL from window_start to window_end */
    Lsn window_start;
    Lsn window_end;
    uint8_t *out; /* CopyData messages: what is sent of them, and how much there is */
    size_t out_at;
    size_t out_length;
    Lsn began; /* what the receiver asked for */
    Lsn position;
    Lsn end; /* where WAL ends at last */
    uint64_t began_us;
    uint64_t next_message_us;
    Awaited awaited[OUTSTANDING];
    size_t awaited_head;
    size_t awaited_count;
    uint32_t *samples;
} Session;

static uint64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static PgTime pg_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return ((int64_t)now.tv_sec - PG_EPOCH_UNIX_SECONDS) * 1000000 + now.tv_nsec / 1000;
}

static bool gone(Error *err)
{
    return error_set_errno(err, ERROR_RETRY, errno, "the client left");
}

static bool read_exactly(int fd, void *buffer, size_t count, Error *err)
{
    size_t done = 0;
    while (done < count) {
        ssize_t n = read(fd, (char *)buffer + done, count - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return gone(err);
        done += (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const Writer *writer, Error *err)
{
    size_t done = 0;
    if (writer->failed)
        return error_set(err, ERROR_PROTOCOL, "an answer does not fit its buffer");
    while (done < writer->position) {
        ssize_t n = write(fd, writer->data + done, writer->position - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return gone(err);
        done += (size_t)n;
    }
    return true;
}

static bool greet(Session *session, Error *err)
{
    uint8_t bytes[1024];
    for (;;) {
        size_t length;
        StartupKind kind;
        if (!read_exactly(session->fd, session->in, 4, err) ||
            !frame_length_decode(session->in, &length, err) ||
            !read_exactly(session->fd, session->in + 4, length - 4, err) ||
            !frame_startup_decode(session->in, length, &kind, err))
            return false;
        if (kind == STARTUP_SESSION)
            break;
        if (kind == STARTUP_CANCEL_REQUEST)
            return error_set(err, ERROR_STOPPED, "a cancel request");
        Writer no = writer_over(bytes, sizeof(bytes));
        write_u8(&no, 'N');
        if (!write_all(session->fd, &no, err))
            return false;
    }
    Writer writer = writer_over(bytes, sizeof(bytes));
    frame_authentication_ok(&writer);
    frame_parameter_status(&writer, "server_version", "15.0");
    frame_parameter_status(&writer, "server_encoding", "UTF8");
    frame_parameter_status(&writer, "client_encoding", "UTF8");
    frame_parameter_status(&writer, "integer_datetimes", "on");
    frame_parameter_status(&writer, "in_hot_standby", "off");
    frame_parameter_status(&writer, "default_transaction_read_only", "off");
    frame_backend_key(&writer, 1, 1);
    frame_ready(&writer);
    return write_all(session->fd, &writer, err);
}

static void answer_row(Writer *writer, const char *const *names, const ResultText *text,
                       const char *tag)
{
    frame_row(writer, names, &text->row);
    frame_command_complete(writer, tag);
}

/* Answers one command; *ret_streaming when it was START_REPLICATION. */
static bool answer(Session *session, const char *text, bool *ret_streaming, Error *err)
{
    static const char *const system_names[] = {"systemid", "timeline", "xlogpos", "dbname"};
    static const char *const slot_names[] = {"slot_type", "restart_lsn", "restart_tli"};
    static const char *const show_names[] = {"setting"};
    uint8_t bytes[2048];
    Writer writer = writer_over(bytes, sizeof(bytes));
    ReplicationCommand command;
    ResultText row;
    *ret_streaming = false;
    if (!command_parse(text, &command, err))
        return false;
    switch (command.kind) {
    case COMMAND_IDENTIFY_SYSTEM:
        result_identify_system_encode(
            &(IdentifySystemResult){.system_identifier = SENDER_SYSTEM_IDENTIFIER,
                                    .timeline = 1,
                                    .flush_lsn = session->end},
            &row);
        answer_row(&writer, system_names, &row, "IDENTIFY_SYSTEM");
        break;
    case COMMAND_SHOW:
        if (strcmp(command.name, "wal_segment_size") == 0)
            result_segment_size_encode(session->config->segment_size, &row);
        else if (strcmp(command.name, "synchronous_standby_names") == 0)
            row.row = (ResultRow){.count = 1, .values = {""}, .lengths = {0}};
        else
            row.row = (ResultRow){.count = 1, .values = {"0700"}, .lengths = {4}};
        answer_row(&writer, show_names, &row, "SHOW");
        break;
    case COMMAND_READ_SLOT:
        result_read_slot_encode(&(ReadSlotResult){.exists = true,
                                                  .physical = true,
                                                  .restart_lsn = session->config->start,
                                                  .restart_timeline = 1},
                                &row);
        answer_row(&writer, slot_names, &row, "READ_REPLICATION_SLOT");
        break;
    case COMMAND_START_PHYSICAL:
        session->began = command.start;
        session->position = command.start;
        *ret_streaming = true;
        frame_copy_both(&writer);
        return write_all(session->fd, &writer, err);
    case COMMAND_CREATE_PHYSICAL_SLOT:
        frame_command_complete(&writer, "CREATE_REPLICATION_SLOT");
        break;
    case COMMAND_TIMELINE_HISTORY:
    case COMMAND_DROP_SLOT:
        frame_error(&writer, "ERROR", "0A000", "the synthetic walsender does not do that");
        break;
    }
    frame_ready(&writer);
    return write_all(session->fd, &writer, err);
}

/* Commands up to START_REPLICATION; false with ERROR_STOPPED when the client says goodbye. */
static bool talk(Session *session, Error *err)
{
    bool streaming = false;
    while (!streaming) {
        uint8_t head[5];
        size_t length;
        if (!read_exactly(session->fd, head, sizeof(head), err) ||
            !frame_length_decode(head + 1, &length, err) ||
            !read_exactly(session->fd, session->in, length - 4, err))
            return false;
        session->in[length - 4] = '\0';
        if (head[0] == 'X')
            return error_set(err, ERROR_STOPPED, "the client said goodbye");
        if (head[0] != 'Q')
            return error_set(err, ERROR_PROTOCOL, "message of type 0x%02X instead of a query",
                             head[0]);
        if (!answer(session, (const char *)session->in, &streaming, err))
            return false;
    }
    return true;
}

/* How far WAL exists by now. With a rate it grows by whole messages, as it does under a server that
 * flushes commits of that size. */
static Lsn available(const Session *session, uint64_t now)
{
    const SenderConfig *config = session->config;
    if (config->rate == 0 || session->began >= session->end)
        return session->end;
    uint64_t grown = (uint64_t)((double)config->rate * (double)(now - session->began_us) / 1e6);
    if (grown >= session->end - session->began)
        return session->end;
    return session->began + grown - grown % config->message_size;
}

/* The pages of [position, position + length), generated unless they are there from before. */
static const uint8_t *wal_at(Session *session, Lsn position, size_t length)
{
    if (position < session->window_start || position + length > session->window_end) {
        session->window_start = position - position % WAL_PAGE_SIZE;
        session->window_end = session->window_start + WINDOW;
        walgen_pages(session->gen, session->window_start, session->pages, WINDOW);
    }
    return session->pages + (position - session->window_start);
}

static void append_message(Session *session, Lsn until, uint64_t now)
{
    size_t length = (size_t)(until - session->position);
    if (length > session->config->message_size)
        length = session->config->message_size;
    uint8_t *start = session->out + session->out_length;
    Writer writer = writer_over(start, MESSAGE_HEADER);
    frame_copy_data_header(&writer, COPY_WAL_HEADER_SIZE + length);
    write_u8(&writer, COPY_WAL_DATA);
    write_u64_be(&writer, session->position);
    write_u64_be(&writer, until);
    write_u64_be(&writer, (uint64_t)pg_now());
    memcpy(start + MESSAGE_HEADER, wal_at(session, session->position, length), length);
    session->out_length += MESSAGE_HEADER + length;
    session->position += length;
    session->report->messages++;
    session->report->sent_bytes += length;
    if (session->awaited_count < OUTSTANDING) {
        size_t at = (session->awaited_head + session->awaited_count++) % OUTSTANDING;
        session->awaited[at] = (Awaited){.end = session->position, .sent_us = now};
    }
}

/* One message, or as many small ones as make a batch when no pause is asked for between them. */
static void prepare_messages(Session *session, Lsn until, uint64_t now)
{
    session->out_at = 0;
    do
        append_message(session, until, now);
    while (session->config->pause_ms == 0 && session->position < until &&
           session->out_length < BATCH);
    session->next_message_us = now + session->config->pause_ms * 1000;
}

static bool blocked(const Session *session)
{
    return session->out_at < session->out_length;
}

/* Sends what the socket takes. */
static bool push(Session *session, Error *err)
{
    while (blocked(session)) {
        ssize_t n = write(session->fd, session->out + session->out_at,
                          session->out_length - session->out_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return gone(err);
        session->out_at += (size_t)n;
    }
    return true;
}

static void saw_flush(Session *session, Lsn flushed, uint64_t now)
{
    SenderReport *report = session->report;
    if (flushed > report->flushed)
        report->flushed = flushed;
    while (session->awaited_count > 0 && session->awaited[session->awaited_head].end <= flushed) {
        uint64_t took = now - session->awaited[session->awaited_head].sent_us;
        session->samples[report->latency_count++ % SAMPLES] =
            took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
        session->awaited_head = (session->awaited_head + 1) % OUTSTANDING;
        session->awaited_count--;
    }
    if (flushed >= session->end && report->drained_seconds == 0)
        report->drained_seconds = (double)(now - session->began_us) / 1e6;
}

/* One whole message of the client in session->in; *ret_over when it ends COPY or leaves. */
static bool take(Session *session, size_t length, bool *ret_over, Error *err)
{
    CopyMessage message;
    uint8_t type = session->in[0];
    if (type == 'c' || type == 'X') {
        *ret_over = true;
        return true;
    }
    if (type != 'd')
        return error_set(err, ERROR_PROTOCOL, "message of type 0x%02X during COPY", type);
    if (!copy_message_decode(session->in + 5, length - 5, &message, err))
        return false;
    if (message.type == COPY_STANDBY_STATUS)
        saw_flush(session, message.as.status.flush, now_us());
    return true;
}

static bool pull(Session *session, bool *ret_over, Error *err)
{
    ssize_t n = read(session->fd, session->in + session->in_length,
                     sizeof(session->in) - session->in_length);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        *ret_over = true;
        return true;
    }
    session->in_length += (size_t)n;
    while (session->in_length >= 5 && !*ret_over) {
        size_t length;
        if (!frame_length_decode(session->in + 1, &length, err))
            return false;
        if (session->in_length < length + 1)
            break;
        if (!take(session, length + 1, ret_over, err))
            return false;
        session->in_length -= length + 1;
        memmove(session->in, session->in + length + 1, session->in_length);
    }
    return true;
}

/* Microseconds until there is something to send: WAL has grown by a message, or the pause is over.
 */
static uint64_t patience(const Session *session, Lsn until, uint64_t now)
{
    if (session->next_message_us > now)
        return session->next_message_us - now;
    if (until > session->position)
        return 0;
    double next = (double)(until - session->began + session->config->message_size);
    uint64_t when = session->began_us + (uint64_t)(next * 1e6 / (double)session->config->rate) + 1;
    return when > now ? when - now : 0;
}

/* Waits for the client, and for the socket or the time to send more. *ret_readable: read it. */
static void wait_for_work(const Session *session, Lsn until, uint64_t now, bool *ret_readable)
{
    bool full = blocked(session);
    struct pollfd polled = {.fd = session->fd, .events = (short)(POLLIN | (full ? POLLOUT : 0))};
    uint64_t us = full ? 0 : patience(session, until, now);
    struct timespec timeout = {.tv_sec = (time_t)(us / 1000000),
                               .tv_nsec = (long)(us % 1000000) * 1000};
    bool forever = full || session->position >= session->end;
    *ret_readable =
        ppoll(&polled, 1, forever ? NULL : &timeout, NULL) > 0 && (polled.revents & ~POLLOUT) != 0;
}

/* The client ended COPY: what it will read first is the rest of a message that was begun. */
static bool finish_message(Session *session, Error *err)
{
    while (blocked(session)) {
        struct pollfd polled = {.fd = session->fd, .events = POLLOUT};
        (void)poll(&polled, 1, -1);
        if (!push(session, err))
            return false;
    }
    return true;
}

static bool stream(Session *session, Error *err)
{
    bool over = false;
    if (fcntl(session->fd, F_SETFL, O_NONBLOCK) != 0)
        return gone(err);
    session->began_us = now_us();
    while (!over) {
        bool readable;
        uint64_t now = now_us();
        Lsn until = available(session, now);
        if (!blocked(session)) {
            session->out_length = 0;
            session->out_at = 0;
            if (until > session->position && now >= session->next_message_us)
                prepare_messages(session, until, now);
        }
        if (!push(session, err))
            return false;
        wait_for_work(session, until, now, &readable);
        if (readable && !pull(session, &over, err))
            return false;
    }
    return true;
}

static int compare_samples(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void summarise(Session *session)
{
    SenderReport *report = session->report;
    size_t count = report->latency_count < SAMPLES ? (size_t)report->latency_count : SAMPLES;
    report->seconds = (double)(now_us() - session->began_us) / 1e6;
    if (count == 0)
        return;
    qsort(session->samples, count, sizeof(session->samples[0]), compare_samples);
    report->latency_p50_us = session->samples[count / 2];
    report->latency_p99_us = session->samples[count * 99 / 100];
    report->latency_max_us = session->samples[count - 1];
}

static void say_goodbye(Session *session)
{
    uint8_t bytes[128];
    Writer writer = writer_over(bytes, sizeof(bytes));
    Error ignored; /* the client may be gone already */
    frame_copy_done(&writer);
    frame_command_complete(&writer, "START_STREAMING");
    frame_ready(&writer);
    (void)!write_all(session->fd, &writer, &ignored);
}

bool sender_session(int fd, const SenderConfig *config, const WalGen *gen, SenderReport *report,
                    Error *err)
{
    *report = (SenderReport){.streamed = false};
    Session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for a session");
    *session = (Session){.fd = fd, .config = config, .gen = gen, .report = report};
    session->end = config->start + config->bytes;
    session->out = malloc(OUT_SIZE);
    session->pages = malloc(WINDOW);
    session->samples = calloc(SAMPLES, sizeof(session->samples[0]));
    bool ok = session->out != NULL && session->pages != NULL && session->samples != NULL;
    if (!ok)
        (void)error_set(err, ERROR_MEMORY, "out of memory for a session");
    ok = ok && greet(session, err) && talk(session, err);
    if (ok) {
        report->streamed = true;
        ok = stream(session, err);
        summarise(session);
        if (ok && finish_message(session, err))
            say_goodbye(session);
    } else if (err->class == ERROR_STOPPED) {
        ok = true;
    }
    free(session->out);
    free(session->pages);
    free(session->samples);
    free(session);
    return ok;
}

void sender_report_print(const SenderReport *report)
{
    char flushed[LSN_TEXT_SIZE];
    printf("{\"sent_bytes\": %llu, \"messages\": %llu, \"seconds\": %.4f, "
           "\"drained_seconds\": %.4f, \"flushed\": \"%s\", \"flush_latency_us\": "
           "{\"count\": %llu, \"p50\": %llu, \"p99\": %llu, \"max\": %llu}}\n",
           (unsigned long long)report->sent_bytes, (unsigned long long)report->messages,
           report->seconds, report->drained_seconds, lsn_format(report->flushed, flushed),
           (unsigned long long)report->latency_count, (unsigned long long)report->latency_p50_us,
           (unsigned long long)report->latency_p99_us, (unsigned long long)report->latency_max_us);
    (void)fflush(stdout);
}
