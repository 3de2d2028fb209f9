/* SPDX-License-Identifier: PostgreSQL
 *
 * What libpq says when a connection fails, which holds what a server sent. The first byte: did it
 * fail at once, was a password wanted; the rest is the text. It is worth another try or a person's
 * business, has a message, and a SQLSTATE of five letters or none.
 */
#include "fuzz.h"

#include "../../src/stream/connect_failure.h"

#include <string.h>

#define TEXT_SIZE 4096

static char text[TEXT_SIZE];
static int needs_password;

/* In place of libpq's. */

char *PQerrorMessage(const PGconn *pg)
{
    (void)pg;
    return text;
}

int PQconnectionNeedsPassword(const PGconn *pg)
{
    (void)pg;
    return needs_password;
}

PQconninfoOption *PQconninfo(PGconn *pg)
{
    static PQconninfoOption options[2];
    static char keyword[] = "host";
    static char value[] = "/run/postgresql";
    (void)pg;
    options[0] = (PQconninfoOption){.keyword = keyword, .val = value};
    return options;
}

void PQconninfoFree(PQconninfoOption *options)
{
    (void)options;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error error;
    if (size == 0)
        return 0;
    fuzz_text(data + 1, size - 1, text, sizeof(text));
    needs_password = data[0] >> 1 & 1;
    require(!connect_failed(NULL, (data[0] & 1) != 0, &error));
    require(error.class == ERROR_RETRY || error.class == ERROR_OPERATOR);
    require(error.message[0] != '\0');
    require(memchr(error.message, 0, sizeof(error.message)) != NULL);
    require(error.sqlstate[0] == '\0' || strlen(error.sqlstate) == 5);
    return 0;
}
