/* SPDX-License-Identifier: PostgreSQL
 *
 * The server over raw sockets: what it answers, and that no client holds it up.
 */
#include "walrx/observe/http.h"
#include "walrx/os/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN "0123456789abcdef"
#define BIG_SIZE ((size_t)32 * 1024 * 1024) /* more than the kernel buffers */
#define PATIENCE_MS 20000

static char answer[65536];
static char big[BIG_SIZE];
static atomic_uint asked;

/* ---- what is served ---- */

static void hello(void *context, const HttpRequest *request, HttpReply *reply)
{
    (void)context;
    atomic_fetch_add(&asked, 1);
    reply->body = request->authorized ? "hello\n" : "who are you\n";
    reply->length = strlen(reply->body);
}

static void owned(void *context, const HttpRequest *request, HttpReply *reply)
{
    (void)context;
    (void)request;
    reply->status = 503;
    reply->body = strdup("made for you\n");
    reply->length = strlen("made for you\n");
    reply->body_is_owned = true;
}

static void endless(void *context, const HttpRequest *request, HttpReply *reply)
{
    (void)context;
    (void)request;
    reply->body = big;
    reply->length = sizeof(big);
}

static const HttpRoute routes[] = {{"/", hello, true},
                                   {"/private", hello, false},
                                   {"/owned", owned, false},
                                   {"/big", endless, false}};

static HttpServer *start(const char *token, uint64_t connection_ms)
{
    HttpServer *server;
    Error error;
    HttpOptions options = {.connection_ms = connection_ms,
                           .routes = routes,
                           .route_count = sizeof(routes) / sizeof(routes[0])};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    memcpy(&options.address.socket, &in, sizeof(in));
    options.address.length = sizeof(in);
    if (token != NULL)
        assert_true(bearer_token_parse(token, strlen(token), &options.token, &error));
    if (!http_open(&options, &server, &error))
        fail_msg("%s %s", error.message, error.detail);
    return server;
}

/* ---- clients ---- */

static int client(const HttpServer *server)
{
    HttpAddress address = http_address(server);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address.socket, address.length), 0);
    return fd;
}

static void say(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0)
            return; /* it does not want to hear more */
        text += sent;
        length -= (size_t)sent;
    }
}

/* Everything up to the end of the connection, as text in `answer`; its length. */
static size_t hear(int fd)
{
    size_t length = 0;
    uint64_t end = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_true(clock_monotonic_ms() < end);
        if (poll(&wait, 1, 100) <= 0)
            continue;
        ssize_t got = recv(fd, answer + length, sizeof(answer) - 1 - length, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
        if (length == sizeof(answer) - 1)
            break;
    }
    answer[length] = '\0';
    (void)close(fd);
    return length;
}

static void ask(const HttpServer *server, const char *request)
{
    int fd = client(server);
    say(fd, request, strlen(request));
    (void)hear(fd);
}

static void expect_status(const char *status)
{
    if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 9, status, strlen(status)) != 0)
        fail_msg("not %s: %s", status, answer);
}

