/* SPDX-License-Identifier: PostgreSQL
 *
 * A synthetic walsender: feeds a receiver faster than PostgreSQL can, or at a steady rate, so that
 * limits and steady states are measured without a server.
 *
 *   sender --port=PORT [--bytes=SIZE] [--rate=SIZE] [--message-size=SIZE] [--pause=TIME]
 *          [--segment-size=SIZE] [--start=LSN] [--sessions=N]
 *
 * It holds `bytes` of generated WAL behind `start` and grows no further; with a rate, that many
 * bytes a second become available, in messages of message-size with a pause after each. For every
 * status message it notes how long the flush of a sent byte took to be reported. Listens on
 * 127.0.0.1 only; one session at a time; ends after `sessions` of them with a line of JSON each on
 * standard output.
 */
#include "sender_session.h"

#include "walrx/base/error.h"
#include "walrx/base/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct SenderOptions {
    uint64_t port;
    uint64_t sessions;
    SenderConfig config;
} SenderOptions;

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"bytes", required_argument, NULL, 'b'},
    {"rate", required_argument, NULL, 'r'},
    {"message-size", required_argument, NULL, 'm'},
    {"pause", required_argument, NULL, 'w'},
    {"segment-size", required_argument, NULL, 's'},
    {"start", required_argument, NULL, 'l'},
    {"sessions", required_argument, NULL, 'n'},
    {NULL, 0, NULL, 0},
};

static bool take_option(int option, const char *value, SenderOptions *options)
{
    uint64_t number;
    switch (option) {
    case 'p':
        return parse_u64(value, 1, 65535, &options->port);
    case 'b':
        return parse_size(value, 1, &options->config.bytes);
    case 'r':
        return parse_size(value, 1, &options->config.rate);
    case 'm':
        if (!parse_size(value, 1, &number) || number < 1 || number > SENDER_MESSAGE_MAX)
            return false;
        options->config.message_size = (size_t)number;
        return true;
    case 'w':
        return parse_duration(value, 1, &options->config.pause_ms);
    case 's':
        if (!parse_size(value, 1, &number) || !segment_size_valid(number))
            return false;
        options->config.segment_size = (uint32_t)number;
        return true;
    case 'l':
        return lsn_parse(value, &options->config.start);
    case 'n':
        return parse_u64(value, 1, 1000000, &options->sessions);
    default:
        return false;
    }
}

static bool read_options(int argc, char **argv, SenderOptions *options)
{
    *options = (SenderOptions){
        .sessions = 1,
        .config = {.bytes = UINT64_C(2) << 30,
                   .message_size = SENDER_MESSAGE_MAX,
                   .segment_size = 16 << 20,
                   .start = 16 << 20},
    };
    for (;;) {
        int option = getopt_long(argc, argv, "", long_options, NULL);
        if (option == -1)
            return optind == argc && options->port != 0;
        if (!take_option(option, optarg, options)) {
            fprintf(stderr, "sender: bad option or value: %s\n", optarg != NULL ? optarg : "");
            return false;
        }
    }
}

static int listen_on(uint64_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 8) != 0) {
        fprintf(stderr, "sender: could not listen on port %llu: %s\n", (unsigned long long)port,
                strerror(errno));
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    SenderOptions options;
    WalGen gen;
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: sender --port=PORT [--bytes=SIZE] [--rate=SIZE] "
                        "[--message-size=SIZE] [--pause=TIME] [--segment-size=SIZE] "
                        "[--start=LSN] [--sessions=N]\n");
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int listener = listen_on(options.port);
    if (listener < 0 ||
        !walgen_init(&gen, SENDER_SYSTEM_IDENTIFIER, 1, options.config.segment_size))
        return 1;
    for (uint64_t done = 0; done < options.sessions;) {
        Error error;
        SenderReport report;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (!sender_session(fd, &options.config, &gen, &report, &error))
            fprintf(stderr, "sender: %s\n", error.message);
        (void)close(fd);
        if (!report.streamed)
            continue; /* a connection that only asked something */
        sender_report_print(&report);
        done++;
    }
    walgen_free(&gen);
    (void)close(listener);
    return 0;
}
