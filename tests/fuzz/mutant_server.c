/* SPDX-License-Identifier: PostgreSQL
 *
 * See mutant_server.h. What is sent goes through one place, where it is changed and its messages
 * are read again, so that WAL counts as sent however it came about.
 */
#include "mutant_server.h"

#include "../unit/proto/walmaker.h"

#include "walrx/base/cursor.h"
#include "walrx/proto/command.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SEGMENT ((size_t)1024 * 1024)
#define FIRST_SEGMENT 5
#define MADE_SEGMENTS 3
#define BEGIN ((Lsn)FIRST_SEGMENT * SEGMENT)
#define SENT_SEGMENTS 12 /* so many are remembered */
#define CONNECTIONS_MAX 4
#define OUT_MAX (SEGMENT + 65536)
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define PATIENCE_MS 10 /* for the receiver's next message */

typedef struct SentSegment {
    uint64_t number;
    uint8_t bytes[SEGMENT];
    uint8_t state[SEGMENT]; /* 0: not sent, 1: these bytes, 2: different ones too */
} SentSegment;

typedef struct Framing {
    uint8_t header[5 + 25];
    size_t have; /* of the header */
    uint32_t left;
    Lsn lsn;
    bool wal;
    bool lost;
} Framing;

/* Indexes into the lists of what the server says. */
typedef struct Extremes {
    size_t end;
    size_t restart;
    size_t timeline;
    size_t size;
} Extremes;

struct MutantServer {
    int listener;
    pthread_t thread;
    const uint8_t *script;
    size_t length;
    size_t at;
    atomic_bool quit;
    atomic_bool done;
    int stop_fd;
    int peers[CONNECTIONS_MAX];
    size_t peer_count;
    bool started; /* the startup message of the current peer came */
    char command[256];
    Lsn position;
    Framing framing;
    SentSegment *sent;
    size_t sent_count;
    bool sent_overflow;
    Extremes extremes;
    /* what happens to the next thing sent */
    size_t flip_at;
    uint8_t flip;
    size_t cut;
    bool twice;
    uint8_t *wal; /* MADE_SEGMENTS from BEGIN on */
    uint8_t *out;
    size_t out_length;
};

/* What was sent -----------------------------------------------------------------------------------
 */

static SentSegment *sent_segment(MutantServer *server, uint64_t number)
{
    for (size_t i = 0; i < server->sent_count; i++) {
        if (server->sent[i].number == number)
            return &server->sent[i];
    }
    if (server->sent_count == SENT_SEGMENTS) {
        server->sent_overflow = true;
        return NULL;
    }
    SentSegment *segment = &server->sent[server->sent_count++];
    segment->number = number;
    memset(segment->state, 0, SEGMENT);
    return segment;
}

static void note_part(SentSegment *segment, size_t offset, const uint8_t *bytes, size_t count)
{
    static const uint8_t none[SEGMENT];
    if (memcmp(segment->state + offset, none, count) == 0) {
        memset(segment->state + offset, 1, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            uint8_t *state = &segment->state[offset + i];
            if (*state == 0)
                *state = 1;
            else if (segment->bytes[offset + i] != bytes[i])
                *state = 2;
        }
    }
    memcpy(segment->bytes + offset, bytes, count);
}

static void note_wal(MutantServer *server, Lsn lsn, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        size_t offset = lsn % SEGMENT;
        size_t count = length < SEGMENT - offset ? length : SEGMENT - offset;
        SentSegment *segment = sent_segment(server, lsn / SEGMENT);
        if (segment != NULL)
            note_part(segment, offset, bytes, count);
        bytes += count;
        length -= count;
        lsn += count;
    }
}

static bool part_sent(const SentSegment *segment, size_t offset, const uint8_t *bytes, size_t count)
{
    if (memchr(segment->state + offset, 0, count) != NULL)
        return false;
    if (memcmp(segment->bytes + offset, bytes, count) == 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (segment->state[offset + i] == 1 && segment->bytes[offset + i] != bytes[i])
            return false;
    }
    return true;
}

