/* SPDX-License-Identifier: PostgreSQL
 *
 * In place of http.c where libmicrohttpd is missing.
 */
#include "walrx/observe/http.h"

bool http_available(void)
{
    return false;
}

bool http_open(const HttpOptions *options, HttpServer **ret, Error *err)
{
    (void)options;
    (void)ret;
    return error_set(err, ERROR_OPERATOR, "this walrx was built without HTTP (libmicrohttpd)");
}

HttpAddress http_address(const HttpServer *server)
{
    (void)server;
    return (HttpAddress){.length = 0};
}

void http_close(HttpServer *server)
{
    (void)server;
}
