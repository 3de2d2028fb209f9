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
#define PAGE_SLACK (2 * (size_t)8192)

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
    uint8_t *out; /* one CopyData message, with room for whole pages around it */
    size_t out_at;
    size_t out_length;
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

/* How far WAL exists by now. */
static Lsn available(const Session *session, uint64_t now)
{
    uint64_t rate = session->config->rate;
    if (rate == 0)
        return session->end;
    uint64_t grown = (uint64_t)((double)rate * (double)(now - session->began_us) / 1e6);
    Lsn start = session->config->start;
    return session->end - start < grown ? session->end : start + grown;
}

static void prepare_message(Session *session, Lsn until, uint64_t now)
{
    Lsn position = session->position;
    size_t length = (size_t)(until - position);
    if (length > session->config->message_size)
        length = session->config->message_size;
    Lsn first = position - position % 8192;
    Lsn last = (position + length + 8191) / 8192 * 8192;
    size_t header = FRAME_COPY_DATA_HEADER + COPY_WAL_HEADER_SIZE;
    /* Pages go where their bytes belong; the headers then cover what lies in front. */
    uint8_t *body = session->out + PAGE_SLACK;
    walgen_pages(session->gen, first, body, (size_t)(last - first));
    uint8_t *data = body + (position - first);
    uint8_t *start = data - header;
    Writer writer = writer_over(start, header);
    frame_copy_data_header(&writer, COPY_WAL_HEADER_SIZE + length);
    write_u8(&writer, COPY_WAL_DATA);
    write_u64_be(&writer, position);
    write_u64_be(&writer, until);
    write_u64_be(&writer, (uint64_t)pg_now());
    session->out_at = (size_t)(start - session->out);
    session->out_length = header + length;
    session->position = position + length;
    session->report->messages++;
    session->report->sent_bytes += length;
    session->next_message_us = now + session->config->pause_ms * 1000;
    if (session->awaited_count < OUTSTANDING) {
        size_t at = (session->awaited_head + session->awaited_count++) % OUTSTANDING;
        session->awaited[at] = (Awaited){.end = session->position, .sent_us = now};
    }
}

/* Sends what the socket takes. */
static bool push(Session *session, Error *err)
{
    while (session->out_length > 0) {
        ssize_t n = write(session->fd, session->out + session->out_at, session->out_length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return gone(err);
        session->out_at += (size_t)n;
        session->out_length -= (size_t)n;
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

/* How long poll may sleep: until WAL grows again (a millisecond), or the pause is over. */
static int patience(const Session *session, uint64_t now)
{
    if (session->position >= session->end)
        return -1;
    if (session->next_message_us > now)
        return (int)((session->next_message_us - now + 999) / 1000);
    return 1;
}

static bool stream(Session *session, Error *err)
{
    bool over = false;
    if (fcntl(session->fd, F_SETFL, O_NONBLOCK) != 0)
        return gone(err);
    session->began_us = now_us();
    while (!over) {
        uint64_t now = now_us();
        Lsn until = available(session, now);
        bool due = until > session->position && now >= session->next_message_us;
        if (session->out_length == 0 && due)
            prepare_message(session, until, now);
        if (!push(session, err))
            return false;
        bool blocked = session->out_length > 0;
        struct pollfd polled = {.fd = session->fd,
                                .events = (short)(POLLIN | (blocked ? POLLOUT : 0))};
        int timeout = blocked ? -1 : patience(session, now);
        if (!blocked && due)
            timeout = 0;
        if (poll(&polled, 1, timeout) > 0 && (polled.revents & ~POLLOUT) != 0 &&
            !pull(session, &over, err))
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
    session->out = malloc(SENDER_MESSAGE_MAX + 2 * PAGE_SLACK);
    session->samples = calloc(SAMPLES, sizeof(session->samples[0]));
    bool ok = session->out != NULL && session->samples != NULL;
    if (!ok)
        (void)error_set(err, ERROR_MEMORY, "out of memory for a session");
    ok = ok && greet(session, err) && talk(session, err);
    if (ok) {
        report->streamed = true;
        ok = stream(session, err);
        summarise(session);
        if (ok && session->out_length == 0)
            say_goodbye(session);
    } else if (err->class == ERROR_STOPPED) {
        ok = true;
    }
    free(session->out);
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