bool mutant_sent(const MutantServer *server, uint64_t lsn, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        const SentSegment *segment = NULL;
        size_t offset = lsn % SEGMENT;
        size_t count = length < SEGMENT - offset ? length : SEGMENT - offset;
        for (size_t s = 0; s < server->sent_count; s++) {
            if (server->sent[s].number == lsn / SEGMENT)
                segment = &server->sent[s];
        }
        if (segment == NULL)
            return server->sent_overflow;
        if (!part_sent(segment, offset, bytes, count))
            return false;
        bytes += count;
        length -= count;
        lsn += count;
    }
    return true;
}

/* One message's header is complete: how much of it follows, and is it WAL? */
static void frame_begins(Framing *framing)
{
    Reader reader = reader_over(framing->header + 1, framing->have - 1);
    uint32_t length = read_u32_be(&reader);
    if (length < 4) {
        framing->lost = true;
        return;
    }
    framing->left = length - 4;
    framing->wal = framing->header[0] == 'd' && framing->left >= 25;
}

/* Follows the messages of what goes out. */
static void follow(MutantServer *server, const uint8_t *bytes, size_t length)
{
    Framing *framing = &server->framing;
    while (length > 0 && !framing->lost) {
        size_t wanted = framing->have >= 5 && framing->wal ? 30 : 5;
        if (framing->have < wanted) {
            framing->header[framing->have++] = *bytes++;
            length--;
            if (framing->have == 5)
                frame_begins(framing);
            if (framing->have == 30) {
                Reader reader = reader_over(framing->header + 6, 8);
                framing->lsn = read_u64_be(&reader);
                framing->left -= 25;
                framing->wal = framing->header[5] == 'w';
                framing->have = framing->wal ? 30 : 6;
            }
        } else {
            size_t count = length < framing->left ? length : framing->left;
            if (framing->wal)
                note_wal(server, framing->lsn, bytes, count);
            framing->lsn += count;
            framing->left -= (uint32_t)count;
            bytes += count;
            length -= count;
        }
        wanted = framing->wal ? 30 : 5;
        if (framing->have >= wanted && framing->left == 0)
            *framing = (Framing){.have = 0};
    }
}

/* Sending -----------------------------------------------------------------------------------------
 */

static void drop_peer(MutantServer *server)
{
    if (server->peer_count > 0)
        (void)close(server->peers[--server->peer_count]);
    server->started = server->peer_count > 0;
    server->framing = (Framing){.have = 0};
}

