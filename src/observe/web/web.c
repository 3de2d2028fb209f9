/* SPDX-License-Identifier: PostgreSQL
 *
 * See web.h. Everything here runs in the HTTP server's thread, but for begin and end.
 */
#include "walrx/observe/web.h"

#include "walrx/observe/health.h"
#include "walrx/observe/http.h"
#include "walrx/observe/metrics_text.h"
#include "walrx/observe/status_json.h"
#include "walrx/os/log.h"
#include "web_json.h"
#include "web_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTION_MS 20000
#define FILE_MAX ((size_t)256 * 1024) /* of certificates */
#define JSON_TYPE "application/json"

struct Web {
    Observer *observer;
    const Histogram *latency[LATENCY_KIND_COUNT];
    uint64_t max_lag_ms;
    char *certificate;
    char *key;
    HttpServer *server;
    /* the server's thread's own */
    Snapshot snapshot;
    HistoryPoint history[HISTORY_POINTS];
    EventLog events;
    char text[HEALTH_TEXT_SIZE];
};

/* ---- answers ---- */

static void reply_text(HttpReply *reply, unsigned status, const char *text)
{
    reply->status = status;
    reply->body = text;
    reply->length = strlen(text);
}

static void reply_owned(HttpReply *reply, const char *type, char *text, size_t length)
{
    if (text == NULL) {
        reply_text(reply, 503, "out of memory\n");
        return;
    }
    reply->type = type;
    reply->body = text;
    reply->length = length;
    reply->body_is_owned = true;
}

static void handle_page(void *context, const HttpRequest *request, HttpReply *reply)
{
    (void)context;
    reply->type = "text/html; charset=utf-8";
    reply->policy = web_page_policy;
    reply->entity_tag = web_page_tag;
    if (request->if_none_match != NULL && strcmp(request->if_none_match, web_page_tag) == 0) {
        reply->status = 304;
        return;
    }
    reply->body = (const char *)web_page;
    reply->length = web_page_length;
}

static const Snapshot *look(Web *web)
{
    observer_snapshot(web->observer, &web->snapshot);
    return &web->snapshot;
}

static void handle_status(void *context, const HttpRequest *request, HttpReply *reply)
{
    size_t length = 0;
    (void)request;
    char *text = status_json_text(look(context), &length);
    reply_owned(reply, JSON_TYPE, text, length);
}

static void handle_metrics(void *context, const HttpRequest *request, HttpReply *reply)
{
    Web *web = context;
    size_t length = 0;
    (void)request;
    char *text = metrics_text(look(web), web->latency, &length);
    reply_owned(reply, METRICS_TYPE, text, length);
}

static void handle_history(void *context, const HttpRequest *request, HttpReply *reply)
{
    Web *web = context;
    size_t length = 0;
    (void)request;
    size_t count = observer_history(web->observer, web->history, HISTORY_POINTS);
    char *text = web_history_json(web->history, count, &length);
    reply_owned(reply, JSON_TYPE, text, length);
}

static void handle_events(void *context, const HttpRequest *request, HttpReply *reply)
{
    Web *web = context;
    size_t length = 0;
    (void)request;
    observer_events(web->observer, &web->events);
    char *text = web_events_json(&web->events, &length);
    reply_owned(reply, JSON_TYPE, text, length);
}

/* Who has no token learns whether, not why. */
static void reply_health(Web *web, const HttpRequest *request, bool good, HttpReply *reply)
{
    if (request->authorized)
        reply_text(reply, good ? 200 : 503, web->text);
    else
        reply_text(reply, good ? 200 : 503, good ? "ok\n" : "not ok\n");
}

static void handle_ready(void *context, const HttpRequest *request, HttpReply *reply)
{
    Web *web = context;
    bool good = health_ready(look(web), web->max_lag_ms, web->text);
    reply_health(web, request, good, reply);
}

static void handle_live(void *context, const HttpRequest *request, HttpReply *reply)
{
    Web *web = context;
    bool good = health_live(look(web), web->text);
    reply_health(web, request, good, reply);
}

static const HttpRoute routes[] = {
    {"/", handle_page, true},
    {"/status", handle_status, false},
    {"/metrics", handle_metrics, false},
    {"/history", handle_history, false},
    {"/events", handle_events, false},
    {"/healthz", handle_ready, true},
    {"/readyz", handle_ready, true},
    {"/livez", handle_live, true},
};

