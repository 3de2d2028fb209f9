/* SPDX-License-Identifier: PostgreSQL
 *
 * Connection strings: a password, in the way the first byte says, and the input behind it. Whatever
 * libpq makes of that, the password is in no message and in no text for the log.
 */
#include "fuzz.h"
#include "walrx/stream/connection.h"

#include <stdio.h>

#define TEXT_SIZE 2048
#define SECRET_SIZE 24

/* From the whole input, so that no input can hold its own. */
static void make_secret(const uint8_t *data, size_t size, char secret[SECRET_SIZE])
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * UINT64_C(1099511628211);
    (void)snprintf(secret, SECRET_SIZE, "Q%016llx", (unsigned long long)hash);
}

static void check(const char *conninfo, const char *secret)
{
    ConnectOptions options = {.conninfo = conninfo};
    char text[TEXT_SIZE];
    Error error = {.class = ERROR_NONE};
    if (!connect_options_check(&options, &error))
        require(error.class == ERROR_USAGE && error.message[0] != '\0');
    require(strstr(error.message, secret) == NULL && strstr(error.detail, secret) == NULL);
    (void)connect_options_text(&options, text, sizeof(text));
    require(strstr(text, secret) == NULL && memchr(text, 0, sizeof(text)) != NULL);
}

/* In front of the rest, which cannot change what they are. */
static const char *const ways[][2] = {
    {"password=", " "},
    {"password='", "' "},
    {"sslpassword = ", " "},
    {"postgresql://u:", "@h/d?"},
    {"postgresql://h/d?password=", "&"},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char secret[SECRET_SIZE];
    char text[TEXT_SIZE];
    char whole[TEXT_SIZE + 128];
    if (size == 0)
        return 0;
    const char *const *way = ways[data[0] % 5];
    make_secret(data, size, secret);
    fuzz_text(data + 1, size - 1, text, sizeof(text));
    (void)snprintf(whole, sizeof(whole), "%s%s%s%s", way[0], secret, way[1], text);
    check(whole, secret);
    return 0;
}