static void send_bytes(MutantServer *server, const uint8_t *bytes, size_t length)
{
    size_t done = 0;
    follow(server, bytes, length);
    while (done < length && server->peer_count > 0 && !atomic_load(&server->quit)) {
        struct pollfd polled = {.fd = server->peers[server->peer_count - 1], .events = POLLOUT};
        ssize_t n = send(polled.fd, bytes + done, length - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            done += (size_t)n;
        else if (poll(&polled, 1, 4 * PATIENCE_MS) <= 0 || (polled.revents & POLLHUP) != 0)
            drop_peer(server);
    }
}

/* Sends what was composed, with the changes the script asked for. */
static void send_out(MutantServer *server)
{
    size_t length = server->out_length;
    if (server->cut > 0 && server->cut < length)
        length = server->cut;
    if (length > 0 && server->flip != 0)
        server->out[server->flip_at % length] ^= server->flip;
    for (int i = server->twice ? 2 : 1; i > 0; i--)
        send_bytes(server, server->out, length);
    server->flip = 0;
    server->cut = 0;
    server->twice = false;
    server->out_length = 0;
}

static void put(MutantServer *server, const void *bytes, size_t length)
{
    if (length == 0 || length > OUT_MAX - server->out_length)
        return;
    memcpy(server->out + server->out_length, bytes, length);
    server->out_length += length;
}

static void put_message(MutantServer *server, char type, const void *payload, size_t length)
{
    uint8_t header[5];
    Writer writer = writer_over(header, sizeof(header));
    write_u8(&writer, (uint8_t)type);
    write_u32_be(&writer, (uint32_t)length + 4);
    put(server, header, sizeof(header));
    put(server, payload, length);
}

static void put_row(MutantServer *server, const char *const *values, size_t count)
{
    uint8_t payload[2048];
    Writer names = writer_over(payload, sizeof(payload));
    write_u8(&names, 0);
    write_u8(&names, (uint8_t)count);
    for (size_t i = 0; i < count; i++)
        write_bytes(&names, "c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 20);
    put_message(server, 'T', payload, names.position);
    Writer row = writer_over(payload, sizeof(payload));
    write_u8(&row, 0);
    write_u8(&row, (uint8_t)count);
    for (size_t i = 0; i < count; i++) {
        size_t length = values[i] != NULL ? strlen(values[i]) : 0;
        write_u32_be(&row, values[i] != NULL ? (uint32_t)length : UINT32_MAX);
        if (length > 0)
            write_bytes(&row, values[i], length);
    }
    put_message(server, 'D', payload, row.position);
    put_message(server, 'C', "X", 2);
    put_message(server, 'Z', "I", 1);
}

static void put_setting(MutantServer *server, const char *name, const char *value)
{
    char payload[128];
    int length = snprintf(payload, sizeof(payload), "%s%c%s", name, 0, value);
    put_message(server, 'S', payload, (size_t)length + 1);
}

/* What the script may have the server say; the first of each is the good one. */
static const char *const positions[] = {
    "0/500000",          "0/800000",          "0/0", "0/1",       "0/600000", "0/5FFFFF",
    "FFFFFFFF/7FF00000", "FFFFFFFF/FFFFFFFF", "7/0", "0/80000000"};
static const char *const timelines[] = {"1", "2", "4294967295", "0"};
static const char *const sizes[] = {"1MB", "2MB", "16MB", "1GB"};

/* The good session --------------------------------------------------------------------------------
 */

static void answer_startup(MutantServer *server)
{
    put_message(server, 'R', "\0\0\0\0", 4);
    put_setting(server, "server_version", "15.18");
    put_setting(server, "in_hot_standby", "off");
    put_message(server, 'K', "\0\0\0\1\0\0\0\2", 8);
    put_message(server, 'Z', "I", 1);
}

static void answer_command(MutantServer *server)
{
    static const char *const mode[] = {"0700"};
    static const char *const history[] = {"00000002.history", "1\t0/600000\tx\n"};
    static const char *const next[] = {"2", "0/600000"};
    const Extremes *extremes = &server->extremes;
    const char *const identity[] = {"1311768467463790320", timelines[extremes->timeline],
                                    positions[extremes->end], NULL};
    const char *const size[] = {sizes[extremes->size]};
    const char *const slot[] = {"physical", positions[extremes->restart], "1"};
    ReplicationCommand command;
    Error ignored;
    if (server->command[0] == 'c') { /* the receiver ended COPY */
        put_message(server, 'c', NULL, 0);
        put_row(server, next, server->position % SEGMENT == 0 ? 2 : 0);
        return;
    }
    if (!command_parse(server->command, &command, &ignored))
        return;
    switch (command.kind) {
    case COMMAND_IDENTIFY_SYSTEM:
        put_row(server, identity, 4);
        break;
    case COMMAND_SHOW:
        put_row(server, command.name[0] == 'd' ? mode : size, 1);
        break;
    case COMMAND_READ_SLOT:
        put_row(server, slot, 3);
        break;
    case COMMAND_TIMELINE_HISTORY:
        put_row(server, history, 2);
        break;
    case COMMAND_START_PHYSICAL:
        server->position = command.start;
        put_message(server, 'W', "\0\0", 3);
        break;
    case COMMAND_CREATE_PHYSICAL_SLOT:
    case COMMAND_DROP_SLOT:
        break;
    }
}

/* Bytes of right WAL, as far as it was made. */
static void put_wal(MutantServer *server, size_t length, int64_t skew)
{
    Lsn at = server->position + (Lsn)skew;
    uint8_t header[30];
    length = length < OUT_MAX / 2 ? length : OUT_MAX / 2;
    Writer writer = writer_over(header, sizeof(header));
    write_u8(&writer, 'd');
    write_u32_be(&writer, (uint32_t)(length + 25 + 4));
    write_u8(&writer, 'w');
    write_u64_be(&writer, at);
    write_u64_be(&writer, at + length);
    write_u64_be(&writer, 0);
    put(server, header, sizeof(header));
    size_t offset = (at - BEGIN) % (MADE_SEGMENTS * SEGMENT);
    size_t first =
        length < MADE_SEGMENTS * SEGMENT - offset ? length : MADE_SEGMENTS * SEGMENT - offset;
    put(server, server->wal + offset, first);
    put(server, server->wal, length - first);
    server->position += length;
}

/* Waiting -----------------------------------------------------------------------------------------
 */

static bool receive_exactly(int fd, void *buffer, size_t length)
{
    uint8_t *at = buffer;
    while (length > 0) {
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        ssize_t n = poll(&polled, 1, PATIENCE_MS) > 0 ? recv(fd, at, length, 0) : -1;
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

/* Reads one message of the receiver. False: it is gone. *ret: one that wants an answer. */
static bool take_message(MutantServer *server, bool *ret)
{
    int fd = server->peers[server->peer_count - 1];
    uint8_t header[5];
    uint8_t rest[4096];
    size_t header_size = server->started ? 5 : 4;
    if (!receive_exactly(fd, header, header_size))
        return false;
    Reader reader = reader_over(header + header_size - 4, 4);
    uint32_t length = read_u32_be(&reader);
    if (length < 4 || length - 4 > sizeof(rest) || !receive_exactly(fd, rest, length - 4))
        return false;
    *ret = !server->started || header[0] == 'Q' || header[0] == 'c' || header[0] == 'p';
    if (!server->started)
        server->command[0] = '\0';
    else if (header[0] == 'Q')
        (void)snprintf(server->command, sizeof(server->command), "%.*s", (int)(length - 4), rest);
    else if (header[0] == 'c')
        (void)snprintf(server->command, sizeof(server->command), "c");
    server->started = true;
    return true;
}

/* Until the receiver wants an answer, or patience is over. */
static void await(MutantServer *server)
{
    bool wanted = false;
    while (!wanted && !atomic_load(&server->quit)) {
        struct pollfd polled[2] = {
            {.fd = server->listener, .events = POLLIN},
            {.fd = server->peer_count > 0 ? server->peers[server->peer_count - 1] : -1,
             .events = POLLIN},
        };
        if (poll(polled, 2, PATIENCE_MS) <= 0)
            return;
        if (polled[0].revents != 0) {
            int fd = accept(server->listener, NULL, NULL);
            if (fd >= 0 && server->peer_count == CONNECTIONS_MAX)
                (void)close(fd);
            else if (fd >= 0)
                server->peers[server->peer_count++] = fd;
            server->started = false;
            server->framing = (Framing){.have = 0};
        } else if (!take_message(server, &wanted)) {
            drop_peer(server);
        }
    }
}

/* The script --------------------------------------------------------------------------------------
 */

static uint8_t next_byte(MutantServer *server)
{
    return server->at < server->length ? server->script[server->at++] : 0;
}

static uint16_t next_u16(MutantServer *server)
{
    uint16_t high = next_byte(server);
    return (uint16_t)(high << 8 | next_byte(server));
}

/* Bytes of the script, preceded by how many. */
static size_t next_bytes(MutantServer *server, const uint8_t **ret)
{
    size_t length = next_u16(server);
    if (length > server->length - server->at)
        length = server->length - server->at;
    *ret = server->script + server->at;
    server->at += length;
    return length;
}

static void ask_to_stop(const MutantServer *server)
{
    struct signalfd_siginfo info = {.ssi_signo = SIGTERM};
    (void)!write(server->stop_fd, &info, sizeof(info));
}

static void keepalive(MutantServer *server)
{
    uint8_t payload[18] = {'k'};
    payload[1 + next_byte(server) % 16] = next_byte(server);
    payload[17] = next_byte(server);
    put_message(server, 'd', payload, sizeof(payload));
    send_out(server);
}

static void choose_extremes(MutantServer *server)
{
    uint8_t code = next_byte(server);
    server->extremes = (Extremes){
        .end = (code & 15) % COUNT(positions),
        .restart = next_byte(server) % COUNT(positions),
        .timeline = (code >> 4) % COUNT(timelines),
        .size = (code >> 6) % COUNT(sizes),
    };
}

static void step(MutantServer *server)
{
    const uint8_t *bytes;
    size_t length;
    uint8_t code = next_byte(server);
    switch (code % 13) {
    case 0:
        await(server);
        break;
    case 1: /* wait, and answer well */
        await(server);
        if (server->command[0] == '\0')
            answer_startup(server);
        else
            answer_command(server);
        send_out(server);
        break;
    case 2:
        length = next_bytes(server, &bytes);
        put(server, bytes, length);
        send_out(server);
        break;
    case 3:
        code = next_byte(server);
        length = next_bytes(server, &bytes);
        put_message(server, (char)code, bytes, length);
        send_out(server);
        break;
    case 4: /* WAL; with a skew now and then */
        length = (size_t)next_u16(server) * 8;
        put_wal(server, length, (int8_t)next_byte(server));
        send_out(server);
        break;
    case 5: /* the rest of the segment, in messages as the server sends them */
        for (size_t left = SEGMENT - server->position % SEGMENT; left > 0; left -= length) {
            length = left < 131072 ? left : 131072;
            put_wal(server, length, 0);
            send_out(server);
        }
        break;
    case 6:
        keepalive(server);
        break;
    case 7:
        server->flip_at = next_u16(server);
        server->flip = next_byte(server);
        break;
    case 8:
        server->cut = next_u16(server);
        break;
    case 9:
        server->twice = true;
        break;
    case 10:
        drop_peer(server);
        break;
    case 11:
        ask_to_stop(server);
        break;
    case 12:
        choose_extremes(server);
        break;
    default:
        break;
    }
}

static void *serve(void *argument)
{
    MutantServer *server = argument;
    while (server->at < server->length && !atomic_load(&server->quit))
        step(server);
    while (server->peer_count > 0)
        drop_peer(server);
    atomic_store(&server->done, true);
    /* Whoever comes now is sent away, so that nobody waits for an answer. */
    while (!atomic_load(&server->quit)) {
        struct pollfd polled = {.fd = server->listener, .events = POLLIN};
        int fd = poll(&polled, 1, 1) > 0 ? accept(server->listener, NULL, NULL) : -1;
        if (fd >= 0)
            (void)close(fd);
    }
    return NULL;
}

static uint8_t *make_wal(void)
{
    uint8_t *wal = malloc(MADE_SEGMENTS * SEGMENT);
    if (wal == NULL)
        abort();
    WalMaker maker = maker_over(wal, MADE_SEGMENTS * SEGMENT, BEGIN, SEGMENT);
    while (maker.length < MADE_SEGMENTS * SEGMENT)
        maker_fill_page(&maker, 0);
    return wal;
}

MutantServer *mutant_listen(const char *folder)
{
    MutantServer *server = calloc(1, sizeof(*server));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (server == NULL)
        abort();
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432", folder);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    server->wal = make_wal();
    server->out = malloc(OUT_MAX);
    server->sent = calloc(SENT_SEGMENTS, sizeof(*server->sent));
    if (server->out == NULL)
        abort();
    if (server->sent == NULL)
        abort();
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(server->listener, 16) != 0)
        abort();
    return server;
}

void mutant_begin(MutantServer *server, const uint8_t *script, size_t length, int stop_fd)
{
    server->script = script;
    server->length = length;
    server->at = 0;
    server->stop_fd = stop_fd;
    server->started = false;
    server->command[0] = '\0';
    server->position = BEGIN;
    server->extremes = (Extremes){.end = 1};
    server->framing = (Framing){.have = 0};
    server->sent_count = 0;
    server->sent_overflow = false;
    server->flip = 0;
    server->cut = 0;
    server->twice = false;
    server->out_length = 0;
    atomic_store(&server->quit, false);
    atomic_store(&server->done, false);
    if (pthread_create(&server->thread, NULL, serve, server) != 0)
        abort();
}

bool mutant_has_more(MutantServer *server)
{
    return !atomic_load(&server->done);
}

void mutant_end(MutantServer *server)
{
    atomic_store(&server->quit, true);
    (void)pthread_join(server->thread, NULL);
}