static void expect_serving(const HttpServer *server)
{
    ask(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("200");
}

/* ---- tests ---- */

static void a_path_is_answered_with_strict_headers_and_the_end_of_the_connection(void **state)
{
    (void)state;
    HttpServer *server = start(NULL, 5000);
    ask(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("200");
    assert_non_null(strstr(answer, "\r\n\r\nhello\n"));
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    assert_non_null(strstr(answer, "Content-Type: text/plain; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(answer, "Content-Security-Policy: default-src 'none'"));
    assert_non_null(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
    ask(server, "GET / HTTP/1.0\r\n\r\n");
    expect_status("200");
    ask(server, "GET /owned HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("503");
    assert_non_null(strstr(answer, "made for you\n"));
    http_close(server);
}

static void head_has_the_headers_and_no_body(void **state)
{
    (void)state;
    HttpServer *server = start(NULL, 5000);
    ask(server, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("200");
    assert_non_null(strstr(answer, "Content-Length: 6\r\n"));
    assert_null(strstr(answer, "hello"));
    http_close(server);
}

static void other_methods_bodies_and_paths_are_refused(void **state)
{
    (void)state;
    HttpServer *server = start(NULL, 5000);
    unsigned before = atomic_load(&asked);
    ask(server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    expect_status("405");
    assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
    ask(server, "BREW / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("405");
    ask(server, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    expect_status("413");
    ask(server, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect_status("413");
    ask(server, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("404");
    ask(server, "GET /../ HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("404");
    assert_int_equal(atomic_load(&asked), before);
    expect_serving(server);
    http_close(server);
}

static void without_the_token_only_open_paths_are_answered(void **state)
{
    (void)state;
    HttpServer *server = start(TOKEN, 5000);
    ask(server, "GET /private HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("401");
    assert_non_null(strstr(answer, "WWW-Authenticate: Bearer"));
    ask(server, "GET /private HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "0\r\n\r\n");
    expect_status("401");
    ask(server, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"); /* tells nothing of what there is */
    expect_status("401");
    ask(server, "GET /private HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\n\r\n");
    expect_status("200");
    assert_non_null(strstr(answer, "hello"));
    ask(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status("200");
    assert_non_null(strstr(answer, "who are you"));
    http_close(server);
}

static void hostile_bytes_end_their_own_connection_only(void **state)
{
    static char noise[65536];
    static const char *const bad[] = {
        "\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", /* no Host */
        "GET / HTTP/1.1\r\nHost: x\r\n : x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nGET /",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /* TLS */
        "GET /%00%0a%ff HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    (void)state;
    HttpServer *server = start(NULL, 1000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int fd = client(server);
        say(fd, bad[i], strlen(bad[i]));
        (void)shutdown(fd, SHUT_WR);
        (void)hear(fd);
        if (strncmp(answer, "HTTP/1.1 200", 12) == 0)
            fail_msg("%s was answered", bad[i]);
    }
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)(i * 2654435761U >> 13);
    int fd = client(server);
    say(fd, noise, sizeof(noise));
    (void)hear(fd);
    expect_serving(server);
    http_close(server);
}

static void a_request_line_and_headers_have_a_limit(void **state)
{
    static char request[HTTP_REQUEST_MEMORY * 2];
    (void)state;
    HttpServer *server = start(NULL, 5000);
    memset(request, 'a', sizeof(request));
    memcpy(request, "GET /", 5);
    int fd = client(server);
    say(fd, request, sizeof(request));
    (void)hear(fd);
    if (answer[0] != '\0') /* it may reset the connection instead */
        expect_status("4");

    static const char head[] = "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ";
    memcpy(request, head, sizeof(head) - 1);
    fd = client(server);
    say(fd, request, sizeof(request));
    (void)hear(fd);
    if (answer[0] != '\0')
        expect_status("431");
    expect_serving(server);
    http_close(server);
}

/* One byte now and then keeps the last byte young for ever. */
static void a_client_that_drips_its_request_is_cut_off(void **state)
{
    (void)state;
    HttpServer *server = start(NULL, 400);
    uint64_t began = clock_monotonic_ms();
    int fd = client(server);
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, 50) > 0)
            break;
        assert_true(clock_monotonic_ms() - began < PATIENCE_MS);
        say(fd, "G", 1);
    }
    assert_true(clock_monotonic_ms() - began >= 400);
    (void)hear(fd);
    assert_int_equal(answer[0], '\0');
    expect_serving(server);
    http_close(server);
}

static void a_client_that_does_not_read_its_answer_is_cut_off(void **state)
{
    static const char request[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
    (void)state;
    HttpServer *server = start(NULL, 400);
    int fd = client(server);
    say(fd, request, sizeof(request) - 1);
    uint64_t end = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) { /* without reading: the server's end of the connection shows as a hang-up */
        struct pollfd wait = {.fd = fd, .events = POLLRDHUP};
        if (poll(&wait, 1, 100) > 0)
            break;
        assert_true(clock_monotonic_ms() < end);
    }
    expect_serving(server);
    (void)close(fd);
    http_close(server);
}

/* Connections beyond the limit are closed unanswered, until older ones are gone. */
static void await_serving(const HttpServer *server)
{
    uint64_t end = clock_monotonic_ms() + PATIENCE_MS;
    do {
        assert_true(clock_monotonic_ms() < end);
        ask(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    } while (answer[0] == '\0');
    expect_status("200");
}

static void silent_clients_without_number_do_not_keep_others_out(void **state)
{
    enum { CROWD = 150 };
    int crowd[CROWD];
    (void)state;
    HttpServer *server = start(NULL, 600);
    for (size_t i = 0; i < CROWD; i++)
        crowd[i] = client(server);
    await_serving(server); /* at the latest when all of them were cut off */
    for (size_t i = 0; i < CROWD; i++)
        (void)close(crowd[i]);
    await_serving(server);
    http_close(server);
}

static void many_requests_one_after_the_other_leave_nothing_behind(void **state)
{
    (void)state;
    HttpServer *server = start(NULL, 5000);
    for (unsigned i = 0; i < 3 * HTTP_MAX_CONNECTIONS; i++)
        expect_serving(server);
    http_close(server);
}

static void closing_does_not_wait_for_clients(void **state)
{
    (void)state;
    HttpServer *server = start(NULL, 60000);
    int fd = client(server);
    say(fd, "GET / HT", 8);
    expect_serving(server);
    uint64_t began = clock_monotonic_ms();
    http_close(server);
    assert_true(clock_monotonic_ms() - began < 10000);
    (void)hear(fd);
}

static void an_address_in_use_is_named_with_the_cause(void **state)
{
    char text[HTTP_ADDRESS_TEXT_SIZE];
    HttpServer *second = NULL;
    Error error;
    (void)state;
    HttpServer *server = start(NULL, 5000);
    HttpOptions options = {.address = http_address(server), .connection_ms = 1000};
    assert_false(http_open(&options, &second, &error));
    assert_null(second);
    assert_int_equal(error.class, ERROR_OPERATOR);
    assert_int_equal(error.os_errno, EADDRINUSE);
    assert_non_null(strstr(error.message, http_address_format(&options.address, text)));
    http_close(server);
}

static void a_certificate_that_is_none_is_refused(void **state)
{
    HttpServer *server = NULL;
    Error error;
    HttpOptions options = {.connection_ms = 1000, .certificate = "nonsense", .key = "nonsense"};
    (void)state;
    assert_true(http_address_parse("1", &options.address, &error));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    memcpy(&options.address.socket, &in, sizeof(in));
    assert_false(http_open(&options, &server, &error));
    assert_int_equal(error.class, ERROR_OPERATOR);
    assert_true(error.detail[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_answered_with_strict_headers_and_the_end_of_the_connection),
        cmocka_unit_test(head_has_the_headers_and_no_body),
        cmocka_unit_test(other_methods_bodies_and_paths_are_refused),
        cmocka_unit_test(without_the_token_only_open_paths_are_answered),
        cmocka_unit_test(hostile_bytes_end_their_own_connection_only),
        cmocka_unit_test(a_request_line_and_headers_have_a_limit),
        cmocka_unit_test(a_client_that_drips_its_request_is_cut_off),
        cmocka_unit_test(a_client_that_does_not_read_its_answer_is_cut_off),
        cmocka_unit_test(silent_clients_without_number_do_not_keep_others_out),
        cmocka_unit_test(many_requests_one_after_the_other_leave_nothing_behind),
        cmocka_unit_test(closing_does_not_wait_for_clients),
        cmocka_unit_test(an_address_in_use_is_named_with_the_cause),
        cmocka_unit_test(a_certificate_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
