/* SPDX-License-Identifier: PostgreSQL
 *
 * See http.h. libmicrohttpd parses, in our loop: so one thread sees connections come and go, and
 * can end those that are too old without a lock. libmicrohttpd's own time-out counts from the last
 * byte, which a peer that sends one now and then never reaches.
 */
#include "walrx/observe/http.h"

#include "walrx/os/clock.h"
#include "walrx/os/wakeup.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKLOG 64
#define NICE 10
#define NO_POLICY "default-src 'none'; frame-ancestors 'none'"
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

typedef struct Connection {
    int fd; /* -1: free */
    uint64_t deadline_ms;
} Connection;

struct HttpServer {
    HttpOptions options;
    HttpAddress address; /* where it really listens */
    struct MHD_Daemon *daemon;
    int epoll_fd;
    Bell bell; /* rung to stop */
    pthread_t thread;
    atomic_bool stop;
    char problem[ERROR_DETAIL_SIZE]; /* what libmicrohttpd says while it starts */
    Connection connections[HTTP_MAX_CONNECTIONS];
};

bool http_available(void)
{
    return true;
}

/* ---- answers ---- */

static struct MHD_Response *make_response(const HttpReply *reply)
{
    /* Only read, in spite of the prototype. */
    union {
        const char *text;
        void *memory;
    } body = {.text = reply->body != NULL ? reply->body : ""};
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->body != NULL ? reply->length : 0, body.memory,
        reply->body_is_owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response == NULL && reply->body_is_owned)
        free(body.memory);
    return response;
}

static bool add_headers(struct MHD_Response *response, const HttpReply *reply)
{
    const char *headers[][2] = {
        {MHD_HTTP_HEADER_CONNECTION, "close"},
        {MHD_HTTP_HEADER_CONTENT_TYPE, reply->type},
        {MHD_HTTP_HEADER_CACHE_CONTROL, reply->entity_tag != NULL ? "no-cache" : "no-store"},
        {MHD_HTTP_HEADER_ETAG, reply->entity_tag},
        {"Content-Security-Policy", reply->policy != NULL ? reply->policy : NO_POLICY},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {MHD_HTTP_HEADER_ALLOW, reply->status == MHD_HTTP_METHOD_NOT_ALLOWED ? "GET, HEAD" : NULL},
        {MHD_HTTP_HEADER_WWW_AUTHENTICATE,
         reply->status == MHD_HTTP_UNAUTHORIZED ? "Bearer realm=\"walrx\"" : NULL},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (headers[i][1] != NULL &&
            MHD_add_response_header(response, headers[i][0], headers[i][1]) != MHD_YES)
            return false;
    }
    return true;
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, const HttpReply *reply)
{
    enum MHD_Result result = MHD_NO;
    struct MHD_Response *response = make_response(reply);
    if (response == NULL)
        return MHD_NO;
    if (add_headers(response, reply))
        result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
    HttpReply reply = {.status = status, .type = HTTP_PLAIN, .body = text, .length = strlen(text)};
    return send_reply(connection, &reply);
}

static const HttpRoute *find_route(const HttpOptions *options, const char *path)
{
    for (size_t i = 0; i < options->route_count; i++) {
        if (strcmp(options->routes[i].path, path) == 0)
            return &options->routes[i];
    }
    return NULL;
}

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = header_of(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return header_of(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *data_size, void **request_cls)
{
    HttpServer *server = cls;
    (void)version;
    (void)data;
    (void)data_size;
    (void)request_cls;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (has_body(connection))
        return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "a request has no body here\n");

    const HttpRoute *route = find_route(&server->options, path);
    HttpRequest request = {
        .path = path,
        .authorized = bearer_accepts(&server->options.token,
                                     header_of(connection, MHD_HTTP_HEADER_AUTHORIZATION)),
        .if_none_match = header_of(connection, MHD_HTTP_HEADER_IF_NONE_MATCH),
    };
    if (!request.authorized && (route == NULL || !route->open))
        return refuse(connection, MHD_HTTP_UNAUTHORIZED, "a bearer token is needed\n");
    if (route == NULL)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "no such page\n");
    HttpReply reply = {.status = MHD_HTTP_OK, .type = HTTP_PLAIN};
    route->handle(server->options.context, &request, &reply);
    return send_reply(connection, &reply);
}

/* No path here needs an escape, so none means another one: "/%00" is not "/". */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

/* ---- connections ---- */

static void note_connection(void *cls, struct MHD_Connection *connection, void **place,
                            enum MHD_ConnectionNotificationCode code)
{
    HttpServer *server = cls;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        Connection *gone = *place;
        if (gone != NULL)
            gone->fd = -1;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *place = NULL;
    if (info == NULL)
        return;
    for (size_t i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
        Connection *slot = &server->connections[i];
        if (slot->fd >= 0)
            continue;
        slot->fd = info->connect_fd;
        slot->deadline_ms = clock_monotonic_ms() + server->options.connection_ms;
        *place = slot;
        return;
    }
    (void)shutdown(info->connect_fd, SHUT_RDWR);
}

