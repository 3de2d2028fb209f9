/* SPDX-License-Identifier: PostgreSQL
 *
 * See bearer.h. The comparison looks at every byte of what was sent, right or wrong.
 */
#include "walrx/observe/bearer.h"

#include <string.h>
#include <strings.h>

#define SCHEME "Bearer"

/* b64token of RFC 6750. */
static bool is_token_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~+/=", c) != NULL);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool bearer_token_parse(const char *text, size_t length, BearerToken *ret, Error *err)
{
    while (length > 0 && is_blank(text[0])) {
        text++;
        length--;
    }
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    if (length < BEARER_MIN || length > BEARER_MAX) {
        error_set(err, ERROR_USAGE, "a token has %d to %d characters, this one %zu", BEARER_MIN,
                  BEARER_MAX, length);
        return error_hint(err, "Make one with: openssl rand -hex 32");
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_token_char(text[i]))
            return error_set(err, ERROR_USAGE,
                             "a token consists of letters, digits and -._~+/=, on one line");
    }
    memcpy(ret->text, text, length);
    ret->text[length] = '\0';
    ret->length = length;
    return true;
}

bool bearer_accepts(const BearerToken *token, const char *header)
{
    size_t scheme = strlen(SCHEME);
    if (token->length == 0)
        return true;
    if (header == NULL || strncasecmp(header, SCHEME, scheme) != 0 || header[scheme] != ' ')
        return false;
    const char *given = header + scheme;
    while (*given == ' ')
        given++;
    size_t length = strnlen(given, BEARER_MAX + 1);
    volatile unsigned char different = length == token->length ? 0 : 1;
    for (size_t i = 0; i < length; i++)
        different |= (unsigned char)(given[i] ^ token->text[i % token->length]);
    return different == 0;
}
