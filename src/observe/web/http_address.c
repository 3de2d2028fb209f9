/* SPDX-License-Identifier: PostgreSQL
 *
 * See http_address.h. The port stands behind the last colon; an IPv6 address stands in brackets, or
 * its own colons could not be told from that one.
 */
#include "walrx/observe/http_address.h"

#include "walrx/base/parse.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool refuse(const char *text, Error *err)
{
    error_set(err, ERROR_USAGE, "\"%s\" is no address to listen on", text);
    return error_detail(err, "It is PORT, ADDRESS:PORT or [ADDRESS]:PORT, with a numeric address, "
                             "as in 9187, 192.0.2.1:9187 or [::1]:9187; a port alone listens on "
                             "127.0.0.1.");
}

static HttpAddress of_ipv4(struct in_addr address, uint16_t port)
{
    HttpAddress result = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address};
    memcpy(&result.socket, &in, sizeof(in));
    result.loopback = (ntohl(address.s_addr) >> 24) == 127;
    return result;
}

static HttpAddress of_ipv6(struct in6_addr address, uint16_t port)
{
    HttpAddress result = {.length = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 in = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = address};
    memcpy(&result.socket, &in, sizeof(in));
    result.loopback = IN6_IS_ADDR_LOOPBACK(&address);
    return result;
}

bool http_address_parse(const char *text, HttpAddress *ret, Error *err)
{
    char host[INET6_ADDRSTRLEN + 2] = "localhost";
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon != NULL) {
        size_t length = (size_t)(colon - text);
        if (length >= sizeof(host))
            return refuse(text, err);
        memcpy(host, text, length);
        host[length] = '\0';
    }
    if (!parse_u64(colon != NULL ? colon + 1 : text, 1, UINT16_MAX, &port))
        return refuse(text, err);

    struct in_addr four;
    struct in6_addr six;
    size_t length = strlen(host);
    if (strcmp(host, "localhost") == 0) {
        four.s_addr = htonl(INADDR_LOOPBACK);
        *ret = of_ipv4(four, (uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET, host, &four) == 1) {
        *ret = of_ipv4(four, (uint16_t)port);
        return true;
    }
    if (length < 2 || host[0] != '[' || host[length - 1] != ']')
        return refuse(text, err);
    host[length - 1] = '\0';
    if (inet_pton(AF_INET6, host + 1, &six) != 1)
        return refuse(text, err);
    *ret = of_ipv6(six, (uint16_t)port);
    return true;
}

const char *http_address_format(const HttpAddress *address, char buffer[HTTP_ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->socket.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, &address->socket, sizeof(in));
        (void)inet_ntop(AF_INET6, &in.sin6_addr, host, sizeof(host));
        (void)snprintf(buffer, HTTP_ADDRESS_TEXT_SIZE, "[%s]:%u", host, ntohs(in.sin6_port));
    } else {
        struct sockaddr_in in;
        memcpy(&in, &address->socket, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        (void)snprintf(buffer, HTTP_ADDRESS_TEXT_SIZE, "%s:%u", host, ntohs(in.sin_port));
    }
    return buffer;
}
