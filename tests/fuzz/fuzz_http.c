/* SPDX-License-Identifier: PostgreSQL
 *
 * What of HTTP walrx reads itself, over arbitrary bytes: an address to listen on, a token file, and
 * a header that brings a token. A refusal changes nothing; an address that was accepted survives
 * formatting and reading again; a token is accepted behind its scheme and nowhere else.
 */
#include "fuzz.h"
#include "walrx/observe/bearer.h"
#include "walrx/observe/http_address.h"

#include <stdio.h>

#define TEXT_SIZE 1024

static void check_address(const char *text)
{
    char shown[HTTP_ADDRESS_TEXT_SIZE];
    HttpAddress address = {.length = 7};
    HttpAddress again;
    Error error;
    if (!http_address_parse(text, &address, &error)) {
        require(address.length == 7 && error.class == ERROR_USAGE && error.message[0] != '\0');
        return;
    }
    require(http_address_parse(http_address_format(&address, shown), &again, &error));
    require(again.length == address.length && again.loopback == address.loopback);
    require(memcmp(&again.socket, &address.socket, address.length) == 0);
}

static void check_token(const uint8_t *data, size_t size)
{
    static const char fixed[] = "0123456789abcdef";
    char text[TEXT_SIZE];
    char header[BEARER_MAX + 32];
    BearerToken token = {.length = 7};
    Error error;

    fuzz_text(data, size, text, sizeof(text));
    if (bearer_token_parse((const char *)data, size, &token, &error)) {
        require(token.length >= BEARER_MIN && token.length <= BEARER_MAX);
        (void)snprintf(header, sizeof(header), "bearer  %s", token.text);
        require(bearer_accepts(&token, header));
        require(!bearer_accepts(&token, token.text)); /* no token is its own scheme */
    } else {
        require(token.length == 7 && error.class == ERROR_USAGE);
    }
    require(bearer_token_parse(fixed, strlen(fixed), &token, &error));
    if (bearer_accepts(&token, text)) {
        const char *space = strrchr(text, ' ');
        require(space != NULL && strcmp(space + 1, fixed) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE];
    fuzz_text(data, size, text, sizeof(text));
    check_address(text);
    check_token(data, size);
    return 0;
}
