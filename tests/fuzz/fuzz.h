/* SPDX-License-Identifier: PostgreSQL
 *
 * What every fuzz target needs: the entry point's prototype, and a check that stays in every build.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of the code under test. */
static inline void require(int holds)
{
    if (!holds)
        abort();
}

/* The input as text, cut at `capacity`; what lies behind a zero byte is not seen. */
static inline void fuzz_text(const uint8_t *data, size_t size, char *text, size_t capacity)
{
    size_t length = size < capacity - 1 ? size : capacity - 1;

    if (length > 0)
        memcpy(text, data, length);
    text[length] = '\0';
}
