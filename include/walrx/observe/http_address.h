/* SPDX-License-Identifier: PostgreSQL
 *
 * Where an HTTP server listens, as people write it: "9187" (then on 127.0.0.1 only),
 * "192.0.2.1:9187", "[::1]:9187", "localhost:9187". Names of hosts are not looked up: that can take
 * long and answer differently tomorrow. Pure.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdbool.h>
#include <sys/socket.h>

typedef struct HttpAddress {
    struct sockaddr_storage socket;
    socklen_t length;
    bool loopback; /* only processes of this machine reach it */
} HttpAddress;

/* ERROR_USAGE when the text is none. Port 0 is none either. */
bool http_address_parse(const char *text, HttpAddress *ret, Error *err) MUST_CHECK;

/* "127.0.0.1:9187", "[::1]:9187"; what http_address_parse takes. */
#define HTTP_ADDRESS_TEXT_SIZE 64
const char *http_address_format(const HttpAddress *address, char buffer[HTTP_ADDRESS_TEXT_SIZE]);
