/* SPDX-License-Identifier: PostgreSQL
 *
 * A small HTTP server for reading: GET and HEAD on a table of paths. Knows nothing of what they
 * show. One thread of its own does everything, at a lower priority; every request has one answer
 * and ends its connection, and everything a peer can make large or long has a bound. Optionally
 * with TLS (1.2 and 1.3) and a bearer token.
 */
#pragma once

#include "walrx/base/error.h"
#include "walrx/observe/bearer.h"
#include "walrx/observe/http_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MAX_CONNECTIONS 64
#define HTTP_MAX_CONNECTIONS_PER_CLIENT 48
#define HTTP_REQUEST_MEMORY ((size_t)16 * 1024) /* request line and all headers */

#define HTTP_PLAIN "text/plain; charset=utf-8"

typedef struct HttpRequest {
    const char *path;
    bool authorized;           /* false only where the route is open */
    const char *if_none_match; /* NULL: not sent */
} HttpRequest;

/* All text is borrowed until the server is closed, but for the body with `body_is_owned`. */
typedef struct HttpReply {
    unsigned status;
    const char *type;
    const char *body;
    size_t length;
    bool body_is_owned;     /* from malloc: the server frees it */
    const char *policy;     /* Content-Security-Policy; NULL: nothing may be loaded */
    const char *entity_tag; /* NULL: not to be stored by anyone */
} HttpReply;

/* In the server's thread. The reply comes as 200 without a body. */
typedef void HttpHandler(void *context, const HttpRequest *request, HttpReply *reply);

typedef struct HttpRoute {
    const char *path;
    HttpHandler *handle;
    bool open; /* asked without the token, too */
} HttpRoute;

typedef struct HttpOptions {
    HttpAddress address; /* its port may be 0: any that is free */
    BearerToken token;
    const char *certificate; /* PEM, borrowed until the server is closed; NULL: no TLS */
    const char *key;
    uint64_t connection_ms; /* a connection ends after this time, whatever it is doing */
    const HttpRoute *routes;
    size_t route_count;
    void *context;
} HttpOptions;

typedef struct HttpServer HttpServer;

/* Is there HTTP in this build? */
bool http_available(void);

/* It serves when this returns. ERROR_OPERATOR when it cannot listen there, or with this key. */
bool http_open(const HttpOptions *options, HttpServer **ret, Error *err) MUST_CHECK;
/* Where it listens. */
HttpAddress http_address(const HttpServer *server);
/* Ends all connections; on return no handler runs. NULL is fine. */
void http_close(HttpServer *server);