/* ---- begin and end ---- */

/* A small file as text, *ret to be freed. */
static bool read_file(const char *path, const char *what, bool secret, char **ret, Error *err)
{
    struct stat status;
    char *text = NULL;
    size_t length = 0;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set_errno(err, ERROR_USAGE, errno, "could not read %s \"%s\"", what, path);
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    if (secret && (status.st_mode & S_IRWXO) != 0)
        log_line(LOG_WARNING, NULL, "%s \"%s\" can be read by others; it should have mode 0600",
                 what, path);
    text = malloc(FILE_MAX + 1);
    while (text != NULL && length <= FILE_MAX &&
           (got = read(fd, text + length, FILE_MAX + 1 - length)) > 0)
        length += (size_t)got;
    int cause = errno;
    (void)close(fd);
    if (text == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for %s \"%s\"", what, path);
    if (got < 0 || length > FILE_MAX) {
        free(text);
        return error_set_errno(err, ERROR_USAGE, got < 0 ? cause : EFBIG,
                               "could not read %s \"%s\"", what, path);
    }
    text[length] = '\0';
    *ret = text;
    return true;
}

static bool read_token(const char *path, BearerToken *ret, Error *err)
{
    char *text;
    if (!read_file(path, "token file", true, &text, err))
        return false;
    size_t length = strlen(text);
    bool ok = bearer_token_parse(text, length, ret, err);
    explicit_bzero(text, length);
    free(text);
    if (!ok) {
        Error cause = *err;
        error_set(err, ERROR_USAGE, "token file \"%s\": %s", path, cause.message);
        return error_hint(err, "%s", cause.hint);
    }
    return true;
}

static void tell(const Web *web, const WebOptions *options)
{
    char text[HTTP_ADDRESS_TEXT_SIZE];
    HttpAddress address = http_address(web->server);
    log_line(LOG_INFO, NULL, "serving %s://%s/", options->certificate != NULL ? "https" : "http",
             http_address_format(&address, text));
    if (!address.loopback && options->token_file == NULL)
        log_line(LOG_WARNING, NULL,
                 "whoever reaches %s can read the receiver's state; --http-token-file limits that",
                 text);
    else if (!address.loopback && options->certificate == NULL)
        log_line(LOG_WARNING, NULL,
                 "the token for %s crosses the network as plain text; --http-cert prevents that",
                 text);
}

static void free_web(Web *web)
{
    if (web->key != NULL)
        explicit_bzero(web->key, strlen(web->key));
    free(web->key);
    free(web->certificate);
    free(web);
}

bool web_open(const WebOptions *options, Web **ret, Error *err)
{
    HttpOptions http = {
        .address = options->address,
        .connection_ms = CONNECTION_MS,
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(routes[0]),
    };
    Web *web = calloc(1, sizeof(*web));
    if (web == NULL)
        return error_set(err, ERROR_MEMORY, "out of memory for HTTP");
    web->observer = options->observer;
    web->latency[LATENCY_SYNC] = &options->telemetry->archive.sync_ns;
    web->latency[LATENCY_WRITE] = &options->telemetry->archive.write_ns;
    web->latency[LATENCY_RECEIVE_TO_FLUSH] = &options->telemetry->receive_to_flush_ns;
    web->latency[LATENCY_FLUSH_TO_REPORT] = &options->telemetry->flush_to_report_ns;
    web->latency[LATENCY_COMPRESS] = &options->telemetry->archive.compress_ns;
    web->max_lag_ms = options->max_lag_ms;
    bool ok = (options->token_file == NULL || read_token(options->token_file, &http.token, err)) &&
              (options->certificate == NULL ||
               (read_file(options->certificate, "certificate", false, &web->certificate, err) &&
                read_file(options->key, "key", true, &web->key, err)));
    http.certificate = web->certificate;
    http.key = web->key;
    http.context = web;
    ok = ok && http_open(&http, &web->server, err);
    explicit_bzero(&http.token, sizeof(http.token));
    if (!ok) {
        free_web(web);
        return false;
    }
    tell(web, options);
    *ret = web;
    return true;
}

void web_close(Web *web)
{
    if (web == NULL)
        return;
    http_close(web->server);
    free_web(web);
}
