/* SPDX-License-Identifier: PostgreSQL
 *
 * A bearer token (RFC 6750): the one that is expected, and whether a request brings it. Pure.
 */
#pragma once

#include "walrx/base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define BEARER_MIN 16 /* shorter ones can be guessed */
#define BEARER_MAX 512

typedef struct BearerToken {
    size_t length; /* 0: none is needed */
    char text[BEARER_MAX + 1];
} BearerToken;

/* What a file holds: the token alone, blanks and newlines around it do not count. ERROR_USAGE when
 * it is too short, too long, or has characters that no token has. */
bool bearer_token_parse(const char *text, size_t length, BearerToken *ret, Error *err) MUST_CHECK;

/* `header` is the value of "Authorization", NULL when there is none. How long this takes tells
 * nothing of the token but its length. */
bool bearer_accepts(const BearerToken *token, const char *header);
