/* SPDX-License-Identifier: PostgreSQL
 *
 * Connection strings: a password, in the way the first byte says, and the input behind it. Whatever
 * libpq makes of that, the password is in no message and in no text for the log.
 */
#include "fuzz.h"
#include "walrx/stream/connection.h"

#include <stdio.h>

#define TEXT_SIZE 2048
#define SECRET "Zx9secretQ7"

static void check(const char *conninfo)
{
    ConnectOptions options = {.conninfo = conninfo};
    char text[TEXT_SIZE];
    Error error = {.class = ERROR_NONE};
    if (!connect_options_check(&options, &error))
        require(error.class == ERROR_USAGE && error.message[0] != '\0');
    require(strstr(error.message, SECRET) == NULL && strstr(error.detail, SECRET) == NULL);
    (void)connect_options_text(&options, text, sizeof(text));
    require(strstr(text, SECRET) == NULL && memchr(text, 0, sizeof(text)) != NULL);
}

/* In front of the rest, which cannot change what they are. */
static const char *const ways[] = {
    "password=" SECRET " ",
    "password='" SECRET "' ",
    "sslpassword = " SECRET " ",
    "postgresql://u:" SECRET "@h/d?",
    "postgresql://h/d?password=" SECRET "&",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE];
    char whole[TEXT_SIZE + 64];
    if (size == 0)
        return 0;
    fuzz_text(data + 1, size - 1, text, sizeof(text));
    (void)snprintf(whole, sizeof(whole), "%s%s", ways[data[0] % 5], text);
    check(whole);
    return 0;
}