/* Ends connections that are too old; how long until the next one is, -1: there is none. */
static int close_old(HttpServer *server)
{
    uint64_t now = clock_monotonic_ms();
    uint64_t wait = UINT64_MAX;
    for (size_t i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
        const Connection *connection = &server->connections[i];
        if (connection->fd < 0)
            continue;
        if (connection->deadline_ms <= now) {
            /* libmicrohttpd sees the end of the stream and closes it; what the peer did not read
             * goes at once. */
            const struct linger none = {.l_onoff = 1, .l_linger = 0};
            (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
            (void)shutdown(connection->fd, SHUT_RDWR);
            wait = wait < 100 ? wait : 100;
        } else if (connection->deadline_ms - now < wait) {
            wait = connection->deadline_ms - now;
        }
    }
    return wait <= INT_MAX ? (int)wait : -1;
}

static void *serve(void *context)
{
    HttpServer *server = context;
    /* Whoever floods it with requests takes no processor from receiving. Only this thread (Linux);
     * where it is not allowed it stays as it is. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    while (!atomic_load(&server->stop)) {
        MHD_UNSIGNED_LONG_LONG due;
        (void)MHD_run(server->daemon);
        int wait = close_old(server);
        if (MHD_get_timeout(server->daemon, &due) == MHD_YES && (wait < 0 || due < (unsigned)wait))
            wait = (int)due;
        struct pollfd fds[] = {{.fd = server->epoll_fd, .events = POLLIN},
                               {.fd = server->bell.fd, .events = POLLIN}};
        (void)poll(fds, 2, wait);
    }
    return NULL;
}

/* ---- begin and end ---- */

static void keep_problem(void *cls, const char *format, va_list arguments) PRINTF_LIKE(2, 0);

static void keep_problem(void *cls, const char *format, va_list arguments)
{
    HttpServer *server = cls;
    if (server->daemon != NULL || server->problem[0] != '\0')
        return; /* later it is about single connections */
    (void)vsnprintf(server->problem, sizeof(server->problem), format, arguments);
    server->problem[strcspn(server->problem, "\n")] = '\0';
}

static bool listen_at(const HttpAddress *address, int *ret_fd, Error *err)
{
    char text[HTTP_ADDRESS_TEXT_SIZE];
    int on = 1;
    const struct sockaddr *where = (const struct sockaddr *)&address->socket;
    int fd = socket(where->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, where, address->length) == 0 && listen(fd, BACKLOG) == 0) {
        *ret_fd = fd;
        return true;
    }
    int cause = errno;
    if (fd >= 0)
        (void)close(fd);
    return error_set_errno(err, ERROR_OPERATOR, cause, "could not listen on %s for HTTP",
                           http_address_format(address, text));
}

static bool start_daemon(HttpServer *server, int fd, Error *err)
{
    const HttpOptions *options = &server->options;
    bool tls = options->certificate != NULL;
    union {
        const char *text;
        void *memory;
    } certificate = {.text = options->certificate}, key = {.text = options->key},
      priorities = {.text = TLS_PRIORITIES};
    struct MHD_OptionItem for_tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, certificate.memory},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, key.memory},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, priorities.memory},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0) |
                     (options->address.socket.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, answer, server, MHD_OPTION_EXTERNAL_LOGGER, keep_problem, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_MAX_CONNECTIONS,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)HTTP_MAX_CONNECTIONS_PER_CLIENT,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_REQUEST_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        note_connection, server, MHD_OPTION_ARRAY, tls ? for_tls : &for_tls[3], MHD_OPTION_END);
    if (server->daemon == NULL) {
        error_set(err, ERROR_OPERATOR, "could not start the HTTP server%s",
                  tls ? " with this certificate and key" : "");
        return error_detail(err, "%s", server->problem);
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    server->epoll_fd = info != NULL ? info->epoll_fd : -1;
    return true;
}

/* Signals are for the thread that waits for them. */
static int start_thread(HttpServer *server)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&server->thread, NULL, serve, server);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void free_server(HttpServer *server)
{
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon); /* closes the socket, too */
    bell_close(&server->bell);
    explicit_bzero(&server->options.token, sizeof(server->options.token));
    free(server);
}

bool http_open(const HttpOptions *options, HttpServer **ret, Error *err)
{
    int fd = -1;
    HttpServer *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for the HTTP server");
    server->options = *options;
    server->address = options->address;
    server->bell.fd = -1;
    for (size_t i = 0; i < HTTP_MAX_CONNECTIONS; i++)
        server->connections[i].fd = -1;
    if (!bell_open(&server->bell, err) || !listen_at(&options->address, &fd, err)) {
        free_server(server);
        return false;
    }
    server->address.length = sizeof(server->address.socket);
    if (getsockname(fd, (struct sockaddr *)&server->address.socket, &server->address.length) != 0)
        server->address = options->address;
    if (!start_daemon(server, fd, err)) {
        (void)close(fd);
        free_server(server);
        return false;
    }
    int rc = start_thread(server);
    if (rc != 0) {
        free_server(server);
        return error_set_errno(err, ERROR_MEMORY, rc, "could not start a thread for HTTP");
    }
    *ret = server;
    return true;
}

HttpAddress http_address(const HttpServer *server)
{
    return server->address;
}

void http_close(HttpServer *server)
{
    if (server == NULL)
        return;
    atomic_store(&server->stop, true);
    bell_ring(&server->bell);
    (void)pthread_join(server->thread, NULL);
    free_server(server);
}
